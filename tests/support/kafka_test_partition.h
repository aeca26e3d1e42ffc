// A partition as its leader keeps it: the log, and what it remembers of idempotent producers. The rules of Apache Kafka 4.3 for producers
// without transactions (ProducerStateManager, ProducerAppendInfo). Pure; one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "tests/support/kafka_wire.h"

namespace counterfoil::test {

// Error codes of the protocol that tests and the broker name.
namespace kafka_error {
inline constexpr std::int16_t kOffsetOutOfRange = 1;
inline constexpr std::int16_t kCorruptMessage = 2;
inline constexpr std::int16_t kUnknownTopicOrPartition = 3;
inline constexpr std::int16_t kNotEnoughReplicas = 19;
inline constexpr std::int16_t kNotEnoughReplicasAfterAppend = 20;
inline constexpr std::int16_t kClusterAuthorizationFailed = 31;
inline constexpr std::int16_t kUnsupportedVersion = 35;
inline constexpr std::int16_t kOutOfOrderSequence = 45;
inline constexpr std::int16_t kDuplicateSequence = 46;
inline constexpr std::int16_t kInvalidProducerEpoch = 47;
}  // namespace kafka_error

class KafkaTestPartition {
 public:
  struct Verdict {
    std::int16_t error = 0;
    std::int64_t baseOffset = -1;
    bool appended = false;  // false without an error: the batch was there already
  };
  // As the leader does it. `saysDuplicate`: a batch that was there already is answered with DUPLICATE_SEQUENCE_NUMBER and no offset, as
  // brokers may that do not remember where it is; Apache Kafka answers with its offset while it is one of the producer's last five.
  Verdict append(wire::View batch, bool saysDuplicate = false);
  // Of no idempotent producer; where it landed.
  std::int64_t appendOther(const wire::PlainRecord& record);

  std::int64_t begin() const { return begin_; }
  std::int64_t end() const;
  std::int32_t leaderEpoch() const { return leaderEpoch_; }
  bool holds(std::int64_t offset) const { return offset >= begin() && offset <= end(); }
  // Whole batches from the one that holds `offset`, the first one also if it is larger.
  wire::Buffer fetch(std::int64_t offset, std::size_t bytesMax) const;
  std::vector<wire::PlainRecord> records() const;

  // What a new leader does that lacks everything from `end` on: it knows of producers only what its own log says.
  void truncate(std::int64_t end);
  // DeleteRecords.
  void deleteBefore(std::int64_t begin);
  // producer.id.expiration.ms has passed.
  void forgetProducers() { producers_.clear(); }

 private:
  struct Batch {
    wire::BatchHead head;
    wire::Buffer bytes;
  };
  struct Known {
    std::int32_t firstSequence = 0;
    std::int32_t lastSequence = 0;
    std::int64_t baseOffset = 0;
  };
  struct Producer {
    std::int16_t epoch = -1;
    std::deque<Known> batches;  // the last five
  };
  // 0: it may be appended.
  std::int16_t judge(const Producer& producer, const wire::BatchHead& head) const;
  void remember(const wire::BatchHead& head);
  std::int64_t store(wire::Buffer bytes);

  std::int64_t begin_ = 0;
  std::int32_t leaderEpoch_ = 0;
  std::vector<Batch> batches_;
  std::map<std::int64_t, Producer> producers_;
};

}  // namespace counterfoil::test
