#include "projections/views/view_check.h"

#include <cstring>

namespace counterfoil::views {
namespace {

constexpr std::size_t kCheckedNameBytes = 32 * 1024 * 1024;
constexpr int kProblemsMax = 20;
constexpr std::uint64_t kTrimEvery = 10'000;

Fault damaged(const char* detail) { return {ErrorCode::viewDamaged, detail, "run `counterfoil rebuild`"}; }

// The sum over all rows of a table as they are now.
RowSum sumRows(Database& database, const Table& table, NameTable& names, Columns columns) {
  Statement rows = database.prepare("SELECT * FROM " + table.name);
  RowEncoder encoder(table.name);
  std::vector<Cell> cells(table.columns.size());
  RowSum sum;
  std::uint64_t count = 0;
  while (rows.step()) {
    for (std::size_t index = 0; index < cells.size(); ++index) {
      const int column = static_cast<int>(index);
      Cell& cell = cells[index];
      cell = {};
      if (rows.isNull(column)) continue;
      cell.null = false;
      const ColumnType type = table.columns[index].type;
      if (type == ColumnType::text || type == ColumnType::blob || type == ColumnType::leaf) {
        const crypto::Bytes bytes = rows.blob(column);
        cell.text = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
      } else {
        cell.number = rows.number(column);
        if (type == ColumnType::name) cell.text = names.text(cell.number);
      }
    }
    encodeRow(table, cells.data(), columns, encoder);
    sum.add(encoder.hash());
    if (++count % kTrimEvery == 0) names.trim();
  }
  return sum;
}

void checkContent(Database& database, const StoredPosition& stored, std::vector<std::string>& problems) {
  const auto size = static_cast<std::int64_t>(stored.position.size);
  Statement rows = database.prepare(
      "SELECT entry.seq, entry.leaf, entry.kind IS NULL, content.bytes FROM entry LEFT JOIN content USING (seq) ORDER BY entry.seq");
  std::int64_t expected = 0;
  LeafHash last;
  while (rows.step()) {
    const std::string where = "entry " + std::to_string(expected);
    if (rows.number(0) != expected++) {
      problems.push_back(where + " is missing");
      return;
    }
    const crypto::Bytes leaf = rows.blob(1);
    if (leaf.size() == last.bytes.size()) std::memcpy(last.bytes.data(), leaf.data(), leaf.size());
    const bool withheld = rows.number(2) != 0;
    if (withheld != rows.isNull(3)) {
      problems.push_back(where + (withheld ? " is withheld but has content" : " has lost its content"));
    } else if (!withheld && leafHash(rows.blob(3)) != last) {
      problems.push_back(where + " does not hash to its leaf");
    }
    if (problems.size() > kProblemsMax) return;
  }
  if (expected != size) problems.push_back("the position counts other entries than there are");
  if (size != 0 && last != stored.position.leaf) problems.push_back("the position names another last entry");
}

}  // namespace

std::vector<TableSum> StoredPosition::tableSums() const {
  std::vector<TableSum> result;
  const std::vector<Table>& tables = viewTables();
  for (std::size_t index = 0; index < tables.size(); ++index) result.push_back({tables[index].name, sums[index]});
  return result;
}

StoredPosition readPosition(Database& database) {
  StoredPosition stored;
  Statement row = database.prepare("SELECT format, workspace, size, leaf, recorded_at, log_position, sums FROM position");
  if (!row.step()) throw damaged("a view has no position");
  if (row.number(0) != kViewFormat) throw damaged("a view was made by another version of this program");
  const crypto::Bytes leaf = row.blob(3);
  const crypto::Bytes sums = row.blob(6);
  const std::size_t tables = viewTables().size();
  if (row.number(2) < 0 || leaf.size() != crypto::kDigestSize || sums.size() != tables * crypto::kDigestSize) {
    throw damaged("a view's position is not in its form");
  }
  stored.workspace = {static_cast<std::uint64_t>(row.number(1))};
  stored.position.size = static_cast<std::uint64_t>(row.number(2));
  std::memcpy(stored.position.leaf.bytes.data(), leaf.data(), leaf.size());
  stored.position.recordedAt = {row.number(4)};
  stored.position.log = {static_cast<std::uint64_t>(row.number(5))};
  for (std::size_t index = 0; index < tables; ++index) {
    crypto::Digest sum{};
    std::memcpy(sum.data(), sums.data() + index * sum.size(), sum.size());
    stored.sums.push_back(RowSum::fromBytes(sum));
  }
  return stored;
}

ViewCheck checkView(const std::filesystem::path& path, const std::string& vfs) {
  Database database = Database::openReadOnly(path, vfs);
  Transaction snapshot(database, "BEGIN");
  ViewCheck check;
  check.stored = readPosition(database);
  NameTable names(database, kCheckedNameBytes);
  const std::vector<Table>& tables = viewTables();
  for (std::size_t index = 0; index < tables.size(); ++index) {
    if (sumRows(database, tables[index], names, Columns::all) != check.stored.sums[index]) {
      check.problems.push_back("the rows of " + tables[index].name + " are not those that were written");
    }
    names.trim();
  }
  checkContent(database, check.stored, check.problems);
  Statement structure = database.prepare("PRAGMA integrity_check(5)");
  while (structure.step()) {
    if (structure.text(0) != "ok") check.problems.emplace_back("SQLite finds its structures damaged");
  }
  return check;
}

crypto::Digest comparableDigest(const std::filesystem::path& path, const std::string& vfs) {
  Database database = Database::openReadOnly(path, vfs);
  Transaction snapshot(database, "BEGIN");
  readPosition(database);
  NameTable names(database, kCheckedNameBytes);
  std::vector<TableSum> sums;
  for (const Table& table : viewTables()) {
    sums.push_back({table.name, sumRows(database, table, names, Columns::comparable)});
    names.trim();
  }
  return viewDigest(sums);
}

}  // namespace counterfoil::views
