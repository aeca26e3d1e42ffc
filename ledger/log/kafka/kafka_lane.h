// A lane: one producer and the thread that takes its delivery reports. A node has a few, each with its own connections, because a
// connection carries one partition's request after another (docs/kafka.md, Lanes). A lane is used until something about it is in doubt;
// then it is condemned, and whoever goes on gets a new one: a producer that failed once may send again what the brokers already have.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "ledger/log/kafka/kafka_handles.h"
#include "ledger/log/kafka/kafka_settings.h"
#include "ledger/log/record.h"

namespace counterfoil::log::kafka {

// What became of one record. An error never means that the record is not in the log.
struct Delivery {
  std::uint64_t tag = 0;       // as given to send()
  std::int64_t offset = 0;     // where the cluster says the record is; negative, and even a wrong one, without an error: seen in practice
  std::optional<Fault> fault;  // of the record
};

// Who sends over a lane. Called by the lane's thread only, never with a lock of the lane held.
class Sender {
 public:
  virtual ~Sender() = default;
  // What the cluster reported together, in its order; at least one.
  virtual void delivered(std::span<const Delivery> deliveries) = 0;
  // Now and then, and after each group of deliveries: a chance to send what the lane could not take.
  virtual void pump() = 0;
  // How long nothing of any sender was delivered.
  virtual void silentFor(std::chrono::milliseconds time) = 0;
};

class Lane {
 public:
  // Throws as makeProducer() does. Returns without waiting for the cluster.
  explicit Lane(const KafkaSettings& settings);
  // Condemns, and waits until every record was told about.
  ~Lane();

  enum class Taken : std::uint8_t { yes, later, never };  // later: the lane is full for now; never: it is condemned
  // Any thread. The bytes are copied. If taken, `sender` is told exactly once.
  Taken send(PartitionId partition, const RecordHeader& header, std::span<const std::uint8_t> value, std::uint64_t tag,
             const std::shared_ptr<Sender>& sender);
  // As long as it lives, what is sent to the partition stays in the producer; then it goes in one request, as far as one takes it. Without
  // it the first record goes alone, and the others when that one was answered. One at a time for a partition; not for a single record.
  class Together {
   public:
    Together(Lane& lane, PartitionId partition);
    Together(const Together&) = delete;
    Together& operator=(const Together&) = delete;
    ~Together();

   private:
    Lane& lane_;
    const std::int32_t partition_;
    PartitionList list_;  // null: the library would not forget that it was paused, so it was not
  };
  // Any thread. From now on nothing is taken; what is outstanding is given up and told as faults soon. Returns at once.
  void condemn();
  bool condemned() const { return condemned_; }
  // Told by pump() and silentFor() from now on, as long as it lives.
  void attend(const std::shared_ptr<Sender>& sender);

 private:
  void run();
  void take(rd_kafka_event_t* event);
  void tell(const std::shared_ptr<Sender>& sender);
  std::vector<std::shared_ptr<Sender>> attending();

  const KafkaSettings settings_;
  Client client_;
  Topic topic_;
  std::atomic<bool> condemned_ = false;
  std::atomic<bool> ending_ = false;
  std::atomic<bool> mayPause_ = true;
  std::atomic<std::size_t> outstanding_ = 0;
  std::mutex mutex_;  // of senders_
  std::vector<std::weak_ptr<Sender>> senders_;
  std::vector<Delivery> together_;  // of the lane's thread: reports of one sender that it was not told yet
  std::thread thread_;              // last: it uses the members above
};

// The lanes of a node. Thread safe.
class Lanes {
 public:
  explicit Lanes(const KafkaSettings& settings) : settings_(settings), lanes_(std::max<std::uint32_t>(1, settings.lanes)) {}
  // The lane of a partition, made anew if it was condemned.
  std::shared_ptr<Lane> of(PartitionId partition);
  // How many were made to take the place of a condemned one.
  std::uint64_t rebuilt() const { return rebuilt_; }

 private:
  const KafkaSettings settings_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Lane>> lanes_;
  std::atomic<std::uint64_t> rebuilt_ = 0;
};

}  // namespace counterfoil::log::kafka
