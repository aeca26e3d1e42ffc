// Transactions of the embedded log: a group of records in, one synced commit, one outcome out.
#pragma once

#include <vector>

#include "ledger/log/embedded_schema.h"
#include "ledger/log/event_log.h"

namespace counterfoil::log {

// A record with its header, at its position.
struct PlacedRecord {
  Position position;
  const RecordHeader* header = nullptr;
  const std::vector<std::uint8_t>* value = nullptr;
};

// The connection that writes and checkpoints. May move between threads, used by one at a time.
class EmbeddedAppender {
 public:
  struct Settings {
    // The write-ahead log is copied into the database whenever it has grown by this many pages. Commits wait meanwhile (measured on a busy
    // disk with 4 ms a sync: 12 ms for 250 pages, 19 for 1,000, 68 for 4,000), so: seldom enough that the syncs do not count, short enough.
    int checkpointPages = 1'000;
  };

  // Throws Fault(noLedger | logDamaged | logUnavailable | diskFull).
  EmbeddedAppender(const EmbeddedPlace& place, Settings settings);
  EmbeddedAppender(const EmbeddedAppender&) = delete;
  EmbeddedAppender& operator=(const EmbeddedAppender&) = delete;

  // Brings everything committed into the database and syncs it. After a failed sync the kernel may hold for clean what never reached the
  // disk, and no later sync of the write-ahead log would tell; writing it once more does. Throws Fault(logUnavailable | diskFull |
  // logDamaged) if that is `required` and fails (a reader in the middle of a transaction is waited for); else it is done as far as it goes.
  void settle(bool required);
  // Inserts and commits all of `records`, or none. `first` is left to the caller. After anything but `appended` the appender must not be
  // used again.
  AppendResult commit(const std::vector<PlacedRecord>& records);
  // Copies the write-ahead log into the database if it is due. Failing is not an outcome: what was acknowledged lies synced in the
  // write-ahead log, and the next time tries again.
  void checkpointIfDue();

 private:
  static int onCommit(void* self, sqlite3* handle, const char* schema, int pages);
  int rollBack();

  Settings settings_;
  Connection connection_;
  Statement begin_;
  Statement insert_;
  Statement commit_;
  int walPages_ = 0;
  int checkpointAt_;
};

}  // namespace counterfoil::log
