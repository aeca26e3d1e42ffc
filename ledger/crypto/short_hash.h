// SipHash-2-4 with 128 bits (Aumasson, Bernstein): a keyed hash for tables in memory that are asked for bytes an attacker may choose. Ten
// times cheaper than HMAC; never stored, never sent.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace counterfoil::crypto {

using ShortHashKey = std::array<std::uint8_t, 16>;

struct ShortHash {
  std::uint64_t low;
  std::uint64_t high;
  friend bool operator==(const ShortHash&, const ShortHash&) = default;
};

// Without the key nobody can tell which bytes a hash is of, or make two with the same.
ShortHash shortHash(const ShortHashKey& key, std::string_view bytes);

}  // namespace counterfoil::crypto
