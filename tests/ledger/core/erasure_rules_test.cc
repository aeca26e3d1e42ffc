// Holds, the erasure of a person by two administrators, and what the state remembers of keys that are to be destroyed.
#include <gtest/gtest.h>

#include "ledger/core/limits.h"
#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Desk;
using test::expectFault;
using test::kHour;
using test::operator+;

constexpr std::string_view kAlice = "p2:AAAAAAAAAAAAAAAAAAAAAA";
constexpr std::string_view kBob = "p2:BBBBBBBBBBBBBBBBBBBBBA";
constexpr std::string_view kAliceKey = "000102030405060708090a0b0c0d0e0f";
constexpr std::string_view kBobKey = "101112131415161718191a1b1c1d1e1f";
constexpr std::int64_t kDay = 24 * kHour;

class EraseDesk : public Desk {
 public:
  using Desk::freshId;
};

class Erasure : public testing::Test {
 protected:
  Ruling erase(std::string_view person, std::string_view key, std::string_view approval = {}, std::string_view actor = "olga") {
    return desk.command(
        CommandKind::subjectErase,
        [&](Arena& arena, StructValue&, StructValue& body) {
          body.setText(arena, Field::pseudonym, person);
          body.setText(arena, Field::keyId, key);
          body.setText(arena, Field::approval, approval);
          body.setText(arena, Field::basis, "ticket-7");
        },
        actor, std::string("binding of ") + std::string(person));
  }
  Ruling decide(std::string_view approval, Decision decision = Decision::approved, std::string_view actor = "adam", bool admin = true) {
    return desk.command(
        CommandKind::approvalDecide,
        [&](Arena& arena, StructValue&, StructValue& body) {
          body.setText(arena, Field::approvalId, approval);
          body.setNumber(Field::decision, static_cast<std::uint64_t>(decision));
          body.setFlag(Field::asAdministrator, admin);
        },
        actor);
  }
  Ruling hold(std::string_view id, std::string_view person = {}, std::uint64_t days = 0) {
    return desk.command(CommandKind::holdPlace, [&](Arena& arena, StructValue&, StructValue& body) {
      body.setText(arena, Field::holdId, id);
      body.setText(arena, Field::pseudonym, person);
      body.setNumber(Field::days, days);
    });
  }
  Ruling release(std::string_view id) {
    return desk.command(CommandKind::holdRelease,
                        [&](Arena& arena, StructValue&, StructValue& body) { body.setText(arena, Field::holdId, id); });
  }
  void destroyed(std::string_view purpose, std::string_view key) {
    RedactedEvent event = RedactedEvent::ofLedger(Kind::keyDestroyed, desk.freshId());
    event.body().setText(event.arena(), Field::purpose, purpose);
    event.body().setText(event.arena(), Field::keyId, key);
    desk.record(std::move(event));
  }
  std::string approved(std::string_view person, std::string_view key) {
    const std::string approval = erase(person, key).approvalId;
    decide(approval);
    return approval;
  }
  // Folded from zero it is what it is, and a snapshot brings it back.
  void expectRestorable() {
    EXPECT_EQ(desk.refolded(), desk.saved());
    desk.restart();
  }

  EraseDesk desk;
};

TEST_F(Erasure, NeedsTheApprovalOfAnotherAdministrator) {
  const Ruling asked = erase(kAlice, kAliceKey);
  ASSERT_EQ(desk.last().view.kind(), Kind::approvalRequested);
  EXPECT_EQ(desk.last().text(Field::operation), kEraseOperation);
  EXPECT_EQ(desk.last().body().texts(Field::resources)[0], kAlice);
  expectFault(ErrorCode::notAllowed, [&] { erase(kAlice, kAliceKey, asked.approvalId); });
  expectFault(ErrorCode::notAllowed, [&] { decide(asked.approvalId, Decision::approved, "mia", false); });
  expectFault(ErrorCode::notAllowed, [&] { decide(asked.approvalId, Decision::approved, "olga"); });
  EXPECT_TRUE(desk.state().doomedKeys().empty());
  decide(asked.approvalId);
  erase(kAlice, kAliceKey, asked.approvalId);
  const auto entry = desk.last();
  ASSERT_EQ(entry.view.kind(), Kind::subjectErased);
  EXPECT_EQ(entry.text(Field::scope), kAlice);
  EXPECT_EQ(entry.body().texts(Field::keyIds)[0], kAliceKey);
  EXPECT_EQ(entry.text(Field::basis), "ticket-7");
  EXPECT_EQ(entry.view.entry.text(Field::correlation), asked.approvalId);
  EXPECT_EQ(principalOf(entry.body(), Field::requestedBy).id, "olga");
  EXPECT_EQ(principalOf(entry.body(), Field::approvedBy).id, "adam");
  EXPECT_TRUE(desk.state().owesKeyRenewal());
  EXPECT_EQ(desk.state().doomedKeys().count(std::string(kAliceKey)), 1U);
  expectRestorable();
}

TEST_F(Erasure, WhoApprovedCannotOrderIt) {
  const std::string approval = approved(kAlice, kAliceKey);
  expectFault(ErrorCode::notAllowed, [&] { erase(kAlice, kAliceKey, approval, "adam"); });
  EXPECT_EQ(erase(kAlice, kAliceKey, approval, "otto").entries.size(), 1U) << "any other owner may";
}

TEST_F(Erasure, AnApprovalIsForOnePersonOnceAndForAWhile) {
  const std::string approval = approved(kAlice, kAliceKey);
  expectFault(ErrorCode::notAllowed, [&] { erase(kBob, kBobKey, approval); });
  erase(kAlice, kAliceKey, approval);
  expectFault(ErrorCode::noSuchItem, [&] { erase(kAlice, kAliceKey, approval); });
  destroyed(kSubjectPurpose, kAliceKey);
  expectFault(ErrorCode::noSuchItem, [&] { erase({}, {}, approval); });
  const std::string late = approved(kBob, kBobKey);
  desk.now = desk.now + 7 * kDay;
  expectFault(ErrorCode::notAllowed, [&] { erase(kBob, kBobKey, late); });
}

TEST_F(Erasure, IsRefusedWhenTheApprovalIsOrIsAnothers) {
  const std::string approval = erase(kAlice, kAliceKey).approvalId;
  decide(approval, Decision::rejected);
  expectFault(ErrorCode::notAllowed, [&] { erase(kAlice, kAliceKey, approval); });
  expectFault(ErrorCode::noSuchItem, [&] { erase(kAlice, kAliceKey, "nothing"); });
  // One that a member asked for and another member gave, for a lease.
  desk.askApproval({}, "lease-approval", "mia");
  desk.decideApproval("lease-approval", Decision::approved, "max");
  expectFault(ErrorCode::noSuchItem, [&] { erase(kAlice, kAliceKey, "lease-approval"); });
}

TEST_F(Erasure, GoesOnInAClosedWorkspace) {
  desk.askApproval({}, "of-a-lease", "mia");
  desk.close();
  expectFault(ErrorCode::workspaceClosed, [&] { desk.decideApproval("of-a-lease", Decision::approved, "max"); });
  hold("case", kAlice);
  expectFault(ErrorCode::holdInForce, [&] { erase(kAlice, kAliceKey); });
  release("case");
  erase(kAlice, kAliceKey, approved(kAlice, kAliceKey));
  EXPECT_TRUE(desk.state().owesKeyRenewal());
}

TEST_F(Erasure, OfSomebodyUnknownIsNoSuchItem) {
  expectFault(ErrorCode::noSuchItem, [&] { erase({}, {}); });
}

TEST_F(Erasure, WaitsForHolds) {
  const std::string approval = approved(kAlice, kAliceKey);
  hold("of-alice", kAlice);
  EXPECT_EQ(desk.last().text(Field::scope), kAlice);
  expectFault(ErrorCode::holdInForce, [&] { erase(kAlice, kAliceKey, approval); });
  expectFault(ErrorCode::holdInForce, [&] { erase(kAlice, kAliceKey); });
  EXPECT_FALSE(erase(kBob, kBobKey).approvalId.empty()) << "it is of Alice alone";
  hold("of-all");
  EXPECT_EQ(desk.last().text(Field::scope), kWholeWorkspace);
  expectFault(ErrorCode::holdInForce, [&] { erase(kBob, kBobKey); });
  expectRestorable();
  release("of-alice");
  expectFault(ErrorCode::holdInForce, [&] { erase(kAlice, kAliceKey, approval); });
  release("of-all");
  EXPECT_EQ(desk.last().view.kind(), Kind::holdReleased);
  erase(kAlice, kAliceKey, approval);
  expectFault(ErrorCode::noSuchItem, [&] { release("of-all"); });
}

TEST_F(Erasure, AHoldOfSomeDaysEndsByItself) {
  const std::string approval = approved(kAlice, kAliceKey);
  hold("short", kAlice, 2);
  expectFault(ErrorCode::alreadyExists, [&] { hold("short", kBob); });
  desk.now = desk.now + (2 * kDay - 1);
  expectFault(ErrorCode::holdInForce, [&] { erase(kAlice, kAliceKey, approval); });
  desk.now = desk.now + 1;
  erase(kAlice, kAliceKey, approval);
  hold("next");
  EXPECT_EQ(desk.state().holds().size(), 1U) << "what is over is forgotten";
  expectFault(ErrorCode::invalidValue, [&] { hold("long", {}, limits::kHoldDaysMax + 1); });
}

TEST_F(Erasure, HoldsAreBounded) {
  for (std::size_t count = 0; count < limits::kHoldsMax; ++count) hold("h" + std::to_string(count));
  expectFault(ErrorCode::invalidValue, [&] { hold("one-more"); });
  release("h0");
  hold("one-more", {}, 1);
  desk.now = desk.now + kDay;
  hold("one-more");  // what is over counts no more, nor does its id
  expectFault(ErrorCode::invalidValue, [&] { hold("too-many"); });
}

TEST_F(Erasure, IsOwedUntilTheDestructionIsOnTheRecord) {
  erase(kAlice, kAliceKey, approved(kAlice, kAliceKey));
  erase(kBob, kBobKey, approved(kBob, kBobKey));
  destroyed(kSubjectPurpose, kBobKey);
  EXPECT_TRUE(desk.state().owesKeyRenewal());
  destroyed(kKeyEncryptionPurpose, {});
  EXPECT_TRUE(desk.state().owesKeyRenewal()) << "one of the two is still to be destroyed";
  expectRestorable();
  destroyed(kSubjectPurpose, kAliceKey);
  EXPECT_FALSE(desk.state().owesKeyRenewal());
}

TEST_F(Erasure, ARotationOfTheKeyEncryptionKeyIsOwedAlike) {
  const auto rotate = [&](std::string_view purpose) {
    desk.command(CommandKind::keyRotate,
                 [&](Arena& arena, StructValue&, StructValue& body) { body.setText(arena, Field::purpose, purpose); });
  };
  rotate(kFingerprintPurpose);
  EXPECT_FALSE(desk.state().owesKeyRenewal());
  rotate(kKeyEncryptionPurpose);
  EXPECT_TRUE(desk.state().owesKeyRenewal());
  expectRestorable();
  destroyed(kKeyEncryptionPurpose, {});
  EXPECT_FALSE(desk.state().owesKeyRenewal());
  expectFault(ErrorCode::invalidValue, [&] { rotate("log"); });
}

TEST_F(Erasure, WhatTheLogRefusedNeverHappened) {
  const std::string approval = approved(kAlice, kAliceKey);
  hold("kept", kBob);
  const std::vector<std::uint8_t> before = desk.saved();
  desk.state().mark();
  release("kept");
  hold("new");
  release("new");
  erase(kAlice, kAliceKey, approval);
  destroyed(kSubjectPurpose, kAliceKey);
  destroyed(kKeyEncryptionPurpose, {});
  desk.state().rollback();
  EXPECT_EQ(desk.saved(), before);
}

}  // namespace
}  // namespace counterfoil
