// Changes that are not committed can be undone, whatever they were; a state can be put away and taken up again; and what is no saved state
// is recognised.
#include <gtest/gtest.h>

#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Desk;
using test::kHour;
using test::kMinute;
using test::kSecond;
using test::operator+;

// Something of everything a state can hold.
void fill(Desk& desk) {
  desk.grant(
      {.id = "root", .grantee = "mole", .run = "r1", .host = "h1", .bundle = "b1", .secret = test::secretText(1), .renewable = 3600});
  desk.grant({.id = "child", .parent = "root", .resources = {"acme/a"}, .maxUses = 2});
  desk.request({.id = "waiting", .parent = "child", .resources = {"acme/a"}});
  ASSERT_FALSE(desk.state().slotOf("waiting") == kNoLease);
  desk.consume("child");
  desk.reportGrant("f1", desk.now, desk.now + kHour, test::secretText(2));
  desk.reportGrant("f2", desk.now, desk.now + kMinute, {}, "p2");
  desk.report(Kind::leaseRevoked, "f2", desk.now, "p2");
  desk.fact({.kind = Kind::runStarted, .occurredAt = desk.now, .producerSeq = 3}, [](Arena&, StructValue&) {});
  desk.askApproval({.scope = {"danger:x"}}, "a1", "asker", 0, "owl");
  desk.grant({.id = "gone"});
  desk.revoke("gone");
  desk.revoke("child");  // `waiting` is owed its end
}

TEST(Speculation, rollbackUndoesEverything) {
  Desk desk;
  fill(desk);
  desk.state().mark();
  const std::vector<std::uint8_t> before = desk.saved();
  const std::size_t size = desk.size();
  desk.settle();
  desk.grant({.id = "new", .parent = "root"});
  desk.renew("root", 1800);
  desk.revokeAll(RevocationSelector::run, "r1");
  desk.settle();
  desk.report(Kind::leaseConsumed, "f1", desk.now);
  desk.importFinished("openbao", "p1");
  desk.decideApproval("a1", Decision::approved, "boss");
  desk.setPolicy("name = \"other\"\n");
  desk.now = desk.now + 30 * kHour;
  desk.settle();
  desk.close();
  EXPECT_NE(desk.saved(), before);
  desk.state().rollback();
  desk.forgetFrom(size);
  EXPECT_EQ(desk.saved(), before);
  EXPECT_EQ(desk.saved(), desk.refolded());
  EXPECT_EQ(desk.state().outstanding(test::agent("mole")), 1U);
  // Time went on meanwhile: all that is left ends, each once, by timers that were armed again.
  EXPECT_EQ(desk.settle(), 2U);
  desk.importFinished("openbao", "p1");
  EXPECT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.state().liveLeases(), 0U);
}

TEST(Speculation, batchesAreCommittedOneByOne) {
  Desk desk;
  fill(desk);
  desk.state().mark();
  desk.grant({.id = "first"});
  const std::uint64_t mark = desk.state().mark();
  const std::vector<std::uint8_t> between = desk.saved();
  const std::size_t size = desk.size();
  desk.revoke("first");
  desk.grant({.id = "second"});
  desk.state().commitTo(mark);
  desk.state().rollback();
  desk.forgetFrom(size);
  EXPECT_EQ(desk.saved(), between);
  EXPECT_EQ(desk.stateOf("first"), LeaseState::active);
  // A mark of the batch that is gone commits nothing of the next one.
  desk.state().mark();
  desk.grant({.id = "third"});
  desk.state().commitTo(mark);
  desk.state().rollback();
  EXPECT_EQ(desk.saved(), between);
}

TEST(Speculation, withoutANewMarkRollbackStillFindsTheHead) {
  Desk desk;
  desk.state().mark();
  desk.grant({.id = "l1"});
  desk.state().rollback();
  const std::vector<std::uint8_t> before = desk.saved();
  desk.grant({.id = "l2"});
  desk.state().rollback();
  EXPECT_EQ(desk.saved(), before);
}

TEST(Speculation, forgottenLeasesComeBack) {
  Desk desk;
  for (int number = 0; number < 10; ++number) {
    desk.grant({.id = "p" + std::to_string(number)});
    desk.grant({.id = "c" + std::to_string(number), .parent = "p" + std::to_string(number)});
    desk.grant({.id = "d" + std::to_string(number), .parent = "p" + std::to_string(number)});
    desk.reportGrant("f" + std::to_string(number), desk.now, desk.now + kMinute, test::secretText(static_cast<std::uint8_t>(number + 1)));
    desk.report(Kind::leaseRevoked, "f" + std::to_string(number), desk.now);
    desk.revoke((number % 2 == 0 ? "c" : "p") + std::to_string(number));
  }
  desk.settle();
  desk.now = desk.now + 24 * kHour;
  desk.settle(5);
  const std::vector<std::uint8_t> before = desk.saved();
  const std::size_t size = desk.size();
  desk.state().mark();
  for (int entry = 0; entry < 5; ++entry) {
    desk.report(Kind::leaseConsumed, "nobody", desk.now + kHour);
    desk.grant({.id = "new" + std::to_string(entry)});
  }
  EXPECT_EQ(desk.state().slotOf("f1"), kNoLease);
  EXPECT_EQ(desk.state().slotOf("c0"), kNoLease);
  desk.state().rollback();
  desk.forgetFrom(size);
  EXPECT_EQ(desk.saved(), before);
  EXPECT_NE(desk.state().slotOfFingerprint(test::secretText(2)), kNoLease);
  EXPECT_EQ(desk.saved(), desk.refolded());
  desk.now = desk.now + 24 * kHour;
  for (int entry = 0; entry < 3; ++entry) desk.report(Kind::leaseConsumed, "nobody", desk.now + kHour);
  EXPECT_EQ(desk.saved(), desk.refolded());
}

TEST(Speculation, aRolledBackSlotsTimerMeansNothingToTheNextLease) {
  Desk desk;
  desk.state().mark();
  desk.grant({.id = "l1", .ttl = 30});
  desk.state().rollback();
  desk.grant({.id = "l2", .ttl = 900});
  desk.now = desk.now + kMinute;
  EXPECT_EQ(desk.settle(), 0U);
  EXPECT_EQ(desk.stateOf("l2"), LeaseState::active);
}

TEST(Snapshot, holdsEverything) {
  Desk desk;
  fill(desk);
  desk.restart();
  EXPECT_EQ(desk.saved(), desk.refolded());
  EXPECT_EQ(desk.state().outstanding(test::agent("mole")), 1U);
  EXPECT_EQ(desk.state().findLease("child")->depth, 2);
  EXPECT_EQ(desk.state().slotOfFingerprint(test::secretText(2)), desk.state().slotOf("f1"));
  EXPECT_TRUE(desk.timers().isArmed(desk.state(), desk.state().slotOf("root"), desk.state().findLease("root")->expiresAt));
  test::expectDenied(desk, desk.consume("waiting"), LeaseStep::consume, ReasonCode::revoked);
  EXPECT_EQ(desk.settle(), 1U);
  desk.now = desk.now + kHour;
  EXPECT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.saved(), desk.refolded());
}

TEST(Snapshot, ofAnEmptyState) {
  Desk desk(false);
  desk.restart();
  EXPECT_EQ(desk.state().head().size(), 0U);
}

TEST(Snapshot, ofTheSystemWorkspace) {
  Desk desk(false, kSystemWorkspace);
  for (std::uint64_t number = 1; number < 4; ++number) {
    desk.state().mark();
    RedactedEvent event = RedactedEvent::ofLedger(Kind::workspaceCreated, makeUuidV8("w" + std::to_string(number)));
    event.body().setText(event.arena(), Field::workspaceId, "w" + std::to_string(number));
    event.body().setNumber(Field::number, number);
    desk.record(std::move(event));
    if (number == 3) desk.state().rollback();
    desk.state().commitTo(desk.state().mark());
  }
  EXPECT_EQ(desk.state().nextNumber(), 3U);
  EXPECT_EQ(desk.state().allocated().at("w2").number, 2U);
  EXPECT_FALSE(desk.state().allocated().contains("w3"));
  desk.restart();
  EXPECT_EQ(desk.state().nextNumber(), 3U);
}

// Whatever is loaded is what would be saved; everything else is refused. Nothing hangs, crashes or reads past the end.
TEST(Snapshot, damagedBytesAreRefusedOrMeanWhatTheySay) {
  Desk desk;
  fill(desk);
  const std::vector<std::uint8_t> good = desk.saved();
  std::size_t refused = 0;
  const auto tryLoad = [&](const std::vector<std::uint8_t>& bytes) {
    test::Timers timers;
    WorkspaceState state({7}, timers);
    if (!state.load(bytes)) {
      ++refused;
      return;
    }
    std::vector<std::uint8_t> again;
    state.save(again);
    EXPECT_EQ(again, bytes);
    if (state.hasOwed()) {
      EXPECT_NO_THROW(owedEnd(state));
    }
  };
  for (std::size_t length = 0; length < good.size(); ++length) tryLoad({good.begin(), good.begin() + static_cast<std::ptrdiff_t>(length)});
  EXPECT_EQ(refused, good.size()) << "a shortened state is none";
  std::vector<std::uint8_t> longer = good;
  longer.push_back(0);
  tryLoad(longer);
  EXPECT_EQ(refused, good.size() + 1);
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const unsigned change : {0x01U, 0x02U, 0x10U, 0x7fU, 0x80U, 0xffU}) {
      std::vector<std::uint8_t> bytes = good;
      bytes[at] = static_cast<std::uint8_t>(bytes[at] ^ change);
      tryLoad(bytes);
    }
  }
  EXPECT_GT(refused, 2 * good.size());
}

TEST(Snapshot, ofAnotherWorkspaceIsRefused) {
  Desk desk;
  test::Timers timers;
  WorkspaceState state({8}, timers);
  EXPECT_FALSE(state.load(desk.saved()));
}

}  // namespace
}  // namespace counterfoil
