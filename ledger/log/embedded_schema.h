// The embedded log's database: how it is made, opened and checked, and the row of a record. Format: docs/formats.md, Record.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "ledger/log/lock_file.h"
#include "ledger/log/partition_content.h"
#include "ledger/log/sqlite_handle.h"

namespace counterfoil::log {

// Where a log is and by which SQLite VFS it is reached (empty: the system's own).
struct EmbeddedPlace {
  std::filesystem::path directory;
  std::string vfs;
  std::string database() const { return (directory / "log.db").string(); }
  std::filesystem::path lock() const { return directory / "lock"; }
};

// Makes the folder if missing (mode 0700) and fsyncs its parent. Throws Fault(logUnavailable).
void makeLogFolder(const std::filesystem::path& directory);

// Writes a database with its genesis record under another name and renames it when it is durable: after a crash there is a whole one or
// none. The caller holds the lock. Throws Fault(alreadyExists | diskFull | logUnavailable).
void createDatabase(const EmbeddedPlace& place, const RecordHeader& header, const std::vector<std::uint8_t>& genesis);

// The one connection that writes and checkpoints: WAL, synchronous=FULL, no automatic checkpoint. Throws Fault(noLedger | logDamaged |
// logUnavailable | diskFull).
Connection openForWriting(const EmbeddedPlace& place);

// A connection that neither writes nor checkpoints, not even when it is the last to close. Needs no lock. Faults as above.
Connection openForReading(const EmbeddedPlace& place);

// How long a connection waits for another one's lock.
inline constexpr int kBusyMs = 5'000;

inline constexpr const char* kInsertRow = "INSERT INTO records VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
inline constexpr const char* kSelectRows =
    "SELECT position, kind, version, level, term, pseq, node, incarnation, workspace, seq, previous, leaf, value FROM records "
    "WHERE position >= ?1 ORDER BY position LIMIT ?2";

// Binds every column; `header` and `value` must live until the statement is reset. An SQLite code.
int bindRow(sqlite3_stmt* insert, Position position, const RecordHeader& header, const std::vector<std::uint8_t>& value);

// One row of kSelectRows. False if it cannot have been written by bindRow(); `position` is set nevertheless.
bool readRow(sqlite3_stmt* select, Position& position, RecordHeader& header, std::vector<std::uint8_t>& value);

}  // namespace counterfoil::log
