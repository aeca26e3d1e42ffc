// Token buckets: who is refused, who is not, and whether coming again as told helps.
#include "server/rate_limits.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/support/manual_clock.h"

namespace counterfoil::server {
namespace {

constexpr std::int64_t kMillisecond = kNanosecondsPerSecond / 1000;

// Small numbers, so that each entry counts.
RateLimitOptions small() {
  RateLimitOptions options;
  options.workspacePerSecond = 10;
  options.workspaceBurst = 20;
  options.principalPerSecond = 4;
  options.principalBurst = 8;
  return options;
}

class RateLimitsTest : public testing::Test {
 protected:
  std::int64_t take(std::string_view principal, std::uint64_t entries, std::string_view workspace = "w1") {
    return limits_.take(workspace, principal, entries, false);
  }
  // How many single entries pass before the first refusal.
  int passes(std::string_view principal, std::string_view workspace = "w1") {
    int taken = 0;
    while (taken < 1'000 && take(principal, 1, workspace) == 0) ++taken;
    return taken;
  }
  int lookups(std::string_view principal) {
    int taken = 0;
    while (taken < 1'000 && limits_.takeLookup(principal) == 0) ++taken;
    return taken;
  }

  test::ManualClock clock_;
  RateLimits limits_{clock_, small()};
};

TEST_F(RateLimitsTest, ACallerHasItsBurstAndNoMore) {
  EXPECT_EQ(passes("human:a"), 8);
  EXPECT_GT(take("human:a", 1), 0);
}

TEST_F(RateLimitsTest, AFloodOfOneCallerDelaysNoOther) {
  EXPECT_EQ(passes("human:a"), 8);
  EXPECT_EQ(passes("human:b"), 8);
}

TEST_F(RateLimitsTest, ManyCallersShareTheirWorkspace) {
  EXPECT_EQ(passes("human:a") + passes("human:b") + passes("human:c") + passes("human:d"), 20);
}

TEST_F(RateLimitsTest, AFullWorkspaceDelaysNoOther) {
  for (const char* caller : {"human:a", "human:b", "human:c"}) passes(caller);
  EXPECT_GT(take("human:d", 1), 0);
  EXPECT_EQ(passes("human:d", "w2"), 8);
  EXPECT_EQ(passes("human:a", "w2"), 8);  // and the caller's own flood was one of the first workspace
}

TEST_F(RateLimitsTest, IdsThatReadTheSameSideBySideAreDifferentCallers) {
  EXPECT_EQ(passes("c", "ab"), 8);
  EXPECT_EQ(passes("bc", "a"), 8);
  // A workspace and a caller of the same name are two buckets as well.
  EXPECT_EQ(passes("w9", "w9"), 8);
  EXPECT_EQ(passes("other", "w9"), 8);
}

TEST_F(RateLimitsTest, WhatIsRefusedIsTakenFromNeitherBucket) {
  EXPECT_EQ(take("human:a", 8), 0);
  for (int round = 0; round < 100; ++round) EXPECT_GT(take("human:a", 5), 0);
  // Of the workspace's 20 only the 8 are gone.
  EXPECT_EQ(passes("human:b"), 8);
  EXPECT_EQ(passes("human:c"), 4);
  // The workspace is empty: the caller whose entry it refused has all of its own.
  for (int round = 0; round < 100; ++round) EXPECT_GT(take("human:d", 1), 0);
  clock_.advanceSeconds(1);
  EXPECT_EQ(take("human:d", 8), 0);
}

TEST_F(RateLimitsTest, ComingAgainAsToldHelpsAndEarlierDoesNot) {
  for (const std::uint64_t entries : {1U, 3U, 7U, 8U}) {
    SCOPED_TRACE(entries);
    const std::string caller = "human:" + std::to_string(entries);
    const std::string workspace = "w" + std::to_string(entries);
    passes(caller, workspace);
    const std::int64_t wait = take(caller, entries, workspace);
    EXPECT_EQ(wait, static_cast<std::int64_t>(entries) * 250);
    clock_.advance((wait - 1) * kMillisecond);
    EXPECT_GT(take(caller, entries, workspace), 0);
    clock_.advance(kMillisecond);
    EXPECT_EQ(take(caller, entries, workspace), 0);
  }
}

TEST_F(RateLimitsTest, ComingAgainAsToldHelpsAlsoWhereTheNumbersAreNotRound) {
  RateLimitOptions options;
  options.workspacePerSecond = 7'919;
  options.workspaceBurst = 15'838;
  options.principalPerSecond = 3'331;
  options.principalBurst = 6'662;
  RateLimits limits(clock_, options);
  for (std::uint64_t entries = 1; entries < 6'000; entries += 37) {
    std::int64_t wait = limits.take("w1", "human:a", entries, false);
    if (wait == 0) continue;
    clock_.advance(wait * kMillisecond);
    EXPECT_EQ(limits.take("w1", "human:a", entries, false), 0) << entries;
  }
}

TEST_F(RateLimitsTest, TheFullerOfTheTwoBucketsDoesNotShortenTheWait) {
  // The workspace is empty and gives 10 a second; the caller has 8 left: it is the workspace that it waits for.
  for (const char* caller : {"human:a", "human:b", "human:c"}) passes(caller);
  EXPECT_EQ(take("human:d", 5), 500);
}

TEST_F(RateLimitsTest, NothingIsSavedUpBeyondTheBurst) {
  EXPECT_EQ(passes("human:a"), 8);
  clock_.advanceSeconds(3'600);
  EXPECT_EQ(passes("human:a"), 8);
}

TEST_F(RateLimitsTest, TheWallClockDoesNotFillThem) {
  EXPECT_EQ(passes("human:a"), 8);
  clock_.jump(3'600 * kNanosecondsPerSecond);
  EXPECT_EQ(passes("human:a"), 0);
  clock_.jump(-7'200 * kNanosecondsPerSecond);
  EXPECT_EQ(passes("human:a"), 0);
}

TEST_F(RateLimitsTest, RevocationsPassAndAreCounted) {
  passes("human:a");
  for (int round = 0; round < 16; ++round) EXPECT_EQ(limits_.take("w1", "human:a", 1, true), 0);
  // Eight and sixteen of the workspace's twenty: others wait for what was taken in advance.
  EXPECT_GT(take("human:b", 1), 0);
  EXPECT_EQ(take("human:a", 1), 4'250);
  clock_.advanceSeconds(1);
  EXPECT_EQ(take("human:b", 6), 0);
}

TEST_F(RateLimitsTest, LookUpsAreThirtyAMinuteAndCaller) {
  EXPECT_EQ(lookups("human:a"), 30);
  EXPECT_EQ(limits_.takeLookup("human:a"), 2'000);
  EXPECT_EQ(lookups("human:b"), 30);
  clock_.advance(1'999 * kMillisecond);
  EXPECT_EQ(lookups("human:a"), 0);
  clock_.advance(kMillisecond);
  EXPECT_EQ(lookups("human:a"), 1);
  clock_.advanceSeconds(60);
  EXPECT_EQ(lookups("human:a"), 30);
  clock_.advanceSeconds(3'600);
  EXPECT_EQ(lookups("human:a"), 30);
}

TEST_F(RateLimitsTest, LookUpsAndEntriesAreCountedApart) {
  EXPECT_EQ(lookups("human:a"), 30);
  EXPECT_EQ(passes("human:a"), 8);
  EXPECT_EQ(limits_.take("w1", "human:a", 50, true), 0);
  clock_.advanceSeconds(2);
  EXPECT_EQ(lookups("human:a"), 1);
}

// A workspace that is no limit, so that callers count alone.
RateLimitOptions wide() {
  RateLimitOptions options = small();
  options.workspacePerSecond = 1e9;
  options.workspaceBurst = 1e9;
  return options;
}

constexpr std::size_t kBucketsMax = 100'000;

TEST_F(RateLimitsTest, CallersWithoutNumberMakeNobodysEmptyBucketFull) {
  RateLimits limits(clock_, wide());
  while (limits.take("w1", "human:victim", 1, false) == 0) {
  }
  std::size_t turnedAway = 0;
  for (std::size_t caller = 0; caller < kBucketsMax + 1'000; ++caller) {
    if (limits.take("w1", "service:" + std::to_string(caller), 1, false) != 0) ++turnedAway;
  }
  EXPECT_LE(limits.buckets(), kBucketsMax);
  EXPECT_GE(turnedAway, 1'000U) << "none of them is full again: there is no room for more";
  EXPECT_EQ(limits.take("w1", "human:victim", 1, false), 250) << "its own empty bucket was forgotten";
}

TEST_F(RateLimitsTest, FullBucketsMakeRoomForOthersAndEmptyOnesDoNot) {
  RateLimits limits(clock_, wide());
  while (limits.take("w1", "human:victim", 1, false) == 0) {
  }
  for (std::size_t caller = 0; caller < kBucketsMax; ++caller) limits.take("w1", "service:" + std::to_string(caller), 1, false);
  EXPECT_GT(limits.take("w1", "human:late", 1, false), 0);
  clock_.advance(250 * kMillisecond);
  // As many again, each in the place of one that is full by now.
  for (std::size_t caller = 0; caller < kBucketsMax - 10; ++caller) {
    ASSERT_EQ(limits.take("w1", "host:" + std::to_string(caller), 1, false), 0) << caller;
  }
  EXPECT_LE(limits.buckets(), kBucketsMax);
  EXPECT_EQ(limits.take("w1", "human:victim", 1, false), 0) << "what a quarter of a second gives";
  EXPECT_EQ(limits.take("w1", "human:victim", 1, false), 250);
}

TEST_F(RateLimitsTest, WhoCameBackIsNotForgottenInItsFirstTurn) {
  RateLimits limits(clock_, wide());
  EXPECT_EQ(limits.take("w1", "human:victim", 1, false), 0);
  clock_.advance(250 * kMillisecond);
  while (limits.take("w1", "human:victim", 1, false) == 0) {
  }
  for (std::size_t caller = 0; caller < 2 * kBucketsMax; ++caller) limits.take("w1", "service:" + std::to_string(caller), 1, false);
  EXPECT_EQ(limits.take("w1", "human:victim", 1, false), 250);
}

TEST_F(RateLimitsTest, RevocationsPassWhereThereIsNoRoom) {
  RateLimits limits(clock_, wide());
  for (std::size_t caller = 0; caller < kBucketsMax; ++caller) limits.take("w1", "service:" + std::to_string(caller), 1, false);
  EXPECT_GT(limits.take("w1", "human:late", 1, false), 0);
  EXPECT_EQ(limits.take("w1", "human:late", 1, true), 0);
}

TEST_F(RateLimitsTest, LookUpsWithoutNumberMakeNobodysEmptyBucketFull) {
  EXPECT_EQ(lookups("human:victim"), 30);
  for (std::size_t caller = 0; caller < kBucketsMax + 1'000; ++caller) limits_.takeLookup("human:" + std::to_string(caller));
  EXPECT_EQ(limits_.takeLookup("human:victim"), 2'000);
  EXPECT_EQ(passes("human:victim"), 8) << "and entries have room of their own";
}

}  // namespace
}  // namespace counterfoil::server
