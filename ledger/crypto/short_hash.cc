#include "ledger/crypto/short_hash.h"

#include <bit>
#include <cstring>

namespace counterfoil::crypto {
namespace {

std::uint64_t littleEndian(const void* bytes) {
  std::uint64_t word = 0;
  std::memcpy(&word, bytes, sizeof(word));
  return std::endian::native == std::endian::little ? word : __builtin_bswap64(word);
}

struct Sip {
  std::uint64_t a;
  std::uint64_t b;
  std::uint64_t c;
  std::uint64_t d;

  void rounds(int count) {
    for (; count > 0; --count) {
      a += b;
      b = std::rotl(b, 13) ^ a;
      a = std::rotl(a, 32);
      c += d;
      d = std::rotl(d, 16) ^ c;
      a += d;
      d = std::rotl(d, 21) ^ a;
      c += b;
      b = std::rotl(b, 17) ^ c;
      c = std::rotl(c, 32);
    }
  }
  void take(std::uint64_t word) {
    d ^= word;
    rounds(2);
    a ^= word;
  }
  std::uint64_t sum() const { return a ^ b ^ c ^ d; }
};

}  // namespace

ShortHash shortHash(const ShortHashKey& key, std::string_view bytes) {
  constexpr std::uint64_t kWide = 0xee;  // what makes it the variant of 128 bits, here and below
  const std::uint64_t first = littleEndian(key.data());
  const std::uint64_t second = littleEndian(key.data() + 8);
  Sip sip{first ^ 0x736f6d6570736575, second ^ 0x646f72616e646f6d ^ kWide, first ^ 0x6c7967656e657261, second ^ 0x7465646279746573};
  const std::uint64_t size = bytes.size();
  for (; bytes.size() >= 8; bytes.remove_prefix(8)) sip.take(littleEndian(bytes.data()));
  std::uint64_t last = size << 56;
  for (std::size_t at = 0; at < bytes.size(); ++at) last |= std::uint64_t{static_cast<unsigned char>(bytes[at])} << (8 * at);
  sip.take(last);
  sip.c ^= kWide;
  sip.rounds(4);
  const std::uint64_t low = sip.sum();
  sip.b ^= 0xdd;
  sip.rounds(4);
  return {low, sip.sum()};
}

}  // namespace counterfoil::crypto
