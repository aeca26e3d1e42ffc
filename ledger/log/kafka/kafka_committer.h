// The writing half of a partition on Kafka: hands records to a lane and decides from the delivery reports what is durable. The rule: a
// record is acknowledged if and only if the cluster put it where it was expected, right behind the one before. Then no foreign record, so
// no foreign claim, lies between this writer's claim and it, and every reader will count it. The first report that says anything else ends
// the writer; the log, read again, decides about the rest (docs/kafka.md, Why contiguity is enough).
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "ledger/log/event_log.h"
#include "ledger/log/kafka/kafka_lane.h"
#include "ledger/log/kafka/kafka_shared.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::log::kafka {

// Shared by the PartitionWriter, which appends, and the log, which takes the partition away from it.
class Committer final : public Sender, public std::enable_shared_from_this<Committer> {
 public:
  // `stamp` stands right behind this writer's own claim, which was acknowledged over the same lane.
  // `lane` outlives every call; it is not owned, because the lane's own thread may be the last to let go of this object.
  Committer(Lane& lane, PartitionId partition, WriterStamp stamp, std::shared_ptr<Shared> shared, const KafkaSettings& settings);

  // One thread.
  void append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done);
  // Takes no more; waits for what is outstanding, and gives it up (with the lane) when that takes too long. Everything has been answered
  // when it returns. Not from a callback.
  void finish();

  void delivered(std::span<const Delivery> deliveries) override;
  void pump() override;
  void silentFor(std::chrono::milliseconds time) override;

 private:
  struct Waiting {
    RecordHeader header;
    std::vector<std::uint8_t> value;
    std::uint64_t position = 0;
  };
  struct Request {
    Position first;
    std::size_t count = 0;
    std::int64_t at = 0;  // Shared::now() when it was made
    std::optional<Fault> refused;
    std::function<void(const AppendResult&)> done;
  };
  using Answers = std::vector<std::pair<std::function<void(const AppendResult&)>, AppendResult>>;

  // As many records may be out when others are handed over. librdkafka sends nothing more either while so many are (it takes them for
  // requests), and its thread does not sleep as long as it holds any meanwhile: it is kept from holding them (docs/kafka.md, librdkafka).
  static constexpr std::size_t kInFlight = 5;
  // As many bytes of records as one request takes.
  static constexpr std::size_t kTogetherBytes = 262'144;
  // A request costs the brokers about the same with one record and with sixty. After many appends were answered at once their callers
  // are given so long to come back with the next ones, which then go together.
  static constexpr std::chrono::microseconds kTurnaround{300};

  // With mutex_ held: hands over what may be sent now.
  void sendMore();
  // Of the lane's thread: waits for appends as enough_ says, and sends them if nobody did.
  void gather();
  // With mutex_ held: goes on behind each that is as expected; the first one that is not, or null.
  const Delivery* acknowledge(std::span<const Delivery> deliveries);
  // With mutex_ held: ends this writer, answering everything that is left.
  void breakOff(const Fault& fault, Answers& answers);
  // With mutex_ held: the requests at the front that are decided.
  void collect(Answers& answers);
  // With mutex_ held, after each change of requests_: since when one waits.
  void tellOldest() { shared_->unanswered[partition_.value] = requests_.empty() ? 0 : requests_.front().at; }

  Lane& lane_;
  const PartitionId partition_;
  const std::shared_ptr<Shared> shared_;
  const std::chrono::milliseconds aloneAfter_;
  const std::chrono::milliseconds patience_;
  WriterStamp stamp_;      // of the appending thread
  bool refusing_ = false;  // of the appending thread

  std::mutex answering_;  // held by the lane's thread while it calls callbacks
  std::mutex mutex_;      // of what follows; taken after answering_
  std::condition_variable changed_;
  std::deque<Waiting> waiting_;   // records not yet taken by the lane
  std::deque<Request> requests_;  // not yet answered
  std::uint64_t nextAck_;         // position of the next record to be acknowledged
  std::uint64_t end_;             // behind the last record appended
  std::size_t outstanding_ = 0;   // records in the lane
  bool crowded_ = false;          // more than kInFlight records were reported together last: they go one group after another
  std::size_t enough_ = 0;        // not zero: nothing is sent before that many requests wait, or gather() ends
  std::condition_variable gathered_;
  // One record at a time until one was acknowledged: a cluster that forgot this producer would take records behind a refused one.
  bool alone_ = true;
  std::optional<Fault> broken_;
};

class Writer final : public PartitionWriter {
 public:
  Writer(std::shared_ptr<Lane> lane, std::shared_ptr<Committer> committer) : lane_(std::move(lane)), committer_(std::move(committer)) {}
  ~Writer() override { committer_->finish(); }
  void append(std::vector<NewRecord> batch, std::function<void(const AppendResult&)> done) override {
    committer_->append(std::move(batch), std::move(done));
  }
  std::size_t depth() const override { return kDepth; }

 private:
  // Enough that records of one entry keep five requests in flight while others wait.
  static constexpr std::size_t kDepth = 256;
  std::shared_ptr<Lane> lane_;
  std::shared_ptr<Committer> committer_;
};

}  // namespace counterfoil::log::kafka
