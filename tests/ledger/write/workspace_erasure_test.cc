// A workspace that is erased, to its end: nothing of it opens any more, its number and head stay, and nothing is ever recorded in it again.
#include <gmock/gmock.h>

#include "tests/support/retention_fixture.h"

namespace counterfoil::write {
namespace {

using test::kAlpha;

class WorkspaceErasureTest : public test::RetentionFixture {
 protected:
  Command order(std::string_view approval, std::string_view actor) {
    Command command = Command::make(CommandKind::workspaceErase);
    setPrincipal(command.arena, command.common, Field::actor, {PrincipalKind::human, actor});
    command.body.setText(command.arena, Field::workspaceId, "alpha");
    command.body.setText(command.arena, Field::approval, approval);
    command.body.setText(command.arena, Field::basis, "contract-7");
    return command;
  }
  void approve(const std::string& approval) {
    Command decide = Command::make(CommandKind::approvalDecide);
    setPrincipal(decide.arena, decide.common, Field::actor, {PrincipalKind::human, "adam"});
    decide.body.setText(decide.arena, Field::approvalId, approval);
    decide.body.setNumber(Field::decision, static_cast<std::uint64_t>(Decision::approved));
    decide.body.setFlag(Field::asAdministrator, true);
    ledger_->execute("_system", std::move(decide));
  }
  Answer eraseAlpha() {
    const std::string approval = ledger_->execute("", order({}, "olga")).approvalId;
    approve(approval);
    return ledger_->execute("", order(approval, "olga"));
  }
  ErrorCode refusal(const std::function<void()>& request) {
    try {
      request();
    } catch (const Fault& fault) {
      return fault.code();
    }
    return ErrorCode::internal;
  }
  void expectGone() {
    EXPECT_EQ(provider_.currentVersion(kAlpha), 0U);
    const Reading reading = readFromZero();
    EXPECT_EQ(reading.opened, 0U);
    EXPECT_GT(reading.withheld, 0U);
    EXPECT_EQ(refusal([&] { grant("again", "alice"); }), ErrorCode::workspaceClosed);
    EXPECT_EQ(refusal([&] { retain(30); }), ErrorCode::workspaceClosed);
    EXPECT_EQ(refusal([&] { ledger_->appendOwn(kAlpha, RedactedEvent::ofLedger(Kind::ledgerStarted, ledger_->freshId(kAlpha))); }),
              ErrorCode::workspaceClosed);
    EXPECT_EQ(provider_.currentVersion(kAlpha), 0U) << "no request made it a new key";
    EXPECT_EQ(ledger_->status().owedRenewals, 0U);
    EXPECT_EQ(ledger_->findWorkspace("alpha"), kAlpha) << "its number is not given again";
    EXPECT_EQ(refusal([&] {
                Command create = Command::make(CommandKind::workspaceCreate);
                create.body.setText(create.arena, Field::workspaceId, "alpha");
                ledger_->execute("", std::move(create));
              }),
              ErrorCode::alreadyExists);
    EXPECT_EQ(refusal([&] { ledger_->execute("", order({}, "olga")); }), ErrorCode::workspaceClosed);
  }
};

TEST_F(WorkspaceErasureTest, NothingOfItOpensAndItsHeadStays) {
  grant("one", "alice");
  grantFor("long", 300 * test::kDaySeconds);
  EXPECT_EQ(eraseAlpha().kind, Kind::workspaceErased);
  ledger_->drain();
  const std::uint64_t last = size();
  expectGone();
  EXPECT_EQ(ledger_->status().liveLeases, 0U) << "each of them ended before";
  EXPECT_EQ(size(), last);
  for (int round = 0; round < 2; ++round) {
    crash();
    EXPECT_TRUE(notes_.empty());
    EXPECT_EQ(size(), last);
    expectGone();
  }
  ledger_->stop();
  ledger_.reset();
  open();
  EXPECT_TRUE(notes_.empty()) << "the snapshot is used";
  EXPECT_EQ(size(), last);
  expectGone();
  pass(400);
  ledger_->drain();
  expectGone();
}

TEST_F(WorkspaceErasureTest, OthersGoOn) {
  Command create = Command::make(CommandKind::workspaceCreate);
  create.body.setText(create.arena, Field::workspaceId, "beta");
  ledger_->execute("", std::move(create));
  grant("one", "alice");
  eraseAlpha();
  ledger_->drain();
  crash();
  Command policy = Command::make(CommandKind::policySet);
  policy.body.setText(policy.arena, Field::document, test::kRenewalPolicy);
  ledger_->execute("beta", std::move(policy));
  EXPECT_EQ(provider_.currentVersion(WorkspaceNumber{2}), 1U);
}

TEST_F(WorkspaceErasureTest, NeedsTwoPersons) {
  const std::string approval = ledger_->execute("", order({}, "olga")).approvalId;
  EXPECT_EQ(refusal([&] { ledger_->execute("", order(approval, "olga")); }), ErrorCode::notAllowed);
  approve(approval);
  EXPECT_EQ(refusal([&] { ledger_->execute("", order(approval, "adam")); }), ErrorCode::notAllowed) << "who approved it";
  EXPECT_EQ(refusal([&] { ledger_->execute("", order("another", "olga")); }), ErrorCode::noSuchItem);
  ledger_->drain();
  grant("one", "alice");
  EXPECT_EQ(ledger_->status().owedRenewals, 0U);
}

TEST_F(WorkspaceErasureTest, WaitsForAHold) {
  grant("one", "alice");
  hold("case-1");
  eraseAlpha();
  for (int round = 0; round < 2; ++round) {
    ledger_->drain();
    EXPECT_EQ(ledger_->status().owedRenewals, 1U);
    EXPECT_GT(readFromZero().opened, 0U);
    EXPECT_FALSE(ledger_->renewalTrouble());
    crash();
  }
  release("case-1");
  ledger_->drain();
  expectGone();
}

TEST_F(WorkspaceErasureTest, WhatACrashLeftOwedIsDoneAtTheNextStart) {
  for (int number = 0; number < 3; ++number) grantFor("lease-" + std::to_string(number), 86'400);
  eraseAlpha();
  crash();
  ledger_->drain();
  expectGone();
  EXPECT_EQ(ledger_->status().liveLeases, 0U);
}

// The key is destroyed, and the process dies before that is on the record.
TEST_F(WorkspaceErasureTest, AKeyThatIsGoneBeforeTheRecordSaysSoIsNoLostKey) {
  grant("one", "alice");
  hold("case-1");
  eraseAlpha();
  ledger_->drain();
  ledger_.reset();
  std::filesystem::remove(snapshotPath(folder_.path(), PartitionId{0}));
  provider_.destroyVersion(kAlpha, 1);
  open();
  ledger_->drain();
  expectGone();
}

// The keys folder is that of before the last rotation, while the erasure waits for a hold: nothing more may go.
TEST_F(WorkspaceErasureTest, AnOrderThatWaitsExplainsNoLostKeys) {
  grant("one", "alice");
  hold("case-1");
  eraseAlpha();
  ledger_->drain();
  ledger_.reset();
  std::filesystem::remove(snapshotPath(folder_.path(), PartitionId{0}));
  provider_.destroyVersion(kAlpha, 1);
  provider_.createVersion(kAlpha);  // another one than any record was sealed under
  EXPECT_EQ(refusal([&] { open(); }), ErrorCode::keyMissing);
  EXPECT_EQ(provider_.currentVersion(kAlpha), 2U);
}

TEST_F(WorkspaceErasureTest, AnErasureAndOnePersonsTogether) {
  grant("one", "alice");
  provider_.refuseNewVersions(true);
  erase("alice");
  ledger_->drain();
  eraseAlpha();
  ledger_->drain();
  provider_.refuseNewVersions(false);
  ledger_->drain();
  expectGone();
  crash();
  expectGone();
}

}  // namespace
}  // namespace counterfoil::write
