// Bytes from the hex of published vectors. Its own decoder: the product's is not used to test what lies below it.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace counterfoil::crypto::test {

inline std::vector<std::uint8_t> hex(std::string_view text) {
  std::vector<std::uint8_t> result;
  if (text.size() % 2 != 0) throw std::invalid_argument("odd hex in a test");
  for (std::size_t i = 0; i < text.size(); i += 2) {
    result.push_back(static_cast<std::uint8_t>(std::stoul(std::string(text.substr(i, 2)), nullptr, 16)));
  }
  return result;
}

inline std::string toHex(std::span<const std::uint8_t> bytes) {
  std::string result;
  for (const std::uint8_t byte : bytes) {
    result += "0123456789abcdef"[byte >> 4];
    result += "0123456789abcdef"[byte & 15];
  }
  return result;
}

inline std::span<const std::uint8_t> asBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

template <std::size_t Size>
std::array<std::uint8_t, Size> hexArray(std::string_view text) {
  const auto bytes = hex(text);
  if (bytes.size() != Size) throw std::invalid_argument("wrong size of hex in a test");
  std::array<std::uint8_t, Size> result;
  std::copy(bytes.begin(), bytes.end(), result.begin());
  return result;
}

}  // namespace counterfoil::crypto::test
