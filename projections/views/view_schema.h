// What a view file holds (sql/tables.h), as tables of tables: how rows are hashed, compared and documented follows from the declared types.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/ids.h"

namespace counterfoil::views {

// Raised when the tables or what projecting puts in them change: whoever keeps the views makes older files anew.
inline constexpr int kViewFormat = 2;

// Bits of entry.flags.
inline constexpr std::int64_t kFlagTerminal = 1;
inline constexpr std::int64_t kFlagLate = 2;
inline constexpr std::int64_t kFlagWithheld = 4;
inline constexpr std::int64_t kFlagUnknownKind = 8;
inline constexpr std::int64_t kFlagCommitments = 16;
inline constexpr std::int64_t kFlagRedactions = 32;

// Entries of one row of entry_block.
inline constexpr std::uint64_t kBlockEntries = 2'048;

// lease.span of a lease without a known end.
inline constexpr std::int64_t kOpenSpan = 63;

enum class ColumnType : std::uint8_t { sequence, recorded, leaf, time, name, count, flags, text, blob };

struct Column {
  std::string name;
  ColumnType type{};
  bool key = false;  // part of the primary key
};

// A table whose rows count for the digest.
struct Table {
  std::string name;
  std::vector<Column> columns;
  std::vector<std::size_t> key;  // the columns of the primary key, in its order

  // Index of the column; it must exist.
  std::size_t column(std::string_view column) const;
};

// All tables of the digest, in order of their names. Made once, from SQLite's own reading of kTables. Thread safe.
const std::vector<Table>& viewTables();
// The table of that name; it must exist.
const Table& viewTable(std::string_view name);

// True if a column says where an entry stands in its ledger, not what happened: left out when two ledgers are compared.
inline bool placesEntry(ColumnType type) {
  return type == ColumnType::sequence || type == ColumnType::recorded || type == ColumnType::leaf;
}

// SQL that makes the stable, readable VIEWs over the tables (docs/views.md): entries, leases, lease_changes, uses, denials, ...
const std::string& friendlyViews();
// Their names, in order.
std::vector<std::string> friendlyViewNames();

// `<folder>/<number>.db`.
std::filesystem::path viewPath(const std::filesystem::path& folder, WorkspaceNumber workspace);

}  // namespace counterfoil::views
