// `query`: read-only SQL over a workspace's views.
#include <boost/json.hpp>
#include <set>

#include "cmd/json_text.h"
#include "cmd/output.h"
#include "cmd/record_reader.h"
#include "ledger/core/json.h"
#include "projections/views/view_schema.h"

namespace counterfoil::cmd {
namespace {

// Columns may share a name; members of an object must not.
std::vector<std::string> distinct(const std::vector<std::string>& columns) {
  std::vector<std::string> names;
  std::set<std::string> taken;
  for (const std::string& column : columns) {
    std::string name = column;
    for (int number = 2; !taken.insert(name).second; ++number) name = column + "_" + std::to_string(number);
    names.push_back(name);
  }
  return names;
}

std::vector<std::string> columnsOf(const std::string& answer) {
  std::vector<std::string> columns;
  for (const std::string_view column : rawItems(rawMember(answer, "columns"))) {
    columns.emplace_back(boost::json::parse(column).as_string());
  }
  return columns;
}

void printAnswer(const CommonOptions& common, const std::string& answer) {
  const std::vector<std::string> names = distinct(columnsOf(answer));
  Table table(names);
  const std::vector<std::string_view> rows = rawItems(rawMember(answer, "rows"));
  for (const std::string_view raw : rows) {
    const std::vector<std::string_view> row = rawItems(raw);
    if (row.size() != names.size()) throw Fault(ErrorCode::notReady, "what answers is no server of this version", "look at the URL");
    if (common.json) {
      std::string line;
      JsonObject object(line);
      for (std::size_t column = 0; column < row.size(); ++column) object.raw(names[column], row[column]);
      object.end();
      print(line);
      continue;
    }
    std::vector<std::string> cells;
    for (const std::string_view value : row) {
      const boost::json::value parsed = boost::json::parse(value);
      cells.push_back(parsed.is_null() ? std::string() : parsed.is_string() ? std::string(parsed.as_string()) : std::string(value));
    }
    table.row(std::move(cells));
  }
  if (!common.json) table.print(common);
  if (rawMember(answer, "truncated") == "true") note(common, "these are the first " + grouped(rows.size()) + " rows; there are more");
}

int listViews(const CommonOptions& common) {
  RecordReader reader(common);
  Table table({"VIEW", "COLUMNS"});
  for (const std::string& view : views::friendlyViewNames()) {
    std::string columns;
    for (const std::string& column : columnsOf(reader.query("SELECT * FROM " + view + " LIMIT 0"))) {
      columns += (columns.empty() ? "" : " ") + column;
    }
    if (common.json) {
      std::string line;
      JsonObject object(line);
      object.text("view", view).text("columns", columns);
      object.end();
      print(line);
    } else {
      table.row({view, columns});
    }
  }
  if (!common.json) table.print(common);
  return 0;
}

int runQuery(const CommonOptions& common, const std::string& sql) {
  if (sql.empty()) return listViews(common);
  RecordReader reader(common);
  printAnswer(common, reader.query(sql));
  return 0;
}

}  // namespace

void addQuery(Verb app, Program& program) {
  Verb verb = app.verb("query", "Read-only SQL over a workspace's views; without SQL, the views and their columns");
  addCommonFlags(verb, program.common, true);
  auto sql = std::make_shared<std::string>();
  verb.option("sql", *sql, "One SELECT, such as \"SELECT * FROM denials ORDER BY seq DESC LIMIT 20\"");
  verb.whenGiven([&program, sql] { program.run = [&program, sql] { return runQuery(program.common, *sql); }; });
}

}  // namespace counterfoil::cmd
