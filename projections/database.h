// SQLite as projections and queries use it: connections and statements that close themselves, result codes as faults. No value that a
// statement is bound to ever reaches a fault.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/core/ids.h"
#include "ledger/core/outcome.h"

namespace counterfoil {

// diskFull, viewDamaged (not a database, damaged, or not our tables) or notReady (busy, I/O, cannot be opened: worth another try), with
// SQLite's own words for `code`. `file` is the database's file name.
Fault databaseFault(int code, std::string_view file, std::string_view doing);

// Bytes that SQLite holds for the calling thread: what was allocated in it less what was freed in it. Of use as a difference, for work that
// begins and ends in one thread.
std::int64_t databaseMemory();

// One prepared statement. Parameters count from 1, columns from 0, as in SQLite. Bound texts and blobs are not copied: they must live until
// reset() or the next binding. Column texts live until the next step() or reset(). Used by one thread at a time.
class Statement {
 public:
  Statement() = default;
  void bindNumber(int parameter, std::int64_t value) { sqlite3_bind_int64(handle_.get(), parameter, value); }
  void bindText(int parameter, std::string_view text) {
    sqlite3_bind_text64(handle_.get(), parameter, text.data() == nullptr ? "" : text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);
  }
  void bindBlob(int parameter, crypto::Bytes bytes) {
    sqlite3_bind_blob64(handle_.get(), parameter, bytes.data() == nullptr ? reinterpret_cast<const std::uint8_t*>("") : bytes.data(),
                        bytes.size(), SQLITE_STATIC);
  }
  void bindNull(int parameter) { sqlite3_bind_null(handle_.get(), parameter); }
  // True: a row is there. False: done, and reset. Throws databaseFault(), reset as well.
  bool step();
  // step() of a statement without rows, then ready for the next use.
  void run() {
    if (step()) reset();
  }
  void reset() { sqlite3_reset(handle_.get()); }

  bool isNull(int column) const { return sqlite3_column_type(handle_.get(), column) == SQLITE_NULL; }
  std::int64_t number(int column) const { return sqlite3_column_int64(handle_.get(), column); }
  std::string_view text(int column) const {
    const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(handle_.get(), column));
    return {data == nullptr ? "" : data, static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
  }
  crypto::Bytes blob(int column) const {
    const auto* data = static_cast<const std::uint8_t*>(sqlite3_column_blob(handle_.get(), column));
    return {data, data == nullptr ? 0 : static_cast<std::size_t>(sqlite3_column_bytes(handle_.get(), column))};
  }
  sqlite3_stmt* get() const { return handle_.get(); }
  explicit operator bool() const { return handle_ != nullptr; }

 private:
  friend class Database;
  struct Deleter {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Deleter> handle_;
  const std::string* file_ = nullptr;
};

// One connection, used by one thread at a time. Statements must go before it.
class Database {
 public:
  // Each throws databaseFault(). `vfs` empty: SQLite's own.
  static Database create(const std::filesystem::path& path, const std::string& vfs = {});  // made if it is not there, mode 0600
  static Database open(const std::filesystem::path& path, const std::string& vfs = {});    // for writing, must be there
  static Database openReadOnly(const std::filesystem::path& path, const std::string& vfs = {});
  static Database inMemory();

  // Runs statements whose rows, if any, are of no interest.
  void execute(const char* sql);
  void execute(const std::string& sql) { execute(sql.c_str()); }
  // To be used many times. `sql` is ours, so one that does not fit the database means that its tables are not ours: viewDamaged.
  Statement prepare(std::string_view sql);
  // First column of the first row.
  std::optional<std::string> ask(std::string_view sql);
  sqlite3* get() const { return handle_.get(); }
  const std::string& file() const { return *file_; }

 private:
  Database(const std::filesystem::path& path, int flags, const std::string& vfs);
  struct Closer {
    void operator()(sqlite3* handle) const { sqlite3_close(handle); }
  };
  std::unique_ptr<const std::string> file_;  // statements point to it
  std::unique_ptr<sqlite3, Closer> handle_;
};

// A transaction that is rolled back unless it was committed.
class Transaction {
 public:
  explicit Transaction(Database& database, const char* begin = "BEGIN IMMEDIATE") : database_(database) { database_.execute(begin); }
  ~Transaction() {
    if (!done_ && sqlite3_get_autocommit(database_.get()) == 0) sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit() {
    database_.execute("COMMIT");
    done_ = true;
  }

 private:
  Database& database_;
  bool done_ = false;
};

}  // namespace counterfoil
