#include "ledger/log/kafka/kafka_lane.h"

#include <algorithm>
#include <cstring>

#include "ledger/core/current_thread.h"
#include "ledger/log/kafka/kafka_client.h"

namespace counterfoil::log::kafka {
namespace {

constexpr int kLanePollMilliseconds = 100;
constexpr const char* kHeaderName = "cf";

// As the broker sent it: the library passes on any number, also one that its enumeration, and so a value of that type, cannot be.
int codeOf(const rd_kafka_message_t& message) {
  int code = 0;
  static_assert(sizeof code == sizeof message.err);
  std::memcpy(&code, &message.err, sizeof code);
  return code;
}

struct Sent {
  std::shared_ptr<Sender> sender;
  std::uint64_t tag = 0;
};

}  // namespace

Lane::Lane(const KafkaSettings& settings) : settings_(settings), client_(makeProducer(settings)) {
  topic_ = openTopic(client_.get(), settings_);
  thread_ = std::thread([this] { run(); });
}

Lane::~Lane() {
  condemn();
  ending_ = true;
  rd_kafka_queue_yield(Queue(rd_kafka_queue_get_main(client_.get())).get());  // the thread looks at once
  thread_.join();
}

Lane::Taken Lane::send(PartitionId partition, const RecordHeader& header, std::span<const std::uint8_t> value, std::uint64_t tag,
                       const std::shared_ptr<Sender>& sender) {
  if (condemned_) return Taken::never;
  const auto bytes = encodeHeader(header);
  // For readers of the topic that are not ours: everything of a workspace has its number as key.
  const bool ofWorkspace = header.kind == RecordKind::entry || header.kind == RecordKind::keys;
  const std::string key = ofWorkspace ? std::to_string(header.workspace.value) : std::string();
  auto sent = std::make_unique<Sent>(Sent{sender, tag});
  ++outstanding_;
  // librdkafka takes the value by a pointer that is not const, and copies it.
  void* const content = const_cast<std::uint8_t*>(value.data());  // NOLINT(cppcoreguidelines-pro-type-const-cast)
  const auto code = rd_kafka_producev(
      client_.get(), RD_KAFKA_V_RKT(topic_.get()), RD_KAFKA_V_PARTITION(static_cast<std::int32_t>(partition.value)),
      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_KEY(ofWorkspace ? key.data() : nullptr, key.size()),
      RD_KAFKA_V_VALUE(content, value.size()), RD_KAFKA_V_HEADER(kHeaderName, bytes.data(), static_cast<ssize_t>(bytes.size())),
      RD_KAFKA_V_OPAQUE(sent.get()), RD_KAFKA_V_END);
  if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
    static_cast<void>(sent.release());  // comes back with its report
    return Taken::yes;
  }
  --outstanding_;
  if (code == RD_KAFKA_RESP_ERR__QUEUE_FULL) return Taken::later;
  condemn();
  return Taken::never;
}

Lane::Together::Together(Lane& lane, PartitionId partition) : lane_(lane), partition_(static_cast<std::int32_t>(partition.value)) {
  if (!lane_.mayPause_) return;
  list_.reset(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list_.get(), lane_.settings_.topic.c_str(), partition_);
  rd_kafka_pause_partitions(lane_.client_.get(), list_.get());
}

Lane::Together::~Together() {
  if (list_ == nullptr) return;
  rd_kafka_resume_partitions(lane_.client_.get(), list_.get());
  // Waits for nothing here: it makes the library's threads look at their queues, which resuming does not.
  rd_kafka_flush(lane_.client_.get(), 0);
  // Pausing and resuming each leave a mark in the partition's queue of fetched records, which a producer has but nobody reads: marks would
  // be kept for good, and each one is put in its place by walking along all the others. Nothing else is ever in there.
  rd_kafka_message_t* none = nullptr;
  if (rd_kafka_consume_batch(lane_.topic_.get(), partition_, 0, &none, 1) != 0) {
    if (none != nullptr) rd_kafka_message_destroy(none);
    lane_.mayPause_ = false;  // another version of the library: better slower than fuller with each request
  }
}

void Lane::condemn() {
  if (condemned_.exchange(true)) return;
  rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
}

void Lane::attend(const std::shared_ptr<Sender>& sender) {
  const std::lock_guard guard(mutex_);
  std::erase_if(senders_, [](const auto& each) { return each.expired(); });
  senders_.push_back(sender);
}

std::vector<std::shared_ptr<Sender>> Lane::attending() {
  std::vector<std::shared_ptr<Sender>> result;
  const std::lock_guard guard(mutex_);
  for (const auto& each : senders_) {
    if (auto sender = each.lock()) result.push_back(std::move(sender));
  }
  return result;
}

void Lane::take(rd_kafka_event_t* event) {
  if (rd_kafka_event_type(event) == RD_KAFKA_EVENT_ERROR) {
    // Anything less than fatal is mended by the library itself, or shows in a report. The event's code is the reason, never that it is
    // fatal.
    if (rd_kafka_event_error_is_fatal(event) != 0) condemn();
    return;
  }
  if (rd_kafka_event_type(event) != RD_KAFKA_EVENT_DR) return;
  std::shared_ptr<Sender> sender;
  while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event)) {
    const std::unique_ptr<Sent> sent(static_cast<Sent*>(message->_private));
    if (sender != sent->sender) {
      tell(sender);
      sender = std::move(sent->sender);
    }
    Delivery& delivery = together_.emplace_back();
    delivery.tag = sent->tag;
    delivery.offset = message->offset;
    if (const int code = codeOf(*message); code != 0) delivery.fault = faultOf(code, "writing");
  }
  tell(sender);
}

void Lane::tell(const std::shared_ptr<Sender>& sender) {
  if (together_.empty()) return;
  sender->delivered(together_);
  outstanding_ -= together_.size();
  together_.clear();
}

void Lane::run() {
  nameCurrentThread("kafka-lane");
  const Queue queue(rd_kafka_queue_get_main(client_.get()));
  std::chrono::milliseconds silent{0};
  while (!ending_ || outstanding_ > 0) {
    const Event event(rd_kafka_queue_poll(queue.get(), kLanePollMilliseconds));
    if (event != nullptr) {
      if (rd_kafka_event_type(event.get()) == RD_KAFKA_EVENT_DR) silent = std::chrono::milliseconds{0};
      take(event.get());
    } else {
      silent += std::chrono::milliseconds{kLanePollMilliseconds};
    }
    // What was in flight while the lane was condemned may have come back into the queue.
    if (condemned_ && outstanding_ > 0) {
      rd_kafka_purge(client_.get(), RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT | RD_KAFKA_PURGE_F_NON_BLOCKING);
    }
    for (const auto& sender : attending()) {
      if (event == nullptr) sender->silentFor(silent);
      sender->pump();
    }
  }
}

std::shared_ptr<Lane> Lanes::of(PartitionId partition) {
  const std::lock_guard guard(mutex_);
  std::shared_ptr<Lane>& lane = lanes_[partition.value % lanes_.size()];
  if (lane != nullptr && !lane->condemned()) return lane;
  if (lane != nullptr) ++rebuilt_;
  lane.reset();  // waits for its last reports, unless a writer still holds it
  lane = std::make_shared<Lane>(settings_);
  return lane;
}

}  // namespace counterfoil::log::kafka
