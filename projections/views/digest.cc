#include "projections/views/digest.h"

#include <bit>
#include <cstring>

namespace counterfoil::views {
namespace {

std::array<std::uint64_t, 4> wordsOf(const crypto::Digest& bytes) {
  std::array<std::uint64_t, 4> words;
  for (std::size_t index = 0; index < words.size(); ++index) {
    std::uint64_t word = 0;
    std::memcpy(&word, bytes.data() + (3 - index) * sizeof word, sizeof word);
    words[index] = std::endian::native == std::endian::little ? __builtin_bswap64(word) : word;
  }
  return words;
}

}  // namespace

RowSum RowSum::fromBytes(const crypto::Digest& bytes) {
  RowSum sum;
  sum.words_ = wordsOf(bytes);
  return sum;
}

crypto::Digest RowSum::bytes() const {
  crypto::Digest bytes{};
  for (std::size_t index = 0; index < bytes.size(); ++index) {
    bytes[index] = static_cast<std::uint8_t>(words_[3 - index / 8] >> (56 - 8 * (index % 8)));
  }
  return bytes;
}

void RowSum::add(const crypto::Digest& rowHash) {
  const auto other = wordsOf(rowHash);
  std::uint64_t carry = 0;
  for (std::size_t index = 0; index < words_.size(); ++index) {
    std::uint64_t sum = 0;
    const bool first = __builtin_add_overflow(words_[index], other[index], &sum);
    const bool second = __builtin_add_overflow(sum, carry, &words_[index]);
    carry = first || second ? 1 : 0;
  }
}

void RowSum::subtract(const crypto::Digest& rowHash) {
  const auto other = wordsOf(rowHash);
  std::uint64_t borrow = 0;
  for (std::size_t index = 0; index < words_.size(); ++index) {
    std::uint64_t difference = 0;
    const bool first = __builtin_sub_overflow(words_[index], other[index], &difference);
    const bool second = __builtin_sub_overflow(difference, borrow, &words_[index]);
    borrow = first || second ? 1 : 0;
  }
}

void RowEncoder::head(std::uint8_t major, std::uint64_t value) {
  const auto type = static_cast<std::uint8_t>(major << 5);
  if (value < 24) {
    bytes_.push_back(static_cast<std::uint8_t>(type | value));
    return;
  }
  const unsigned power = value <= 0xff ? 0 : value <= 0xffff ? 1 : value <= 0xffff'ffff ? 2 : 3;
  bytes_.push_back(static_cast<std::uint8_t>(type | (24 + power)));
  for (int shift = (8 << power) - 8; shift >= 0; shift -= 8) bytes_.push_back(static_cast<std::uint8_t>(value >> shift));
}

crypto::Digest viewDigest(const std::vector<TableSum>& sums) {
  crypto::Sha256 hash;
  for (const TableSum& table : sums) {
    hash.update({reinterpret_cast<const std::uint8_t*>(table.table.data()), table.table.size()});
    const crypto::Digest sum = table.sum.bytes();
    hash.update(sum);
  }
  return hash.finish();
}

}  // namespace counterfoil::views
