#include "ledger/log/kafka/kafka_ownership.h"

#include "ledger/core/current_thread.h"
#include "ledger/log/kafka/kafka_client.h"

namespace counterfoil::log {
namespace {

constexpr int kGroupPollMilliseconds = 100;

}  // namespace

KafkaOwnership::KafkaOwnership(const KafkaSettings& settings, const KafkaOwnershipOptions& options, std::function<void(PartitionId)> attend,
                               std::function<void(PartitionId)> taken)
    : attend_(std::move(attend)),
      taken_(std::move(taken)),
      topic_(settings.topic),
      clock_(options.clock),
      outsideSince_(clock_ == nullptr ? 0 : clock_->monotonicNanoseconds()) {
  kafka::GroupMember member;
  member.group = options.group.empty() ? settings.topic + ".writers" : options.group;
  member.sessionTimeout = options.sessionTimeout;
  member.rebalance = rebalance;
  member.opaque = this;
  client_ = kafka::makeGroupMember(settings, member);
  const kafka::PartitionList topics(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(topics.get(), topic_.c_str(), RD_KAFKA_PARTITION_UA);
  const auto code = rd_kafka_subscribe(client_.get(), topics.get());
  if (code != RD_KAFKA_RESP_ERR_NO_ERROR) throw kafka::faultOf(code, "joining the group of writers");
  thread_ = std::thread([this] { run(); });
}

KafkaOwnership::~KafkaOwnership() {
  stopping_ = true;
  thread_.join();
}

std::chrono::nanoseconds KafkaOwnership::outsideFor() const {
  if (member_ || clock_ == nullptr) return {};
  return std::chrono::nanoseconds(clock_->monotonicNanoseconds() - outsideSince_);
}

std::string KafkaOwnership::fault() const {
  const std::lock_guard guard(mutex_);
  return fault_;
}

void KafkaOwnership::giveUpAll() {
  for (const PartitionId partition : owned_) taken_(partition);
  owned_.clear();
}

void KafkaOwnership::rebalance(rd_kafka_t* client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions, void* opaque) {
  auto& self = *static_cast<KafkaOwnership*>(opaque);
  if (code != RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    if (self.clock_ != nullptr && self.member_) self.outsideSince_ = self.clock_->monotonicNanoseconds();
    self.member_ = false;
    self.giveUpAll();
    rd_kafka_assign(client, nullptr);
    return;
  }
  self.giveUpAll();
  // Nothing is read through the group: the partitions are only names here.
  for (int index = 0; index < partitions->cnt; ++index) partitions->elems[index].offset = RD_KAFKA_OFFSET_END;
  rd_kafka_assign(client, partitions);
  rd_kafka_pause_partitions(client, partitions);
  for (int index = 0; index < partitions->cnt; ++index) {
    self.owned_.push_back(PartitionId{static_cast<std::uint64_t>(partitions->elems[index].partition)});
  }
  self.member_ = true;
  const std::lock_guard guard(self.mutex_);
  self.fault_.clear();
}

void KafkaOwnership::run() {
  nameCurrentThread("kafka-owner");
  while (!stopping_) {
    const kafka::Message message(rd_kafka_consumer_poll(client_.get(), kGroupPollMilliseconds));
    for (const PartitionId partition : owned_) attend_(partition);
    if (message == nullptr || message->err == RD_KAFKA_RESP_ERR_NO_ERROR || message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) continue;
    const std::lock_guard guard(mutex_);
    fault_ = rd_kafka_err2str(message->err);
  }
  rd_kafka_consumer_close(client_.get());  // gives up what is owned, by the callback
}

}  // namespace counterfoil::log
