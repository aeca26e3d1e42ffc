// Rows of a view's tables on their way to SQLite, with the tables' sums kept on the way. Two kinds: rows that are written once (RowWriter)
// and rows that change (RowCache: changed in memory, written once a batch, however many entries touched them).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "projections/database.h"
#include "projections/views/digest.h"
#include "projections/views/names.h"
#include "projections/views/view_schema.h"

namespace counterfoil::views {

// One value of a row. Texts and blobs (and the text of a name) are not copied.
struct Cell {
  bool null = true;
  std::int64_t number = 0;
  std::string_view text;
  static Cell of(std::int64_t value) { return {false, value, {}}; }
  static Cell of(std::string_view value) { return {false, 0, value}; }
  static Cell of(crypto::Bytes value) { return {false, 0, {reinterpret_cast<const char*>(value.data()), value.size()}}; }
};

// Appends the hash of one row to `encoder` by its columns' types. `without`: columns that place an entry are left out (comparing ledgers).
enum class Columns : std::uint8_t { all, comparable };
void encodeRow(const Table& table, const Cell* cells, Columns columns, RowEncoder& encoder);

// A statement prepared at its first use: most views never need most of them.
class LazyStatement {
 public:
  LazyStatement(Database& database, std::string sql) : database_(database), sql_(std::move(sql)) {}
  Statement& operator*() {
    if (!statement_) statement_ = database_.prepare(sql_);
    return statement_;
  }
  Statement* operator->() { return &**this; }

 private:
  Database& database_;
  std::string sql_;
  Statement statement_;
};

// Inserts rows into one table. One thread; lives no longer than `database`.
class RowWriter {
 public:
  RowWriter(Database& database, const Table& table);
  // `cells` has one value per column; a name's cell holds its id and its text. Throws databaseFault(); the batch is then to be given up.
  void insert(const std::vector<Cell>& cells);
  RowSum& sum() { return sum_; }
  const Table& table() const { return table_; }

 private:
  const Table& table_;
  LazyStatement insert_;
  RowEncoder encoder_;
  RowSum sum_;
};

// The values of a primary key (unused ones 0).
using RowKey = std::array<std::int64_t, 3>;
// Not noexcept: so the table keeps each row's hash, and does not compute it again for every row it passes.
struct RowKeyHash {
  std::size_t operator()(const RowKey& key) const {
    std::uint64_t hash = 0;
    for (const std::int64_t part : key) hash = (hash ^ static_cast<std::uint64_t>(part)) * 0x9e37'79b9'7f4a'7c15ULL, hash ^= hash >> 29;
    return static_cast<std::size_t>(hash);
  }
};

// A row that may change. Columns by their index in the table.
class Row {
 public:
  bool isNull(std::size_t column) const { return (set_ >> column & 1) == 0; }
  std::int64_t number(std::size_t column) const { return numbers_[column]; }  // 0 if null
  std::string_view text(std::size_t column) const;
  void set(std::size_t column, std::int64_t value);
  void setText(std::size_t column, std::string_view value);
  void setNull(std::size_t column);
  // Only the first value a column gets stays.
  void setOnce(std::size_t column, std::int64_t value) {
    if (isNull(column)) set(column, value);
  }
  void increase(std::size_t column, std::int64_t by = 1) { set(column, numbers_[column] + by); }

 private:
  friend class RowCache;
  std::vector<std::int64_t> numbers_;
  std::vector<std::pair<std::size_t, std::string>> texts_;
  std::uint64_t set_ = 0;      // columns that are not null
  std::uint64_t changed_ = 0;  // columns changed since the row was last written
  bool stored_ = false;
  bool queued_ = false;
  crypto::Digest hash_{};  // as stored
};

// The rows of one table that changed or were looked at lately. One thread; lives no longer than its arguments.
class RowCache {
 public:
  // `rowsMax`: what trim() leaves at most.
  RowCache(Database& database, const Table& table, NameTable& names, std::size_t rowsMax);
  // The row; nullptr if there is none. Valid until trim(), reset() or erase().
  Row* find(const RowKey& key);
  // The row, made with nothing but its key if there is none; second: it was made now.
  std::pair<Row&, bool> get(const RowKey& key);
  // Takes a row away, from the database as well.
  void erase(const RowKey& key);
  // Writes what changed. Throws databaseFault(); the batch is then to be given up.
  void flush();
  // Between batches, after flush(): keeps the cache within its bounds.
  void trim();
  // At the start: `sum` as stored. `empty`: the table holds no row.
  void reset(const RowSum& sum, bool empty);
  // Rows in memory.
  std::size_t size() const { return rows_.size(); }
  RowSum& sum() { return sum_; }
  const Table& table() const { return table_; }

 private:
  bool load(const RowKey& key, Row& row);
  void write(const RowKey& key, Row& row);
  void bind(Statement& statement, int parameter, const Row& row, std::size_t column);
  Statement& updateOf(std::uint64_t changed);
  crypto::Digest hashOf(const Row& row);

  Database& database_;
  const Table& table_;
  NameTable& names_;
  const std::size_t rowsMax_;
  LazyStatement select_;
  LazyStatement insert_;
  LazyStatement delete_;
  std::map<std::uint64_t, Statement> updates_;  // by changed columns
  RowEncoder encoder_;
  std::vector<Cell> cells_;
  RowSum sum_;
  bool complete_ = false;  // every row of the table is here
  std::unordered_map<RowKey, Row, RowKeyHash> rows_;
  std::vector<std::pair<const RowKey*, Row*>> dirty_;
};

}  // namespace counterfoil::views
