// SQLite connections and statements that close themselves, and result codes as faults. Nothing here prints what a statement is bound to.
#pragma once

#include <sqlite3.h>

#include <memory>
#include <string>

#include "ledger/core/outcome.h"

namespace counterfoil::log {

// Without the extension SQLite adds: what to do about it.
inline int primaryCode(int code) {
  return code & 0xff;
}

// The database itself is wrong, as opposed to the way to it.
bool isDamage(int code);

// diskFull, logDamaged or logUnavailable with SQLite's own words for `code` (never a bound value). `file` names the database.
Fault faultOf(int code, const std::string& file, const std::string& doing);

inline constexpr const char* kDamageHint = "restore the log from a backup or its write-once export; nothing was changed or deleted here";

struct StatementDeleter {
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};
using Statement = std::unique_ptr<sqlite3_stmt, StatementDeleter>;

// Resets a statement (ends its read transaction) when it goes.
class StatementUse {
 public:
  explicit StatementUse(const Statement& statement) : statement_(statement.get()) {}
  ~StatementUse() { sqlite3_reset(statement_); }
  StatementUse(const StatementUse&) = delete;
  StatementUse& operator=(const StatementUse&) = delete;
  int step() { return sqlite3_step(statement_); }
  sqlite3_stmt* get() const { return statement_; }

 private:
  sqlite3_stmt* statement_;
};

// One connection. May move between threads, used by one at a time.
class Connection {
 public:
  // `vfs` empty: SQLite's own. Throws a fault of faultOf().
  Connection(const std::string& file, int flags, const std::string& vfs);
  sqlite3* get() const { return handle_.get(); }
  const std::string& file() const { return file_; }
  // Runs statements that return no rows of interest. Throws a fault of faultOf().
  void execute(const char* sql);
  // The first column of the first row; empty text if there is none. Throws a fault of faultOf().
  std::string ask(const char* sql);
  // A statement to be used many times. One that does not compile against this database means that the database is not ours: logDamaged.
  Statement prepare(const char* sql);

 private:
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };
  std::string file_;
  std::unique_ptr<sqlite3, Closer> handle_;
};

}  // namespace counterfoil::log
