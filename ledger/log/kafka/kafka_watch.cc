#include "ledger/log/kafka/kafka_watch.h"

#include <algorithm>
#include <string>
#include <utility>

#include "ledger/core/current_thread.h"
#include "ledger/log/kafka/kafka_client.h"
#include "ledger/log/kafka/kafka_shared.h"

namespace counterfoil::log {
namespace {

constexpr const char* kHint =
    "records were deleted, or the topic was made anew: find out who did it; a node serves again only with the whole log";
constexpr int kLookPollMilliseconds = 50;

// Of a partition that is not empty. nullopt: its first record is no genesis. Throws Fault(logUnavailable) if it does not come.
std::optional<Genesis> firstRecord(rd_kafka_topic_t* topic, const KafkaSettings& settings, std::int32_t partition) {
  if (rd_kafka_consume_start(topic, partition, 0) != 0) throw kafka::faultOf(rd_kafka_last_error(), "looking at the log's beginning");
  std::optional<Genesis> found;
  bool came = false;
  for (std::chrono::milliseconds waited{0}; !came && waited < settings.answerWithin;
       waited += std::chrono::milliseconds{kLookPollMilliseconds}) {
    const kafka::Message message(rd_kafka_consume(topic, partition, kLookPollMilliseconds));
    if (message == nullptr || message->err != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
    came = true;
    if (message->offset == 0) found = readGenesis({static_cast<const std::uint8_t*>(message->payload), message->len});
  }
  rd_kafka_consume_stop(topic, partition);
  if (!came) throw kafka::faultOf("its first record does not come", "looking at the log's beginning");
  return found;
}

}  // namespace

KafkaWatch::KafkaWatch(KafkaLog& log, const Clock& clock, KafkaWatchOptions options)
    : options_(std::move(options)), settings_(log.settings_), genesis_(log.genesis_), shared_(log.shared_) {
  shared_->clock = &clock;
  shared_->ackTimes.set(options_.acknowledged);
  thread_ = std::thread([this] { run(); });
}

KafkaWatch::~KafkaWatch() {
  shared_->ackTimes.set({});
  {
    const std::lock_guard guard(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

std::optional<Fault> KafkaWatch::broken() const {
  return shared_->broken.get();
}

std::optional<Fault> KafkaWatch::trouble() const {
  if (auto fault = broken()) return fault;
  {
    const std::lock_guard guard(mutex_);
    if (unreached_) return unreached_;
  }
  for (const auto& oldest : shared_->unanswered) {
    const std::int64_t since = oldest;
    if (since == 0) continue;
    const auto waits = std::chrono::nanoseconds(shared_->now() - since);
    if (waits <= options_.patience) continue;
    return Fault(ErrorCode::logUnavailable,
                 "Kafka has not acknowledged an append for " +
                     std::to_string(std::chrono::duration_cast<std::chrono::seconds>(waits).count()) + " s",
                 "fewer replicas are in sync than min.insync.replicas demands, or no broker answers; it goes on by itself");
  }
  return std::nullopt;
}

KafkaWatch::Look KafkaWatch::look() const {
  const auto truncated = [&](std::uint32_t partition, const std::string& what) {
    return Fault(ErrorCode::logTruncated, "topic " + settings_.topic + ", partition " + std::to_string(partition) + ": " + what, kHint);
  };
  Look result;
  try {
    // A client of its own each time: what one has learned of a topic outlives the topic.
    const kafka::Client client = kafka::makeGlancer(settings_);
    const kafka::Topic topic = kafka::openTopic(client.get(), settings_);
    const std::uint32_t partitions = kafka::topicFacts(client.get(), topic.get(), settings_).partitions;
    for (std::uint32_t partition = 0; partition < std::min(partitions, genesis_.partitions); ++partition) {
      // Asked before the cluster is: what is known by now must be there.
      const std::uint64_t known = shared_->ends[partition];
      const kafka::Watermarks marks = kafka::watermarks(client.get(), settings_, PartitionId{partition});
      const auto end = static_cast<std::uint64_t>(marks.high);
      if (marks.low != 0) {
        result.broken = truncated(partition, "the log begins at " + std::to_string(marks.low) + ": what was before it is gone");
      } else if (end == 0) {
        result.broken = truncated(partition, "the log is empty");
      } else {
        const auto found = firstRecord(topic.get(), settings_, static_cast<std::int32_t>(partition));
        if (!found || found->ledger.ledgerId != genesis_.ledger.ledgerId || found->partition != partition) {
          result.broken = truncated(partition, "it begins with another record than this ledger's first one");
        }
      }
      if (result.broken) return result;
      // A leader that the others have left behind answers like this too, and has lost nothing that counts: no verdict.
      if (end < known)
        throw kafka::faultOf("the leader that answers lacks records that were read or acknowledged here", "looking at the log");
      shared_->know(PartitionId{partition}, end);
    }
    if (partitions != genesis_.partitions) {
      result.broken = Fault(ErrorCode::logDamaged,
                            "topic " + settings_.topic + " has " + std::to_string(partitions) + " partitions, its ledger was made with " +
                                std::to_string(genesis_.partitions),
                            "a topic's partitions must stay as they were when its ledger was made; use the topic as it was");
    }
  } catch (const Fault& fault) {
    result.unreached = fault;
  }
  return result;
}

bool KafkaWatch::wait(std::chrono::milliseconds most) {
  std::unique_lock guard(mutex_);
  changed_.wait_for(guard, most, [&] { return ending_; });
  return !ending_;
}

void KafkaWatch::run() {
  nameCurrentThread("kafka-watch");
  std::optional<Fault> suspected;
  for (;;) {
    const Look now = look();
    {
      const std::lock_guard guard(mutex_);
      unreached_ = now.unreached;
    }
    // One answer may come from a broker that is behind the others; of two there is no doubt.
    if (now.broken && suspected) {
      shared_->broken.set(*now.broken);
      shared_->notice.raise();
      if (options_.broken) options_.broken(*now.broken);
      return;
    }
    if (!now.unreached) suspected = now.broken;
    const bool isWell = !suspected && !now.unreached;
    if (!wait(isWell ? options_.every : options_.again)) return;
  }
}

}  // namespace counterfoil::log
