// The log of a single machine: one SQLite database in a folder of its own, one partition, one writing process at a time.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>

#include "ledger/core/clock.h"
#include "ledger/log/event_log.h"
#include "ledger/log/lock_file.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::log {

struct EmbeddedShared;
class EmbeddedCommitter;

struct EmbeddedLogOptions {
  std::filesystem::path directory;  // of the log alone: `log.db`, its companions and `lock`
  WriterIdentity identity;
  // Tests: another SQLite VFS by its registered name, other locks, other checkpoints (0: as shipped).
  std::string vfs;
  FileLock fileLock = systemFileLock;
  int checkpointPages = 0;
};

// Beside EventLog's contract: takeOver() first rejects what the former writer of this object has not begun to commit, and waits for its
// callbacks; so it must not be called from a callback, and callbacks must not wait for the thread that calls it. `dataInUse` is found by
// open(), not by takeOver(): the lock is held as long as this object, or a writer it made, lives. onAppended() tells about records
// appended through this object; another process polls. A void record is damage here: only the lock's holder appends.
class EmbeddedLog final : public EventLog {
 public:
  // Makes the folder (0700), the lock and the database (0600, whatever the umask), durably, with the genesis record. Throws
  // Fault(alreadyExists | dataInUse | noFileLocks | diskFull | logUnavailable); after a crash inside, it can be called again.
  static void create(const EmbeddedLogOptions& options, const LedgerFacts& ledger);
  // Takes the lock and checks that the database is a log. Throws Fault(noLedger | dataInUse | noFileLocks | logDamaged | logUnavailable).
  static std::unique_ptr<EmbeddedLog> open(const EmbeddedLogOptions& options);
  // For reading only, without the lock, beside a running writer or not; takeOver() throws Fault(notReady). The folder must be writable
  // (SQLite keeps its shared index there) though no record is ever written.
  static std::unique_ptr<EmbeddedLog> openReadOnly(const std::filesystem::path& directory, const std::string& vfs = {});
  ~EmbeddedLog() override;

  // Of the first record. Throws Fault(logDamaged | logUnavailable).
  Genesis genesis() const;

  std::uint64_t incarnation() const override { return options_.identity.incarnation; }
  std::uint32_t partitions() const override { return 1; }
  PartitionId partitionOf(WorkspaceNumber) const override { return PartitionId{0}; }
  std::unique_ptr<PartitionReader> read(PartitionId partition, const FoldState& from) override;
  std::unique_ptr<RecordFinder> finder(PartitionId partition) override;
  std::unique_ptr<PartitionWriter> takeOver(PartitionId partition, FoldState& from,
                                            const std::function<void(ValidRecord&)>& apply) override;
  void onAppended(std::function<void()> notify) override;
  // From now on tells how long each commit took that succeeded, its sync included, on the log's own thread; null: nobody. Once this has
  // returned, the function before is not called any more. `clock` outlives the log.
  void onCommitted(const Clock& clock, std::function<void(double seconds)> tell);

 private:
  EmbeddedLog(EmbeddedLogOptions options, std::unique_ptr<LockFile> lock);

  const EmbeddedLogOptions options_;
  const std::shared_ptr<EmbeddedShared> shared_;
  std::weak_ptr<EmbeddedCommitter> current_;
};

}  // namespace counterfoil::log
