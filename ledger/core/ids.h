// The identifiers of the ledger as types that do not convert into each other.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>

#include "ledger/crypto/digest.h"

namespace counterfoil {

// A number with a meaning of its own. `Tag` only tells the types apart.
template <class Tag>
struct Number {
  std::uint64_t value = 0;
  friend auto operator<=>(const Number&, const Number&) = default;
};

using WorkspaceNumber = Number<struct WorkspaceNumberTag>;  // dense, never reused; 0 is `_system`
using Sequence = Number<struct SequenceTag>;                // place of an entry in its workspace = leaf index
using PartitionId = Number<struct PartitionIdTag>;          // a partition of the log
using Position = Number<struct PositionTag>;                // offset of a record in its partition

inline constexpr WorkspaceNumber kSystemWorkspace{0};

// Nanoseconds since the Unix epoch, UTC. Which clock is said where one is used.
struct Timestamp {
  std::int64_t nanoseconds = 0;
  friend auto operator<=>(const Timestamp&, const Timestamp&) = default;
};

inline constexpr std::int64_t kNanosecondsPerSecond = 1'000'000'000;
inline constexpr std::int64_t kNanosecondsPerMillisecond = 1'000'000;

// SHA-256 of an entry as RFC 6962 leaf: SHA-256(0x00 || entry bytes). Also the `previous` of its successor.
struct LeafHash {
  crypto::Digest bytes{};
  friend auto operator<=>(const LeafHash&, const LeafHash&) = default;
};

// Sixteen bytes of an RFC 9562 UUID (version 7 from callers, version 8 derived).
struct EntryId {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const EntryId&, const EntryId&) = default;
};

// Sixteen random bytes that name a data key.
struct KeyId {
  std::array<std::uint8_t, 16> bytes{};
  friend auto operator<=>(const KeyId&, const KeyId&) = default;
};

template <class Id>
struct IdHash {
  std::size_t operator()(const Id& id) const noexcept {
    // Ids are random or hashes, so any eight bytes spread well; the last eight of a UUIDv7 are its random part.
    std::size_t result = 0;
    std::memcpy(&result, id.bytes.data() + id.bytes.size() - sizeof(result), sizeof(result));
    return result;
  }
};

template <class Tag>
struct NumberHash {
  std::size_t operator()(Number<Tag> number) const noexcept { return std::hash<std::uint64_t>{}(number.value); }
};
using WorkspaceNumberHash = NumberHash<WorkspaceNumberTag>;

}  // namespace counterfoil
