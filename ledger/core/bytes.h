// A small length-checked binary form for the ledger's own caches (snapshots, fold states): little-endian varints and counted bytes.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/crypto/digest.h"

namespace counterfoil {

class ByteWriter {
 public:
  explicit ByteWriter(std::vector<std::uint8_t>& out) : out_(out) {}
  // LEB128: seven bits a byte, least significant first.
  void number(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<std::uint8_t>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<std::uint8_t>(value));
  }
  // Signed, zigzag.
  void integer(std::int64_t value) { number((static_cast<std::uint64_t>(value) << 1) ^ static_cast<std::uint64_t>(value >> 63)); }
  void flag(bool value) { out_.push_back(value ? 1 : 0); }
  void fixed(crypto::Bytes bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void text(std::string_view value) {
    number(value.size());
    out_.insert(out_.end(), value.begin(), value.end());
  }

 private:
  std::vector<std::uint8_t>& out_;
};

// Every read past the end, and every number longer than the writer writes it, makes the reader fail for good; values read then are zero or
// empty.
class ByteReader {
 public:
  explicit ByteReader(crypto::Bytes bytes) : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return fail();
      const std::uint8_t byte = *at_++;
      if ((shift == 63 && byte > 1) || (shift > 0 && byte == 0)) return fail();
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return value;
    }
    return fail();
  }
  bool flag() { return numberUpTo(1) != 0; }
  // Fails for a greater number.
  std::uint64_t numberUpTo(std::uint64_t most) {
    const std::uint64_t value = number();
    return value > most ? fail() : value;
  }
  std::int64_t integer() {
    const std::uint64_t value = number();
    return static_cast<std::int64_t>(value >> 1) ^ -static_cast<std::int64_t>(value & 1);
  }
  // A count of items that each take at least `bytesEach` of what is left; fails if they cannot be there.
  std::uint64_t count(std::size_t bytesEach) {
    const std::uint64_t value = number();
    if (value > static_cast<std::uint64_t>(end_ - at_) / (bytesEach == 0 ? 1 : bytesEach)) return fail();
    return value;
  }
  template <std::size_t Size>
  void fixed(std::array<std::uint8_t, Size>& out) {
    if (static_cast<std::size_t>(end_ - at_) < Size) {
      out.fill(0);
      fail();
      return;
    }
    std::memcpy(out.data(), at_, Size);
    at_ += Size;
  }
  std::string_view text() {
    const std::uint64_t size = number();
    if (failed_ || size > static_cast<std::uint64_t>(end_ - at_)) {
      fail();
      return {};
    }
    const std::string_view result(reinterpret_cast<const char*>(at_), size);
    at_ += size;
    return result;
  }
  // What was not read yet.
  crypto::Bytes rest() const { return {at_, static_cast<std::size_t>(end_ - at_)}; }
  bool failed() const { return failed_; }
  // Everything was read, and nothing failed.
  bool complete() const { return !failed_ && at_ == end_; }

 private:
  std::uint64_t fail() {
    failed_ = true;
    at_ = end_;
    return 0;
  }
  const std::uint8_t* at_;
  const std::uint8_t* end_;
  bool failed_ = false;
};

}  // namespace counterfoil
