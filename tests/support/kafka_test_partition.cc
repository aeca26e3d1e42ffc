#include "tests/support/kafka_test_partition.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace counterfoil::test {
namespace {

constexpr std::size_t kBatchesKnown = 5;

// Sequences begin again at 0 behind the greatest.
std::int32_t lastSequence(const wire::BatchHead& head) {
  constexpr std::int64_t kCount = std::int64_t{std::numeric_limits<std::int32_t>::max()} + 1;
  return static_cast<std::int32_t>((std::int64_t{head.baseSequence} + head.records - 1) % kCount);
}

bool follows(std::int32_t last, std::int32_t next) {
  return last == std::numeric_limits<std::int32_t>::max() ? next == 0 : next == last + 1;
}

}  // namespace

std::int64_t KafkaTestPartition::end() const {
  return batches_.empty() ? begin_ : std::max(begin_, batches_.back().head.baseOffset + batches_.back().head.records);
}

std::int16_t KafkaTestPartition::judge(const Producer& producer, const wire::BatchHead& head) const {
  if (head.epoch < producer.epoch) return kafka_error::kInvalidProducerEpoch;
  if (head.epoch > producer.epoch) return head.baseSequence == 0 ? std::int16_t{0} : kafka_error::kOutOfOrderSequence;
  return follows(producer.batches.back().lastSequence, head.baseSequence) ? std::int16_t{0} : kafka_error::kOutOfOrderSequence;
}

KafkaTestPartition::Verdict KafkaTestPartition::append(wire::View batch, bool saysDuplicate) {
  wire::BatchHead head;
  try {
    head = wire::readHead(batch);
  } catch (const wire::Malformed&) {
    return {kafka_error::kCorruptMessage, -1, false};
  }
  const auto found = producers_.find(head.producer);
  // A producer that is not known may begin with any sequence: it may have been forgotten. That is what makes a refused first batch, with
  // others behind it in flight, so dangerous.
  if (head.producer >= 0 && found != producers_.end()) {
    const Producer& producer = found->second;
    const auto same = [&](const Known& known) {
      return head.epoch == producer.epoch && known.firstSequence == head.baseSequence && known.lastSequence == lastSequence(head);
    };
    const auto before = std::find_if(producer.batches.begin(), producer.batches.end(), same);
    if (before != producer.batches.end()) {
      if (saysDuplicate) return {kafka_error::kDuplicateSequence, -1, false};
      return {0, before->baseOffset, false};
    }
    if (const std::int16_t error = judge(producer, head); error != 0) return {error, -1, false};
  }
  return {0, store({batch.begin(), batch.end()}), true};
}

std::int64_t KafkaTestPartition::appendOther(const wire::PlainRecord& record) {
  return store(wire::makeBatch(record));
}

std::int64_t KafkaTestPartition::store(wire::Buffer bytes) {
  wire::place(bytes, end(), leaderEpoch_);
  const wire::BatchHead head = wire::readHead(bytes);
  remember(head);
  batches_.push_back({head, std::move(bytes)});
  return head.baseOffset;
}

void KafkaTestPartition::remember(const wire::BatchHead& head) {
  if (head.producer < 0) return;
  Producer& producer = producers_[head.producer];
  if (producer.epoch != head.epoch) producer.batches.clear();
  producer.epoch = head.epoch;
  producer.batches.push_back({head.baseSequence, lastSequence(head), head.baseOffset});
  if (producer.batches.size() > kBatchesKnown) producer.batches.pop_front();
}

wire::Buffer KafkaTestPartition::fetch(std::int64_t offset, std::size_t bytesMax) const {
  wire::Buffer result;
  for (const Batch& batch : batches_) {
    if (batch.head.baseOffset + batch.head.records <= offset) continue;
    if (!result.empty() && result.size() + batch.bytes.size() > bytesMax) break;
    result.insert(result.end(), batch.bytes.begin(), batch.bytes.end());
  }
  return result;
}

std::vector<wire::PlainRecord> KafkaTestPartition::records() const {
  std::vector<wire::PlainRecord> result;
  for (const Batch& batch : batches_) {
    for (wire::PlainRecord& record : wire::readRecords(batch.bytes)) {
      if (record.offset >= begin_) result.push_back(std::move(record));
    }
  }
  return result;
}

void KafkaTestPartition::truncate(std::int64_t end) {
  // Whole batches, as replicas do; one that holds the place goes with what is in front of it.
  std::erase_if(batches_, [&](const Batch& batch) { return batch.head.baseOffset + batch.head.records > end; });
  ++leaderEpoch_;
  producers_.clear();
  for (const Batch& batch : batches_) remember(batch.head);
}

void KafkaTestPartition::deleteBefore(std::int64_t begin) {
  begin_ = std::clamp(begin, begin_, end());
  std::erase_if(batches_, [&](const Batch& batch) { return batch.head.baseOffset + batch.head.records <= begin_; });
}

}  // namespace counterfoil::test
