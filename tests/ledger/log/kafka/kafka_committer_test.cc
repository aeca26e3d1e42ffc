// What a committer makes of reports that come together, and when it hands over what waits.
#include "ledger/log/kafka/kafka_committer.h"

#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "tests/ledger/log/kafka/kafka_broker_fixture.h"

namespace counterfoil::log::test {
namespace {

// A committer right behind its claim, and what it writes.
class KafkaCommitter : public KafkaBrokerFixture {
 protected:
  void SetUp() override {
    KafkaBrokerFixture::SetUp();
    const WriterIdentity self = identity(1);
    FoldState state;
    fold(state, genesisHeader(self));
    const RecordHeader claim = claimHeader(self, state);
    const auto listener = std::make_shared<Listener>();
    lane_ = std::make_unique<kafka::Lane>(settings());
    ASSERT_EQ(lane_->send(PartitionId{0}, claim, claimValue(self), 1, listener), kafka::Lane::Taken::yes);
    ASSERT_EQ(listener->wait(1).front().offset, 1);
    fold(state, claim);
    committer_ = std::make_shared<kafka::Committer>(*lane_, PartitionId{0}, WriterStamp(self, state), shared_, settings());
    lane_->attend(committer_);
    // The first record goes alone; what is tested comes behind it, from position kFirst on.
    Results first;
    committer_->append({chain_.entry()}, first.taker());
    ASSERT_EQ(first.wait().front().outcome, AppendOutcome::appended);
  }
  void TearDown() override {
    committer_.reset();
    lane_.reset();
    KafkaBrokerFixture::TearDown();
  }
  void append(std::size_t count, Results& results) {
    for (std::size_t index = 0; index < count; ++index) committer_->append({chain_.entry()}, results.taker());
  }

  static constexpr std::uint64_t kFirst = 3;
  static constexpr std::size_t kInFlight = 5;
  const std::shared_ptr<kafka::Shared> shared_ = std::make_shared<kafka::Shared>(1);
  Chain chain_{7};
  std::unique_ptr<kafka::Lane> lane_;
  std::shared_ptr<kafka::Committer> committer_;
};

// Each of its reports is judged on its own, however many come at once.
TEST_F(KafkaCommitter, OfReportsThatComeTogetherThoseBeforeTheUnexpectedOneAcknowledge) {
  broker_.plan(0, {ProduceFate::heldBack()});
  Results results;
  append(4, results);
  const std::int64_t first = kFirst;
  const std::vector<kafka::Delivery> reports = {
      {kFirst, first, std::nullopt},
      {kFirst + 1, first + 1, std::nullopt},
      {kFirst + 2, first + 3, std::nullopt},  // a foreign record came between
      {kFirst + 3, first + 3, std::nullopt},  // in its place again, and behind a record that is not
  };
  committer_->delivered(reports);
  const auto answers = results.wait();
  EXPECT_EQ(results.order(), (std::vector<std::size_t>{0, 1, 2, 3}));
  EXPECT_EQ(answers[0].outcome, AppendOutcome::appended);
  EXPECT_EQ(answers[1].outcome, AppendOutcome::appended);
  EXPECT_EQ(answers[2].outcome, AppendOutcome::indeterminate);
  EXPECT_EQ(answers[2].fault->code(), ErrorCode::logUnavailable);
  EXPECT_EQ(answers[3].outcome, AppendOutcome::indeterminate);
  EXPECT_EQ(answers[3].fault->code(), ErrorCode::notReady);
  EXPECT_TRUE(lane_->condemned());
  EXPECT_EQ(shared_->poisoned, 1U);
  EXPECT_EQ(shared_->acknowledged, 3U);
  EXPECT_EQ(shared_->ends[0], kFirst + 2) << "what this node knows to be committed";
  broker_.letGo(0);
}

// A batch is acknowledged when its last record is, also when the reports of one group end in the middle of it.
TEST_F(KafkaCommitter, ABatchIsAnsweredWithItsLastRecord) {
  broker_.plan(0, {ProduceFate::heldBack()});
  Results results;
  committer_->append({chain_.entry(), chain_.entry(), chain_.entry()}, results.taker());
  const std::int64_t first = kFirst;
  committer_->delivered(std::vector<kafka::Delivery>{{kFirst, first, std::nullopt}, {kFirst + 1, first + 1, std::nullopt}});
  EXPECT_TRUE(results.soFar().empty());
  EXPECT_EQ(shared_->acknowledged, 3U);
  committer_->delivered(std::vector<kafka::Delivery>{{kFirst + 2, first + 2, std::nullopt}});
  EXPECT_EQ(results.wait().front().outcome, AppendOutcome::appended);
  lane_->condemn();
  broker_.letGo(0);
}

// What waits behind five records is not in the library, so it certainly is not in the log when the writer ends.
TEST_F(KafkaCommitter, BehindFiveRecordsInFlightOthersWaitOutsideOfTheLibrary) {
  constexpr std::size_t kWaiting = 20;
  broker_.plan(0, {ProduceFate::misplaced(0).hold()});
  Results results;
  append(kInFlight + kWaiting, results);
  ASSERT_TRUE(broker_.awaitHeld(0));
  broker_.letGo(0);
  const auto answers = results.wait();
  for (std::size_t index = 0; index < answers.size(); ++index) {
    EXPECT_EQ(answers[index].outcome, index < kInFlight ? AppendOutcome::indeterminate : AppendOutcome::rejected) << index;
  }
}

// They are handed over when the first of those were answered, in their order and in one request. Many times: a thread of the library that
// is late takes all of them together by chance.
TEST_F(KafkaCommitter, WhatWaitedGoesTogetherWhenOthersWereAnswered) {
  constexpr std::int32_t kWaiting = 200;
  constexpr std::int32_t kRounds = 20;
  for (std::int32_t round = 0; round < kRounds; ++round) {
    Results before;
    append(1, before);
    before.wait();
    broker_.plan(0, {ProduceFate::heldBack()});
    Results results;
    append(kInFlight + kWaiting, results);
    ASSERT_TRUE(broker_.awaitHeld(0));
    broker_.letGo(0);
    for (const AppendResult& answer : results.wait()) ASSERT_EQ(answer.outcome, AppendOutcome::appended);
  }
  committer_->finish();
  // Some of the five may be among them.
  const auto requests = broker_.produced(0);
  EXPECT_EQ(std::count_if(requests.begin(), requests.end(), [](const auto& each) { return each.records >= kWaiting; }), kRounds);
  EXPECT_EQ(inTheLog().size(), kFirst + kRounds * (1 + kInFlight + kWaiting));
  EXPECT_EQ(voidsIn(*open()), 0U);
}

std::size_t residentBytes() {
  std::ifstream file("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
}

// Handing over pauses the partition in the producer, and librdkafka keeps two marks of it that a producer never reads: a quarter of a
// kilobyte each time, and each mark is put in its place by walking along all the others.
TEST_F(KafkaCommitter, HandingOverLeavesNothingInTheLibrary) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "a sanitizer keeps memory that was given back";
#else
  constexpr int kRounds = 20'000;
  constexpr std::size_t kAllowed = 2 * 1024 * 1024;  // kept, the marks took 5 MB
  const auto handOver = [&] { const kafka::Lane::Together together(*lane_, PartitionId{0}); };
  for (int round = 0; round < 1'000; ++round) handOver();
  const std::size_t before = residentBytes();
  for (int round = 0; round < kRounds; ++round) handOver();
  EXPECT_LE(residentBytes(), before + kAllowed);
  Results results;
  append(10, results);
  for (const AppendResult& answer : results.wait()) EXPECT_EQ(answer.outcome, AppendOutcome::appended);
  committer_->finish();
#endif
}

// After many answers at once the next append waits for company, and goes without when none comes.
TEST_F(KafkaCommitter, WhoComesAloneAfterManyAnswersIsNotKeptWaiting) {
  for (int round = 0; round < 20; ++round) {
    Results many;
    append(30, many);
    for (const AppendResult& answer : many.wait()) ASSERT_EQ(answer.outcome, AppendOutcome::appended);
    Results one;
    append(1, one);
    ASSERT_EQ(one.wait().front().outcome, AppendOutcome::appended);
  }
  committer_->finish();
}

}  // namespace
}  // namespace counterfoil::log::test
