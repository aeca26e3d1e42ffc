#include "ledger/log/kafka/kafka_finder.h"

#include <utility>

#include "ledger/log/kafka/kafka_client.h"
#include "ledger/log/kafka/kafka_message.h"

namespace counterfoil::log::kafka {
namespace {

constexpr int kFindPollMilliseconds = 20;
constexpr std::chrono::milliseconds kAnswer{500};
// What lies between two records is read rather than passed over if it is no more than this: some four fetches of 64 KiB, which take about
// as long as to begin anew elsewhere.
constexpr std::uint64_t kNearRecords = 256;

}  // namespace

Finder::Finder(const KafkaSettings& settings, PartitionId partition, std::shared_ptr<Shared> shared)
    : settings_(settings), partition_(partition), shared_(std::move(shared)) {
  shared_->broken.throwIfGiven();
}

Finder::~Finder() {
  stop();
}

Fault Finder::fault(ErrorCode code, std::uint64_t offset, const char* what) const {
  return {
      code,
      "topic " + settings_.topic + ", partition " + std::to_string(partition_.value) + ", offset " + std::to_string(offset) + ": " + what,
      "run `counterfoil verify`; do not write to this topic with anything else"};
}

void Finder::start(std::uint64_t offset) {
  stop();
  // A queue of its own each time: what was on its way to the former one must not be taken for what comes now.
  queue_.reset(rd_kafka_queue_new(client_.get()));
  if (rd_kafka_consume_start_queue(topic_.get(), static_cast<std::int32_t>(partition_.value), static_cast<std::int64_t>(offset),
                                   queue_.get()) != 0) {
    throw faultOf(rd_kafka_last_error(), "finding a record");
  }
  started_ = true;
  next_ = offset;
}

void Finder::stop() {
  held_.reset();
  if (started_) rd_kafka_consume_stop(topic_.get(), static_cast<std::int32_t>(partition_.value));
  started_ = false;
  queue_.reset();
}

// librdkafka 2.0.2 looks whether there is something to fetch when its thread for the broker wakes, and neither a new offset nor a queue
// that was emptied wakes it: it comes to that by itself once a second. Any request to the broker does, and this one tells something, too.
std::optional<std::uint64_t> Finder::beginning() {
  std::int64_t offset = 0;
  const auto code = askOffset(client_.get(), settings_, partition_, RD_KAFKA_OFFSET_BEGINNING, kAnswer, offset);
  return code == RD_KAFKA_RESP_ERR_NO_ERROR ? std::optional(static_cast<std::uint64_t>(offset)) : std::nullopt;
}

bool Finder::isBeforeEnd(std::uint64_t offset) {
  if (offset < shared_->ends[partition_.value]) return true;
  // Others may have written there since this node looked.
  const Watermarks marks = watermarks(client_.get(), settings_, partition_);
  shared_->know(partition_, static_cast<std::uint64_t>(marks.high));
  return offset < shared_->ends[partition_.value];
}

bool Finder::mayStillCome(rd_kafka_resp_err_t code, std::uint64_t offset) {
  switch (code) {
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE: {
      // Deleted, or a leader that has not caught up with what was acknowledged.
      const Watermarks marks = watermarks(client_.get(), settings_, partition_);
      if (offset < static_cast<std::uint64_t>(marks.low)) return false;
      if (offset >= static_cast<std::uint64_t>(marks.high))
        throw faultOf("the leader lacks a record that was acknowledged", "finding a record");
      start(offset);
      return true;
    }
    case RD_KAFKA_RESP_ERR__BAD_MSG:
      throw fault(ErrorCode::logDamaged, offset, "the stored bytes do not have their checksum");
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
      throw faultOf(code, "finding a record");
    default:
      return true;  // the library tries again; what does not come in time is told by fetch()
  }
}

Message Finder::fetch(std::uint64_t offset) {
  std::chrono::milliseconds waited{0};
  while (true) {
    Message message = held_ != nullptr ? std::move(held_) : Message(rd_kafka_consume_queue(queue_.get(), kFindPollMilliseconds));
    const bool brings = message != nullptr && message->err == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (brings) {
      next_ = static_cast<std::uint64_t>(message->offset) + 1;
      if (next_ > offset) return message;
      waited = {};
      continue;
    }
    if (message != nullptr && !mayStillCome(message->err, offset)) return nullptr;
    const auto first = beginning();
    if (first && offset < *first) return nullptr;
    waited += std::chrono::milliseconds{kFindPollMilliseconds} + (first ? std::chrono::milliseconds{0} : kAnswer);
    if (waited >= settings_.answerWithin) throw faultOf("a record that is there does not come", "finding a record");
  }
}

bool Finder::find(Position position, StoredRecord& record) {
  shared_->broken.throwIfGiven();
  if (client_ == nullptr) {
    client_ = makeGlancer(settings_);
    topic_ = openTopic(client_.get(), settings_);
  }
  if (!isBeforeEnd(position.value)) return false;
  const bool elsewhere = !started_ || position.value < next_ || position.value - next_ > kNearRecords;
  if (elsewhere) start(position.value);
  Message message;
  try {
    const auto first = elsewhere ? beginning() : std::nullopt;
    if (!first || position.value >= *first) message = fetch(position.value);
  } catch (...) {
    stop();  // whatever comes late belongs to nobody
    throw;
  }
  if (message == nullptr) {
    stop();
    return false;
  }
  if (static_cast<std::uint64_t>(message->offset) != position.value) {
    next_ = static_cast<std::uint64_t>(message->offset);
    held_ = std::move(message);
    return false;
  }
  if (!headerOf(*message, record.header)) throw fault(ErrorCode::logDamaged, position.value, "the record was not written by a ledger");
  record.position = position;
  const auto value = bytesOf(*message);
  record.value.assign(value.begin(), value.end());
  return true;
}

}  // namespace counterfoil::log::kafka
