// Records as the log stores them, and their clear header (FORMATS: Record).
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "ledger/core/ids.h"

namespace counterfoil::log {

enum class RecordKind : std::uint8_t { genesis = 1, claim = 2, entry = 3, tick = 4, reserved = 5, keys = 6, epoch = 7 };

inline constexpr std::size_t kHeaderSize = 116;
inline constexpr std::uint8_t kHeaderVersion = 1;

// Validity is decided by these fields alone, never by content, so that readers with and without keys agree.
struct RecordHeader {
  RecordKind kind{};
  std::uint8_t version = kHeaderVersion;
  std::uint16_t level = 0;  // of the writer's software
  std::uint64_t term = 0;
  std::uint64_t pseq = 0;  // running number of valid records of the partition
  std::uint64_t node = 0;
  std::uint64_t incarnation = 0;
  WorkspaceNumber workspace;  // kinds entry and keys
  Sequence seq;               // kind entry
  LeafHash previous;          // kind entry
  LeafHash leaf;              // kind entry
  friend bool operator==(const RecordHeader&, const RecordHeader&) = default;
};

// 116 bytes, little endian, in the order of FORMATS.
std::array<std::uint8_t, kHeaderSize> encodeHeader(const RecordHeader& header);
// False if the size or the version is not ours. Any kind is taken: what an unknown one means is decided by fold().
bool decodeHeader(crypto::Bytes bytes, RecordHeader& header);

// What a writer hands to the log; the log itself adds term, pseq, node and incarnation.
struct NewRecord {
  RecordKind kind = RecordKind::entry;
  WorkspaceNumber workspace;
  Sequence seq;
  LeafHash previous;
  LeafHash leaf;
  std::vector<std::uint8_t> value;
};

// A record that counts. Only these leave the log's read side, but for what a RecordFinder is asked for.
struct ValidRecord {
  Position position;
  RecordKind kind{};
  std::uint64_t incarnation = 0;  // of the process that wrote it
  WorkspaceNumber workspace;
  Sequence seq;
  LeafHash previous;
  LeafHash leaf;
  std::vector<std::uint8_t> value;
};

// A record as it lies in the log. Whether it counts is not said: that follows from all records before it.
struct StoredRecord {
  Position position;
  RecordHeader header;
  std::vector<std::uint8_t> value;
};

}  // namespace counterfoil::log
