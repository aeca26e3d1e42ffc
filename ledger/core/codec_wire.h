// Words of the Cap'n Proto encoding that both halves of the codec speak of; private to codec_write.cc and codec_read.cc.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ledger/core/check.h"

namespace counterfoil::wire {

static_assert(std::endian::native == std::endian::little, "words are little endian on the wire and read as they are");

inline constexpr std::size_t kWordBytes = 8;

// Low two bits of a pointer.
inline constexpr std::uint64_t kStructPointer = 0;
inline constexpr std::uint64_t kListPointer = 1;

// What a list holds; three bits of a list pointer.
enum class ListSize : std::uint8_t { empty, bit, byte, twoBytes, fourBytes, eightBytes, pointer, composite };

inline std::uint64_t load(const std::uint8_t* word) {
  std::uint64_t result = 0;
  std::memcpy(&result, word, sizeof(result));
  return result;
}
inline void store(std::uint8_t* word, std::uint64_t value) {
  std::memcpy(word, &value, sizeof(value));
}

inline std::size_t wordsOf(std::size_t bytes) {
  return (bytes + kWordBytes - 1) / kWordBytes;
}

// Canonical pointers only ever point forward, so their 30-bit signed offset is never negative.
inline constexpr std::uint64_t kOffsetMax = (std::uint64_t{1} << 29) - 1;
inline constexpr std::uint64_t kCountMax = (std::uint64_t{1} << 29) - 1;

// `offset` in words; of a composite list's tag it is the number of elements.
inline std::uint64_t structPointer(std::uint64_t offset, std::uint64_t dataWords, std::uint64_t pointers) {
  COUNTERFOIL_CHECK(offset <= kOffsetMax && dataWords <= 0xffff && pointers <= 0xffff);
  return kStructPointer | offset << 2 | dataWords << 32 | pointers << 48;
}
inline std::uint64_t listPointer(std::uint64_t offset, ListSize size, std::uint64_t count) {
  COUNTERFOIL_CHECK(offset <= kOffsetMax && count <= kCountMax);
  return kListPointer | offset << 2 | static_cast<std::uint64_t>(size) << 32 | count << 35;
}

inline std::uint64_t kindOf(std::uint64_t pointer) {
  return pointer & 3;
}
// The unsigned reading of the offset: a negative one becomes one that no message is long enough for.
inline std::uint64_t offsetOf(std::uint64_t pointer) {
  return (pointer & 0xffffffffU) >> 2;
}
inline std::uint32_t dataWordsOf(std::uint64_t pointer) {
  return static_cast<std::uint32_t>(pointer >> 32 & 0xffffU);
}
inline std::uint32_t pointersOf(std::uint64_t pointer) {
  return static_cast<std::uint32_t>(pointer >> 48);
}
inline ListSize listSizeOf(std::uint64_t pointer) {
  return static_cast<ListSize>(pointer >> 32 & 7U);
}
inline std::uint32_t countOf(std::uint64_t pointer) {
  return static_cast<std::uint32_t>(pointer >> 35);
}

}  // namespace counterfoil::wire
