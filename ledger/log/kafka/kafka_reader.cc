#include "ledger/log/kafka/kafka_reader.h"

#include <string>

#include "ledger/log/kafka/kafka_client.h"
#include "ledger/log/kafka/kafka_message.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::log::kafka {
namespace {

constexpr int kReadPollMilliseconds = 50;
constexpr const char* kDamageHint = "run `counterfoil verify`; do not write to this topic with anything else";
constexpr const char* kTruncationHint =
    "records were deleted, or the topic was made anew: find out who did it; a node serves again only with the whole log";

}  // namespace

Reader::Reader(const KafkaSettings& settings, PartitionId partition, const FoldState& from, std::shared_ptr<Shared> shared)
    : settings_(settings), partition_(partition), shared_(std::move(shared)), state_(from), client_(makeReader(settings)) {
  topic_ = openTopic(client_.get(), settings_);
  queue_.reset(rd_kafka_queue_new(client_.get()));
  const Watermarks marks = watermarks(client_.get(), settings_, partition_);
  if (marks.low != 0) {
    throw Fault(ErrorCode::logTruncated, at(0) + "the log begins at " + std::to_string(marks.low) + ": what was before it is gone",
                kTruncationHint);
  }
  const auto high = static_cast<std::uint64_t>(marks.high);
  if (high < state_.next.value) {
    throw Fault(ErrorCode::logTruncated, at(high) + "the log ends before the place that was read before", kTruncationHint);
  }
  shared_->know(partition_, high);
  const bool fromNothing = state_.next.value == 0;
  const auto start = static_cast<std::int64_t>(fromNothing ? 0 : state_.next.value - 1);
  if (rd_kafka_consume_start_queue(topic_.get(), static_cast<std::int32_t>(partition_.value), start, queue_.get()) != 0) {
    throw faultOf(rd_kafka_last_error(), "reading");
  }
  started_ = true;
  if (!fromNothing) checkStart();
  const auto tell = [](rd_kafka_t*, void* opaque) { static_cast<Shared*>(opaque)->notice.raise(); };
  rd_kafka_queue_cb_event_enable(queue_.get(), tell, shared_.get());
}

Reader::~Reader() {
  if (queue_ != nullptr) rd_kafka_queue_cb_event_enable(queue_.get(), nullptr, nullptr);
  if (started_) rd_kafka_consume_stop(topic_.get(), static_cast<std::int32_t>(partition_.value));
}

std::string Reader::at(std::uint64_t position) const {
  return "topic " + settings_.topic + ", partition " + std::to_string(partition_.value) + ", offset " + std::to_string(position) + ": ";
}

void Reader::learnEnd() {
  const Watermarks marks = watermarks(client_.get(), settings_, partition_);
  if (marks.low != 0) {
    throw Fault(ErrorCode::logTruncated, at(0) + "the log begins at " + std::to_string(marks.low) + ": what was before it is gone",
                kTruncationHint);
  }
  shared_->know(partition_, static_cast<std::uint64_t>(marks.high));
}

void Reader::checkStart() {
  FoldState before;
  before.next.value = state_.next.value - 1;
  const Message message = fetch(before);
  RecordHeader header;
  if (message == nullptr || !headerOf(*message, header) || header != state_.last) {
    throw Fault(ErrorCode::logTruncated, at(before.next.value) + "the record is not the one that was read before", kTruncationHint);
  }
}

Message Reader::fetch(const FoldState& state) {
  std::chrono::milliseconds waited{0};
  while (true) {
    const bool expected = state.next.value < shared_->ends[partition_.value];
    Message message(rd_kafka_consume_queue(queue_.get(), expected ? kReadPollMilliseconds : 0));
    if (message == nullptr) {
      if (!expected) return nullptr;
      waited += std::chrono::milliseconds{kReadPollMilliseconds};
      if (waited >= settings_.answerWithin) throw faultOf("records that are there do not come", "reading");
      continue;
    }
    switch (message->err) {
      case RD_KAFKA_RESP_ERR_NO_ERROR:
        if (static_cast<std::uint64_t>(message->offset) != state.next.value) {
          throw Fault(ErrorCode::logTruncated,
                      at(state.next.value) + "the record is missing; the next one is at " + std::to_string(message->offset),
                      kTruncationHint);
        }
        return message;
      case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (!expected) return nullptr;
        break;  // what the end's owner knows may not have reached this answer yet
      case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
      case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        throw Fault(ErrorCode::logTruncated, at(state.next.value) + "the cluster does not have this place any more", kTruncationHint);
      case RD_KAFKA_RESP_ERR__BAD_MSG:
        throw Fault(ErrorCode::logDamaged, at(state.next.value) + "the stored bytes do not have their checksum", kDamageHint);
      case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
      case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
      case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
      case RD_KAFKA_RESP_ERR__AUTHENTICATION:
        throw faultOf(message->err, "reading");
      default:
        break;  // the library tries again; what does not come in time is told above
    }
  }
}

bool Reader::take(const rd_kafka_message_t& message, FoldState& state, ValidRecord& record) {
  const auto damaged = [&](const char* what) { return Fault(ErrorCode::logDamaged, at(state.next.value) + what, kDamageHint); };
  RecordHeader header;
  if (!headerOf(message, header)) throw damaged("the record was not written by a ledger");
  const FoldVerdict verdict = judge(state, header);
  if (verdict == FoldVerdict::damaged) throw damaged("the record is of a kind that this version does not know, or no genesis");
  const bool valid = verdict == FoldVerdict::valid;
  const auto value = bytesOf(message);
  if (valid && !contentFits(header, value)) throw damaged("the content contradicts the header");
  if (valid) {
    record.position = state.next;
    record.kind = header.kind;
    record.workspace = header.workspace;
    record.seq = header.seq;
    record.previous = header.previous;
    record.leaf = header.leaf;
    record.incarnation = header.incarnation;
    record.value.assign(value.begin(), value.end());
  }
  fold(state, header);
  return valid;
}

bool Reader::next(ValidRecord& record, FoldState& state) {
  shared_->broken.throwIfGiven();
  while (held_ != nullptr || (held_ = fetch(state)) != nullptr) {
    // Damage throws here, and stays: the next call meets the same record again.
    const bool valid = take(*held_, state, record);
    held_.reset();
    if (valid) return true;
  }
  return false;
}

}  // namespace counterfoil::log::kafka
