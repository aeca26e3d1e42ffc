// Reads a partition on Kafka: every record in order of its offset, folded; only valid ones are given out. A client of its own each.
#pragma once

#include <memory>

#include "ledger/log/event_log.h"
#include "ledger/log/kafka/kafka_handles.h"
#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/kafka/kafka_shared.h"

namespace counterfoil::log::kafka {

// One thread.
class Reader final : public PartitionReader {
 public:
  // Throws Fault(logTruncated) if the log ends before from.next, its record there is another, or its beginning was deleted;
  // logUnavailable; and, as next() does, what the log was found to have become (Shared::broken).
  Reader(const KafkaSettings& settings, PartitionId partition, const FoldState& from, std::shared_ptr<Shared> shared);
  ~Reader() override;

  // False: at the end, as far as this node knows of it. A record that is known to be there and does not come is logUnavailable.
  bool next(ValidRecord& record) override { return next(record, state_); }
  const FoldState& state() const override { return state_; }

  // The same with the caller's state, which must stand where this reader stands.
  bool next(ValidRecord& record, FoldState& state);
  // Asks the cluster for its end; what is before it is waited for from now on.
  void learnEnd();

 private:
  // The next record, valid or not. Null: nothing more for now.
  Message fetch(const FoldState& state);
  // Checks that `header` and the place fit; true if valid.
  bool take(const rd_kafka_message_t& message, FoldState& state, ValidRecord& record);
  void checkStart();
  std::string at(std::uint64_t position) const;

  const KafkaSettings settings_;
  const PartitionId partition_;
  const std::shared_ptr<Shared> shared_;
  FoldState state_;
  Client client_;
  Topic topic_;
  Queue queue_;
  Message held_;  // fetched and not yet passed
  bool started_ = false;
};

}  // namespace counterfoil::log::kafka
