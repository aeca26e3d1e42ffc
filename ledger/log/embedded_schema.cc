#include "ledger/log/embedded_schema.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>

#include "ledger/core/limits.h"

namespace counterfoil::log {
namespace {

// "CFLG", so that file(1) and this program know the file from any other database.
constexpr int kApplicationId = 0x43464c47;
constexpr int kFormat = 1;
// Rows carry the header's fields and little else beside the value.
constexpr int kRowBytesMax = static_cast<int>(limits::kRecordBytesMax) + 1024;

// STRICT, so that a column holds what it says; the position is the row id, so that rows lie in log order.
constexpr const char* kTable =
    "CREATE TABLE records (position INTEGER PRIMARY KEY, kind INTEGER NOT NULL, version INTEGER NOT NULL, level INTEGER NOT NULL, "
    "term INTEGER NOT NULL, pseq INTEGER NOT NULL, node INTEGER NOT NULL, incarnation INTEGER NOT NULL, workspace INTEGER NOT NULL, "
    "seq INTEGER NOT NULL, previous BLOB NOT NULL, leaf BLOB NOT NULL, value BLOB NOT NULL) STRICT";

std::string columnText(int error) {
  return std::generic_category().message(error);
}

Fault systemFault(const std::string& path, const std::string& doing, int error) {
  const ErrorCode code = error == ENOSPC || error == EDQUOT ? ErrorCode::diskFull : ErrorCode::logUnavailable;
  return Fault(code, path + ": " + doing + ": " + columnText(error), "look at the file system and its permissions");
}

void syncPath(const std::filesystem::path& path, int flags) {
  const int descriptor = ::open(path.c_str(), flags | O_CLOEXEC);
  if (descriptor < 0) throw systemFault(path.string(), "opening", errno);
  const int result = ::fsync(descriptor);
  const int error = errno;
  ::close(descriptor);
  if (result != 0) throw systemFault(path.string(), "syncing", error);
}

// SQLite gives the files beside a database the database's own mode, so only this one has to be right, and before SQLite opens it.
void makePrivateFile(const std::string& path) {
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (descriptor < 0) throw systemFault(path, "creating", errno);
  const int result = ::fchmod(descriptor, 0600);
  const int error = errno;
  ::close(descriptor);
  if (result != 0) throw systemFault(path, "setting its mode", error);
}

void harden(Connection& connection) {
  sqlite3* const handle = connection.get();
  // A database that is not quite ours must not run code of its own (triggers, views) nor be believed cell by cell.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_limit(handle, SQLITE_LIMIT_LENGTH, kRowBytesMax);
  sqlite3_busy_timeout(handle, kBusyMs);
  connection.execute("PRAGMA mmap_size = 0; PRAGMA cell_size_check = ON");
}

// That it is a log at all. Reading the header finds NOTADB; a log has one table and nothing beside it.
void checkIdentity(Connection& connection) {
  const auto damaged = [&](const char* what) { return Fault(ErrorCode::logDamaged, connection.file() + ": " + what, kDamageHint); };
  if (connection.ask("PRAGMA application_id") != std::to_string(kApplicationId)) throw damaged("the file is not a log of this program");
  const std::string format = connection.ask("PRAGMA user_version");
  if (format != std::to_string(kFormat)) throw damaged("the log has a format this version does not know");
  if (connection.ask("SELECT group_concat(sql, ';') FROM sqlite_schema") != kTable) throw damaged("its tables are not those of a log");
}

Connection openExisting(const EmbeddedPlace& place, int flags) {
  const std::string file = place.database();
  std::error_code error;
  if (!std::filesystem::exists(file, error) && !error) {
    throw Fault(ErrorCode::noLedger, file + ": there is no log", "make one with `init`, or name another data folder");
  }
  Connection connection(file, flags, place.vfs);
  harden(connection);
  return connection;
}

void setMode(Connection& connection, const char* pragma, const char* wanted) {
  if (connection.ask(pragma) != wanted) {
    throw Fault(ErrorCode::logUnavailable, connection.file() + ": the file system cannot keep a write-ahead log",
                "put the data folder on a local file system");
  }
}

}  // namespace

void makeLogFolder(const std::filesystem::path& directory) {
  const bool made = ::mkdir(directory.c_str(), 0700) == 0;
  // An earlier attempt, or the operator, may have made it.
  if (!made && errno != EEXIST) throw systemFault(directory.string(), "creating", errno);
  if (::chmod(directory.c_str(), 0700) != 0) throw systemFault(directory.string(), "setting its mode", errno);
  if (made) syncPath(std::filesystem::absolute(directory).lexically_normal().parent_path(), O_RDONLY | O_DIRECTORY);
}

void createDatabase(const EmbeddedPlace& place, const RecordHeader& header, const std::vector<std::uint8_t>& genesis) {
  const std::string file = place.database();
  const std::string draft = file + ".new";
  std::error_code error;
  if (std::filesystem::exists(file, error)) {
    throw Fault(ErrorCode::alreadyExists, file + ": there is a log already", "name another data folder");
  }
  // What an interrupted attempt left was never a log.
  for (const char* const suffix : {"", "-journal", "-wal", "-shm"}) std::filesystem::remove(draft + suffix, error);
  makePrivateFile(draft);
  {
    Connection connection(draft, SQLITE_OPEN_READWRITE, place.vfs);
    harden(connection);
    connection.execute("PRAGMA synchronous = FULL; BEGIN");
    connection.execute(("PRAGMA application_id = " + std::to_string(kApplicationId)).c_str());
    connection.execute(("PRAGMA user_version = " + std::to_string(kFormat)).c_str());
    connection.execute(kTable);
    {
      const Statement insert = connection.prepare(kInsertRow);
      StatementUse use(insert);
      int code = bindRow(use.get(), Position{0}, header, genesis);
      if (code == SQLITE_OK) code = use.step();
      if (code != SQLITE_DONE) throw faultOf(code, draft, "writing the first record");
    }
    connection.execute("COMMIT");
    // The mode is kept in the file: from now on whoever opens it, reader or writer, uses the write-ahead log.
    setMode(connection, "PRAGMA journal_mode = WAL", "wal");
  }
  // The rename moves only one file; everything must be in it, and on the disk (closing does not say whether it succeeded).
  for (const char* const suffix : {"-journal", "-wal"}) {
    if (std::filesystem::exists(draft + suffix, error)) throw Fault(ErrorCode::logUnavailable, draft + ": closing left unwritten pages");
  }
  syncPath(draft, O_RDWR);
  if (std::rename(draft.c_str(), file.c_str()) != 0) throw systemFault(file, "renaming", errno);
  syncPath(place.directory, O_RDONLY | O_DIRECTORY);
}

Connection openForWriting(const EmbeddedPlace& place) {
  Connection connection = openExisting(place, SQLITE_OPEN_READWRITE);
  setMode(connection, "PRAGMA journal_mode = WAL", "wal");
  connection.execute("PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0");
  checkIdentity(connection);
  return connection;
}

Connection openForReading(const EmbeddedPlace& place) {
  Connection connection = openExisting(place, SQLITE_OPEN_READONLY);
  sqlite3_db_config(connection.get(), SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  connection.execute("PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0");
  checkIdentity(connection);
  return connection;
}

int bindRow(sqlite3_stmt* insert, Position position, const RecordHeader& header, const std::vector<std::uint8_t>& value) {
  const std::uint64_t numbers[] = {position.value,
                                   static_cast<std::uint64_t>(header.kind),
                                   header.version,
                                   header.level,
                                   header.term,
                                   header.pseq,
                                   header.node,
                                   header.incarnation,
                                   header.workspace.value,
                                   header.seq.value};
  int column = 1;
  int code = SQLITE_OK;
  for (const std::uint64_t number : numbers) code |= sqlite3_bind_int64(insert, column++, static_cast<sqlite3_int64>(number));
  for (const LeafHash* const hash : {&header.previous, &header.leaf}) {
    code |= sqlite3_bind_blob(insert, column++, hash->bytes.data(), static_cast<int>(hash->bytes.size()), SQLITE_STATIC);
  }
  // An empty vector may have no address, and a null address binds NULL.
  const void* const bytes = value.empty() ? static_cast<const void*>("") : value.data();
  return code | sqlite3_bind_blob64(insert, column, bytes, value.size(), SQLITE_STATIC);
}

namespace {

bool readNumber(sqlite3_stmt* select, int column, std::uint64_t max, std::uint64_t& number) {
  number = static_cast<std::uint64_t>(sqlite3_column_int64(select, column));
  return sqlite3_column_type(select, column) == SQLITE_INTEGER && number <= max;
}

bool readHash(sqlite3_stmt* select, int column, LeafHash& hash) {
  if (sqlite3_column_type(select, column) != SQLITE_BLOB) return false;
  const auto* const bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(select, column));
  if (sqlite3_column_bytes(select, column) != static_cast<int>(hash.bytes.size()) || bytes == nullptr) return false;
  std::copy_n(bytes, hash.bytes.size(), hash.bytes.begin());
  return true;
}

}  // namespace

bool readRow(sqlite3_stmt* select, Position& position, RecordHeader& header, std::vector<std::uint8_t>& value) {
  std::uint64_t kind = 0;
  std::uint64_t version = 0;
  std::uint64_t level = 0;
  int column = 0;
  position.value = static_cast<std::uint64_t>(sqlite3_column_int64(select, column++));
  bool sound = readNumber(select, column++, UINT8_MAX, kind) && readNumber(select, column++, UINT8_MAX, version) &&
               readNumber(select, column++, UINT16_MAX, level);
  for (std::uint64_t* const number :
       {&header.term, &header.pseq, &header.node, &header.incarnation, &header.workspace.value, &header.seq.value}) {
    sound = sound && readNumber(select, column++, UINT64_MAX, *number);
  }
  sound = sound && readHash(select, column, header.previous) && readHash(select, column + 1, header.leaf);
  column += 2;
  if (!sound || sqlite3_column_type(select, column) != SQLITE_BLOB || version != kHeaderVersion) return false;
  header.kind = static_cast<RecordKind>(kind);
  header.version = static_cast<std::uint8_t>(version);
  header.level = static_cast<std::uint16_t>(level);
  const auto* const bytes = static_cast<const std::uint8_t*>(sqlite3_column_blob(select, column));
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(select, column));
  if (size > limits::kRecordBytesMax || (size > 0 && bytes == nullptr)) return false;
  value.assign(bytes, bytes + size);
  return true;
}

}  // namespace counterfoil::log
