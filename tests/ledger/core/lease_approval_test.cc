// Approvals: bound to one request, single use, with an end, and never by who asked.
#include <gtest/gtest.h>

#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Ask;
using test::Desk;
using test::expectDenied;
using test::expectFault;
using test::kHour;
using test::kSecond;
using test::operator+;

Ask gated(const std::string& approval = {}) {
  Ask ask;
  ask.scope = {"danger:deploy"};
  ask.approval = approval;
  return ask;
}

TEST(Approval, opensTheGateOnce) {
  Desk desk;
  const Ruling asked = desk.askApproval(gated(), "a1", "asker");
  EXPECT_EQ(asked.approvalId, "a1");
  EXPECT_EQ(desk.last().body().time(Field::expiresAt), desk.now + kHour);
  expectDenied(desk, desk.request(gated("a1")), LeaseStep::grant, ReasonCode::approvalMissing);
  desk.decideApproval("a1", Decision::approved, "boss");
  EXPECT_EQ(principalOf(desk.last().body(), Field::decidedBy).id, "boss");
  EXPECT_FALSE(desk.last().text(Field::requestDigest).empty());
  const Ruling granted = desk.request(gated("a1"));
  EXPECT_FALSE(granted.denied);
  EXPECT_EQ(desk.last().text(Field::approval), "a1");
  expectDenied(desk, desk.request(gated("a1")), LeaseStep::grant, ReasonCode::approvalMissing);
}

TEST(Approval, isForThatRequestAlone) {
  Desk desk;
  desk.askApproval(gated(), "a1", "asker");
  desk.decideApproval("a1", Decision::approved, "boss");
  Ask other = gated("a1");
  other.ttl = 901;
  expectDenied(desk, desk.request(other), LeaseStep::grant, ReasonCode::approvalMissing);
  other = gated("a1");
  other.grantee = "someone";
  expectDenied(desk, desk.request(other), LeaseStep::grant, ReasonCode::approvalMissing);
  other = gated("a1");
  other.resources = {"prod"};
  expectDenied(desk, desk.request(other), LeaseStep::grant, ReasonCode::approvalMissing);
  expectDenied(desk, desk.request(gated("a2")), LeaseStep::grant, ReasonCode::approvalMissing);
  EXPECT_FALSE(desk.request(gated("a1")).denied) << "refusals do not use it up";
}

TEST(Approval, rejectedIsSaidSo) {
  Desk desk;
  desk.askApproval(gated(), "a1", "asker");
  desk.decideApproval("a1", Decision::rejected, "boss");
  expectDenied(desk, desk.request(gated("a1")), LeaseStep::grant, ReasonCode::approvalRejected);
  expectFault(ErrorCode::alreadyExists, [&] { desk.decideApproval("a1", Decision::approved, "boss"); });
}

TEST(Approval, expires) {
  Desk desk;
  desk.askApproval(gated(), "a1", "asker", 60);
  desk.askApproval(gated(), "a2", "asker", 60);
  desk.decideApproval("a1", Decision::approved, "boss");
  desk.now = desk.now + (60 * kSecond - 1);
  desk.decideApproval("a2", Decision::approved, "boss");
  EXPECT_FALSE(desk.request(gated("a2")).denied);
  desk.now = desk.now + 1;
  expectDenied(desk, desk.request(gated("a1")), LeaseStep::grant, ReasonCode::approvalMissing);
  desk.askApproval(gated(), "a3", "asker", 60);
  desk.now = desk.now + 60 * kSecond;
  expectFault(ErrorCode::notAllowed, [&] { desk.decideApproval("a3", Decision::approved, "boss"); });
}

TEST(Approval, isNotGivenByWhoAsked) {
  Desk desk;
  desk.askApproval(gated(), "a1", "asker", 0, "principal");
  expectFault(ErrorCode::notAllowed, [&] { desk.decideApproval("a1", Decision::approved, "asker"); });
  expectFault(ErrorCode::notAllowed, [&] { desk.decideApproval("a1", Decision::approved, "principal"); });
  EXPECT_NO_THROW(desk.decideApproval("a1", Decision::rejected, "asker")) << "taking it back is no approval";
}

TEST(Approval, needsToExistAndADecision) {
  Desk desk;
  desk.askApproval(gated(), "a1", "asker");
  expectFault(ErrorCode::alreadyExists, [&] { desk.askApproval(gated(), "a1", "asker"); });
  expectFault(ErrorCode::noSuchItem, [&] { desk.decideApproval("a2", Decision::approved, "boss"); });
  expectFault(ErrorCode::invalidValue, [&] { desk.decideApproval("a1", Decision::expired, "boss"); });
  expectFault(ErrorCode::invalidValue, [&] { desk.askApproval(gated(), "a3", "asker", ~std::uint64_t{0}); });
}

TEST(Approval, oneWithALongLifeKeepsNoOthersAlive) {
  Desk desk;
  desk.askApproval(gated(), "long", "asker", 300 * 24 * 3600);
  for (int number = 0; number < 40; ++number) desk.askApproval(gated(), "short" + std::to_string(number), "asker", 60);
  desk.now = desk.now + 25 * kHour;
  desk.askApproval(gated(), "new", "asker", 60);
  EXPECT_NE(desk.state().findApproval("long"), nullptr);
  EXPECT_NE(desk.state().findApproval("new"), nullptr);
  EXPECT_EQ(desk.state().findApproval("short0"), nullptr);
  EXPECT_EQ(desk.state().findApproval("short39"), nullptr);
  EXPECT_EQ(desk.saved(), desk.refolded());
}

}  // namespace
}  // namespace counterfoil
