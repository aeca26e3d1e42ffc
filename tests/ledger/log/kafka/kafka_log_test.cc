// KafkaLog beyond the contract of every log: records of strangers, a topic that was tampered with, nodes that claim beside each other.
#include "ledger/log/kafka_log.h"

#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "ledger/log/kafka/kafka_client.h"
#include "tests/contract/event_log_fixture.h"
#include "tests/support/kafka_cluster.h"

namespace counterfoil::log::test {
namespace {

using counterfoil::test::KafkaCluster;
using ::testing::HasSubstr;
using ::testing::Not;
using namespace std::chrono_literals;

const LedgerFacts kFacts{"ledger-1", "ledger.example.com", {1}};

struct Thrown {
  std::optional<ErrorCode> code;  // none: nothing was thrown
  std::string detail;
};

template <class Call>
Thrown faultIn(Call&& call) {
  try {
    call();
  } catch (const Fault& fault) {
    return {fault.code(), fault.detail()};
  }
  return {};
}

class KafkaLogTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    cluster_ = KafkaCluster::get(why);
    if (cluster_ == nullptr) GTEST_SKIP() << why;
  }
  void TearDown() override {
    for (const std::string& topic : topics_) cluster_->deleteTopic(topic);
  }

  std::string emptyTopic(std::uint32_t partitions, const std::map<std::string, std::string>& settings = {}) {
    topics_.push_back(cluster_->makeTopic(partitions, settings));
    return topics_.back();
  }
  std::string ledgerTopic(std::uint32_t partitions, const std::map<std::string, std::string>& settings = {}) {
    const std::string topic = emptyTopic(partitions, settings);
    KafkaLog::create(cluster_->settings(topic), identity(1), kFacts);
    return topic;
  }
  // Each call is another start of a process.
  WriterIdentity identity(std::uint64_t node) { return {node, ++incarnation_, "node-" + std::to_string(node), "", 1}; }
  std::unique_ptr<KafkaLog> open(const std::string& topic, std::uint64_t node = 1) {
    return KafkaLog::open(cluster_->settings(topic), identity(node));
  }

  static std::unique_ptr<PartitionWriter> takeOver(KafkaLog& log, FoldState& state, std::uint32_t partition = 0) {
    return log.takeOver(PartitionId{partition}, state, [](ValidRecord&) {});
  }
  static AppendResult append(PartitionWriter& writer, std::vector<NewRecord> batch) {
    Results results;
    writer.append(std::move(batch), results.taker());
    return results.wait().front();
  }
  static std::vector<ValidRecord> readAll(KafkaLog& log, std::uint32_t partition = 0) {
    return drain(*log.read(PartitionId{partition}, {}));
  }
  // A ledger with `count` entries of workspace `workspace`, and where a reader of it stands.
  FoldState fill(const std::string& topic, std::size_t count, std::uint64_t workspace = 7) {
    const auto log = open(topic);
    FoldState state;
    const auto writer = takeOver(*log, state);
    Chain chain(workspace, ++incarnation_);
    EXPECT_EQ(append(*writer, chain.entries(count)).outcome, AppendOutcome::appended);
    const auto reader = log->read(PartitionId{0}, {});
    EXPECT_EQ(drain(*reader).size(), count + 2);
    return reader->state();
  }

  KafkaCluster* cluster_ = nullptr;

 private:
  std::vector<std::string> topics_;
  std::uint64_t incarnation_ = 0;
};

TEST_F(KafkaLogTest, WhatIsAcknowledgedIsReplicated) {
  EXPECT_EQ(open(ledgerTopic(1))->durability(), Durability::replicated);
}

TEST_F(KafkaLogTest, ARecordOfAStrangerIsDamageThatIsNamed) {
  const std::string topic = ledgerTopic(2);
  const auto log = open(topic);
  FoldState state;
  auto writer = takeOver(*log, state, 1);
  Chain chain(7);
  ASSERT_EQ(append(*writer, chain.entries(3)).outcome, AppendOutcome::appended);
  const std::int64_t offset = cluster_->inject(topic, 1, std::nullopt, {'x'});
  ASSERT_EQ(offset, 5);

  const auto reader = log->read(PartitionId{1}, {});
  ValidRecord record;
  std::size_t before = 0;
  const Thrown reading = faultIn([&] {
    while (reader->next(record)) ++before;
  });
  EXPECT_EQ(before, 5U) << "everything before it is given out";
  EXPECT_EQ(reading.code, ErrorCode::logDamaged);
  EXPECT_THAT(reading.detail, HasSubstr("partition 1, offset 5"));
  cluster_->inject(topic, 1, claimHeader({9, 9, "other", "", 1}, reader->state()), {});
  const Thrown again = faultIn([&] { reader->next(record); });
  EXPECT_EQ(again.code, ErrorCode::logDamaged) << "nobody passes it";
  EXPECT_EQ(again.detail, reading.detail);
  FoldState fresh;
  EXPECT_EQ(faultIn([&] { takeOver(*log, fresh, 1); }).code, ErrorCode::logDamaged) << "nobody writes behind it";
  EXPECT_EQ(readAll(*log, 0).size(), 1U) << "the other partition is not touched";
}

TEST_F(KafkaLogTest, AHeaderThatIsNotOursIsDamage) {
  const std::string topic = ledgerTopic(1);
  const auto log = open(topic);
  FoldState state;
  const auto writer = takeOver(*log, state);
  RecordHeader header = claimHeader({9, 9, "other", "", 1}, state);
  header.version = 2;
  cluster_->inject(topic, 0, header, {});
  const Thrown thrown = faultIn([&] { readAll(*log); });
  EXPECT_EQ(thrown.code, ErrorCode::logDamaged);
  EXPECT_THAT(thrown.detail, HasSubstr("partition 0, offset 2"));
}

TEST_F(KafkaLogTest, DeletedRecordsAreNoticedBeforeTheStart) {
  const std::string topic = ledgerTopic(1);
  const FoldState state = fill(topic, 5);
  cluster_->deleteRecords(topic, 0, 3);
  const Thrown thrown = faultIn([&] { open(topic); });
  EXPECT_EQ(thrown.code, ErrorCode::logTruncated);
  EXPECT_THAT(thrown.detail, HasSubstr("partition 0, offset 0: the log begins at 3"));
}

TEST_F(KafkaLogTest, DeletedRecordsAreNoticedInMidRun) {
  const std::string topic = ledgerTopic(1);
  const FoldState saved = fill(topic, 5);
  const auto log = open(topic);
  FoldState state = saved;
  const auto writer = takeOver(*log, state);
  Chain chain(8);
  ASSERT_EQ(append(*writer, chain.entries(1)).outcome, AppendOutcome::appended);
  cluster_->deleteRecords(topic, 0, 3);
  EXPECT_EQ(faultIn([&] { log->read(PartitionId{0}, saved); }).code, ErrorCode::logTruncated) << "behind what is left, too";
  EXPECT_EQ(faultIn([&] { log->read(PartitionId{0}, {}); }).code, ErrorCode::logTruncated);
  FoldState again = saved;
  EXPECT_EQ(faultIn([&] { takeOver(*log, again); }).code, ErrorCode::logTruncated);
}

TEST_F(KafkaLogTest, DeletedRecordsAreNotFoundAndTheOthersStillAre) {
  const std::string topic = ledgerTopic(1);
  const FoldState state = fill(topic, 5);
  const auto log = open(topic);
  const auto finder = log->finder(PartitionId{0});
  StoredRecord found;
  ASSERT_TRUE(finder->find(Position{1}, found));
  cluster_->deleteRecords(topic, 0, 3);
  for (const std::uint64_t position : {0, 2, 4, 1, 3, 2, 5}) {
    const bool isThere = position >= 3;
    // Another one than before: it has fetched nothing ahead.
    EXPECT_EQ(log->finder(PartitionId{0})->find(Position{position}, found), isThere) << position;
    EXPECT_EQ(isThere, found.position.value == position);
  }
  EXPECT_FALSE(finder->find(state.next, found));
}

TEST_F(KafkaLogTest, ABrokerThatDoesNotAnswerIsNoMissingRecord) {
  const std::string topic = ledgerTopic(1);
  fill(topic, 600);
  KafkaSettings settings = cluster_->settings(topic);
  settings.answerWithin = 2s;
  const auto log = KafkaLog::open(settings, identity(1));
  const auto finder = log->finder(PartitionId{0});
  const auto fresh = log->finder(PartitionId{0});
  StoredRecord found;
  ASSERT_TRUE(finder->find(Position{5}, found));
  if (!cluster_->pause()) GTEST_SKIP() << "the broker is not this test's to pause (COUNTERFOIL_TEST_KAFKA_FOLDER)";
  const auto paused = std::chrono::steady_clock::now();
  const Thrown far = faultIn([&] { finder->find(Position{500}, found); });
  const Thrown first = faultIn([&] { fresh->find(Position{5}, found); });
  const auto waited = std::chrono::steady_clock::now() - paused;
  cluster_->resume();
  EXPECT_EQ(far.code, ErrorCode::logUnavailable);
  EXPECT_EQ(first.code, ErrorCode::logUnavailable);
  EXPECT_LT(waited, 30s);
  for (RecordFinder* const again : {finder.get(), fresh.get()}) {
    ASSERT_TRUE(again->find(Position{500}, found)) << "it may be asked again";
    EXPECT_EQ(found.header.seq.value, 498U);
  }
}

TEST_F(KafkaLogTest, WhoAsksAStoppedBrokerForTheEndIsToldInTime) {
  const std::string topic = ledgerTopic(1);
  const FoldState state = fill(topic, 5);
  KafkaSettings settings = cluster_->settings(topic);
  settings.answerWithin = 2s;
  const kafka::Client client = kafka::makeReader(settings);
  const auto end = static_cast<std::int64_t>(state.next.value);
  EXPECT_EQ(kafka::watermarks(client.get(), settings, PartitionId{0}).high, end);
  if (!cluster_->pause()) GTEST_SKIP() << "the broker is not this test's to pause (COUNTERFOIL_TEST_KAFKA_FOLDER)";
  const auto paused = std::chrono::steady_clock::now();
  const Thrown thrown = faultIn([&] { kafka::watermarks(client.get(), settings, PartitionId{0}); });
  const auto waited = std::chrono::steady_clock::now() - paused;
  cluster_->resume();
  EXPECT_EQ(thrown.code, ErrorCode::logUnavailable);
  EXPECT_LT(waited, 10s) << "until the library gave its requests up it would be some 20 s";
  EXPECT_EQ(kafka::watermarks(client.get(), settings, PartitionId{0}).high, end);
}

TEST_F(KafkaLogTest, AStrangersRecordIsFoundToBeNone) {
  const std::string topic = ledgerTopic(1);
  const FoldState state = fill(topic, 5);
  const auto log = open(topic);
  cluster_->inject(topic, 0, std::nullopt, {1});
  const auto finder = log->finder(PartitionId{0});
  StoredRecord found;
  const Thrown thrown = faultIn([&] { finder->find(state.next, found); });
  EXPECT_EQ(thrown.code, ErrorCode::logDamaged);
  EXPECT_THAT(thrown.detail, HasSubstr("partition 0, offset " + std::to_string(state.next.value)));
  EXPECT_TRUE(finder->find(Position{1}, found)) << "the others are what they were";
}

TEST_F(KafkaLogTest, ATopicMadeAnewIsNotTheLedgerThatWasRead) {
  const std::string topic = ledgerTopic(1);
  const FoldState saved = fill(topic, 5);
  cluster_->deleteTopic(topic);
  cluster_->makeTopicAgain(topic, 1);
  EXPECT_EQ(faultIn([&] { open(topic); }).code, ErrorCode::noLedger);

  // Another ledger of the same name, longer than the first was.
  KafkaLog::create(cluster_->settings(topic), identity(1), {"ledger-2", "ledger.example.com", {2}});
  {
    const auto log = open(topic);
    const Thrown shorter = faultIn([&] { log->read(PartitionId{0}, saved); });
    EXPECT_EQ(shorter.code, ErrorCode::logTruncated);
    EXPECT_THAT(shorter.detail, HasSubstr("partition 0, offset 1: the log ends before"));
  }
  fill(topic, 20);
  const auto log = open(topic);
  const Thrown other = faultIn([&] { log->read(PartitionId{0}, saved); });
  EXPECT_EQ(other.code, ErrorCode::logTruncated);
  EXPECT_THAT(other.detail, HasSubstr("partition 0, offset 6: the record is not the one"));
  FoldState state = saved;
  EXPECT_EQ(faultIn([&] { takeOver(*log, state); }).code, ErrorCode::logTruncated);
}

TEST_F(KafkaLogTest, AWriterWhoseTopicWasMadeAnewAcknowledgesNothing) {
  const std::string topic = ledgerTopic(1);
  const auto log = open(topic);
  FoldState state;
  const auto writer = takeOver(*log, state);
  Chain chain(7);
  ASSERT_EQ(append(*writer, chain.entries(3)).outcome, AppendOutcome::appended);
  cluster_->deleteTopic(topic);
  cluster_->makeTopicAgain(topic, 1);
  EXPECT_NE(append(*writer, chain.entries(1)).outcome, AppendOutcome::appended);
}

TEST_F(KafkaLogTest, MorePartitionsThanTheLedgerWasMadeWithAreRefused) {
  const std::string topic = ledgerTopic(2);
  cluster_->addPartitions(topic, 3);
  const Thrown thrown = faultIn([&] { open(topic); });
  EXPECT_EQ(thrown.code, ErrorCode::logDamaged);
  EXPECT_THAT(thrown.detail, HasSubstr("other partitions"));
  EXPECT_EQ(faultIn([&] { KafkaLog::create(cluster_->settings(topic), identity(1), kFacts); }).code, ErrorCode::alreadyExists);
}

TEST_F(KafkaLogTest, ATopicThatIsNotThereIsNoLedger) {
  const KafkaSettings settings = cluster_->settings("there-is-no-such-topic");
  EXPECT_EQ(faultIn([&] { KafkaLog::open(settings, identity(1)); }).code, ErrorCode::noLedger);
  EXPECT_EQ(faultIn([&] { KafkaLog::create(settings, identity(1), kFacts); }).code, ErrorCode::noLedger);
  EXPECT_EQ(faultIn([&] { KafkaLog::open(settings, identity(1)); }).code, ErrorCode::noLedger) << "and asking did not make it";
  EXPECT_EQ(faultIn([&] { open(emptyTopic(1)); }).code, ErrorCode::noLedger) << "an empty one neither";
}

TEST_F(KafkaLogTest, ABrokerThatIsNotThereIsUnavailableInTime) {
  KafkaSettings settings = cluster_->settings("any");
  settings.brokers = "127.0.0.1:1";
  settings.answerWithin = 1s;
  const auto started = std::chrono::steady_clock::now();
  EXPECT_EQ(faultIn([&] { KafkaLog::open(settings, identity(1)); }).code, ErrorCode::logUnavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - started, 9s) << "less than an answer may take where nothing is set";
}

TEST_F(KafkaLogTest, AMakingThatWasCutOffIsCompletedByTheNext) {
  const std::string topic = emptyTopic(3);
  const WriterIdentity first = identity(1);
  ASSERT_EQ(cluster_->inject(topic, 1, genesisHeader(first), genesisValue({kFacts, 1, 3})), 0);
  EXPECT_EQ(faultIn([&] { open(topic); }).code, ErrorCode::noLedger) << "a part of a ledger is none";
  EXPECT_EQ(faultIn([&] {
              KafkaLog::create(cluster_->settings(topic), identity(1), {"ledger-2", "other.example.com", {2}});
            }).code,
            ErrorCode::alreadyExists);
  const LedgerFacts facts = KafkaLog::create(cluster_->settings(topic), identity(1), {"ledger-2", kFacts.origin, {2}});
  EXPECT_EQ(facts.ledgerId, kFacts.ledgerId) << "the facts in force are the first one's";
  const auto log = open(topic);
  EXPECT_EQ(log->partitions(), 3U);
  EXPECT_EQ(log->genesis().ledger.ledgerId, kFacts.ledgerId);
  EXPECT_EQ(faultIn([&] { KafkaLog::create(cluster_->settings(topic), identity(1), kFacts); }).code, ErrorCode::alreadyExists);
}

TEST_F(KafkaLogTest, PropertiesThatTheLedgerRestsOnAreRefusedWithoutTheirValues) {
  const std::string topic = ledgerTopic(1);
  const std::vector<std::string> names = {"enable.idempotence",
                                          "acks",
                                          "request.required.acks",
                                          "message.timeout.ms",
                                          "group.id",
                                          "transactional.id",
                                          "auto.offset.reset",
                                          "bootstrap.servers",
                                          "check.crcs",
                                          "max.in.flight",
                                          "delivery.timeout.ms"};
  for (const std::string& name : names) {
    KafkaSettings settings = cluster_->settings(topic);
    settings.properties = {{name, "hunter2"}};
    const Thrown thrown = faultIn([&] { KafkaLog::open(settings, identity(1)); });
    EXPECT_EQ(thrown.code, ErrorCode::invalidValue) << name;
    EXPECT_THAT(thrown.detail, Not(HasSubstr("hunter2")));
  }
  KafkaSettings settings = cluster_->settings(topic);
  settings.properties = {{"no.such.property", "hunter2"}};
  const Thrown thrown = faultIn([&] { KafkaLog::open(settings, identity(1)); });
  EXPECT_EQ(thrown.code, ErrorCode::invalidValue);
  EXPECT_THAT(thrown.detail, Not(HasSubstr("hunter2")));
  settings.properties = {{"linger.ms", "1"}};
  EXPECT_EQ(faultIn([&] { KafkaLog::open(settings, identity(1)); }).code, std::nullopt) << "what only changes speed may be chosen";
}

// A claim against a writer at work is void if a record of the writer comes between what the claimant read and the claim; but it displaces
// that writer's next record, so that the writer stops all the same.
TEST_F(KafkaLogTest, AWriterAtWorkStopsAtTheFirstRecordOfAnother) {
  const std::string topic = ledgerTopic(1);
  const auto former = open(topic, 1);
  const auto successor = open(topic, 2);
  FoldState state;
  auto writer = takeOver(*former, state);
  std::mutex mutex;
  std::vector<std::pair<AppendResult, LeafHash>> answers;
  std::atomic<std::size_t> appended = 0;
  std::atomic<std::size_t> outstanding = 0;
  std::atomic<bool> ended = false;
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  auto appending = std::async(std::launch::async, [&] {
    Chain chain(7);
    while (!ended && std::chrono::steady_clock::now() < deadline) {
      if (outstanding >= 200) {
        std::this_thread::yield();
        continue;
      }
      ++outstanding;
      auto batch = chain.entries(1);
      const LeafHash leaf = batch.front().leaf;
      writer->append(std::move(batch), [&, leaf](const AppendResult& result) {
        const std::lock_guard guard(mutex);
        answers.emplace_back(result, leaf);
        if (result.outcome == AppendOutcome::appended) ++appended;
        if (result.outcome != AppendOutcome::appended) ended = true;
        --outstanding;
      });
    }
    writer.reset();  // waits for every answer
  });
  while (appended < 300 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  FoldState theirs;
  std::unique_ptr<PartitionWriter> next;
  while (next == nullptr && std::chrono::steady_clock::now() < deadline) {
    const Thrown thrown = faultIn([&] { next = takeOver(*successor, theirs); });
    EXPECT_TRUE(!thrown.code || thrown.code == ErrorCode::dataInUse) << thrown.detail;
  }
  appending.get();
  ASSERT_NE(next, nullptr);
  ASSERT_TRUE(ended) << "the one that was passed over found out";
  EXPECT_GE(former->counts().poisoned, 1U);
  // What the former one had in flight may land behind the claim and displace the successor's first records too.
  Chain own(8);
  while (append(*next, own.entries(1)).outcome != AppendOutcome::appended && std::chrono::steady_clock::now() < deadline) {
    next.reset();
    faultIn([&] { next = takeOver(*successor, theirs); });
    ASSERT_NE(next, nullptr);
    own = Chain(9 + theirs.term);
  }
  EXPECT_GE(theirs.term, 2U);

  std::map<std::uint64_t, LeafHash> entries;
  for (const ValidRecord& record : readAll(*successor)) {
    if (record.kind == RecordKind::entry && record.workspace == WorkspaceNumber{7}) entries[record.position.value] = record.leaf;
  }
  std::size_t acknowledged = 0;
  for (const auto& [result, leaf] : answers) {
    if (result.outcome != AppendOutcome::appended) continue;
    ++acknowledged;
    const auto found = entries.find(result.first.value);
    ASSERT_NE(found, entries.end()) << "acknowledged, and not in the log at " << result.first.value;
    EXPECT_EQ(found->second, leaf);
  }
  EXPECT_GE(acknowledged, 300U);
  EXPECT_LT(acknowledged, answers.size());
}

// The zombie: its records wait in its producer while another node claims, and reach the log behind the claim.
TEST_F(KafkaLogTest, WhatReachesTheLogBehindTheClaimOfAnotherIsVoidAndNotAcknowledged) {
  const std::string topic = ledgerTopic(1);
  KafkaSettings slow = cluster_->settings(topic);
  slow.properties = {{"linger.ms", "1500"}};
  const auto zombie = KafkaLog::open(slow, identity(1));
  const auto successor = open(topic, 2);
  FoldState state;
  auto writer = takeOver(*zombie, state);
  Chain chain(7);
  ASSERT_EQ(append(*writer, chain.entries(1)).outcome, AppendOutcome::appended);
  Results results;
  // First entries of their workspaces, and some of them in step with the running number: nothing but the term speaks against those.
  // No more than may be in flight at once: others would wait outside of the producer, or be sent without lingering.
  std::vector<NewRecord> late;
  for (std::uint64_t index = 0; index < 5; ++index) late.push_back(Chain(100 + index).entry());
  writer->append(std::move(late), results.taker());
  FoldState theirs;
  const auto next = takeOver(*successor, theirs);
  EXPECT_EQ(theirs.term, 2U);
  ASSERT_TRUE(results.soFar().empty()) << "the claim came too late for what is tested here";
  ASSERT_EQ(append(*next, Chain(8).entries(1)).outcome, AppendOutcome::appended);
  for (const AppendResult& result : results.wait()) EXPECT_NE(result.outcome, AppendOutcome::appended);
  const auto reader = successor->read(PartitionId{0}, {});
  drain(*reader);
  EXPECT_EQ(reader->state().heads.size(), 2U);
  EXPECT_EQ(reader->state().voids, 5U) << "they did reach the log";
  EXPECT_EQ(append(*next, Chain(9).entries(1)).outcome, AppendOutcome::indeterminate) << "and displaced the new writer's next record";

  // It follows, and may become the writer again.
  FoldState again;
  const auto back = takeOver(*zombie, again);
  EXPECT_EQ(append(*back, Chain(10).entries(1)).outcome, AppendOutcome::appended);
}

TEST_F(KafkaLogTest, OfTwoThatClaimAtOnceOneWrites) {
  constexpr std::size_t kRounds = 12;
  const std::string topic = ledgerTopic(1);
  const std::array<std::unique_ptr<KafkaLog>, 2> logs = {open(topic, 1), open(topic, 2)};
  std::array<FoldState, 2> states;
  std::uint64_t workspace = 10;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::array<std::unique_ptr<PartitionWriter>, 2> writers;
    std::array<std::future<void>, 2> claiming;
    for (std::size_t node : {0, 1}) {
      claiming[node] = std::async(std::launch::async, [&, node] {
        try {
          writers[node] = takeOver(*logs[node], states[node]);
        } catch (const Fault& fault) {
          EXPECT_EQ(fault.code(), ErrorCode::dataInUse) << fault.what();
        }
      });
    }
    for (auto& each : claiming) each.get();
    std::size_t won = 0;
    for (auto& writer : writers) {
      if (writer != nullptr && append(*writer, Chain(workspace++).entries(1)).outcome == AppendOutcome::appended) ++won;
    }
    EXPECT_LE(won, 1U);
  }
  // The winner's record counts in each round; whether it knows depends on where the other's claim landed.
  std::size_t found = 0;
  for (const ValidRecord& record : readAll(*logs[0])) found += record.kind == RecordKind::entry ? 1U : 0U;
  EXPECT_EQ(found, kRounds);
  const KafkaCounts first = logs[0]->counts();
  const KafkaCounts second = logs[1]->counts();
  EXPECT_EQ(first.claims + first.claimsLost + second.claims + second.claimsLost, 2 * kRounds);
}

TEST_F(KafkaLogTest, ManyPipelinedRecordsOverPartitionsThatShareLanes) {
  constexpr std::uint32_t kPartitions = 4;
  constexpr std::size_t kEach = 5'000;
  const std::string topic = ledgerTopic(kPartitions);
  KafkaSettings settings = cluster_->settings(topic);
  settings.lanes = 2;
  const auto log = KafkaLog::open(settings, identity(1));
  std::vector<std::thread> threads;
  for (std::uint32_t partition = 0; partition < kPartitions; ++partition) {
    threads.emplace_back([&, partition] {
      FoldState state;
      auto writer = log->takeOver(PartitionId{partition}, state, [](ValidRecord&) {});
      Chain chain(100 + partition, partition);
      std::mt19937_64 dice(partition);
      std::vector<NewRecord> sent;
      std::vector<std::uint64_t> expected;
      Results results;
      std::uint64_t next = state.next.value;
      while (sent.size() < kEach) {
        auto batch = chain.entries(std::min<std::size_t>(1 + dice() % 40, kEach - sent.size()), 50 + dice() % 400);
        sent.insert(sent.end(), batch.begin(), batch.end());
        expected.push_back(next);
        next += batch.size();
        writer->append(std::move(batch), results.taker());
      }
      const auto answers = results.wait();
      ASSERT_EQ(answers.size(), expected.size());
      for (std::size_t index = 0; index < answers.size(); ++index) {
        ASSERT_EQ(answers[index].outcome, AppendOutcome::appended);
        ASSERT_EQ(answers[index].first.value, expected[index]);
      }
      writer.reset();
      const auto records = drain(*log->read(PartitionId{partition}, {}));
      ASSERT_EQ(records.size(), kEach + 2);
      for (std::size_t index = 0; index < kEach; ++index) ASSERT_TRUE(same(sent[index], records[index + 2])) << index;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(log->counts().acknowledged, kPartitions * kEach);
  EXPECT_EQ(log->counts().poisoned, 0U);
}

TEST_F(KafkaLogTest, WhatIsTooLargeIsRefusedBeforeItIsSent) {
  const std::string topic = ledgerTopic(1);
  const auto log = open(topic);
  FoldState state;
  const auto writer = takeOver(*log, state);
  const AppendResult result = append(*writer, Chain(7).entries(1, limits::kRecordBytesMax + 1));
  EXPECT_EQ(result.outcome, AppendOutcome::rejected);
  ASSERT_TRUE(result.fault.has_value());
  EXPECT_EQ(result.fault->code(), ErrorCode::tooLarge);
  EXPECT_EQ(readAll(*log).size(), 2U);
}

// The topic takes less than a ledger needs: the record is refused by the brokers, and those behind it in the pipeline are not.
TEST_F(KafkaLogTest, WhatTheBrokersRefuseEndsTheWriterAndWhatLandsBehindItIsVoid) {
  const std::string topic = ledgerTopic(1, {{"max.message.bytes", "20000"}});
  const auto log = open(topic);
  FoldState state;
  auto writer = takeOver(*log, state);
  Chain chain(7);
  ASSERT_EQ(append(*writer, chain.entries(1)).outcome, AppendOutcome::appended);
  Results results;
  writer->append(chain.entries(1), results.taker());
  writer->append(chain.entries(1, 30'000), results.taker());
  for (int index = 0; index < 100; ++index) writer->append(chain.entries(1), results.taker());
  const auto answers = results.wait();
  std::size_t acknowledged = 0;
  while (acknowledged < answers.size() && answers[acknowledged].outcome == AppendOutcome::appended) ++acknowledged;
  EXPECT_LE(acknowledged, 1U);
  for (std::size_t index = acknowledged; index < answers.size(); ++index) EXPECT_NE(answers[index].outcome, AppendOutcome::appended);
  writer.reset();
  FoldState after;
  std::size_t entries = 0;
  writer = log->takeOver(PartitionId{0}, after, [&](ValidRecord& record) { entries += record.kind == RecordKind::entry ? 1U : 0U; });
  EXPECT_GE(entries, 1 + acknowledged);
  EXPECT_LE(entries, 2U) << "nothing behind the refused one counts";
  EXPECT_EQ(after.heads.at(WorkspaceNumber{7}).size, entries);
  EXPECT_EQ(append(*writer, Chain(8).entries(1)).outcome, AppendOutcome::appended) << "with a producer made anew";
  EXPECT_GE(log->counts().producersRebuilt, 1U);
}

}  // namespace
}  // namespace counterfoil::log::test
