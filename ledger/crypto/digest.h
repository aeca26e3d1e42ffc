// SHA-256 (FIPS 180-4) over byte ranges. Contexts are fetched once per thread and re-used: an implicit fetch of OpenSSL 3 costs more
// than the hash of a small entry.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

namespace counterfoil::crypto {

using Bytes = std::span<const std::uint8_t>;

// Valid as long as the text.
inline Bytes bytesOf(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

inline constexpr std::size_t kDigestSize = 32;
using Digest = std::array<std::uint8_t, kDigestSize>;

// SHA-256 of the concatenation of `parts`. Thread safe. Throws CryptoError if OpenSSL fails.
Digest sha256(std::initializer_list<Bytes> parts);
inline Digest sha256(Bytes bytes) {
  return sha256({bytes});
}

// Incremental SHA-256. Not thread safe; may be reset and used again.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void update(Bytes bytes);
  // The digest of all bytes since construction or the last finish(); then starts anew.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::crypto
