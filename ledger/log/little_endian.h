// Unsigned numbers as little-endian bytes, for the clear header and saved fold states.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>

namespace counterfoil::log {

// Writes sizeof(number) bytes at `target` and returns the place behind them.
template <std::unsigned_integral Unsigned>
std::uint8_t* putLittleEndian(std::uint8_t* target, Unsigned number) {
  for (std::size_t index = 0; index < sizeof(Unsigned); ++index) {
    *target++ = static_cast<std::uint8_t>(number >> (8 * index));
  }
  return target;
}

// Reads sizeof(number) bytes at `source` and returns the place behind them.
template <std::unsigned_integral Unsigned>
const std::uint8_t* getLittleEndian(const std::uint8_t* source, Unsigned& number) {
  Unsigned result = 0;
  for (std::size_t index = 0; index < sizeof(Unsigned); ++index) {
    result = static_cast<Unsigned>(result | static_cast<Unsigned>(static_cast<Unsigned>(*source++) << (8 * index)));
  }
  number = result;
  return source;
}

}  // namespace counterfoil::log
