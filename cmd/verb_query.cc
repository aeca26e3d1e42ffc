// `query`: read-only SQL over a workspace's views.
#include <boost/json.hpp>
#include <set>

#include "cmd/output.h"
#include "cmd/view_session.h"
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

void printAnswer(const CommonOptions& common, const query::SqlAnswer& answer) {
  const std::vector<std::string> names = distinct(answer.columns);
  Table table(names);
  for (const auto& row : answer.rows) {
    if (common.json) {
      std::string line;
      JsonObject object(line);
      for (std::size_t column = 0; column < row.size(); ++column) object.raw(names[column], row[column]);
      object.end();
      print(line);
      continue;
    }
    std::vector<std::string> cells;
    for (const std::string& value : row) {
      const boost::json::value parsed = boost::json::parse(value);
      cells.push_back(parsed.is_null() ? std::string() : parsed.is_string() ? std::string(parsed.as_string()) : value);
    }
    table.row(std::move(cells));
  }
  if (!common.json) table.print(common);
  if (answer.truncated) note(common, "these are the first " + grouped(answer.rows.size()) + " rows; there are more");
}

int listViews(const CommonOptions& common) {
  ViewSession session(common);
  Table table({"VIEW", "COLUMNS"});
  for (const std::string& view : views::friendlyViewNames()) {
    const auto answer = session.reader().query("SELECT * FROM " + view + " LIMIT 0", {}, session.session().clock());
    std::string columns;
    for (const std::string& column : answer.columns) columns += (columns.empty() ? "" : " ") + column;
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

int run(const CommonOptions& common, const std::string& sql) {
  if (sql.empty()) return listViews(common);
  ViewSession session(common);
  printAnswer(common, session.reader().query(sql, {}, session.session().clock()));
  return 0;
}

}  // namespace

void addQuery(CLI::App& app, Program& program) {
  CLI::App* verb = app.add_subcommand("query", "Read-only SQL over a workspace's views; without SQL, the views and their columns");
  addCommonFlags(*verb, program.common, true);
  auto sql = std::make_shared<std::string>();
  verb->add_option("sql", *sql, "One SELECT, such as \"SELECT * FROM denials ORDER BY seq DESC LIMIT 20\"");
  verb->callback([&program, sql] { program.run = [&program, sql] { return run(program.common, *sql); }; });
}

}  // namespace counterfoil::cmd
