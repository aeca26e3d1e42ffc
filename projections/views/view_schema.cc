#include "projections/views/view_schema.h"

#include <algorithm>

#include "ledger/core/check.h"
#include "projections/database.h"
#include "projections/views/sql/tables.h"

namespace counterfoil::views {
namespace {

bool endsWith(std::string_view text, std::string_view end) { return text.ends_with(end); }

ColumnType typeOf(std::string_view declared, std::string_view column) {
  if (declared == "SEQ") return ColumnType::sequence;
  if (declared == "RECORDED") return ColumnType::recorded;
  if (declared == "LEAF") return ColumnType::leaf;
  if (declared == "TIME") return ColumnType::time;
  if (declared == "NAME") return ColumnType::name;
  if (declared == "COUNT") return ColumnType::count;
  if (declared == "FLAGS") return ColumnType::flags;
  if (declared == "TEXT") return ColumnType::text;
  if (declared == "BLOB") return ColumnType::blob;
  // SQLite's rowid must be declared INTEGER; its name says the rest.
  COUNTERFOIL_CHECK(declared == "INTEGER");
  if (column == "seq" || endsWith(column, "_seq")) return ColumnType::sequence;
  return column == "number" ? ColumnType::count : ColumnType::name;
}

bool inDigest(std::string_view table) {
  return table != "name" && table != "content" && table != "position" && !table.starts_with("entry_text") && !table.starts_with("sqlite_");
}

Table readTable(Database& database, const std::string& name) {
  Table table;
  table.name = name;
  std::vector<std::pair<std::int64_t, std::size_t>> keys;
  Statement columns = database.prepare("SELECT name, type, pk FROM pragma_table_info(?) ORDER BY cid");
  columns.bindText(1, name);
  while (columns.step()) {
    const std::string column(columns.text(0));
    const std::int64_t place = columns.number(2);
    table.columns.push_back({column, typeOf(columns.text(1), column), place != 0});
    if (place != 0) keys.emplace_back(place, table.columns.size() - 1);
  }
  std::sort(keys.begin(), keys.end());
  for (const auto& [place, index] : keys) table.key.push_back(index);
  COUNTERFOIL_CHECK(!table.key.empty());
  return table;
}

std::vector<Table> readTables() {
  Database database = Database::inMemory();
  database.execute(kTables);
  std::vector<std::string> names;
  Statement list = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name");
  while (list.step()) {
    if (inDigest(list.text(0))) names.emplace_back(list.text(0));
  }
  std::vector<Table> tables;
  for (const std::string& name : names) tables.push_back(readTable(database, name));
  return tables;
}

}  // namespace

std::size_t Table::column(std::string_view wanted) const {
  for (std::size_t index = 0; index < columns.size(); ++index) {
    if (columns[index].name == wanted) return index;
  }
  COUNTERFOIL_CHECK(!"a column that the table does not have");
  return 0;
}

const std::vector<Table>& viewTables() {
  static const std::vector<Table> tables = readTables();
  return tables;
}

const Table& viewTable(std::string_view name) {
  const std::vector<Table>& tables = viewTables();
  const auto found = std::find_if(tables.begin(), tables.end(), [&](const Table& table) { return table.name == name; });
  COUNTERFOIL_CHECK(found != tables.end());
  return *found;
}

std::filesystem::path viewPath(const std::filesystem::path& folder, WorkspaceNumber workspace) {
  return folder / (std::to_string(workspace.value) + ".db");
}

}  // namespace counterfoil::views
