// The life of leases through the command line: every step in a process of its own, so that every one also starts the ledger again.
#include <gtest/gtest.h>

#include "tests/e2e/ledger_folder.h"
#include "tests/e2e/log_evidence.h"

namespace counterfoil::test {
namespace {

constexpr std::string_view kLeasePolicy = R"(name = "p"
[[rule]]
name = "git"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
scope = ["contents:*"]
maxTtlSeconds = 900
maxUses = 2
renewableForSeconds = 3600
[[rule]]
name = "cloud"
effect = "allow"
credential = ["cloud_identity"]
grantee = ["agent:*"]
maxTtlSeconds = 900
approval = "required"
)";

class Leases : public testing::Test {
 protected:
  Leases() { EXPECT_EQ(ledger_.in({"policy", "set", "-"}, kLeasePolicy).status, 0); }

  Result request(const std::string& lease, std::vector<std::string> more = {}, const std::string& ttl = "5m",
                 std::string_view secret = {}) {
    std::vector<std::string> verb = {"lease",   "request",       "--credential", "git_token", "--grantee", "agent:fixer",
                                     "--scope", "contents:read", "--ttl",        ttl,         "--lease",   lease};
    verb.insert(verb.end(), more.begin(), more.end());
    return ledger_.in(verb, secret);
  }
  Result grantIssued(const std::string& lease, std::vector<std::string> more = {}, const std::string& ttl = "5m") {
    more.emplace_back("--secret-stdin");
    const Result result = request(lease, more, ttl, "value-of-" + lease);
    EXPECT_EQ(result.status, 0) << result;
    EXPECT_EQ(textAt(result.json(), {"outcome"}), "granted") << result;
    return result;
  }
  Result verb(const char* name, const std::string& lease, std::vector<std::string> more = {}) {
    std::vector<std::string> words = {"lease", name, lease};
    words.insert(words.end(), more.begin(), more.end());
    return ledger_.in(words);
  }
  static void expectDenied(const Result& result, std::string_view reason) {
    EXPECT_EQ(result.status, 1) << result;
    EXPECT_EQ(textAt(result.json(), {"outcome"}), "denied") << result;
    EXPECT_EQ(textAt(result.json(), {"reasonCode"}), reason) << result;
    EXPECT_FALSE(textAt(result.json(), {"receipt", "leafHash"}).empty()) << "a refusal is recorded: " << result;
  }
  static std::string state(const Result& result) { return textAt(result.json(), {"lease", "state"}); }
  LogEvidence evidence() const { return readEvidence(ledger_.data() / "log", ledger_.keys()); }

  LedgerFolder ledger_;
};

TEST_F(Leases, AreGrantedIssuedUsedAndUsedUp) {
  const Result granted = request("one");
  EXPECT_EQ(granted.status, 0) << granted;
  EXPECT_EQ(state(granted), "granted");
  expectDenied(verb("consume", "one"), "not_active");
  const Result issued = verb("issued", "one", {"--outcome", "issued", "--upstream-id", "tok-1"});
  EXPECT_EQ(issued.status, 0) << issued;
  EXPECT_EQ(state(issued), "active");
  EXPECT_EQ(textAt(verb("consume", "one", {"--operation", "git.clone"}).json(), {"lease", "uses"}), "1");
  const Result last = verb("consume", "one", {"--operation", "git.push"});
  EXPECT_EQ(last.status, 0) << last;
  EXPECT_EQ(state(last), "consumed_out") << last;
  expectDenied(verb("consume", "one"), "used_up");
  expectDenied(verb("renew", "one", {"--ttl", "5m"}), "used_up");
  expectDenied(verb("consume", "never-granted"), "unknown_lease");
  expectSound(evidence());
  expectVerified(ledger_);
}

TEST_F(Leases, AreRefusedForTheReasonThePolicyGives) {
  expectDenied(request("a", {}, "2h"), "ttl_exceeded");
  expectDenied(ledger_.in({"lease", "request", "--credential", "git_token", "--grantee", "agent:x", "--scope", "admin:all", "--ttl", "5m"}),
               "policy");
  expectDenied(ledger_.in({"lease", "request", "--credential", "model_key", "--grantee", "agent:x", "--scope", "a", "--ttl", "5m"}),
               "policy");
  expectDenied(ledger_.in({"lease", "request", "--credential", "cloud_identity", "--grantee", "agent:x", "--scope", "a", "--ttl", "5m"}),
               "approval_missing");
  EXPECT_EQ(ledger_.in({"lease", "request", "--credential", "canary", "--grantee", "agent:x", "--scope", "a", "--ttl", "5m"}).status, 2);
  EXPECT_EQ(request("b", {}, "soon").status, 2);
  ASSERT_EQ(ledger_.run({"workspace", "close", "w1"}).status, 0);
  expectDenied(request("c"), "workspace_closed");
  EXPECT_EQ(evidence().kinds["lease.denied"], 5U);
}

TEST_F(Leases, AreRenewedButNeverPastWhatTheyWereGrantedWith) {
  const Result granted = grantIssued("one", {"--renewable-for", "10m"});
  const Result renewed = verb("renew", "one", {"--ttl", "8m"});
  EXPECT_EQ(renewed.status, 0) << renewed;
  EXPECT_GT(textAt(renewed.json(), {"lease", "expiresAt"}), textAt(granted.json(), {"lease", "expiresAt"}));
  expectDenied(verb("renew", "one", {"--ttl", "14m"}), "ttl_exceeded");
}

TEST_F(Leases, AreRevokedOnceAndASecondTimeGivesTheFirstEnd) {
  grantIssued("one");
  const Result first = verb("revoke", "one", {"--reason-code", "compromise", "--reason", "lost laptop"});
  EXPECT_EQ(first.status, 0) << first;
  EXPECT_EQ(state(first), "revoked");
  const std::uint64_t before = ledger_.size();
  const Result second = verb("revoke", "one");
  EXPECT_EQ(second.status, 0) << second;
  EXPECT_EQ(state(second), "revoked");
  EXPECT_TRUE(textAt(second.json(), {"receipt"}).empty()) << "no entry, so no receipt: " << second;
  EXPECT_EQ(ledger_.size(), before);
  expectDenied(verb("consume", "one"), "revoked");
  expectFault(verb("revoke", "never-granted"), "no_such_item", 1);
}

TEST_F(Leases, OfARunEndTogetherAndChildrenWithTheirParent) {
  grantIssued("one", {"--run", "run-1"});
  grantIssued("child", {"--parent", "one"}, "2m");
  grantIssued("two", {"--run", "run-1"});
  grantIssued("other", {"--run", "run-2"});
  const Result all = ledger_.in({"lease", "revoke-all", "--run", "run-1", "--reason-code", "compromise"});
  EXPECT_EQ(all.status, 0) << all;
  EXPECT_FALSE(textAt(all.json(), {"revocationId"}).empty()) << all;
  expectDenied(verb("consume", "one"), "revoked");
  expectDenied(verb("consume", "two"), "revoked");
  expectDenied(verb("consume", "child"), "revoked");
  EXPECT_EQ(verb("consume", "other").status, 0);
  LogEvidence seen = evidence();
  EXPECT_EQ(seen.kinds["revocation.ordered"], 1U);
  EXPECT_EQ(seen.kinds["lease.revoked"], 3U) << "one end for each lease";
  expectSound(seen);
}

TEST_F(Leases, AreRevokedByTheSecretItself) {
  grantIssued("one");
  const Result all = ledger_.in({"lease", "revoke-all", "--secret-stdin", "--reason-code", "compromise"}, "value-of-one\n");
  EXPECT_EQ(all.status, 0) << all;
  EXPECT_EQ(textAt(all.json(), {"matched"}), "1") << all;
  expectDenied(verb("consume", "one"), "revoked");
  EXPECT_EQ(ledger_.in({"lease", "revoke-all", "--secret-stdin"}, "").status, 2) << "an empty secret is none";
}

TEST_F(Leases, NeedAnApprovalThatSomebodyElseGave) {
  const std::vector<std::string> wanted = {"--credential", "cloud_identity", "--grantee", "agent:x", "--scope", "deploy", "--ttl", "5m"};
  std::vector<std::string> ask = {"approval", "request", "--approval", "ok-1"};
  ask.insert(ask.end(), wanted.begin(), wanted.end());
  const Result asked = ledger_.in(ask);
  EXPECT_EQ(asked.status, 0) << asked;
  std::vector<std::string> take = {"lease", "request", "--approval", "ok-1"};
  take.insert(take.end(), wanted.begin(), wanted.end());
  expectDenied(ledger_.in(take), "approval_missing");
  // Who asked and who decides are one operator here: that is no approval.
  const Result own = ledger_.in({"approval", "decide", "ok-1", "approved"});
  EXPECT_NE(own.status, 0) << own;
  expectDenied(ledger_.in(take), "approval_missing");
  const Result rejected = ledger_.in({"approval", "decide", "ok-1", "rejected", "--comment", "not today"});
  EXPECT_EQ(rejected.status, 0) << rejected;
  expectDenied(ledger_.in(take), "approval_rejected");
  expectFault(ledger_.in({"approval", "decide", "never-asked", "approved"}), "no_such_item", 1);
}

TEST_F(Leases, ARepeatOfARequestGetsItsFirstAnswer) {
  Ids ids(11);
  const std::string id = ids.next();
  const Result first = request("", {"--id", id});
  const Result second = request("", {"--id", id});
  ASSERT_EQ(first.status, 0) << first;
  EXPECT_EQ(textAt(second.json(), {"replayed"}), "true") << second;
  EXPECT_EQ(textAt(second.json(), {"lease"}), textAt(first.json(), {"lease"}));
  EXPECT_EQ(textAt(second.json(), {"receipt"}), textAt(first.json(), {"receipt"}));
  expectFault(request("", {"--id", id}, "6m"), "idempotency_conflict", 2);
  EXPECT_EQ(request("", {"--id", "not-a-uuid"}).status, 2);
  const std::string denied = ids.next();
  expectDenied(request("x", {"--id", denied}, "2h"), "ttl_exceeded");
  const Result again = request("x", {"--id", denied}, "2h");
  expectDenied(again, "ttl_exceeded");
  EXPECT_EQ(textAt(again.json(), {"replayed"}), "true");
  EXPECT_EQ(evidence().kinds["lease.granted"], 1U);
}

TEST_F(Leases, ThatRanOutWhileNothingRanGetTheirEntryFirstThingAtTheNextStart) {
  grantIssued("short", {}, "1s");
  grantIssued("long");
  // Time is the only input here: the next process starts until one of them starts after the second has passed.
  const std::int64_t deadline = nowMicroseconds() + 30'000'000;
  std::uint64_t ended = 0;
  while (ended == 0 && nowMicroseconds() < deadline) {
    ASSERT_EQ(ledger_.run({"workspace", "show", "w1"}).status, 0);
    ended = evidence().kinds["lease.expired"];
  }
  EXPECT_EQ(ended, 1U);
  expectDenied(verb("consume", "short"), "expired");
  EXPECT_EQ(verb("consume", "long").status, 0);
  LogEvidence seen = evidence();
  EXPECT_EQ(seen.kinds["lease.expired"], 1U) << "one end, not one at every start";
  expectSound(seen);
}

}  // namespace
}  // namespace counterfoil::test
