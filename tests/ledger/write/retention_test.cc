// Months whose time is over, to their end: their keys are destroyed, nobody reads them any more, and the workspace goes on as if nothing had
// happened, from every place.
#include "ledger/write/retention.h"

#include <gmock/gmock.h>

#include "tests/support/retention_fixture.h"

namespace counterfoil::write {
namespace {

using testing::UnorderedElementsAre;
using test::kAlpha;

using test::kDaySeconds;

class RetentionTest : public test::RetentionFixture {};

TEST_F(RetentionTest, AMonthWhoseTimeIsOverIsGoneAndWhatItHeldLivesOn) {
  liveTwoMonths();
  ledger_->drain();
  EXPECT_EQ(readFromZero().withheld, 0U) << "four days after January";
  pass(28);
  grant("three", "carol");
  ledger_->drain();
  const Reading reading = readFromZero();
  EXPECT_EQ(reading.withheld, january_);
  EXPECT_THAT(reading.destroyed, UnorderedElementsAre("log", "key_encryption"));
  EXPECT_THAT(reading.persons, UnorderedElementsAre("bob", "carol"));
  EXPECT_EQ(ledger_->status().owedRenewals, 0U);
  EXPECT_TRUE(consume("long"));
  for (int round = 0; round < 2; ++round) {
    crash();
    EXPECT_TRUE(notes_.empty());
    EXPECT_TRUE(consume("long")) << "granted in a month that nobody can read any more";
    grant("later-" + std::to_string(round), "alice");
  }
  ledger_->drain();
  EXPECT_EQ(readFromZero().destroyed.size(), 2U) << "nothing more is due";
  // The next month, with the state that was carried when the first one went.
  pass(60);
  ledger_->drain();
  EXPECT_GT(readFromZero().withheld, january_);
  crash();
  EXPECT_TRUE(consume("long"));
}

TEST_F(RetentionTest, ASnapshotOfAfterIsUsedAndOneOfBeforeIsNot) {
  liveTwoMonths();
  ledger_->stop();
  ledger_.reset();
  open();
  pass(28);
  ledger_->drain();
  crash(true);
  EXPECT_EQ(notes_.size(), 1U) << "what opens the older snapshot is gone";
  EXPECT_TRUE(consume("long"));
  ledger_->stop();
  ledger_.reset();
  open();
  EXPECT_TRUE(notes_.empty());
  EXPECT_TRUE(consume("long"));
}

TEST_F(RetentionTest, WhatACrashLeftOwedIsDoneAtTheNextStart) {
  liveTwoMonths();
  pass(28);
  provider_.refuseNewVersions(true);
  ledger_->drain();
  EXPECT_EQ(ledger_->status().owedRenewals, 1U);
  EXPECT_EQ(readFromZero().withheld, 0U) << "nothing is destroyed before the rest is wrapped anew";
  for (int round = 0; round < 2; ++round) {
    crash();
    EXPECT_EQ(ledger_->status().owedRenewals, 1U);
    EXPECT_TRUE(ledger_->keyRing().workspace(kAlpha)->months().empty() ||
                ledger_->keyRing().workspace(kAlpha)->months().front().first != keys::monthGeneration({1'767'225'600LL * kNanosecondsPerSecond}))
        << "nobody in this process opens January";
  }
  provider_.refuseNewVersions(false);
  ledger_->drain();
  EXPECT_EQ(ledger_->status().owedRenewals, 0U);
  EXPECT_EQ(readFromZero().withheld, january_);
  crash();
  EXPECT_TRUE(consume("long"));
}

TEST_F(RetentionTest, AHoldKeepsEverythingWhileItStands) {
  liveTwoMonths();
  hold("case-1");
  pass(28);
  ledger_->drain();
  EXPECT_EQ(readFromZero().withheld, 0U);
  release("case-1");
  ledger_->drain();
  EXPECT_EQ(readFromZero().withheld, january_);
}

TEST_F(RetentionTest, AShorterTimeWaitsADay) {
  liveTwoMonths();
  retain(0);
  pass(28);
  retain(1);
  ledger_->drain();
  EXPECT_EQ(readFromZero().withheld, 0U);
  clock_.advanceSeconds(kDaySeconds - 1);
  ledger_->drain();
  EXPECT_EQ(readFromZero().withheld, 0U);
  clock_.advanceSeconds(1);
  ledger_->drain();
  EXPECT_GE(readFromZero().withheld, january_);
}

TEST_F(RetentionTest, ALeapOfTheClockDestroysNothing) {
  liveTwoMonths();
  clock_.jump(400 * kDaySeconds * kNanosecondsPerSecond);
  ledger_->drain();
  ledger_->carryState(kAlpha);
  EXPECT_TRUE(ledger_->status().clockPaused);
  EXPECT_EQ(readFromZero().withheld, 0U);
  EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->months().size(), 2U);
}

TEST_F(RetentionTest, ThisMonthIsNeverDueAndThatOfAnotherWorkspaceNeither) {
  liveTwoMonths();
  Command create = Command::make(CommandKind::workspaceCreate);
  create.body.setText(create.arena, Field::workspaceId, "beta");
  ledger_->execute("", std::move(create));
  retain(1);
  pass(400);
  ledger_->drain();
  const auto months = ledger_->keyRing().workspace(kAlpha)->months();
  ASSERT_EQ(months.size(), 1U) << "the one that says what happened to the others";
  EXPECT_EQ(months.front().first, keys::monthGeneration(clock_.wall()));
  EXPECT_EQ(provider_.currentVersion(WorkspaceNumber{2}), 1U);
  EXPECT_EQ(ledger_->keyRing().workspace(WorkspaceNumber{2})->months().size(), 1U);
  crash();
  EXPECT_TRUE(ledger_->findWorkspace("beta"));
}

TEST_F(RetentionTest, ContentThatIsGoneForNoReasonStopsTheWriter) {
  liveTwoMonths();
  pass(28);
  ledger_->drain();
  ledger_.reset();
  std::filesystem::remove(snapshotPath(folder_.path(), PartitionId{0}));
  provider_.destroyVersion(kAlpha, provider_.currentVersion(kAlpha));
  const std::uint64_t before = recorded();
  ledger_ = std::make_unique<Ledger>(log_, provider_, clock_, random_, LedgerOptions{});
  try {
    ledger_->start([](const std::string&) {});
    FAIL() << "it knows nothing of the workspace";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::keyMissing);
  }
  EXPECT_EQ(recorded(), before) << "not even a claim was written";
}

}  // namespace
}  // namespace counterfoil::write
