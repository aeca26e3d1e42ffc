// Whether a node knows that it is in the group of writers. What it is told there is tested with whole nodes (tests/e2e).
#include "ledger/log/kafka/kafka_ownership.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/support/kafka_cluster.h"
#include "tests/support/manual_clock.h"

namespace counterfoil::log::test {
namespace {

using counterfoil::test::KafkaCluster;
using counterfoil::test::ManualClock;
using namespace std::chrono_literals;

template <class Condition>
bool until(Condition condition) {
  for (const auto end = std::chrono::steady_clock::now() + 30s; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::yield();
  }
  return false;
}

TEST(KafkaOwnershipTest, WhoIsInTheGroupIsNotOutsideWhetherItIsGivenAPartitionOrNot) {
  std::string why;
  KafkaCluster* const cluster = KafkaCluster::get(why);
  if (cluster == nullptr) GTEST_SKIP() << why;
  const std::string topic = cluster->makeTopic(1);
  ManualClock clock;
  KafkaOwnershipOptions options;
  options.clock = &clock;
  std::atomic<int> attended{0};
  const auto attend = [&](PartitionId) { ++attended; };
  {
    KafkaOwnership first(cluster->settings(topic), options, attend, [](PartitionId) {});
    clock.advanceSeconds(7);
    ASSERT_TRUE(until([&] { return attended > 0; }));
    EXPECT_EQ(first.outsideFor(), 0s);
    KafkaOwnership second(cluster->settings(topic), options, attend, [](PartitionId) {});
    clock.advanceSeconds(7);
    EXPECT_TRUE(until([&] { return first.outsideFor() == 0s && second.outsideFor() == 0s; })) << "one of them has nothing to write";
  }
  cluster->deleteTopic(topic);
}

TEST(KafkaOwnershipTest, WhoReachesNoBrokerIsOutside) {
  KafkaSettings settings;
  settings.brokers = "127.0.0.1:1";
  settings.topic = "any";
  ManualClock clock;
  KafkaOwnershipOptions options;
  options.clock = &clock;
  const KafkaOwnership alone(
      settings, options, [](PartitionId) {}, [](PartitionId) {});
  EXPECT_EQ(alone.outsideFor(), 0s);
  clock.advanceSeconds(20);
  EXPECT_EQ(alone.outsideFor(), 20s);
}

}  // namespace
}  // namespace counterfoil::log::test
