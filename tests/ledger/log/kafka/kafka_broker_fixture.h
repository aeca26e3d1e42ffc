// A ledger's log on the test broker, and what its tests say about it. One thread.
#pragma once

#include <gmock/gmock.h>

#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "ledger/log/kafka/kafka_lane.h"
#include "ledger/log/kafka_log.h"
#include "tests/contract/event_log_fixture.h"
#include "tests/support/kafka_test_broker.h"

namespace counterfoil::log::test {

using counterfoil::test::KafkaTestBroker;
using counterfoil::test::ProduceFate;

struct BrokerThrown {
  std::optional<ErrorCode> code;  // none: nothing was thrown
  std::string detail;
};

// Takes reports down as a lane gives them.
class Listener final : public kafka::Sender {
 public:
  void delivered(std::span<const kafka::Delivery> deliveries) override {
    const std::lock_guard guard(mutex_);
    deliveries_.insert(deliveries_.end(), deliveries.begin(), deliveries.end());
    changed_.notify_all();
  }
  void pump() override {
    const std::lock_guard guard(mutex_);
    changed_.notify_all();
  }
  void silentFor(std::chrono::milliseconds) override {
    const std::lock_guard guard(mutex_);
    ++silences_;
    changed_.notify_all();
  }
  std::vector<kafka::Delivery> wait(std::size_t count) {
    std::unique_lock guard(mutex_);
    EXPECT_TRUE(changed_.wait_for(guard, std::chrono::seconds(30), [&] { return deliveries_.size() >= count; }));
    return deliveries_;
  }
  // Until that is so at one of the lane's turns.
  template <class Condition>
  bool await(Condition&& condition) {
    std::unique_lock guard(mutex_);
    return changed_.wait_for(guard, std::chrono::seconds(30), std::forward<Condition>(condition));
  }
  // Until it was told once more that nothing came.
  bool awaitSilence() {
    std::unique_lock guard(mutex_);
    const std::size_t before = silences_;
    return changed_.wait_for(guard, std::chrono::seconds(30), [&] { return silences_ > before; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<kafka::Delivery> deliveries_;
  std::size_t silences_ = 0;
};

class KafkaBrokerFixture : public ::testing::Test {
 protected:
  void SetUp() override { KafkaLog::create(settings(), identity(1), {"ledger-1", "ledger.example.com", {1}}); }
  void TearDown() override { EXPECT_THAT(broker_.complaints(), ::testing::IsEmpty()); }

  KafkaSettings settings() const {
    KafkaSettings settings = broker_.settings();
    settings.lanes = 1;
    return settings;
  }
  // Each call is another start of a process.
  WriterIdentity identity(std::uint64_t node) { return {node, ++incarnation_, "node-" + std::to_string(node), "", 1}; }
  std::unique_ptr<KafkaLog> open(std::uint64_t node = 1) { return KafkaLog::open(settings(), identity(node)); }

  static std::unique_ptr<PartitionWriter> takeOver(KafkaLog& log, FoldState& state) {
    return log.takeOver(PartitionId{0}, state, [](ValidRecord&) {});
  }
  static BrokerThrown takingOver(KafkaLog& log, FoldState& state) {
    return faultIn([&] { takeOver(log, state); });
  }
  static AppendResult append(PartitionWriter& writer, std::vector<NewRecord> batch) {
    Results results;
    writer.append(std::move(batch), results.taker());
    return results.wait().front();
  }
  template <class Call>
  static BrokerThrown faultIn(Call&& call) {
    try {
      call();
    } catch (const Fault& fault) {
      return {fault.code(), fault.detail()};
    }
    return {};
  }
  // Each record in a request of its own, the first one held: the others are in flight behind it when this returns. At most four: the
  // library has five requests in flight on a connection, and one may be its own, for the cluster's description.
  void appendBehindAHeldOne(PartitionWriter& writer, const std::vector<NewRecord>& records, Results& results) {
    for (std::size_t index = 0; index < records.size(); ++index) {
      writer.append({records[index]}, results.taker());
      ASSERT_TRUE(broker_.awaitHeld(0, index)) << index;
    }
  }
  // Of two workspaces in turn: what follows a lost one of the other workspace is in order for its own.
  static std::vector<NewRecord> entriesInTurn(Chain& one, Chain& other, std::size_t count) {
    std::vector<NewRecord> records;
    for (std::size_t index = 0; index < count; ++index) records.push_back((index % 2 == 0 ? one : other).entry());
    return records;
  }
  // Headers of what is in the log, valid or not.
  std::vector<RecordHeader> inTheLog() const {
    std::vector<RecordHeader> headers;
    for (const auto& record : broker_.records(0)) {
      RecordHeader header;
      EXPECT_TRUE(record.headers.size() == 1 && decodeHeader(record.headers.front().second, header));
      headers.push_back(header);
    }
    return headers;
  }
  std::size_t timesInTheLog(const NewRecord& record) const {
    const auto headers = inTheLog();
    return static_cast<std::size_t>(
        std::count_if(headers.begin(), headers.end(), [&](const RecordHeader& header) { return header.leaf == record.leaf; }));
  }
  // What every reader counts.
  static std::vector<ValidRecord> entriesOf(KafkaLog& log) {
    auto records = drain(*log.read(PartitionId{0}, {}));
    std::erase_if(records, [](const ValidRecord& record) { return record.kind != RecordKind::entry; });
    return records;
  }
  // `records`, in this order, and nothing else.
  static void expectEntries(KafkaLog& log, const std::vector<NewRecord>& records) {
    const auto entries = entriesOf(log);
    ASSERT_EQ(entries.size(), records.size());
    for (std::size_t index = 0; index < records.size(); ++index) EXPECT_TRUE(same(records[index], entries[index])) << index;
  }
  static std::uint64_t voidsIn(KafkaLog& log) {
    const auto reader = log.read(PartitionId{0}, {});
    drain(*reader);
    return reader->state().voids;
  }

  // What a caller does after an append that was not acknowledged: takes over, which shows how many of `all` count, and appends the rest.
  // `found`: as many counted at first. A condemned producer may have sent something again that lands behind the claim: then once more.
  static void complete(KafkaLog& log, std::unique_ptr<PartitionWriter>& writer, const std::vector<NewRecord>& all, std::size_t found) {
    for (int round = 0; round < 5; ++round) {
      writer.reset();
      FoldState fresh;
      std::size_t entries = 0;
      writer = log.takeOver(PartitionId{0}, fresh, [&](ValidRecord& record) { entries += record.kind == RecordKind::entry ? 1U : 0U; });
      if (round == 0) {
        EXPECT_EQ(entries, found);
      }
      ASSERT_LE(entries, all.size());
      if (entries == all.size()) return expectEntries(log, all);
      const std::vector<NewRecord> missing(all.begin() + static_cast<std::ptrdiff_t>(entries), all.end());
      if (append(*writer, missing).outcome == AppendOutcome::appended) return expectEntries(log, all);
    }
    ADD_FAILURE() << "not acknowledged, however often it was appended";
  }

  KafkaTestBroker broker_{1};

 private:
  std::uint64_t incarnation_ = 0;
};

}  // namespace counterfoil::log::test
