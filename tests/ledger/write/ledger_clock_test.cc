#include "ledger/write/ledger_clock.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"

namespace counterfoil::write {
namespace {

constexpr std::int64_t kSecond = kNanosecondsPerSecond;

class LedgerClockTest : public testing::Test {
 protected:
  test::ManualClock clock_;
};

TEST_F(LedgerClockTest, FollowsTheWallClock) {
  LedgerClock clock(clock_, {}, false);
  const Timestamp first = *clock.now();
  clock_.advance(3 * kSecond);
  EXPECT_EQ(clock.now()->nanoseconds, first.nanoseconds + 3 * kSecond);
  EXPECT_FALSE(clock.takeJump());
}

TEST_F(LedgerClockTest, ASmallStepBackKeepsTheTimeOfTheLastEntry) {
  LedgerClock clock(clock_, {}, false);
  const Timestamp first = *clock.now();
  clock_.jump(-5 * kSecond);
  EXPECT_EQ(*clock.now(), first);
}

TEST_F(LedgerClockTest, ALargerStepBackIsRefused) {
  LedgerClock clock(clock_, {}, false);
  clock.now();
  clock_.jump(-6 * kSecond);
  EXPECT_FALSE(clock.now());
  clock_.advance(2 * kSecond);
  EXPECT_TRUE(clock.now()) << "and accepted again once the wall has caught up";
}

TEST_F(LedgerClockTest, AStepForwardPausesAndTimeGoesOnFromTheLastTrustedOne) {
  LedgerClock clock(clock_, {}, false);
  const Timestamp before = *clock.now();
  clock_.jump(31 * kSecond);
  EXPECT_EQ(*clock.now(), before);
  EXPECT_TRUE(clock.paused());
  const auto jump = clock.takeJump();
  ASSERT_TRUE(jump);
  EXPECT_TRUE(jump->paused);
  EXPECT_EQ(jump->to.nanoseconds - jump->from.nanoseconds, 31 * kSecond);
  EXPECT_FALSE(clock.takeJump()) << "told once";
  clock_.advance(10 * kSecond);
  EXPECT_EQ(clock.now()->nanoseconds, before.nanoseconds + 10 * kSecond);
}

TEST_F(LedgerClockTest, AStepOfThirtySecondsIsNone) {
  LedgerClock clock(clock_, {}, false);
  clock.now();
  clock_.jump(30 * kSecond);
  clock.now();
  EXPECT_FALSE(clock.paused());
}

TEST_F(LedgerClockTest, AStepOfTenMinutesResumesAfterAMinuteOfStability) {
  LedgerClock clock(clock_, {}, false);
  clock.now();
  clock_.jump(600 * kSecond);
  clock.now();
  clock_.advance(59 * kSecond);
  clock.now();
  EXPECT_TRUE(clock.paused());
  clock_.advance(1 * kSecond);
  EXPECT_EQ(*clock.now(), clock_.wall());
  EXPECT_FALSE(clock.paused());
}

TEST_F(LedgerClockTest, ALargerStepResumesOnlyWhenAccepted) {
  LedgerClock clock(clock_, {}, false);
  clock.now();
  clock_.jump(601 * kSecond);
  clock.now();
  clock_.advance(3600 * kSecond);
  clock.now();
  EXPECT_TRUE(clock.paused());
  clock.takeJump();
  clock.accept();
  EXPECT_EQ(*clock.now(), clock_.wall());
  ASSERT_FALSE(clock.paused());
  EXPECT_FALSE(clock.takeJump()->paused);
}

TEST_F(LedgerClockTest, AnotherStepDuringThePauseStartsTheMinuteAnew) {
  LedgerClock clock(clock_, {}, false);
  clock.now();
  clock_.jump(100 * kSecond);
  clock.now();
  clock_.advance(50 * kSecond);
  clock_.jump(20 * kSecond);
  clock.now();
  clock_.advance(50 * kSecond);
  clock.now();
  EXPECT_TRUE(clock.paused());
}

TEST_F(LedgerClockTest, AStartMoreThanADayAfterTheLastEntryPausesUnlessTheKernelVouches) {
  const Timestamp last{clock_.wall().nanoseconds - 25 * 3600 * kSecond};
  LedgerClock vouched(clock_, last, false);
  EXPECT_FALSE(vouched.paused());
  clock_.setSynchronised(false);
  LedgerClock doubted(clock_, last, false);
  EXPECT_TRUE(doubted.paused());
  EXPECT_EQ(*doubted.now(), last);
  LedgerClock accepted(clock_, last, true);
  EXPECT_FALSE(accepted.paused());
  LedgerClock recent(clock_, {clock_.wall().nanoseconds - 24 * 3600 * kSecond}, false);
  EXPECT_FALSE(recent.paused());
}

}  // namespace
}  // namespace counterfoil::write
