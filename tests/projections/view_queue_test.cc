// When a worker does what: what is wanted at once, what is large soon, the rest in its time; a workspace's tasks always in their order.
#include "projections/views/view_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace counterfoil::views {
namespace {

constexpr std::int64_t kMillisecond = 1'000'000;

class ViewQueueing : public ::testing::Test {
 protected:
  static ViewPace pace() {
    ViewPace pace;
    pace.recordsEnough = 4;
    pace.bytesEnough = 1'000;
    pace.eachNanoseconds = 10 * kMillisecond;
    pace.waitMaxNanoseconds = 100 * kMillisecond;
    pace.wantedNanoseconds = 50 * kMillisecond;
    return pace;
  }
  static ViewTask task(std::uint64_t workspace, std::size_t records = 1, TaskKind kind = TaskKind::apply) {
    ViewTask result;
    result.kind = kind;
    result.workspace = {workspace};
    result.records.resize(records);
    result.bytes = records;
    return result;
  }
  void push(std::uint64_t workspace, std::int64_t at, std::size_t records = 1, TaskKind kind = TaskKind::apply) {
    queue.push(task(workspace, records, kind), at * kMillisecond);
  }
  // `3x2`: two records of workspace 3; with `!` a rebuild's; "" nothing is due.
  std::string take(std::int64_t at, bool everything = false) {
    const auto next = queue.take(at * kMillisecond, everything);
    if (!next) return "";
    return std::to_string(next->workspace.value) + 'x' + std::to_string(next->records.size()) + (next->kind == TaskKind::apply ? "" : "!");
  }

  ViewQueue queue{pace()};
};

TEST_F(ViewQueueing, WithoutAPaceEverythingIsDueAtOnceAndJoins) {
  ViewQueue plain{std::nullopt};
  EXPECT_FALSE(plain.push(task(1), 0));
  EXPECT_FALSE(plain.push(task(2), 0));
  EXPECT_FALSE(plain.push(task(1, 2), 0));
  EXPECT_FALSE(plain.want({2}, 0));
  EXPECT_EQ(plain.untilDue(0), 0);
  EXPECT_EQ(plain.take(0, false)->records.size(), 3u);
  EXPECT_EQ(plain.take(0, false)->workspace.value, 2u);
  EXPECT_FALSE(plain.take(0, false));
  EXPECT_TRUE(plain.empty());
  EXPECT_EQ(plain.untilDue(0), std::nullopt);
}

TEST_F(ViewQueueing, TheMoreViewsWaitTheLongerEachDoesUpToALimit) {
  push(1, 0);
  EXPECT_EQ(queue.untilDue(0), 10 * kMillisecond);
  for (std::uint64_t workspace = 2; workspace <= 5; ++workspace) push(workspace, 1);
  EXPECT_EQ(queue.untilDue(10 * kMillisecond), 40 * kMillisecond);
  EXPECT_EQ(take(49), "");
  EXPECT_EQ(take(50), "1x1");
  EXPECT_EQ(take(50), "2x1");  // four wait, for 49 ms
  for (std::uint64_t workspace = 10; workspace < 40; ++workspace) push(workspace, 60);
  EXPECT_EQ(take(100), "");
  EXPECT_EQ(take(101), "3x1");  // not 33 times 10 ms
  EXPECT_EQ(queue.age(101 * kMillisecond), 100 * kMillisecond);
}

TEST_F(ViewQueueing, WhatIsLargeEnoughWaitsForNothing) {
  push(1, 0);
  push(2, 0, 3);
  EXPECT_EQ(take(1), "");
  push(2, 1);
  EXPECT_EQ(take(1), "2x4");
  EXPECT_EQ(take(1), "");
}

TEST_F(ViewQueueing, WhatIsAlwaysLargeEnoughDoesNotKeepTheSmallOnesWaiting) {
  push(1, 0);
  for (std::int64_t at = 0; at < 10; ++at) {
    push(2, at, 4);
    EXPECT_EQ(take(at), "2x4");
  }
  push(2, 11, 4);
  EXPECT_EQ(take(11), "1x1");
  EXPECT_EQ(take(11), "2x4");
}

TEST_F(ViewQueueing, WhatSomebodyLooksAtComesFirstAndSoForAWhile) {
  push(1, 0, 4);
  push(2, 0);
  push(3, 0);
  EXPECT_FALSE(queue.wanted());
  EXPECT_TRUE(queue.want({3}, 1 * kMillisecond));
  EXPECT_TRUE(queue.wanted());
  EXPECT_FALSE(queue.want({7}, 1 * kMillisecond));  // nothing is there of it
  EXPECT_EQ(take(1), "3x1");
  EXPECT_FALSE(queue.wanted());
  EXPECT_EQ(take(1), "1x4");
  EXPECT_EQ(take(1), "");
  push(7, 50);
  EXPECT_EQ(take(50), "7x1");
  push(7, 51);
  EXPECT_FALSE(queue.wanted());  // nobody looks any more
  push(2, 51);
  EXPECT_EQ(take(51), "2x2");
}

TEST_F(ViewQueueing, NothingWaitsWhenMuchIsThere) {
  push(1, 0);
  push(2, 0, 3);
  EXPECT_EQ(take(0), "");
  ViewTask large = task(3);
  large.bytes = 1'000;
  queue.push(std::move(large), 0);
  EXPECT_EQ(take(0), "1x1");
  EXPECT_EQ(take(0), "2x3");
  EXPECT_EQ(take(0), "3x1");
}

TEST_F(ViewQueueing, TasksOfAWorkspaceKeepTheirOrder) {
  push(1, 0);
  push(1, 0, 1, TaskKind::rebuild);
  push(2, 0);
  push(1, 1, 2);
  EXPECT_TRUE(queue.want({1}, 1 * kMillisecond));  // must not put the last of them first
  push(1, 2, 2);
  EXPECT_EQ(take(40), "1x1");
  EXPECT_EQ(take(40), "1x1!");
  EXPECT_EQ(take(40), "2x1");
  EXPECT_EQ(take(40), "1x4");
  EXPECT_TRUE(queue.empty());
}

TEST_F(ViewQueueing, AFullTaskIsFollowedByAnother) {
  push(1, 0, 19'999);
  push(1, 0, 2);
  push(2, 0);
  EXPECT_TRUE(queue.want({1}, 0));
  EXPECT_EQ(take(0), "1x19999");
  EXPECT_EQ(take(0), "1x2");
}

TEST_F(ViewQueueing, EverythingIsTakenOnDemandAndClearedAtOnce) {
  push(1, 0);
  push(2, 0, 4);
  push(3, 0);
  EXPECT_EQ(take(0, true), "2x4");
  EXPECT_EQ(take(0, true), "1x1");
  EXPECT_EQ(queue.clear().size(), 1u);
  EXPECT_TRUE(queue.empty());
  EXPECT_FALSE(queue.wanted());
  push(3, 5);
  EXPECT_EQ(take(5), "");
  EXPECT_EQ(take(15), "3x1");
}

}  // namespace
}  // namespace counterfoil::views
