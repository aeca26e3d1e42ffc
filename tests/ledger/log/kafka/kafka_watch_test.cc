// A log in use that is tampered with while nobody reads it, and brokers that do not answer: which of both it is, and what follows.
#include "ledger/log/kafka/kafka_watch.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <thread>

#include "tests/contract/event_log_fixture.h"
#include "tests/support/kafka_cluster.h"
#include "tests/support/manual_clock.h"

namespace counterfoil::log::test {
namespace {

using counterfoil::test::KafkaCluster;
using counterfoil::test::ManualClock;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

template <class Condition>
bool becomesTrue(Condition condition) {
  for (const auto end = std::chrono::steady_clock::now() + 60s; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return false;
}

template <class Call>
std::optional<ErrorCode> codeOf(Call&& call) {
  try {
    call();
  } catch (const Fault& fault) {
    return fault.code();
  }
  return std::nullopt;
}

class KafkaWatchTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string why;
    cluster_ = KafkaCluster::get(why);
    if (cluster_ == nullptr) GTEST_SKIP() << why;
    topic_ = cluster_->makeTopic(1);
    log_ = make("ledger-1");
    writer_ = log_->takeOver(PartitionId{0}, state_, [](ValidRecord&) {});
    ASSERT_EQ(append(), AppendOutcome::appended);
  }
  void TearDown() override {
    watch_.reset();
    writer_.reset();
    log_.reset();
    if (cluster_ != nullptr) cluster_->deleteTopic(topic_);
  }

  // A ledger in the topic, opened.
  std::unique_ptr<KafkaLog> make(const std::string& id) {
    const WriterIdentity identity{1, ++incarnation_, "node-1", "", 1};
    KafkaLog::create(cluster_->settings(topic_), identity, {id, "ledger.example.com", {1}});
    return KafkaLog::open(cluster_->settings(topic_), identity);
  }
  void watch(std::chrono::milliseconds every = 100ms) {
    KafkaWatchOptions options;
    options.every = every;
    options.again = 100ms;
    options.broken = [this](const Fault&) { ++told_; };
    options.acknowledged = [this](double seconds) {
      seconds_ = seconds;
      ++acknowledged_;
    };
    watch_ = std::make_unique<KafkaWatch>(*log_, clock_, options);
  }
  AppendOutcome append(std::optional<Fault>* fault = nullptr) {
    Results results;
    writer_->append(chain_.entries(2), results.taker());
    const AppendResult result = results.wait().front();
    if (fault != nullptr) *fault = result.fault;
    return result.outcome;
  }
  bool becomesBroken() {
    return becomesTrue([&] { return watch_->broken().has_value() && told_ != 0; });
  }

  KafkaCluster* cluster_ = nullptr;
  std::string topic_;
  ManualClock clock_;
  FoldState state_;
  Chain chain_{7};
  std::uint64_t incarnation_ = 0;
  std::atomic<int> told_{0};
  std::atomic<int> acknowledged_{0};
  std::atomic<double> seconds_{-1};
  std::unique_ptr<KafkaLog> log_;
  std::unique_ptr<PartitionWriter> writer_;
  std::unique_ptr<KafkaWatch> watch_;
};

TEST_F(KafkaWatchTest, DeletedRecordsAreNoticedThoughNobodyReads) {
  const auto reader = log_->read(PartitionId{0}, {});
  drain(*reader);
  const FoldState end = reader->state();
  watch();
  cluster_->deleteRecords(topic_, 0, 2);
  ASSERT_TRUE(becomesBroken());
  EXPECT_EQ(watch_->broken()->code(), ErrorCode::logTruncated);
  EXPECT_THAT(watch_->broken()->detail(), HasSubstr("partition 0: the log begins at 2"));
  EXPECT_EQ(told_, 1);
  EXPECT_EQ(watch_->trouble()->code(), ErrorCode::logTruncated);

  ValidRecord record;
  EXPECT_EQ(codeOf([&] { reader->next(record); }), ErrorCode::logTruncated) << "who is at the end and has nothing to read, too";
  EXPECT_EQ(codeOf([&] { log_->read(PartitionId{0}, end); }), ErrorCode::logTruncated);
  std::optional<Fault> fault;
  EXPECT_EQ(append(&fault), AppendOutcome::rejected);
  ASSERT_TRUE(fault);
  EXPECT_EQ(fault->code(), ErrorCode::logTruncated);
  FoldState again = end;
  EXPECT_EQ(codeOf([&] { log_->takeOver(PartitionId{0}, again, [](ValidRecord&) {}); }), ErrorCode::logTruncated);
}

TEST_F(KafkaWatchTest, ATopicThatIsGoneIsTroubleAndOneMadeAnewIsAnotherLog) {
  // Between two looks: one that is under way asks for the leader of what is gone for as long as an answer may take.
  cluster_->inject(topic_, 0, std::nullopt, {1});
  watch(1s);
  ASSERT_TRUE(becomesTrue([&] { return log_->knownEnd(PartitionId{0}) == 5; }));
  cluster_->deleteTopic(topic_);
  // A look in the middle of the deletion finds a topic without a leader, and says that nothing answers.
  EXPECT_TRUE(becomesTrue([&] {
    const auto trouble = watch_->trouble();
    return trouble && trouble->code() == ErrorCode::noLedger;
  }));
  EXPECT_FALSE(watch_->broken()) << "who does not see it now may see it later";
  cluster_->makeTopicAgain(topic_, 1);
  ASSERT_TRUE(becomesBroken());
  EXPECT_EQ(watch_->broken()->code(), ErrorCode::logTruncated);
  EXPECT_THAT(watch_->broken()->detail(), HasSubstr("the log is empty"));
}

TEST_F(KafkaWatchTest, AnotherLedgerInTheSameTopicIsNoticedHoweverLongItIs) {
  cluster_->deleteTopic(topic_);
  cluster_->makeTopicAgain(topic_, 1);
  {
    const auto other = make("ledger-2");
    FoldState state;
    const auto writer = other->takeOver(PartitionId{0}, state, [](ValidRecord&) {});
    Results results;
    writer->append(Chain(9).entries(20), results.taker());
    ASSERT_EQ(results.wait().front().outcome, AppendOutcome::appended);
  }
  watch();
  ASSERT_TRUE(becomesBroken());
  EXPECT_EQ(watch_->broken()->code(), ErrorCode::logTruncated);
  EXPECT_THAT(watch_->broken()->detail(), HasSubstr("it begins with another record"));
}

TEST_F(KafkaWatchTest, AddedPartitionsAreDamage) {
  watch();
  cluster_->addPartitions(topic_, 2);
  ASSERT_TRUE(becomesBroken());
  EXPECT_EQ(watch_->broken()->code(), ErrorCode::logDamaged);
  EXPECT_THAT(watch_->broken()->detail(), HasSubstr("has 2 partitions, its ledger was made with 1"));
}

TEST_F(KafkaWatchTest, AppendsThatNobodyAcknowledgesAreTroubleUntilTheyAre) {
  watch();
  if (!cluster_->pause()) GTEST_SKIP() << "the broker is not this test's to pause (COUNTERFOIL_TEST_KAFKA_FOLDER)";
  Results results;
  writer_->append(chain_.entries(1), results.taker());
  clock_.advanceSeconds(10);
  const auto within = watch_->trouble();
  clock_.advanceSeconds(2);
  const auto beyond = watch_->trouble();
  const int acknowledged = acknowledged_;
  cluster_->resume();
  EXPECT_FALSE(within) << "not beyond the bound yet";
  ASSERT_TRUE(beyond);
  EXPECT_EQ(beyond->code(), ErrorCode::logUnavailable);
  EXPECT_THAT(beyond->detail(), HasSubstr("not acknowledged an append for 12 s"));
  EXPECT_EQ(acknowledged, 0);
  EXPECT_EQ(results.wait().front().outcome, AppendOutcome::appended);
  EXPECT_TRUE(becomesTrue([&] { return !watch_->trouble(); })) << "well again by itself";
  EXPECT_FALSE(watch_->broken());
  EXPECT_TRUE(becomesTrue([&] { return acknowledged_ == 1; })) << acknowledged_;
  EXPECT_DOUBLE_EQ(seconds_, 12);
}

TEST_F(KafkaWatchTest, WhatOthersAppendMovesTheKnownEnd) {
  watch();
  const std::uint64_t end = log_->knownEnd(PartitionId{0});
  EXPECT_EQ(end, 4U) << "genesis, claim and two entries";
  cluster_->inject(topic_, 0, std::nullopt, {1, 2, 3});
  EXPECT_TRUE(becomesTrue([&] { return log_->knownEnd(PartitionId{0}) == end + 1; }));
  EXPECT_FALSE(watch_->broken()) << "whether it counts is for readers to say";
}

// Clients that do not know the cluster yet find it through this address; cut() takes the way from them.
class WayIn {
 public:
  explicit WayIn(const std::string& broker) : broker_(broker) {
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address_);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<sockaddr*>(&address_), size), 0);
    EXPECT_EQ(::getsockname(listener_, reinterpret_cast<sockaddr*>(&address_), &size), 0);
    EXPECT_EQ(::listen(listener_, 64), 0);
    thread_ = std::thread([this] { run(); });
  }
  ~WayIn() {
    cut();
    ending_ = true;
    thread_.join();
    for (const auto& [one, other] : pairs_) closeBoth(one, other);
    ::close(listener_);
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(ntohs(address_.sin_port)); }
  void cut() { open_ = false; }
  void mend() { open_ = true; }

 private:
  static void closeBoth(int one, int other) {
    ::close(one);
    ::close(other);
  }
  int connect() const {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    const std::size_t colon = broker_.find(':');
    ::inet_pton(AF_INET, broker_.substr(0, colon).c_str(), &to.sin_addr);
    to.sin_port = htons(static_cast<std::uint16_t>(std::stoi(broker_.substr(colon + 1))));
    EXPECT_EQ(::connect(descriptor, reinterpret_cast<sockaddr*>(&to), sizeof(to)), 0);
    return descriptor;
  }
  // False: the connection is at its end.
  static bool pass(int from, int to) {
    std::array<char, 65536> bytes;
    const ssize_t count = ::recv(from, bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0) return errno == EAGAIN;
    return count > 0 && ::send(to, bytes.data(), static_cast<std::size_t>(count), MSG_NOSIGNAL) == count;
  }
  void run() {
    while (!ending_) {
      std::vector<pollfd> waiting{{listener_, POLLIN, 0}};
      for (const auto& [one, other] : pairs_) {
        waiting.push_back({one, POLLIN, 0});
        waiting.push_back({other, POLLIN, 0});
      }
      ::poll(waiting.data(), waiting.size(), 20);
      if ((waiting[0].revents & POLLIN) != 0) {
        const int caller = ::accept(listener_, nullptr, nullptr);
        if (open_) {
          pairs_.emplace_back(caller, connect());
        } else {
          ::close(caller);
        }
      }
      std::erase_if(pairs_, [&](const auto& pair) {
        if (open_ && pass(pair.first, pair.second) && pass(pair.second, pair.first)) return false;
        closeBoth(pair.first, pair.second);
        return true;
      });
    }
  }

  const std::string broker_;
  int listener_ = -1;
  sockaddr_in address_{};
  std::atomic<bool> open_{true};
  std::atomic<bool> ending_{false};
  std::vector<std::pair<int, int>> pairs_;  // of the thread
  std::thread thread_;
};

TEST_F(KafkaWatchTest, BrokersThatDoNotAnswerAreTroubleAndNoVerdict) {
  WayIn way(cluster_->brokers().substr(0, cluster_->brokers().find(',')));
  KafkaSettings settings = cluster_->settings(topic_);
  settings.brokers = way.address();
  settings.answerWithin = 2s;
  writer_.reset();
  log_ = KafkaLog::open(settings, {1, ++incarnation_, "node-1", "", 1});
  watch();
  ASSERT_TRUE(becomesTrue([&] { return log_->knownEnd(PartitionId{0}) == 4; })) << "a first look that finds all well";
  EXPECT_FALSE(watch_->trouble());
  way.cut();
  ASSERT_TRUE(becomesTrue([&] { return watch_->trouble().has_value(); }));
  EXPECT_EQ(watch_->trouble()->code(), ErrorCode::logUnavailable);
  EXPECT_FALSE(watch_->broken());
  way.mend();
  EXPECT_TRUE(becomesTrue([&] { return !watch_->trouble(); })) << "well again by itself";
  EXPECT_FALSE(watch_->broken());
  EXPECT_EQ(told_, 0);
  watch_.reset();
}

}  // namespace
}  // namespace counterfoil::log::test
