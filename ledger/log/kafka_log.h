// The log of many machines: an Apache Kafka topic. One node writes a partition at a time; who, is decided by claims in the log itself, so
// that a node that was passed over, for whatever reason, writes only what no reader counts. See docs/kafka.md.
#pragma once

#include <memory>
#include <mutex>
#include <vector>

#include "ledger/log/event_log.h"
#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::log {

namespace kafka {
class Committer;
class Lanes;
struct Shared;
}  // namespace kafka

// Counted since the start; for metrics.
struct KafkaCounts {
  std::uint64_t term = 0;              // of this node's last valid claim
  std::uint64_t acknowledged = 0;      // records
  std::uint64_t claims = 0;            // of this node that were valid
  std::uint64_t claimsLost = 0;        // another node's came first
  std::uint64_t poisoned = 0;          // writers that a delivery report ended
  std::uint64_t producersRebuilt = 0;  // clients made anew after that
};

// Beside EventLog's contract: a foreign record is no damage here; it is void, counted, and ends the writer whose records it displaced.
// takeOver() throws dataInUse if another node's claim came first: that node is the writer. It waits for what the former writer of this
// object has outstanding, and gives it up after settings.answerWithin. The log outlives its readers' and writers' calls.
class KafkaLog final : public EventLog {
 public:
  // Of the topic as it is. Throws Fault(noLedger | logUnavailable).
  static std::uint32_t partitionsOf(const KafkaSettings& settings);
  // Writes the genesis of every partition of an empty topic. Throws Fault(noLedger) if there is no topic, alreadyExists if it holds a
  // ledger, logUnavailable. What a crash inside left is completed by the next call with the same origin; the facts in force are returned.
  static LedgerFacts create(const KafkaSettings& settings, const WriterIdentity& identity, const LedgerFacts& ledger);
  // Checks that the topic is that ledger's, whole from its beginning, with the partitions it was made with. Throws Fault(noLedger |
  // logTruncated | logDamaged | logUnavailable).
  static std::unique_ptr<KafkaLog> open(const KafkaSettings& settings, const WriterIdentity& identity);
  ~KafkaLog() override;

  Genesis genesis() const { return genesis_; }
  KafkaCounts counts() const;
  // The end of what this node knows to be committed: of its own appends at once, of others' when somebody looks (KafkaWatch).
  std::uint64_t knownEnd(PartitionId partition) const;

  Durability durability() const override { return Durability::replicated; }
  std::uint64_t incarnation() const override { return identity_.incarnation; }
  std::uint32_t partitions() const override { return genesis_.partitions; }
  PartitionId partitionOf(WorkspaceNumber workspace) const override;
  std::unique_ptr<PartitionReader> read(PartitionId partition, const FoldState& from) override;
  std::unique_ptr<RecordFinder> finder(PartitionId partition) override;
  std::unique_ptr<PartitionWriter> takeOver(PartitionId partition, FoldState& from,
                                            const std::function<void(ValidRecord&)>& apply) override;
  void onAppended(std::function<void()> notify) override;

 private:
  friend class KafkaWatch;
  KafkaLog(KafkaSettings settings, WriterIdentity identity, Genesis genesis);

  const KafkaSettings settings_;
  const WriterIdentity identity_;
  const Genesis genesis_;
  const std::shared_ptr<kafka::Shared> shared_;
  const std::unique_ptr<kafka::Lanes> lanes_;
  std::mutex mutex_;  // of current_
  std::vector<std::weak_ptr<kafka::Committer>> current_;
};

}  // namespace counterfoil::log
