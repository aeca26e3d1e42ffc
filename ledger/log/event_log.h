// The log: an ordered, append-only sequence of records per partition. The seam between the ledger and SQLite, Kafka or memory; one
// contract suite: tests/contract/event_log_contract.h.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/outcome.h"
#include "ledger/log/partition_fold.h"
#include "ledger/log/record.h"

namespace counterfoil::log {

// Who claimed a partition.
struct Claimant {
  std::string node;  // its name
  std::string url;   // where other nodes reach it; may be empty
};
// nullopt if the record is no claim.
std::optional<Claimant> claimantOf(const ValidRecord& record);

enum class AppendOutcome : std::uint8_t {
  appended,       // as EventLog::durability() says, in order, every record of the batch, and valid for every reader
  rejected,       // certainly none of the batch is in the log, nor will be
  indeterminate,  // unknown: take over again and read before appending anything
};

struct AppendResult {
  AppendOutcome outcome = AppendOutcome::indeterminate;
  Position first;  // of the batch, if appended
  // Why not: diskFull, logUnavailable, logDamaged, logTruncated, notReady (no owner any more), tooLarge, internal (the caller's own fault).
  std::optional<Fault> fault;
};

// The one writer of a partition. Calls come from one thread; the callback comes from a thread of the log, in order of the appends, exactly
// once each, also when the writer is destroyed (the destructor waits, so no callback may destroy its writer). Callbacks must not throw.
class PartitionWriter {
 public:
  virtual ~PartitionWriter() = default;
  // Several appends may be outstanding; when one is not `appended`, all behind it are not either. The bytes are taken over.
  virtual void append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done) = 0;
  // Appends that may be outstanding at once before callers should wait.
  virtual std::size_t depth() const = 0;
};

// Reads the valid records of a partition in order. Not thread safe; many readers may exist at once, beside a writer, in other threads.
class PartitionReader {
 public:
  virtual ~PartitionReader() = default;
  // The next valid record, re-using `record`'s buffer. False: nothing more for now. Throws Fault(logDamaged | logTruncated |
  // logUnavailable); after logDamaged the reader stays where it is.
  virtual bool next(ValidRecord& record) = 0;
  // What was folded so far, void records included.
  virtual const FoldState& state() const = 0;
};

// Finds single records of a partition by their positions. What it gives is not judged: whoever asks knows by a valid record's own proof
// (workspace, seq and leaf, and that its value opens under them) that it is the one. Not thread safe; each call may block as a reader's
// does, so not for threads that serve connections.
class RecordFinder {
 public:
  virtual ~RecordFinder() = default;
  // The record at `position`, re-using `record`'s buffer. False, and `record` is of no use: nothing is there, be it beyond the end or gone
  // from the beginning. In any order; ascending positions that lie close together are cheapest. Throws Fault(logDamaged | logTruncated |
  // logUnavailable); it may be asked again.
  virtual bool find(Position position, StoredRecord& record) = 0;
};

// What it means that a record was appended; receipts say it by durabilityName().
enum class Durability : std::uint8_t {
  durable,     // synced to this machine's disk
  replicated,  // on as many machines as the cluster demands (Kafka: all replicas in sync); whether a disk has it is theirs to decide
};
// "durable", "replicated".
constexpr std::string_view durabilityName(Durability durability) {
  return durability == Durability::replicated ? "replicated" : "durable";
}

class EventLog {
 public:
  virtual ~EventLog() = default;
  // Of every append of this log that succeeded.
  virtual Durability durability() const { return Durability::durable; }
  // Of this process, as in the records it writes.
  virtual std::uint64_t incarnation() const = 0;
  virtual std::uint32_t partitions() const = 0;
  // The partition that holds a workspace's chain.
  virtual PartitionId partitionOf(WorkspaceNumber workspace) const = 0;
  // A reader that starts behind `from` (a default FoldState reads from the beginning). Throws Fault(logTruncated) if the log ends before
  // from.next or its record there does not fit.
  virtual std::unique_ptr<PartitionReader> read(PartitionId partition, const FoldState& from) = 0;
  // Single records of the partition. Throws as read() does. The log outlives it.
  virtual std::unique_ptr<RecordFinder> finder(PartitionId partition) = 0;
  // Becomes the partition's writer: reads everything behind `from`, claims the partition, reads up to and past the claim, giving every
  // valid record (the claim included) to `apply` in order; `from` ends where the new writer's first record will be. Used at start and
  // after every append that was not `appended`. What former writers of this object had outstanding has been answered when it returns;
  // whatever they append later never counts. Throws Fault(dataInUse | logUnavailable | diskFull | logDamaged | logTruncated); `from` then
  // stands behind the last record given to `apply`, so that it may be called again with the same state, as often as it takes. Not to be
  // called from a callback of append(), nor while one waits for the calling thread.
  virtual std::unique_ptr<PartitionWriter> takeOver(PartitionId partition, FoldState& from,
                                                    const std::function<void(ValidRecord&)>& apply) = 0;
  // Calls `notify` (from any thread, cheaply, maybe once for many) when records may have been added. Null removes it.
  virtual void onAppended(std::function<void()> notify) = 0;
};

// Reads on from `from` to the end of what is there, gives every valid record of kind keys to `visit`, and says where it stands then. A log
// in which keys were replaced holds what opens its earlier records further on: whoever meets a record that does not open looks there first.
FoldState forEachKeysRecord(EventLog& eventLog, PartitionId partition, const FoldState& from,
                            const std::function<void(const ValidRecord&)>& visit);

}  // namespace counterfoil::log
