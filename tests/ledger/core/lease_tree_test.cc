// Parents and children, cascades and bulk revocations: who ends because of whom, in which order, and exactly once.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Desk;
using test::expectDenied;
using test::expectFault;
using test::kHour;
using test::kSecond;
using test::operator+;

// Entries from `seq` on that end a lease, as "id kind reason cascadeOf".
std::vector<std::string> endsSince(const Desk& desk, std::size_t seq) {
  std::vector<std::string> ends;
  for (; seq < desk.size(); ++seq) {
    const auto entry = desk.at(seq);
    if (!entry.terminal()) continue;
    ends.push_back(entry.text(Field::leaseId) + " " + std::string(kindName(entry.view.kind())) + " " +
                   std::to_string(entry.body().number(Field::reasonCode)) + " " + entry.text(Field::cascadeOf));
  }
  return ends;
}

std::string owedRevocation(const std::string& id, const std::string& cause) {
  return id + " lease.revoked " + std::to_string(static_cast<int>(ReasonCode::cascade)) + " " + cause;
}
std::string owedExpiry(const std::string& id, const std::string& cause) {
  return id + " lease.expired " + std::to_string(static_cast<int>(ReasonCode::parent)) + " " + cause;
}

// root -> a -> (a1, a2), root -> b
void plantTree(Desk& desk, std::uint64_t rootUses = 0) {
  desk.grant({.id = "root", .maxUses = rootUses});
  desk.grant({.id = "a", .parent = "root"});
  desk.grant({.id = "a1", .parent = "a"});
  desk.request({.id = "a2", .parent = "a", .ttl = 60});  // not issued
  desk.grant({.id = "b", .parent = "root"});
  desk.grant({.id = "other"});
}

void expectRefusedBecause(Desk& desk, const std::string& id, ReasonCode reason) {
  expectDenied(desk, desk.consume(id), LeaseStep::consume, reason);
  expectDenied(desk, desk.renew(id, 1), LeaseStep::renew, reason);
  expectDenied(desk, desk.issue(id), LeaseStep::issue, reason);
  expectDenied(desk, desk.request({.parent = id}), LeaseStep::grant, reason);
  EXPECT_TRUE(desk.revoke(id).entries.empty());
}

TEST(LeaseTree, aChildStaysWithinItsParent) {
  Desk desk;
  desk.grant({.id = "root", .scope = {"repo:read", "repo:write"}, .resources = {"acme/*"}, .ttl = 900, .renewable = 1800});
  EXPECT_FALSE(desk.request({.id = "c1", .parent = "root", .scope = {"repo:read"}, .resources = {"acme/shop"}, .ttl = 900}).denied);
  EXPECT_EQ(desk.last().text(Field::parentLease), "root");
  const auto refused = [&](test::Ask ask, ReasonCode reason) {
    ask.parent = "root";
    expectDenied(desk, desk.request(ask), LeaseStep::grant, reason);
  };
  refused({.resources = {"acme/shop"}, .ttl = 901}, ReasonCode::ttlExceeded);
  refused({.resources = {"acme/shop"}, .ttl = 60, .renewable = 1801}, ReasonCode::ttlExceeded);
  refused({.scope = {"repo:read", "repo:admin"}, .resources = {"acme/shop"}, .ttl = 60}, ReasonCode::scopeExceeded);
  refused({.resources = {"acme/shop", "evil/shop"}, .ttl = 60}, ReasonCode::scopeExceeded);
  refused({.resources = {}, .ttl = 60}, ReasonCode::scopeExceeded);
}

TEST(LeaseTree, aChildNeedsAnActiveParent) {
  Desk desk;
  desk.request({.id = "waiting"});
  expectDenied(desk, desk.request({.parent = "waiting"}), LeaseStep::grant, ReasonCode::notActive);
  desk.grant({.id = "gone"});
  desk.revoke("gone");
  expectDenied(desk, desk.request({.parent = "gone"}), LeaseStep::grant, ReasonCode::revoked);
  desk.grant({.id = "late", .ttl = 60});
  desk.now = desk.now + 60 * kSecond;
  expectDenied(desk, desk.request({.parent = "late"}), LeaseStep::grant, ReasonCode::expired);
}

TEST(LeaseTree, aRenewalStaysWithinTheParent) {
  Desk desk;
  desk.grant({.id = "root", .ttl = 900, .renewable = 3600});
  desk.grant({.id = "child", .parent = "root", .ttl = 300, .renewable = 3600});
  expectDenied(desk, desk.renew("child", 901), LeaseStep::renew, ReasonCode::ttlExceeded);
  EXPECT_FALSE(desk.renew("child", 900).denied);
  EXPECT_FALSE(desk.renew("root", 1800).denied);
  EXPECT_FALSE(desk.renew("child", 1800).denied);
}

TEST(LeaseTree, nestsEightDeep) {
  Desk desk;
  desk.grant({.id = "d1"});
  for (int depth = 2; depth <= 8; ++depth) desk.grant({.id = "d" + std::to_string(depth), .parent = "d" + std::to_string(depth - 1)});
  expectDenied(desk, desk.request({.id = "d9", .parent = "d8"}), LeaseStep::grant, ReasonCode::scopeExceeded);
  EXPECT_EQ(desk.state().findLease("d8")->depth, 8);
  desk.revoke("d1");
  EXPECT_EQ(desk.settle(), 7U);
}

TEST(LeaseCascade, revocationEndsWhatLiesBelowAtOnce) {
  Desk desk;
  plantTree(desk);
  const std::size_t before = desk.size();
  desk.revoke("root");
  for (const char* id : {"a", "a1", "a2", "b"}) expectRefusedBecause(desk, id, ReasonCode::revoked);
  EXPECT_FALSE(desk.consume("other").denied);
  EXPECT_EQ(desk.settle(), 4U);
  std::vector<std::string> ends = endsSince(desk, before);
  ASSERT_EQ(ends.size(), 5U);
  EXPECT_EQ(ends.front(), "root lease.revoked " + std::to_string(static_cast<int>(ReasonCode::operatorRequest)) + " ");
  // A parent's own end comes before its children's.
  const auto place = [&](const std::string& id) { return std::find(ends.begin(), ends.end(), owedRevocation(id, "root")) - ends.begin(); };
  EXPECT_LT(place("a"), place("a1"));
  EXPECT_LT(place("a"), place("a2"));
  EXPECT_LT(place("a1"), 5);
  EXPECT_LT(place("b"), 5);
  desk.now = desk.now + kHour;
  EXPECT_EQ(desk.settle(), 1U) << "only the one outside the tree expires";
}

TEST(LeaseCascade, expiryEndsWhatLiesBelow) {
  Desk desk;
  plantTree(desk);
  desk.now = desk.now + 900 * kSecond;
  const std::size_t before = desk.size();
  EXPECT_EQ(desk.settle(), 6U);
  const std::vector<std::string> ends = endsSince(desk, before);
  // a2 was never issued; a, a1 and b fall due at the same time as root: each has one end, by its own time or by its parent's.
  for (const char* id : {"root", "a", "a1", "a2", "b", "other"}) {
    EXPECT_EQ(std::count_if(ends.begin(), ends.end(), [&](const std::string& end) { return end.starts_with(std::string(id) + " "); }), 1)
        << id;
  }
}

TEST(LeaseCascade, expiryOfTheParentIsTheChildrensReason) {
  Desk desk;
  desk.grant({.id = "root", .ttl = 900});
  desk.grant({.id = "child", .parent = "root", .ttl = 900});
  // The timers of both are due; the parent's is older, so it is the first.
  desk.now = desk.now + 900 * kSecond;
  const std::size_t before = desk.size();
  EXPECT_EQ(desk.settle(1), 1U);
  expectRefusedBecause(desk, "child", ReasonCode::expired);
  desk.settle();
  EXPECT_EQ(endsSince(desk, before).back(), owedExpiry("child", "root"));
  EXPECT_EQ(desk.stateOf("child"), LeaseState::expired);
}

TEST(LeaseCascade, theLastUseEndsWhatLiesBelow) {
  Desk desk;
  plantTree(desk, 1);
  const std::size_t before = desk.size();
  EXPECT_TRUE((desk.consume("root"), desk.last().terminal()));
  for (const char* id : {"a", "a1", "a2", "b"}) expectRefusedBecause(desk, id, ReasonCode::expired);
  EXPECT_EQ(desk.settle(), 4U);
  std::vector<std::string> ends = endsSince(desk, before);
  std::sort(ends.begin(), ends.end());
  EXPECT_EQ(ends, (std::vector<std::string>{owedExpiry("a", "root"), owedExpiry("a1", "root"), owedExpiry("a2", "root"),
                                            owedExpiry("b", "root"), "root lease.consumed 0 "}));
}

TEST(LeaseCascade, aSecondCauseAddsNothing) {
  Desk desk;
  plantTree(desk);
  desk.revoke("a");
  desk.revoke("root");
  const Ruling bulk = desk.revokeAll(RevocationSelector::principal, "fixer");
  EXPECT_EQ(bulk.matched, 1U) << "only `other` is neither ended nor owed";
  EXPECT_EQ(desk.settle(), 4U);
  std::vector<std::string> ends = endsSince(desk, 0);
  std::sort(ends.begin(), ends.end());
  EXPECT_EQ(ends.size(), 6U);
  EXPECT_TRUE(std::binary_search(ends.begin(), ends.end(), owedRevocation("a1", "a")));
  EXPECT_TRUE(std::binary_search(ends.begin(), ends.end(), owedRevocation("b", "root")));
  EXPECT_TRUE(std::binary_search(ends.begin(), ends.end(), owedRevocation("other", bulk.revocationId)));
}

TEST(LeaseCascade, aRevokedChildEndsNothingAbove) {
  Desk desk;
  plantTree(desk);
  desk.revoke("a");
  EXPECT_EQ(desk.settle(), 2U);
  EXPECT_FALSE(desk.consume("root").denied);
  EXPECT_FALSE(desk.consume("b").denied);
  EXPECT_EQ(desk.state().liveLeases(), 3U);
}

TEST(LeaseCascade, isWrittenWhileTheWorkspaceGoesOn) {
  Desk desk;
  plantTree(desk);
  desk.revoke("root");
  EXPECT_EQ(desk.settle(1), 1U);
  desk.grant({.id = "later"});
  desk.now = desk.now + 2 * kHour;  // all times are over; the owed ends stay revocations
  for (const char* id : {"a", "a1", "a2", "b"}) {
    const LeaseSlot slot = desk.state().slotOf(id);
    EXPECT_FALSE(dueEnd(desk.state(), slot, desk.now)) << id << " has its end already";
  }
  EXPECT_EQ(desk.settle(), 5U);
  for (const char* id : {"a", "a1", "a2", "b"}) EXPECT_EQ(desk.stateOf(id), LeaseState::revoked) << id;
  EXPECT_EQ(desk.stateOf("later"), LeaseState::expired);
}

TEST(LeaseCascade, owedEndsSurviveARestart) {
  Desk desk;
  plantTree(desk);
  desk.revoke("root");
  EXPECT_EQ(desk.settle(2), 2U);
  desk.restart();
  EXPECT_TRUE(desk.state().hasOwed());
  EXPECT_EQ(desk.settle(), 2U);
  EXPECT_FALSE(desk.state().hasOwed());
  EXPECT_EQ(desk.state().liveLeases(), 1U);
  EXPECT_EQ(desk.saved(), desk.refolded());
}

TEST(BulkRevocation, hitsByEverySelectorAndBelow) {
  struct Row {
    RevocationSelector selector;
    std::string value;
    std::string recorded;
  };
  const std::vector<Row> rows = {{RevocationSelector::run, "r1", "r1"},
                                 {RevocationSelector::host, "h1", "h1"},
                                 {RevocationSelector::bundle, "b1", "b1"},
                                 {RevocationSelector::principal, "mole", "agent:mole"},
                                 {RevocationSelector::credential, test::secretText(9), test::secretText(9)},
                                 {RevocationSelector::parent, "hit", "hit"}};
  for (const Row& row : rows) {
    SCOPED_TRACE(row.value);
    Desk desk;
    desk.grant({.id = "before", .run = "r2", .host = "h2", .bundle = "b2", .secret = test::secretText(8)});
    desk.grant({.id = "hit", .grantee = "mole", .run = "r1", .host = "h1", .bundle = "b1", .secret = test::secretText(9)});
    desk.grant({.id = "below", .run = "r2", .parent = "hit"});
    desk.reportGrant("reported", desk.now, desk.now + kHour, test::secretText(9));
    const std::size_t before = desk.size();
    const Ruling ruling = desk.revokeAll(row.selector, row.value);
    EXPECT_EQ(ruling.matched, 2U);
    const auto order = desk.last();
    EXPECT_EQ(order.view.kind(), Kind::revocationOrdered);
    EXPECT_EQ(order.text(Field::value), row.recorded);
    EXPECT_EQ(order.body().number(Field::matched), 2U);
    EXPECT_EQ(order.text(Field::revocationId), ruling.revocationId);
    desk.grant({.id = "after", .grantee = "mole", .run = "r1", .host = "h1", .bundle = "b1", .secret = test::secretText(9)});
    expectRefusedBecause(desk, "hit", ReasonCode::revoked);
    expectRefusedBecause(desk, "below", ReasonCode::revoked);
    EXPECT_FALSE(desk.consume("after").denied) << "granted after the order";
    EXPECT_EQ(desk.settle(), 2U);
    EXPECT_EQ(endsSince(desk, before),
              (std::vector<std::string>{owedRevocation("hit", ruling.revocationId), owedRevocation("below", ruling.revocationId)}));
    EXPECT_FALSE(desk.consume("before").denied);
    EXPECT_FALSE(isEnded(desk.stateOf("reported")));
  }
}

TEST(BulkRevocation, ofAParentAndItsChildHitsEachOnce) {
  Desk desk;
  desk.grant({.id = "root", .run = "r1"});
  desk.grant({.id = "child", .run = "r1", .parent = "root"});
  desk.grant({.id = "grandchild", .run = "r1", .parent = "child"});
  EXPECT_EQ(desk.revokeAll(RevocationSelector::run, "r1").matched, 3U);
  EXPECT_EQ(desk.settle(), 3U);
}

TEST(BulkRevocation, thatHitsNothingIsRecordedAllTheSame) {
  Desk desk;
  EXPECT_EQ(desk.revokeAll(RevocationSelector::host, "nowhere").matched, 0U);
  EXPECT_EQ(desk.last().view.kind(), Kind::revocationOrdered);
  EXPECT_FALSE(desk.state().hasOwed());
}

TEST(BulkRevocation, needsExactlyOneSelector) {
  Desk desk;
  expectFault(ErrorCode::invalidValue, [&] { desk.revokeAll(RevocationSelector::unspecified, ""); });
  expectFault(ErrorCode::invalidValue, [&] {
    desk.command(CommandKind::revokeAll, [](Arena& arena, StructValue& common, StructValue& body) {
      common.setText(arena, Field::run, "r1");
      body.setText(arena, Field::lease, "l1");
    });
  });
}

}  // namespace
}  // namespace counterfoil
