// One lease's life: what is granted, refused, used, renewed and ended, and what the record says of it (EVENTS: Leases).
#include <gtest/gtest.h>

#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Ask;
using test::Desk;
using test::kHour;
using test::kMinute;
using test::kSecond;
using test::operator+;
using test::agent;
using test::expectDenied;
using test::expectFault;

TEST(LeaseGrant, recordsWhatWasGrantedAndByWhichPolicy) {
  Desk desk;
  const Ruling ruling =
      desk.request({.id = "l1", .run = "r1", .host = "h1", .bundle = "b1", .resources = {"x/y"}, .maxUses = 3, .renewable = 3600});
  ASSERT_FALSE(ruling.denied);
  EXPECT_EQ(ruling.leaseId, "l1");
  const auto entry = desk.last();
  EXPECT_EQ(entry.view.kind(), Kind::leaseGranted);
  EXPECT_EQ(entry.body().time(Field::issuedAt), desk.now);
  EXPECT_EQ(entry.body().time(Field::expiresAt), desk.now + 900 * kSecond);
  EXPECT_EQ(entry.body().time(Field::renewableUntil), desk.now + 3600 * kSecond);
  EXPECT_EQ(entry.body().number(Field::maxUses), 3U);
  EXPECT_EQ(entry.body().structure(Field::policy).text(Field::name), "test");
  EXPECT_EQ(entry.body().structure(Field::policy).number(Field::version), 1U);
  EXPECT_EQ(entry.view.entry.text(Field::run), "r1");
  EXPECT_EQ(principalOf(entry.view.entry, Field::actor).id, "broker");
  const Lease* lease = desk.state().findLease("l1");
  ASSERT_NE(lease, nullptr);
  EXPECT_EQ(lease->state, LeaseState::granted);
  EXPECT_EQ(lease->grantEntry, entry.view.id);
  EXPECT_EQ(unpackTerms(lease->terms).bundle, "b1");
  EXPECT_EQ(desk.state().outstanding(agent("fixer")), 1U);
}

TEST(LeaseGrant, withTheSecretIsGrantedAndIssuedInOneRequest) {
  Desk desk;
  const Ruling ruling = desk.request({.id = "l1", .secret = test::secretText(5)});
  ASSERT_EQ(ruling.entries.size(), 2U);
  const auto granted = desk.at(desk.size() - 2);
  const auto issued = desk.last();
  EXPECT_EQ(granted.view.kind(), Kind::leaseGranted);
  EXPECT_EQ(granted.text(Field::secret), "");
  EXPECT_EQ(issued.view.kind(), Kind::leaseIssued);
  EXPECT_EQ(issued.text(Field::secret), test::secretText(5));
  EXPECT_FALSE(issued.terminal());
  EXPECT_NE(granted.view.id, issued.view.id);
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::active);
  EXPECT_EQ(desk.timers().secrets.size(), 1U);
  // Its expiry is an entry of its own: its id must not be the one of the issue.
  desk.now = desk.now + 900 * kSecond;
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().view.kind(), Kind::leaseExpired);
  EXPECT_NE(desk.last().view.id, issued.view.id);
}

TEST(LeaseGrant, madeIdsAreFreshAndGivenOnesMustBe) {
  Desk desk;
  const std::string made = desk.request({}).leaseId;
  EXPECT_NE(made, desk.request({}).leaseId);
  expectFault(ErrorCode::alreadyExists, [&] { desk.request({.id = made}); });
  desk.revoke(made);
  expectFault(ErrorCode::alreadyExists, [&] { desk.request({.id = made}); });
}

TEST(LeaseGrant, refusalsNameTheReasonAndWhatIsOutstanding) {
  Desk desk;
  desk.request({.id = "l1"});
  expectDenied(desk, desk.request({.grantee = "banned"}), LeaseStep::grant, ReasonCode::policy);
  EXPECT_EQ(desk.last().body().number(Field::outstanding), 0U);
  expectDenied(desk, desk.request({.ttl = 86'401}), LeaseStep::grant, ReasonCode::ttlExceeded);
  EXPECT_EQ(desk.last().body().number(Field::outstanding), 1U);
  EXPECT_EQ(desk.last().body().number(Field::ttlSeconds), 86'401U);
  EXPECT_EQ(desk.last().body().structure(Field::policy).number(Field::version), 1U);
  expectDenied(desk, desk.request({.scope = {"danger:all"}}), LeaseStep::grant, ReasonCode::approvalMissing);
  expectDenied(desk, desk.request({.scope = {"repo:read", "other"}}), LeaseStep::grant, ReasonCode::policy);
  EXPECT_EQ(desk.state().liveLeases(), 1U);
  for (const std::uint64_t ttl : {std::uint64_t{0}, std::uint64_t{366} * 24 * 3600 + 1, ~std::uint64_t{0}}) {
    expectFault(ErrorCode::invalidValue, [&] { desk.request({.ttl = ttl}); });
  }
  expectFault(ErrorCode::invalidValue, [&] { desk.request({.renewable = ~std::uint64_t{0}}); });
}

TEST(LeaseGrant, withoutAPolicyEverythingIsDenied) {
  Desk desk(false);
  expectDenied(desk, desk.request({}), LeaseStep::grant, ReasonCode::policy);
}

TEST(LeasePolicy, versionsCountUpAndTheNewestDecides) {
  Desk desk;
  EXPECT_EQ(desk.state().policyVersion(), 1U);
  const Ruling second = desk.setPolicy("name = \"strict\"\n[[rule]]\nname = \"none\"\neffect = \"deny\"\n");
  EXPECT_EQ(second.policyVersion, 2U);
  EXPECT_EQ(desk.last().body().number(Field::version), 2U);
  EXPECT_EQ(desk.last().text(Field::name), "strict");
  EXPECT_EQ(desk.last().body().text(Field::documentDigest).size(), 32U);
  expectDenied(desk, desk.request({}), LeaseStep::grant, ReasonCode::policy);
  EXPECT_EQ(desk.last().body().structure(Field::policy).number(Field::version), 2U);
  expectFault(ErrorCode::unknownField, [&] { desk.setPolicy("nonsense = 1\n"); });
  EXPECT_EQ(desk.state().policyVersion(), 2U);
  EXPECT_EQ(desk.setPolicy(test::kTestPolicy).policyVersion, 3U);
  EXPECT_FALSE(desk.request({}).denied);
}

TEST(LeaseIssue, makesTheLeaseUsableOnce) {
  Desk desk;
  desk.request({.id = "l1"});
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::notActive);
  expectDenied(desk, desk.renew("l1", 60), LeaseStep::renew, ReasonCode::notActive);
  EXPECT_FALSE(desk.issue("l1").denied);
  EXPECT_EQ(desk.last().body().number(Field::outcome), static_cast<std::uint64_t>(Outcome::issued));
  EXPECT_FALSE(desk.last().terminal());
  EXPECT_FALSE(desk.consume("l1").denied);
  expectDenied(desk, desk.issue("l1"), LeaseStep::issue, ReasonCode::notActive);
  expectDenied(desk, desk.issue("l1", Outcome::failed), LeaseStep::issue, ReasonCode::notActive);
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::active);
}

TEST(LeaseIssue, failureEndsTheLease) {
  Desk desk;
  desk.request({.id = "l1"});
  EXPECT_FALSE(desk.issue("l1", Outcome::failed).denied);
  EXPECT_TRUE(desk.last().terminal());
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::failed);
  EXPECT_EQ(desk.state().outstanding(agent("fixer")), 0U);
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::notActive);
  expectDenied(desk, desk.issue("l1"), LeaseStep::issue, ReasonCode::notActive);
  desk.now = desk.now + 10 * kHour;
  EXPECT_EQ(desk.settle(), 0U);
}

TEST(LeaseIssue, outcomesOfOtherStepsAreRefusedWithoutAnEntry) {
  Desk desk;
  desk.request({.id = "l1"});
  const std::size_t size = desk.size();
  expectFault(ErrorCode::invalidValue, [&] { desk.issue("l1", Outcome::ok); });
  expectFault(ErrorCode::invalidValue, [&] { desk.issue("nobody", Outcome::revoked); });
  EXPECT_EQ(desk.size(), size);
}

TEST(LeaseIssue, mustFollowWithinAMinute) {
  Desk desk;
  desk.request({.id = "l1"});
  desk.now = desk.now + (kMinute - 1);
  EXPECT_EQ(desk.settle(), 0U);
  desk.now = desk.now + 1;
  // Even before the expiry's own entry.
  expectDenied(desk, desk.issue("l1"), LeaseStep::issue, ReasonCode::expired);
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().view.kind(), Kind::leaseExpired);
  EXPECT_EQ(desk.last().reason(), ReasonCode::notIssued);
  EXPECT_TRUE(desk.last().terminal());
  expectDenied(desk, desk.issue("l1"), LeaseStep::issue, ReasonCode::expired);
}

TEST(LeaseIssue, inTimeTheLeaseLivesOn) {
  Desk desk;
  desk.request({.id = "l1"});
  desk.now = desk.now + (kMinute - 1);
  EXPECT_FALSE(desk.issue("l1").denied);
  desk.now = desk.now + kMinute;
  EXPECT_EQ(desk.settle(), 0U);
  EXPECT_FALSE(desk.consume("l1").denied);
}

TEST(LeaseIssue, aShortLeaseEndsByItsOwnTime) {
  Desk desk;
  desk.request({.id = "l1", .ttl = 30});
  desk.now = desk.now + 30 * kSecond;
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().reason(), ReasonCode::ttl);
}

TEST(LeaseConsume, countsUsesAndEndsWithTheLastAllowedOne) {
  Desk desk;
  desk.grant({.id = "l1", .maxUses = 3});
  for (std::uint64_t use = 1; use <= 3; ++use) {
    ASSERT_FALSE(desk.consume("l1").denied);
    EXPECT_EQ(desk.last().body().number(Field::uses), use);
    EXPECT_EQ(desk.last().terminal(), use == 3);
    EXPECT_EQ(desk.last().body().number(Field::outcome), static_cast<std::uint64_t>(Outcome::ok));
  }
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::consumedOut);
  EXPECT_EQ(desk.state().findLease("l1")->uses, 3U);
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::usedUp);
  desk.now = desk.now + kHour;
  EXPECT_EQ(desk.settle(), 0U) << "a lease that was used up does not expire as well";
}

TEST(LeaseConsume, withoutALimitGoesOnUntilTheEndOfTime) {
  Desk desk;
  desk.grant({.id = "l1", .ttl = 900});
  const Timestamp end = desk.now + 900 * kSecond;
  for (int use = 0; use < 50; ++use) ASSERT_FALSE(desk.consume("l1").denied);
  desk.now = {end.nanoseconds - 1};
  EXPECT_FALSE(desk.consume("l1").denied);
  desk.now = end;
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::expired);
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::active) << "the expiry has no entry yet";
  ASSERT_EQ(desk.settle(), 1U);
  const auto entry = desk.last();
  EXPECT_EQ(entry.reason(), ReasonCode::ttl);
  EXPECT_EQ(entry.body().number(Field::uses), 51U);
  EXPECT_EQ(entry.body().time(Field::expiresAt), end);
  EXPECT_EQ(entry.body().number(Field::lateByMs), 0U);
  EXPECT_TRUE(entry.terminal());
  EXPECT_EQ(entry.view.entry.text(Field::source), "ledger");
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::expired);
}

TEST(LeaseConsume, staysWithinWhatWasGranted) {
  Desk desk;
  desk.grant({.id = "l1", .host = "h1", .resources = {"github.com/acme/*", "exact"}});
  EXPECT_FALSE(desk.consume("l1", {"github.com/acme/shop", "exact"}, "h1").denied);
  EXPECT_FALSE(desk.consume("l1").denied);
  expectDenied(desk, desk.consume("l1", {"github.com/acme"}), LeaseStep::consume, ReasonCode::scopeExceeded);
  expectDenied(desk, desk.consume("l1", {"github.com/acme/"}), LeaseStep::consume, ReasonCode::scopeExceeded);
  expectDenied(desk, desk.consume("l1", {"github.com/acme/../evil"}), LeaseStep::consume, ReasonCode::scopeExceeded);
  expectDenied(desk, desk.consume("l1", {"exact/more"}), LeaseStep::consume, ReasonCode::scopeExceeded);
  expectDenied(desk, desk.consume("l1", {"exact"}, "h2"), LeaseStep::consume, ReasonCode::hostMismatch);
  EXPECT_EQ(desk.state().findLease("l1")->uses, 2U) << "refused uses do not count";
  EXPECT_EQ(principalOf(desk.last().body(), Field::grantee).id, "fixer");
  EXPECT_EQ(desk.last().body().number(Field::outstanding), 1U);
}

TEST(LeaseConsume, ofUnknownAndReportedLeasesIsRefused) {
  Desk desk;
  desk.reportGrant("theirs", desk.now, desk.now + kHour);
  for (const char* id : {"nobody", "theirs"}) {
    expectDenied(desk, desk.consume(id), LeaseStep::consume, ReasonCode::unknownLease);
    expectDenied(desk, desk.issue(id), LeaseStep::issue, ReasonCode::unknownLease);
    expectDenied(desk, desk.renew(id, 60), LeaseStep::renew, ReasonCode::unknownLease);
    expectFault(ErrorCode::noSuchItem, [&] { desk.revoke(id); });
    expectDenied(desk, desk.request({.parent = id}), LeaseStep::grant, ReasonCode::unknownLease);
  }
  EXPECT_EQ(desk.state().findLease("theirs")->uses, 0U);
}

TEST(LeaseRenew, movesTheEndWithinItsBound) {
  Desk desk;
  desk.grant({.id = "l1", .ttl = 900, .renewable = 1800});
  const Timestamp start = desk.now;
  desk.now = start + 600 * kSecond;
  ASSERT_FALSE(desk.renew("l1", 900).denied);
  EXPECT_EQ(desk.last().body().time(Field::previousExpiresAt), start + 900 * kSecond);
  EXPECT_EQ(desk.last().body().time(Field::expiresAt), start + 1500 * kSecond);
  desk.now = start + 900 * kSecond;
  EXPECT_EQ(desk.settle(), 0U) << "the first end is void";
  EXPECT_FALSE(desk.renew("l1", 900).denied) << "exactly renewableUntil is still within";
  expectDenied(desk, desk.renew("l1", 901), LeaseStep::renew, ReasonCode::ttlExceeded);
  desk.now = start + 1800 * kSecond;
  expectDenied(desk, desk.renew("l1", 1), LeaseStep::renew, ReasonCode::expired);
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().body().time(Field::expiresAt), start + 1800 * kSecond);
}

TEST(LeaseRenew, neverShortens) {
  Desk desk;
  desk.grant({.id = "l1", .ttl = 900, .renewable = 3600});
  const Timestamp end = desk.now + 900 * kSecond;
  ASSERT_FALSE(desk.renew("l1", 1).denied);
  EXPECT_EQ(desk.state().findLease("l1")->expiresAt, end);
}

TEST(LeaseRenew, ofANonRenewableLeaseIsRefused) {
  Desk desk;
  desk.grant({.id = "l1"});
  expectDenied(desk, desk.renew("l1", 900), LeaseStep::renew, ReasonCode::ttlExceeded);
  expectDenied(desk, desk.renew("l1", 1), LeaseStep::renew, ReasonCode::ttlExceeded);
  expectFault(ErrorCode::invalidValue, [&] { desk.renew("l1", 0); });
}

TEST(LeaseRevoke, endsOnceAndForAll) {
  Desk desk;
  desk.grant({.id = "l1", .renewable = 3600});
  ASSERT_FALSE(desk.revoke("l1").entries.empty());
  const auto entry = desk.last();
  EXPECT_EQ(entry.view.kind(), Kind::leaseRevoked);
  EXPECT_TRUE(entry.terminal());
  EXPECT_EQ(entry.reason(), ReasonCode::operatorRequest);
  EXPECT_EQ(principalOf(entry.body(), Field::by).id, "broker");
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::revoked);
  expectDenied(desk, desk.renew("l1", 60), LeaseStep::renew, ReasonCode::revoked);
  const std::size_t size = desk.size();
  const Ruling again = desk.revoke("l1");
  EXPECT_TRUE(again.entries.empty());
  EXPECT_FALSE(again.denied);
  EXPECT_EQ(again.leaseId, "l1");
  EXPECT_EQ(desk.size(), size) << "an ended lease ends no second time";
  desk.now = desk.now + kHour;
  EXPECT_EQ(desk.settle(), 0U);
}

TEST(LeaseRevoke, beforeTheIssueIsPossible) {
  Desk desk;
  desk.request({.id = "l1"});
  desk.revoke("l1");
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::revoked);
  expectDenied(desk, desk.issue("l1"), LeaseStep::issue, ReasonCode::revoked);
}

TEST(LeaseRevoke, afterTheTimeLeavesTheExpiryItsEnd) {
  Desk desk;
  desk.grant({.id = "l1", .ttl = 900});
  desk.now = desk.now + 900 * kSecond;
  EXPECT_TRUE(desk.revoke("l1").entries.empty());
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::expired);
}

TEST(LeaseExpiry, saysHowLateItIs) {
  Desk desk;
  desk.grant({.id = "l1", .ttl = 900});
  desk.now = desk.now + (900 * kSecond + 1'500'000'000);
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().body().number(Field::lateByMs), 1'500U);
}

TEST(ClosedWorkspace, grantsNothingButLetsLeasesEnd) {
  Desk desk;
  desk.grant({.id = "l1", .ttl = 900, .renewable = 3600});
  desk.grant({.id = "l2", .ttl = 900});
  desk.grant({.id = "child", .parent = "l2", .ttl = 60});
  desk.askApproval({.scope = {"danger:x"}}, "a1", "asker");
  desk.close();
  EXPECT_TRUE(desk.state().closed());
  expectDenied(desk, desk.request({}), LeaseStep::grant, ReasonCode::workspaceClosed);
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::workspaceClosed);
  expectDenied(desk, desk.renew("l1", 900), LeaseStep::renew, ReasonCode::workspaceClosed);
  expectFault(ErrorCode::workspaceClosed, [&] { desk.setPolicy(test::kTestPolicy); });
  expectFault(ErrorCode::workspaceClosed, [&] { desk.askApproval({}, "a2", "asker"); });
  expectFault(ErrorCode::workspaceClosed, [&] { desk.decideApproval("a1", Decision::approved, "boss"); });
  expectFault(ErrorCode::workspaceClosed, [&] { desk.reportGrant("f1", desk.now, desk.now + kHour); });
  expectFault(ErrorCode::workspaceClosed, [&] { desk.close(); });
  EXPECT_FALSE(desk.revoke("l2").entries.empty());
  EXPECT_EQ(desk.settle(), 1U) << "the child's owed end";
  desk.now = desk.now + 900 * kSecond;
  EXPECT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.state().liveLeases(), 0U);
}

TEST(ClosedWorkspace, theLedgersOwnCannotBeClosed) {
  Desk desk(false, kSystemWorkspace);
  expectFault(ErrorCode::notAllowed, [&] { desk.close(); });
}

// What redaction made of a command, by the fields an entry has room for.
RedactedCommand personalRequest(std::string_view secret, std::uint64_t ttl) {
  RedactedCommand command = RedactedForTest::command(CommandKind::leaseRequest, makeUuidV8("personal"));
  Arena& arena = RedactedForTest::arena(command);
  StructValue& body = RedactedForTest::body(command);
  const std::vector<std::string_view> scope = {"repo:[redacted:jwt:x]"};
  body.setNumber(Field::credential, 1);
  setPrincipal(arena, body, Field::grantee, agent("fixer"));
  body.setTexts(arena, Field::scope, scope);
  body.setNumber(Field::ttlSeconds, ttl);
  body.setText(arena, Field::secret, secret);
  RedactionResult& redaction = RedactedForTest::redaction(command);
  redaction.commitments = {{"/reason", {}}, {"/sourceAddress", {}}};
  redaction.disclosures.resize(2);
  redaction.disclosures[0].path = "/reason";
  redaction.disclosures[1].path = "/sourceAddress";
  redaction.redactions = {{"/scope/0", "jwt"}};
  redaction.keysUsed = {KeyId{}};
  redaction.requestDigest.fill(1);
  return command;
}

std::vector<std::string> pathsOf(const RedactedEvent& event) {
  std::vector<std::string> paths;
  for (const auto& item : event.redaction().commitments) paths.push_back(item.path);
  for (const auto& item : event.redaction().disclosures) paths.push_back(item.path);
  for (const auto& item : event.redaction().redactions) paths.push_back(item.path);
  return paths;
}

TEST(LeaseEntries, carryPersonalValuesOnceAndOnlyWhereTheyBelong) {
  Desk desk;
  RulingContext context;
  context.recordedAt = desk.now;
  const Ruling granted = rule(desk.state(), personalRequest(test::secretText(1), 900), context);
  ASSERT_EQ(granted.entries.size(), 2U);
  EXPECT_EQ(pathsOf(granted.entries[0]), (std::vector<std::string>{"/reason", "/sourceAddress", "/reason", "/sourceAddress", "/scope/0"}));
  EXPECT_NE(granted.entries[0].redaction().requestDigest, crypto::Digest{});
  EXPECT_TRUE(pathsOf(granted.entries[1]).empty());
  EXPECT_EQ(granted.entries[1].redaction().requestDigest, crypto::Digest{}) << "the answer of a repeat is the first entry's";
  EXPECT_EQ(granted.entries[1].redaction().keysUsed.size(), 1U);
  // A refusal has no room for a reason.
  const Ruling denied = rule(desk.state(), personalRequest({}, 100'000), context);
  ASSERT_TRUE(denied.denied);
  EXPECT_EQ(pathsOf(denied.entries[0]), (std::vector<std::string>{"/sourceAddress", "/sourceAddress", "/scope/0"}));
}

TEST(LeaseEntries, whoseContentIsGoneCountForTheChainOnly) {
  Desk desk;
  desk.grant({.id = "l1"});
  const std::uint64_t size = desk.state().head().size();
  LeafHash leaf;
  leaf.bytes.fill(7);
  desk.state().mark();
  desk.state().applyWithheld({size}, leaf, KeyId{});
  EXPECT_EQ(desk.state().head().size(), size + 1);
  EXPECT_EQ(desk.state().head().last, leaf);
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::active);
  desk.state().rollback();
  EXPECT_EQ(desk.state().head().size(), size);
}

TEST(LeaseForgetting, endedLeasesStayForADay) {
  Desk desk;
  desk.grant({.id = "l1"});
  desk.revoke("l1");
  const Timestamp end = desk.now;
  desk.now = {end.nanoseconds + 24 * kHour - 1};
  desk.grant({.id = "l2"});
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::revoked);
  desk.now = end + 24 * kHour;
  desk.grant({.id = "l3"});
  EXPECT_EQ(desk.state().findLease("l1"), nullptr);
  expectDenied(desk, desk.consume("l1"), LeaseStep::consume, ReasonCode::unknownLease);
  EXPECT_NE(desk.state().findLease("l2"), nullptr);
}

TEST(LeaseForgetting, aBurstIsForgottenLittleByLittle) {
  Desk desk;
  for (int number = 0; number < 300; ++number) desk.revoke(desk.grant({}));
  desk.now = desk.now + 25 * kHour;
  std::size_t before = 300;
  for (int entry = 0; entry < 5; ++entry) {
    desk.setPolicy(test::kTestPolicy);
    std::size_t kept = 0;
    desk.state().forEachLease([&](LeaseSlot, const Lease&) { ++kept; });
    EXPECT_LT(kept, before);
    EXPECT_LE(before - kept, 64U);
    before = kept;
  }
  EXPECT_EQ(before, 0U);
}

}  // namespace
}  // namespace counterfoil
