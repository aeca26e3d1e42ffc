// The view digest (docs/views.md): per table the sum mod 2^256 of SHA-256(table name || row), so that it is kept while rows come, change and
// go in any order; a row is a canonical CBOR array (RFC 8949 4.2) of what its columns mean, never of interned numbers. Pure.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/ids.h"

namespace counterfoil::views {

// A sum of row hashes, read as big-endian numbers.
class RowSum {
 public:
  RowSum() = default;
  static RowSum fromBytes(const crypto::Digest& bytes);
  crypto::Digest bytes() const;
  void add(const crypto::Digest& rowHash);
  void subtract(const crypto::Digest& rowHash);
  friend bool operator==(const RowSum&, const RowSum&) = default;

 private:
  std::array<std::uint64_t, 4> words_{};  // least significant first
};

// One row as CBOR, its buffer re-used: begin(), one call per column, then hash(). Not thread safe.
class RowEncoder {
 public:
  explicit RowEncoder(std::string_view table) : table_(table) { bytes_.reserve(1024); }
  void begin(std::size_t columns) {
    bytes_.assign(table_.begin(), table_.end());
    head(4, columns);
  }
  void null() { bytes_.push_back(0xf6); }
  void integer(std::int64_t value) {
    if (value >= 0) {
      head(0, static_cast<std::uint64_t>(value));
    } else {
      head(1, ~static_cast<std::uint64_t>(value));
    }
  }
  void text(std::string_view value) {
    head(3, value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  void blob(crypto::Bytes value) {
    head(2, value.size());
    bytes_.insert(bytes_.end(), value.begin(), value.end());
  }
  crypto::Digest hash() const { return crypto::sha256(bytes_); }

 private:
  void head(std::uint8_t major, std::uint64_t value);

  std::string table_;
  std::vector<std::uint8_t> bytes_;
};

// A table's sum by its name.
struct TableSum {
  std::string table;
  RowSum sum;
  friend bool operator==(const TableSum&, const TableSum&) = default;
};

// SHA-256 over name || sum (32 bytes) of every table; `sums` in order of their names.
crypto::Digest viewDigest(const std::vector<TableSum>& sums);

}  // namespace counterfoil::views
