// A log in memory that misbehaves on command: for the simulation and for tests of everything that writes or reads a log.
//
// MemoryPartitions is what would be the cluster; each MemoryLog is one node's way to it. Appends go through the same steps as on Kafka: a
// record lands at the end of the partition whoever sends it, and its writer acknowledges it only if it landed where it was expected.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "ledger/log/event_log.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::log {

class MemoryLog;

// The stored records. Thread safe.
class MemoryPartitions {
 public:
  struct Stored {
    RecordHeader header;
    std::vector<std::uint8_t> value;
    bool damaged = false;
  };

  // Each partition begins with its genesis record.
  explicit MemoryPartitions(const LedgerFacts& ledger, std::uint32_t partitions = 1);
  std::uint32_t count() const { return static_cast<std::uint32_t>(partitions_.size()); }
  Position end(PartitionId partition) const;
  // The record at `position`, valid or not; nullopt beyond the end.
  std::optional<Stored> at(PartitionId partition, Position position) const;
  // Appends one record as it is, whatever readers will make of it; its position.
  Position inject(PartitionId partition, const RecordHeader& header, std::vector<std::uint8_t> value);
  // Another node takes the partition: a valid claim; its header.
  RecordHeader claimAs(PartitionId partition, const WriterIdentity& identity);
  // Takes away everything from `end` on, as an older copy put in place would.
  void truncate(PartitionId partition, Position end);
  // From now on no reader gets past `position`.
  void damage(PartitionId partition, Position position);
  // Full: appends are rejected with diskFull. Unavailable: reading throws logUnavailable, appends are indeterminate and do not land.
  void setFull(bool full);
  void setUnavailable(bool unavailable);

 private:
  friend class MemoryLog;
  friend class MemoryFinder;
  friend class MemoryReader;
  Position append(PartitionId partition, std::vector<Stored> records);
  void listen(const MemoryLog* log, std::function<void()> notify);
  void notifyAll();

  mutable std::mutex mutex_;
  std::vector<std::vector<Stored>> partitions_;
  bool full_ = false;
  bool unavailable_ = false;
  std::mutex listenersMutex_;  // held while notifying
  std::map<const MemoryLog*, std::function<void()>> listeners_;
};

// What becomes of one append.
enum class Fate : std::uint8_t {
  lands,         // appended
  rejected,      // not in the log, logUnavailable
  lost,          // indeterminate, not in the log; appends already behind it land and are void
  landsUnknown,  // indeterminate, in the log
  landsPartly,   // indeterminate, only the first record is in the log
  landsLate,     // indeterminate, in the log when landLate() is called
  landsTwice,    // appended, and once more behind itself, as after a resend
};

enum class Delivery : std::uint8_t {
  immediate,  // append() itself lands the batch and calls back
  pumped,     // appends stay outstanding until deliver()
};

// Here the "thread of the log" that calls back is whichever calls append() (immediate), deliver(), takeOver() or a writer's destructor.
// takeOver() delivers what the former writers of this object have outstanding, but does not stop them: what they append later lands, is
// void, and is answered with indeterminate. It throws dataInUse if another claim comes first.
class MemoryLog final : public EventLog {
 public:
  MemoryLog(std::shared_ptr<MemoryPartitions> partitions, WriterIdentity identity, Delivery delivery = Delivery::immediate);
  ~MemoryLog() override;

  // The fates of the next appends, in order; when used up: lands.
  void plan(Fate fate);
  // Of the next claim: lands, rejected, lost or landsUnknown (takeOver() then throws logUnavailable).
  void planClaim(Fate fate);
  // Runs inside takeOver(), after reading to the end and before the claim.
  void beforeClaim(std::function<void()> hook);
  // Carries out and answers at most `appends` outstanding appends, oldest first; how many it was.
  std::size_t deliver(std::size_t appends = SIZE_MAX);
  std::size_t outstanding() const;
  // Appends with fate landsLate land now, in order.
  void landLate();

  std::uint64_t incarnation() const override { return identity_.incarnation; }
  std::uint32_t partitions() const override { return partitions_->count(); }
  PartitionId partitionOf(WorkspaceNumber workspace) const override { return PartitionId{workspace.value % partitions_->count()}; }
  std::unique_ptr<PartitionReader> read(PartitionId partition, const FoldState& from) override;
  std::unique_ptr<RecordFinder> finder(PartitionId partition) override;
  std::unique_ptr<PartitionWriter> takeOver(PartitionId partition, FoldState& from,
                                            const std::function<void(ValidRecord&)>& apply) override;
  void onAppended(std::function<void()> notify) override;

 private:
  friend class MemoryWriter;
  enum class Health : std::uint8_t { sound, rejecting, unknown };
  // Of one writer; outlives it while appends are outstanding.
  struct WriterState {
    PartitionId partition;
    WriterStamp stamp;
    Health health = Health::sound;
    std::size_t outstanding = 0;
  };
  struct Pending {
    std::shared_ptr<WriterState> writer;
    std::vector<MemoryPartitions::Stored> records;
    Position expected;
    Fate fate = Fate::lands;
    std::optional<Fault> refused;
    std::function<void(const AppendResult&)> done;
  };
  void append(const std::shared_ptr<WriterState>& writer, std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done);
  bool deliverOne();
  void drain(const WriterState& writer);
  AppendResult carryOut(Pending& pending);
  AppendResult land(Pending& pending);

  const std::shared_ptr<MemoryPartitions> partitions_;
  const WriterIdentity identity_;
  const Delivery delivery_;
  std::recursive_mutex deliveryMutex_;  // one append is carried out at a time; taken before mutex_
  mutable std::mutex mutex_;  // of everything below
  std::deque<Pending> pending_;
  std::deque<Fate> fates_;
  std::optional<Fate> claimFate_;
  std::function<void()> beforeClaim_;
  std::vector<std::pair<PartitionId, std::vector<MemoryPartitions::Stored>>> late_;
};

}  // namespace counterfoil::log
