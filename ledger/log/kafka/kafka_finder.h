// Finds single records of a partition on Kafka by their offsets. A client of its own each, made when the first record is asked for.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "ledger/log/event_log.h"
#include "ledger/log/kafka/kafka_handles.h"
#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/kafka/kafka_shared.h"

namespace counterfoil::log::kafka {

// One thread. Waits for the cluster about KafkaSettings::answerWithin for each record: what is known to be there and does not come is
// logUnavailable. A record that no ledger wrote is logDamaged, as for a reader.
class Finder final : public RecordFinder {
 public:
  Finder(const KafkaSettings& settings, PartitionId partition, std::shared_ptr<Shared> shared);
  ~Finder() override;

  bool find(Position position, StoredRecord& record) override;

 private:
  // The partition's first offset, as its leader says; nullopt: it does not answer at the moment.
  std::optional<std::uint64_t> beginning();
  // Whether there is, or once was, a record at `offset`.
  bool isBeforeEnd(std::uint64_t offset);
  // From now on messages come from `offset` on.
  void start(std::uint64_t offset);
  void stop();
  // The message at `offset`, or the first one behind it; null: the cluster does not have the place any more.
  Message fetch(std::uint64_t offset);
  // An answer that brings no record. False: the place is gone. True: it may still come.
  bool mayStillCome(rd_kafka_resp_err_t code, std::uint64_t offset);
  Fault fault(ErrorCode code, std::uint64_t offset, const char* what) const;

  const KafkaSettings settings_;
  const PartitionId partition_;
  const std::shared_ptr<Shared> shared_;
  Client client_;
  Topic topic_;
  Queue queue_;
  Message held_;  // fetched, and behind what was asked for
  bool started_ = false;
  std::uint64_t next_ = 0;  // while started: the next message is this one, or one behind it
};

}  // namespace counterfoil::log::kafka
