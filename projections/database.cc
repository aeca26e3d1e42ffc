#include "projections/database.h"

#include <fcntl.h>
#include <malloc.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "ledger/core/check.h"

namespace counterfoil {
namespace {

constexpr int kBusyMilliseconds = 5'000;

// SQLite's own accounts of memory take one lock of the whole process for each allocation, for which workers that project side by side wait
// for each other; and they cannot tell one query's memory from a rebuild's beside it. Ours are kept by each thread.
thread_local std::int64_t memoryOfThread = 0;

std::int64_t sizeOf(void* memory) {
  return static_cast<std::int64_t>(malloc_usable_size(memory));
}

void* takeMemory(int bytes) {
  void* const memory = std::malloc(static_cast<std::size_t>(bytes));
  if (memory != nullptr) memoryOfThread += sizeOf(memory);
  return memory;
}

void giveMemory(void* memory) {
  memoryOfThread -= sizeOf(memory);
  std::free(memory);
}

void* changeMemory(void* memory, int bytes) {
  const std::int64_t before = sizeOf(memory);
  void* const changed = std::realloc(memory, static_cast<std::size_t>(bytes));
  if (changed != nullptr) memoryOfThread += sizeOf(changed) - before;
  return changed;
}

int roundMemory(int bytes) {
  return (bytes + 7) & ~7;
}

// Before anything uses SQLite, which is before main().
const bool kMemoryIsOurs = [] {
  const sqlite3_mem_methods methods = {takeMemory,
                                       giveMemory,
                                       changeMemory,
                                       [](void* memory) { return static_cast<int>(sizeOf(memory)); },
                                       roundMemory,
                                       [](void* /*data*/) { return SQLITE_OK; },
                                       [](void* /*data*/) {},
                                       nullptr};
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK && sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
}();

// SQLite gives a new file the mode of the process' umask; ours are for the ledger's user alone, from the first byte on.
void makeFile(const std::filesystem::path& path) {
  const int file = ::open(path.c_str(), O_CREAT | O_RDWR | O_CLOEXEC, 0600);
  if (file < 0) throw databaseFault(errno == ENOSPC ? SQLITE_FULL : SQLITE_CANTOPEN, path.filename().string(), "making");
  ::fchmod(file, 0600);
  ::close(file);
}

}  // namespace

Fault databaseFault(int code, std::string_view file, std::string_view doing) {
  const std::string detail = std::string(doing) + " " + std::string(file) + ": " + sqlite3_errstr(code);
  switch (code & 0xff) {
    case SQLITE_FULL:
      return {ErrorCode::diskFull, detail, "free space on the disk that holds the views; they go on by themselves"};
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_MISMATCH:
    case SQLITE_CONSTRAINT:
    case SQLITE_ERROR:
    case SQLITE_FORMAT:
    case SQLITE_SCHEMA:
      return {ErrorCode::viewDamaged, detail, "run `counterfoil rebuild`; views are made from the log and hold nothing of their own"};
    default:
      return {ErrorCode::notReady, detail, "try again; if it stays, look at the disk that holds the views"};
  }
}

std::int64_t databaseMemory() {
  COUNTERFOIL_CHECK(kMemoryIsOurs);
  return memoryOfThread;
}

bool Statement::step() {
  const int code = sqlite3_step(handle_.get());
  if (code == SQLITE_ROW) return true;
  const int result = sqlite3_reset(handle_.get());
  if (code != SQLITE_DONE) throw databaseFault(result == SQLITE_OK ? code : result, *file_, "using");
  return false;
}

Database::Database(const std::filesystem::path& path, int flags, const std::string& vfs)
    : file_(std::make_unique<const std::string>(path.filename().string())) {
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(path.c_str(), &handle, flags | SQLITE_OPEN_NOMUTEX, vfs.empty() ? nullptr : vfs.c_str());
  handle_.reset(handle);
  if (code != SQLITE_OK) throw databaseFault(code, *file_, "opening");
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  // A file that somebody else prepared must not run code of its own choosing, nor hide damage.
  sqlite3_db_config(handle, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  execute("PRAGMA cell_size_check = ON");
}

Database Database::create(const std::filesystem::path& path, const std::string& vfs) {
  makeFile(path);
  return {path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, vfs};
}

Database Database::open(const std::filesystem::path& path, const std::string& vfs) {
  return {path, SQLITE_OPEN_READWRITE, vfs};
}

Database Database::openReadOnly(const std::filesystem::path& path, const std::string& vfs) {
  return {path, SQLITE_OPEN_READONLY, vfs};
}

Database Database::inMemory() {
  return {":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_MEMORY, {}};
}

void Database::execute(const char* sql) {
  const int code = sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw databaseFault(sqlite3_extended_errcode(handle_.get()), *file_, "using");
}

Statement Database::prepare(std::string_view sql) {
  Statement statement;
  sqlite3_stmt* handle = nullptr;
  const int code = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()), SQLITE_PREPARE_PERSISTENT, &handle, nullptr);
  if (code != SQLITE_OK) throw databaseFault(code, *file_, "reading the tables of");
  statement.handle_.reset(handle);
  statement.file_ = file_.get();
  return statement;
}

std::optional<std::string> Database::ask(std::string_view sql) {
  Statement statement = prepare(sql);
  if (!statement.step() || statement.isNull(0)) return std::nullopt;
  return std::string(statement.text(0));
}

}  // namespace counterfoil
