#include "ledger/log/sqlite_handle.h"

#include <utility>

namespace counterfoil::log {

bool isDamage(int code) {
  return primaryCode(code) == SQLITE_CORRUPT || primaryCode(code) == SQLITE_NOTADB || code == SQLITE_IOERR_CORRUPTFS ||
         code == SQLITE_IOERR_DATA || primaryCode(code) == SQLITE_TOOBIG || code == SQLITE_IOERR_SHORT_READ;
}

Fault faultOf(int code, const std::string& file, const std::string& doing) {
  const std::string detail = file + ": " + doing + ": " + sqlite3_errstr(code) + " (SQLite code " + std::to_string(code) + ")";
  if (isDamage(code)) return Fault(ErrorCode::logDamaged, detail, kDamageHint);
  // The shared index beside the log could not grow: SQLite calls that an I/O error, whatever the reason; a full disk is the usual one.
  if (primaryCode(code) == SQLITE_FULL || code == SQLITE_IOERR_SHMSIZE)
    return Fault(ErrorCode::diskFull, detail, "make room on the log's file system");
  return Fault(ErrorCode::logUnavailable, detail, "look at the file system and its permissions");
}

Connection::Connection(const std::string& file, int flags, const std::string& vfs) : file_(file) {
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(file.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs.empty() ? nullptr : vfs.c_str());
  handle_.reset(handle);
  if (code != SQLITE_OK) throw faultOf(code, file_, "opening");
}

void Connection::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw faultOf(code, file_, "preparing the database");
}

std::string Connection::ask(const char* sql) {
  const Statement statement = prepare(sql);
  StatementUse use(statement);
  const int code = use.step();
  if (code == SQLITE_DONE) return {};
  if (code != SQLITE_ROW) throw faultOf(code, file_, "reading the schema");
  const auto* const text = reinterpret_cast<const char*>(sqlite3_column_text(use.get(), 0));
  return text == nullptr ? std::string() : std::string(text, static_cast<std::size_t>(sqlite3_column_bytes(use.get(), 0)));
}

Statement Connection::prepare(const char* sql) {
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  Statement result(statement);
  if (code == SQLITE_OK) return result;
  if (primaryCode(code) == SQLITE_ERROR) {
    throw Fault(ErrorCode::logDamaged, file_ + ": its tables are not those of a log", kDamageHint);
  }
  throw faultOf(code, file_, "reading the schema");
}

}  // namespace counterfoil::log
