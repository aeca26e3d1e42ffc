#include "projections/query/sql_query.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"
#include "projections/query/page_json.h"
#include "projections/query/view_connection.h"
#include "projections/views/view_schema.h"

namespace counterfoil::query {
namespace {

constexpr int kOperationsBetweenChecks = 500;
constexpr const char* kHint = "one SELECT over the views that docs/views.md describes; `counterfoil query` without SQL lists them";

// Functions that only compute, cost in proportion to their arguments, and make nothing larger than kSqlValueBytesMax.
constexpr std::string_view kFunctions[] = {"abs",
                                           "avg",
                                           "ceil",
                                           "ceiling",
                                           "char",
                                           "coalesce",
                                           "count",
                                           "cume_dist",
                                           "date",
                                           "datetime",
                                           "dense_rank",
                                           "first_value",
                                           "floor",
                                           "format",
                                           "glob",
                                           "group_concat",
                                           "hex",
                                           "ifnull",
                                           "iif",
                                           "instr",
                                           "json",
                                           "json_array",
                                           "json_array_length",
                                           "json_extract",
                                           "json_group_array",
                                           "json_group_object",
                                           "json_object",
                                           "json_quote",
                                           "json_type",
                                           "json_valid",
                                           "julianday",
                                           "lag",
                                           "last_value",
                                           "lead",
                                           "length",
                                           "like",
                                           "lower",
                                           "ltrim",
                                           "max",
                                           "min",
                                           "nth_value",
                                           "ntile",
                                           "nullif",
                                           "percent_rank",
                                           "printf",
                                           "quote",
                                           "rank",
                                           "replace",
                                           "round",
                                           "row_number",
                                           "rtrim",
                                           "sign",
                                           "strftime",
                                           "substr",
                                           "substring",
                                           "sum",
                                           "time",
                                           "total",
                                           "trim",
                                           "typeof",
                                           "unicode",
                                           "unixepoch",
                                           "upper",
                                           "->",
                                           "->>"};

const std::set<std::string, std::less<>>& readable() {
  static const std::set<std::string, std::less<>> names = [] {
    std::set<std::string, std::less<>> all{"name"};
    for (const views::Table& table : views::viewTables()) all.insert(table.name);
    for (const std::string& view : views::friendlyViewNames()) all.insert(view);
    return all;
  }();
  return names;
}

// What made the authorizer or the watch say no; read after SQLite has unwound.
enum class Refused : std::uint8_t { nothing, action, table, function, recursion, time, memory };

struct Watch {
  const Clock& clock;
  const SqlLimits& limits;
  std::int64_t startedAt;
  std::int64_t memoryAtStart;
  std::set<std::string, std::less<>> closed;  // tables and modules that exist and are not for reading
  Refused refused;
};

std::set<std::string, std::less<>> closedTables(Database& database) {
  std::set<std::string, std::less<>> names;
  for (const char* sql : {"SELECT name FROM sqlite_schema", "SELECT name FROM pragma_module_list"}) {
    Statement list = database.prepare(sql);
    while (list.step()) {
      if (!readable().contains(list.text(0))) names.emplace(list.text(0));
    }
  }
  return names;
}

bool mayRead(const Watch& watch, std::string_view table, std::string_view column) {
  if (readable().contains(table)) return true;
  // Without a column SQLite also names what the query itself makes (WITH t AS ...), which no schema knows.
  return column.empty() && !watch.closed.contains(table) && !table.starts_with("sqlite_") && !table.starts_with("pragma_");
}

// Everything that is not named here is refused: writing, ATTACH, PRAGMA, temporary objects, transactions, recursion, and whatever a newer
// SQLite adds. Who asks (the statement, or a view in it) makes no difference, for a common table expression may take a view's name.
int authorize(void* context, int action, const char* first, const char* second, const char* /*database*/, const char* /*innermost*/) {
  Watch& watch = *static_cast<Watch*>(context);
  const auto refuse = [&](Refused what) {
    if (watch.refused == Refused::nothing) watch.refused = what;
    return SQLITE_DENY;
  };
  switch (action) {
    case SQLITE_SELECT:
      return SQLITE_OK;
    case SQLITE_READ:
      return first != nullptr && mayRead(watch, first, second == nullptr ? "" : second) ? SQLITE_OK : refuse(Refused::table);
    case SQLITE_FUNCTION:
      return second != nullptr && std::find(std::begin(kFunctions), std::end(kFunctions), second) != std::end(kFunctions)
                 ? SQLITE_OK
                 : refuse(Refused::function);
    case SQLITE_RECURSIVE:
      return refuse(Refused::recursion);
    default:
      return refuse(Refused::action);
  }
}

int watchOver(void* context) {
  Watch& watch = *static_cast<Watch*>(context);
  if (watch.clock.monotonicNanoseconds() - watch.startedAt > watch.limits.milliseconds * kNanosecondsPerMillisecond) {
    watch.refused = Refused::time;
    return 1;
  }
  if (databaseMemory() - watch.memoryAtStart > watch.limits.memoryBytes) {
    watch.refused = Refused::memory;
    return 1;
  }
  return 0;
}

// Hands the connection over to somebody else's SQL.
void fence(sqlite3* database, Watch& watch) {
  constexpr std::pair<int, int> kLimits[] = {{SQLITE_LIMIT_LENGTH, kSqlValueBytesMax},
                                             {SQLITE_LIMIT_SQL_LENGTH, static_cast<int>(kSqlTextBytesMax)},
                                             {SQLITE_LIMIT_COLUMN, 200},
                                             {SQLITE_LIMIT_EXPR_DEPTH, 100},
                                             {SQLITE_LIMIT_COMPOUND_SELECT, 20},
                                             {SQLITE_LIMIT_VDBE_OP, 100'000},
                                             {SQLITE_LIMIT_FUNCTION_ARG, 20},
                                             {SQLITE_LIMIT_ATTACHED, 0},
                                             {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 512},
                                             {SQLITE_LIMIT_VARIABLE_NUMBER, 0},
                                             {SQLITE_LIMIT_TRIGGER_DEPTH, 0},
                                             {SQLITE_LIMIT_WORKER_THREADS, 0}};
  for (const auto& [limit, value] : kLimits) sqlite3_limit(database, limit, value);
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_DQS_DML, 0, nullptr);
  sqlite3_db_config(database, SQLITE_DBCONFIG_DQS_DDL, 0, nullptr);
  sqlite3_set_authorizer(database, authorize, &watch);
  sqlite3_progress_handler(database, kOperationsBetweenChecks, watchOver, &watch);
}

Fault bad(std::string what, std::string hint = kHint) {
  return {ErrorCode::badQuery, std::move(what), std::move(hint), "/sql"};
}

Fault refusal(Refused refused, const SqlLimits& limits) {
  switch (refused) {
    case Refused::action:
      return bad("only SELECT is allowed");
    case Refused::table:
      return bad("the query reads a table that is none of the documented views and tables");
    case Refused::function:
      return bad("the query calls a function that is not allowed", "allowed are the usual text, number, date, JSON and window functions");
    case Refused::recursion:
      return bad("recursive queries are not allowed");
    case Refused::time:
      return bad("the query took longer than " + std::to_string(limits.milliseconds) + " ms",
                 "narrow it: a seq range, a time, a lease, a LIMIT");
    case Refused::memory:
      return bad("the query needs more than " + std::to_string(limits.memoryBytes / (1024 * 1024)) + " MiB of memory",
                 "narrow it, or sort and group less");
    case Refused::nothing:
      break;
  }
  return bad("the query failed");
}

// SQLite's own sentences, without the words of the query they quote.
Fault complaint(sqlite3* database, int code) {
  const std::string_view message = sqlite3_errmsg(database);
  constexpr std::string_view kSentences[] = {"no such column",
                                             "no such table",
                                             "no such function",
                                             "ambiguous column name",
                                             "wrong number of arguments to function",
                                             "misuse of aggregate",
                                             "misuse of window function",
                                             "unrecognized token",
                                             "incomplete input",
                                             "too many columns in result set",
                                             "too many terms in compound SELECT",
                                             "too many arguments on function",
                                             "Expression tree is too large",
                                             "parser stack overflow",
                                             "LIKE or GLOB pattern too complex",
                                             "string or blob too big",
                                             "integer overflow",
                                             "malformed JSON",
                                             "variable number must be between",
                                             "too many SQL variables"};
  std::string what = message.ends_with("syntax error") ? "syntax error" : std::string(sqlite3_errstr(code));
  for (const std::string_view sentence : kSentences) {
    if (message.starts_with(sentence)) what = sentence;
  }
  if (what == "variable number must be between" || what == "too many SQL variables") what = "parameters are not supported";
  const int at = sqlite3_error_offset(database);
  if (at >= 0) what += ", at byte " + std::to_string(at + 1) + " of the SQL";
  return bad(what);
}

[[noreturn]] void fail(sqlite3* database, int code, const Watch& watch, const std::string& file) {
  if (watch.refused != Refused::nothing) throw refusal(watch.refused, watch.limits);
  const int basic = code & 0xff;
  if (basic == SQLITE_CORRUPT || basic == SQLITE_NOTADB || basic == SQLITE_IOERR || basic == SQLITE_BUSY || basic == SQLITE_FULL ||
      basic == SQLITE_CANTOPEN) {
    throw databaseFault(code, file, "using");
  }
  throw complaint(database, code);
}

using Prepared = std::unique_ptr<sqlite3_stmt, int (*)(sqlite3_stmt*)>;

Prepared prepareOne(sqlite3* database, std::string_view sql, const Watch& watch, const std::string& file) {
  const char* end = sql.data() + sql.size();
  const auto prepare = [&](const char*& at) {
    sqlite3_stmt* handle = nullptr;
    const int code = sqlite3_prepare_v3(database, at, static_cast<int>(end - at), 0, &handle, &at);
    Prepared statement(handle, sqlite3_finalize);
    if (code != SQLITE_OK) fail(database, code, watch, file);
    return statement;
  };
  const char* at = sql.data();
  Prepared statement = prepare(at);
  if (!statement) throw bad("there is no statement");
  while (at < end) {
    if (prepare(at)) throw bad("only one statement is allowed");
  }
  if (sqlite3_stmt_isexplain(statement.get()) != 0 || sqlite3_stmt_readonly(statement.get()) == 0 ||
      sqlite3_column_count(statement.get()) == 0) {
    throw bad("only SELECT is allowed");
  }
  return statement;
}

std::string valueJson(sqlite3_stmt* statement, int column) {
  std::string out;
  switch (sqlite3_column_type(statement, column)) {
    case SQLITE_INTEGER: {
      const std::int64_t number = sqlite3_column_int64(statement, column);
      constexpr std::int64_t kExact = std::int64_t{1} << 53;
      out = std::to_string(number);
      return number < kExact && number > -kExact ? out : '"' + out + '"';
    }
    case SQLITE_FLOAT: {
      const double number = sqlite3_column_double(statement, column);
      if (!std::isfinite(number)) return "null";
      std::array<char, 40> text{};
      std::snprintf(text.data(), text.size(), "%.17g", number);
      return text.data();
    }
    case SQLITE_TEXT: {
      const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement, column));
      appendJsonString({data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_column_bytes(statement, column))}, out);
      return out;
    }
    case SQLITE_BLOB: {
      const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement, column));
      return '"' + toHex({data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(statement, column))}) + '"';
    }
    default:
      return "null";
  }
}

void readRows(sqlite3* database, sqlite3_stmt* statement, const Watch& watch, const std::string& file, SqlAnswer& answer) {
  const int columns = sqlite3_column_count(statement);
  for (int column = 0; column < columns; ++column) {
    const char* name = sqlite3_column_name(statement, column);
    answer.columns.emplace_back(name == nullptr ? "" : name);
  }
  std::size_t bytes = 0;
  for (int code = sqlite3_step(statement); code != SQLITE_DONE; code = sqlite3_step(statement)) {
    if (code != SQLITE_ROW) fail(database, code, watch, file);
    if (answer.rows.size() == watch.limits.rows) {
      answer.truncated = true;
      return;
    }
    std::vector<std::string> row;
    for (int column = 0; column < columns; ++column) {
      row.push_back(valueJson(statement, column));
      bytes += row.back().size() + 1;
    }
    if (bytes > watch.limits.answerBytes) {
      answer.truncated = true;
      return;
    }
    answer.rows.push_back(std::move(row));
  }
}

}  // namespace

SqlAnswer runSql(const std::filesystem::path& folder, WorkspaceNumber workspace, std::string_view sql, const SqlLimits& limits,
                 const Clock& clock) {
  if (sql.size() > kSqlTextBytesMax) throw bad("the SQL is longer than " + std::to_string(kSqlTextBytesMax) + " bytes");
  if (!isUtf8(sql) || sql.find('\0') != std::string_view::npos) throw bad("the SQL is not UTF-8 text");
  Watch watch{clock, limits, clock.monotonicNanoseconds(), 0, {}, Refused::nothing};
  ViewConnection view(folder, workspace);
  SqlAnswer answer;
  sqlite3* database = view.database().get();
  view.database().execute("PRAGMA temp_store = MEMORY");
  view.begin();  // reads the schema too, which is longer than what the fence lets through
  writeAsOf(view, view.size() - 1, answer.asOf);
  answer.viewDigest = toHex(view.digest());
  watch.closed = closedTables(view.database());
  watch.memoryAtStart = databaseMemory();
  fence(database, watch);
  {
    const Prepared statement = prepareOne(database, sql, watch, view.database().file());
    readRows(database, statement.get(), watch, view.database().file(), answer);
  }
  // What is left of this function runs SQL of our own.
  sqlite3_progress_handler(database, 0, nullptr, nullptr);
  sqlite3_set_authorizer(database, nullptr, nullptr);
  view.end();
  return answer;
}

std::string SqlAnswer::json() const {
  std::string out = "{\"columns\":[";
  for (std::size_t column = 0; column < columns.size(); ++column) {
    if (column > 0) out += ',';
    appendJsonString(columns[column], out);
  }
  out += "],\"rows\":[";
  for (std::size_t row = 0; row < rows.size(); ++row) {
    out += row > 0 ? ",[" : "[";
    for (std::size_t column = 0; column < rows[row].size(); ++column) {
      if (column > 0) out += ',';
      out += rows[row][column];
    }
    out += ']';
  }
  out += ']';
  if (truncated) out += ",\"truncated\":true";
  out += ",\"asOf\":" + asOf + ",\"viewDigest\":\"" + viewDigest + "\"}";
  return out;
}

}  // namespace counterfoil::query
