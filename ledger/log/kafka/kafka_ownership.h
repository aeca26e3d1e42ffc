// Who should write which partition, as a classic consumer group of Kafka sees it: a hint that keeps nodes out of each other's way. Safety
// never rests on it; a node that is wrong about it, for however long, only writes what no reader counts.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/ids.h"
#include "ledger/log/kafka/kafka_handles.h"
#include "ledger/log/kafka/kafka_settings.h"

namespace counterfoil::log {

struct KafkaOwnershipOptions {
  std::string group;  // empty: `<topic>.writers`
  // After so long without a sign of life a node's partitions go to others.
  std::chrono::milliseconds sessionTimeout{6'000};
  const Clock* clock = nullptr;  // for outsideFor(); outlives the ownership
};

class KafkaOwnership {
 public:
  // Both are called on a thread of this object, one at a time. `attend`: for each partition this node is meant to write, at once and then
  // some ten times a second. `taken`: it is not any more; returns when this node has stopped writing the partition, for only then may
  // another be given it (unless the session timeout passes first). Neither may throw.
  // Throws Fault(invalidValue | logUnavailable) as the settings do; whether the group can be joined shows later, in fault().
  KafkaOwnership(const KafkaSettings& settings, const KafkaOwnershipOptions& options, std::function<void(PartitionId)> attend,
                 std::function<void(PartitionId)> taken);
  // Leaves the group, so that others need not wait for the timeout; at most a few seconds.
  ~KafkaOwnership();

  // How long this node has been no member of the group: nobody is told to write here, and maybe nobody anywhere. Zero: it is one, or no
  // clock was given. Some seconds are normal, whenever a node comes or goes.
  std::chrono::nanoseconds outsideFor() const;
  // Why no partition is given to anybody here; empty while all is well.
  std::string fault() const;

 private:
  static void rebalance(rd_kafka_t* client, rd_kafka_resp_err_t code, rd_kafka_topic_partition_list_t* partitions, void* opaque);
  void giveUpAll();
  void run();

  const std::function<void(PartitionId)> attend_;
  const std::function<void(PartitionId)> taken_;
  std::string topic_;
  mutable std::mutex mutex_;  // of fault_
  std::string fault_;
  std::vector<PartitionId> owned_;  // of the thread
  const Clock* const clock_;
  std::atomic<bool> member_ = false;
  std::atomic<std::int64_t> outsideSince_;  // monotonic nanoseconds
  kafka::Client client_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;  // last: it uses the members above
};

}  // namespace counterfoil::log
