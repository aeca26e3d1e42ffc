#include "ledger/core/policy.h"

#include <gtest/gtest.h>

#include <vector>

#include "ledger/core/outcome.h"

namespace counterfoil {
namespace {

constexpr std::string_view kGitRead = R"(
name = "production"
[[rule]]
name = "git-read"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
host = ["host-*"]
scope = ["contents:read", "issues:*"]
resource = ["github.com/acme/*"]
maxTtlSeconds = 900
maxUses = 10
renewableForSeconds = 3600
approval = "none"
)";

// A request that kGitRead grants; tests change what they are about. Owns its texts.
struct Request {
  std::string credential = "git_token";
  std::string kind = "agent";
  std::string id = "fixer";
  std::string host = "host-3";
  std::vector<std::string> scope = {"contents:read"};
  std::vector<std::string> resources = {"github.com/acme/shop"};
  std::int64_t ttlSeconds = 900;
  std::optional<std::uint64_t> maxUses = std::nullopt;
  std::int64_t renewableForSeconds = 0;
  bool approval = false;
};

PolicyDecision decide(const Policy& policy, const Request& request) {
  return evaluate(policy, {request.credential, request.kind, request.id, request.host, request.scope, request.resources, request.ttlSeconds,
                           request.maxUses, request.renewableForSeconds, request.approval});
}

PolicyDecision decide(std::string_view document, const Request& request) {
  return decide(Policy::parse(document), request);
}

std::string rule(std::string_view name, std::string_view lines) {
  return "[[rule]]\nname = \"" + std::string(name) + "\"\n" + std::string(lines) + "\n";
}

std::string allow(std::string_view name, std::string_view lines = "") {
  return rule(name, "effect = \"allow\"\n" + std::string(lines));
}
std::string deny(std::string_view name, std::string_view lines = "") {
  return rule(name, "effect = \"deny\"\n" + std::string(lines));
}

// The fault `document` is refused with. Every fault must name no text of the document: `kCanary` is planted in the hostile ones.
constexpr std::string_view kCanary = "kanarienvogel";

Fault policyFault(std::string_view document) {
  try {
    Policy::parse(document);
  } catch (const Fault& fault) {
    for (const std::string& text : {fault.detail(), fault.hint(), fault.field()}) {
      EXPECT_EQ(text.find(kCanary), std::string::npos) << "the fault quotes the document";
    }
    return fault;
  }
  ADD_FAILURE() << "accepted";
  return {ErrorCode::internal, ""};
}

void expectReason(const PolicyDecision& decision, PolicyReason reason, std::string_view ruleName) {
  EXPECT_FALSE(decision.allowed);
  EXPECT_EQ(textOf(decision.reason), textOf(reason)) << decision.explanation;
  EXPECT_EQ(decision.rule, ruleName);
  EXPECT_FALSE(decision.explanation.empty());
}

TEST(PolicyEvaluate, grantsWhatTheRuleCovers) {
  const PolicyDecision decision = decide(kGitRead, Request{});
  EXPECT_TRUE(decision.allowed);
  EXPECT_EQ(decision.reason, PolicyReason::none);
  EXPECT_EQ(textOf(decision.reason), "");
  EXPECT_EQ(decision.rule, "git-read");
  EXPECT_EQ(decision.explanation, "granted by rule 'git-read'");
  EXPECT_EQ(decision.maxUses, 10U) << "a request without maxUses gets the rule's";
  EXPECT_EQ(decision.renewableForSeconds, 0);
}

TEST(PolicyEvaluate, emptyDocumentDeniesEverything) {
  expectReason(decide("", {}), PolicyReason::policy, "");
  expectReason(decide("name = \"nothing\"\n", {}), PolicyReason::policy, "");
}

TEST(PolicyEvaluate, eachPartOfTheRequestMustBeCovered) {
  const auto refused = [](const Request& request) { expectReason(decide(kGitRead, request), PolicyReason::policy, ""); };
  refused({.credential = "ssh_certificate"});
  refused({.kind = "human"});
  refused({.host = "laptop-3"});
  refused({.host = "xhost-3"});
  refused({.scope = {"contents:write"}});
  refused({.scope = {"contents:read", "contents:write"}});
  refused({.scope = {"contents:readx"}});
  refused({.resources = {"github.com/acme/shop", "github.com/other/shop"}});
  refused({.resources = {"github.com/acme-evil/shop"}});
  EXPECT_TRUE(decide(kGitRead, {.scope = {"contents:read", "issues:write"}}).allowed);
  EXPECT_TRUE(decide(kGitRead, {.resources = {"github.com/acme/a", "github.com/acme/b/c"}}).allowed);
}

TEST(PolicyEvaluate, comparesBytesAsTheyAre) {
  EXPECT_FALSE(decide(kGitRead, {.host = "HOST-3"}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.resources = {"github.com/Acme/shop"}}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.credential = "GIT_TOKEN"}).allowed);
}

TEST(PolicyEvaluate, aStarStandsForAtLeastOneByte) {
  EXPECT_FALSE(decide(kGitRead, {.host = "host-"}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.scope = {"issues:"}}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.id = ""}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.resources = {"github.com/acme"}}).allowed) << "the folder itself is not in the folder";
  EXPECT_TRUE(decide(kGitRead, {.host = "host-3"}).allowed);
}

TEST(PolicyEvaluate, oneRuleMustCoverAll) {
  const std::string document =
      allow("a", "scope = [\"contents:read\"]\nresource = [\"a/*\"]") + allow("b", "scope = [\"contents:write\"]\nresource = [\"b/*\"]");
  EXPECT_TRUE(decide(document, {.scope = {"contents:read"}, .resources = {"a/x"}}).allowed);
  expectReason(decide(document, {.scope = {"contents:read", "contents:write"}, .resources = {"a/x"}}), PolicyReason::policy, "");
  expectReason(decide(document, {.scope = {"contents:read"}, .resources = {"a/x", "b/x"}}), PolicyReason::policy, "");
  expectReason(decide(document, {.scope = {"contents:write"}, .resources = {"a/x"}}), PolicyReason::policy, "");
}

TEST(PolicyEvaluate, anAllowListDoesNotCoverWhatIsLeftOut) {
  expectReason(decide(kGitRead, {.resources = {}}), PolicyReason::policy, "");
  expectReason(decide(kGitRead, {.scope = {}}), PolicyReason::policy, "");
  expectReason(decide(kGitRead, {.host = ""}), PolicyReason::policy, "");
  const std::string open = allow("open", "resource = [\"a/*\", \"*\"]\nhost = [\"*\"]\ncredential = [\"*\"]\ngrantee = [\"*\"]");
  EXPECT_TRUE(decide(open, {.host = "", .resources = {}}).allowed) << "`*` is the same as no list";
}

TEST(PolicyEvaluate, aDenyRuleWinsWhereverItStands) {
  const std::string document = allow("all") + deny("payroll", "resource = [\"github.com/acme/payroll\", \"secret/*\"]") + allow("late");
  EXPECT_TRUE(decide(document, {}).allowed);
  expectReason(decide(document, {.resources = {"github.com/acme/payroll"}}), PolicyReason::policy, "payroll");
  expectReason(decide(document, {.resources = {"github.com/acme/shop", "secret/a"}}), PolicyReason::policy, "payroll");
  expectReason(decide(allow("all", "") + deny("everything"), {}), PolicyReason::policy, "everything");
}

TEST(PolicyEvaluate, theFirstMatchingDenyRuleIsNamed) {
  EXPECT_EQ(decide(deny("one", "scope = [\"x\"]") + deny("two") + deny("three"), {}).rule, "two");
}

TEST(PolicyEvaluate, aDenyRuleNeedsAllItsLists) {
  const std::string document =
      allow("all") + deny("d", "credential = [\"git_token\"]\nscope = [\"contents:write\"]\nresource = [\"prod/*\"]\nhost = [\"host-3\"]");
  EXPECT_TRUE(decide(document, {.resources = {"prod/x"}}).allowed);
  EXPECT_TRUE(decide(document, {.scope = {"contents:write"}}).allowed);
  EXPECT_TRUE(decide(document, {.host = "host-4", .scope = {"contents:write"}, .resources = {"prod/x"}}).allowed);
  EXPECT_TRUE(decide(document, {.credential = "model_key", .scope = {"contents:write"}, .resources = {"prod/x"}}).allowed);
  EXPECT_EQ(decide(document, {.scope = {"contents:write"}, .resources = {"prod/x"}}).rule, "d");
}

TEST(PolicyEvaluate, leavingAFieldOutIsNoWayAroundADenyRule) {
  EXPECT_EQ(decide(allow("all") + deny("d", "resource = [\"prod/*\"]"), {.resources = {}}).rule, "d");
  EXPECT_EQ(decide(allow("all") + deny("d", "host = [\"host-9\"]"), {.host = ""}).rule, "d");
  EXPECT_EQ(decide(allow("all") + deny("d", "scope = [\"admin:*\"]"), {.scope = {}}).rule, "d");
}

TEST(PolicyEvaluate, aWideRequestIsNoWayAroundADenyRule) {
  const std::string document = allow("all") + deny("d", "resource = [\"github.com/acme/payroll\", \"prod/*\"]");
  for (const char* wide :
       {"*", "github.com/*", "github.com/acme/*", "github.com/acme/pay*", "github.com/acme/p?yroll", "github.com/*/payroll",
        "github.com/acme/payroll?ref=main", "github.com/acme/payroll#x", "pr*", "prod/a*", "prod/?"}) {
    expectReason(decide(document, {.resources = {wide}}), PolicyReason::policy, "d");
  }
  for (const char* other : {"github.com/acme/shop*", "github.com/acme/payroll2", "github.com/acme/pay", "production", "gitlab.com/*"}) {
    EXPECT_TRUE(decide(document, {.resources = {other}}).allowed) << other;
  }
  EXPECT_EQ(decide(allow("all") + deny("d", "scope = [\"repo:delete\"]"), {.scope = {"repo:*"}}).rule, "d");
}

TEST(PolicyEvaluate, aWideRequestNeedsARuleAsWide) {
  EXPECT_TRUE(decide(kGitRead, {.resources = {"github.com/acme/*"}}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.resources = {"github.com/*"}}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.resources = {"github.com/acme*"}}).allowed);
  EXPECT_FALSE(decide(kGitRead, {.resources = {"*"}}).allowed);
}

TEST(PolicyEvaluate, resourcesNotInPlainFormAreNeverCovered) {
  const std::string open = allow("all");
  for (const char* hostile : {"github.com/acme/../other/x",
                              "../x",
                              "github.com/acme/..",
                              "github.com/acme/./x",
                              ".",
                              "..",
                              "/..",
                              "github.com/acme//x",
                              "//x",
                              "github.com/acme/x/",
                              "/",
                              "github.com/acme/%2e%2e/other",
                              "github.com/acme/%2E%2E/other",
                              "github.com/acme/.%2e/x",
                              "github.com/acme/%252e%252e/x",
                              "github.com/acme/..%2fother",
                              "github.com/acme/payrol%6c",
                              "100%",
                              "github.com\\acme\\x",
                              "github.com/acme/..\\x",
                              "a\nb",
                              "a\x7f",
                              "a\tb",
                              "a\xc2\x85z",
                              "",
                              "https://",
                              "https:///x",
                              "https://h//x",
                              "https://h/../x",
                              "1x://h//x",
                              "://x"}) {
    Request request{.resources = {"github.com/acme/ok", hostile}};
    const PolicyDecision decision = decide(open, request);
    expectReason(decision, PolicyReason::policy, "");
    EXPECT_NE(decision.explanation.find("resource 2 is not in plain form"), std::string::npos) << hostile;
  }
  const std::string nul("a\0b", 3);
  EXPECT_FALSE(decide(open, {.resources = {nul}}).allowed);
  for (const char* plain : {"https://h/x", "s3://bucket/key", "/srv/data", "arn:aws:s3:::bucket/key", "a..b/c...", ".github/x", "...", "x",
                            "\xc3\xa9t\xc3\xa9/1", "a b"}) {
    EXPECT_TRUE(decide(open, {.resources = {plain}}).allowed) << plain;
  }
}

TEST(PolicyEvaluate, scopesAreWordsAndMayBeUrls) {
  const std::string open = allow("all");
  EXPECT_TRUE(decide(open, {.scope = {"https://www.googleapis.com/auth/drive/"}}).allowed);
  EXPECT_FALSE(decide(open, {.scope = {"a\nb"}}).allowed);
  EXPECT_FALSE(decide(open, {.scope = {""}}).allowed);
}

TEST(PolicyEvaluate, requestsNoRuleMayCover) {
  const std::string open = allow("all");
  expectReason(decide(open, {.credential = "unknown_thing"}), PolicyReason::policy, "");
  expectReason(decide(open, {.credential = ""}), PolicyReason::policy, "");
  expectReason(decide(open, {.credential = "*"}), PolicyReason::policy, "");
  expectReason(decide(open, {.ttlSeconds = 0}), PolicyReason::policy, "");
  expectReason(decide(open, {.ttlSeconds = -900}), PolicyReason::policy, "");
  expectReason(decide(open, {.renewableForSeconds = -1}), PolicyReason::policy, "");
  expectReason(decide(open, {.id = "a\nb"}), PolicyReason::policy, "");
  expectReason(decide(open, {.host = "a\nb"}), PolicyReason::policy, "");
  EXPECT_TRUE(decide(open, {}).allowed);
}

TEST(PolicyEvaluate, everyCredentialHasItsOwnBit) {
  for (const std::string_view named : kPolicyCredentials) {
    const Policy policy = Policy::parse(allow("r", "credential = [\"" + std::string(named) + "\"]"));
    for (const std::string_view asked : kPolicyCredentials) {
      EXPECT_EQ(decide(policy, {.credential = std::string(asked)}).allowed, named == asked) << named << " " << asked;
    }
  }
}

TEST(PolicyEvaluate, limitsThatAreExceeded) {
  EXPECT_TRUE(decide(kGitRead, {.ttlSeconds = 900}).allowed);
  expectReason(decide(kGitRead, {.ttlSeconds = 901}), PolicyReason::ttlExceeded, "git-read");
  EXPECT_EQ(decide(kGitRead, {.ttlSeconds = 901}).explanation,
            "rule 'git-read' covers the request, but its maxTtlSeconds is 900 and 901 were asked for");
  EXPECT_TRUE(decide(kGitRead, {.renewableForSeconds = 3600}).allowed);
  expectReason(decide(kGitRead, {.renewableForSeconds = 3601}), PolicyReason::ttlExceeded, "git-read");
  EXPECT_TRUE(decide(kGitRead, {.maxUses = 10}).allowed);
  expectReason(decide(kGitRead, {.maxUses = 11}), PolicyReason::scopeExceeded, "git-read");
  expectReason(decide(kGitRead, {.maxUses = 0}), PolicyReason::scopeExceeded, "git-read");
  EXPECT_EQ(textOf(PolicyReason::ttlExceeded), "ttl_exceeded");
  EXPECT_EQ(textOf(PolicyReason::scopeExceeded), "scope_exceeded");
  EXPECT_EQ(textOf(PolicyReason::approvalMissing), "approval_missing");
  EXPECT_EQ(textOf(PolicyReason::policy), "policy");
}

TEST(PolicyEvaluate, limitsThatAreLeftOut) {
  const std::string open = allow("all");
  EXPECT_TRUE(decide(open, {.ttlSeconds = limits::kTtlSecondsMax}).allowed);
  expectReason(decide(open, {.ttlSeconds = limits::kTtlSecondsMax + 1}), PolicyReason::ttlExceeded, "all");
  expectReason(decide(open, {.renewableForSeconds = 1}), PolicyReason::ttlExceeded, "all");
  EXPECT_EQ(decide(open, {}).maxUses, 0U);
  EXPECT_EQ(decide(open, {.maxUses = 7}).maxUses, 7U);
  EXPECT_EQ(decide(allow("all", "maxUses = 0"), {.maxUses = 0}).maxUses, 0U);
}

TEST(PolicyEvaluate, grantsWhatWasAskedForBelowTheLimit) {
  const PolicyDecision decision = decide(kGitRead, {.maxUses = 3, .renewableForSeconds = 60});
  EXPECT_TRUE(decision.allowed);
  EXPECT_EQ(decision.maxUses, 3U);
  EXPECT_EQ(decision.renewableForSeconds, 60);
}

TEST(PolicyEvaluate, approval) {
  const std::string document = allow("big", "approval = \"required\"\nmaxTtlSeconds = 60");
  expectReason(decide(document, {.ttlSeconds = 60}), PolicyReason::approvalMissing, "big");
  EXPECT_TRUE(decide(document, {.ttlSeconds = 60, .approval = true}).allowed);
  expectReason(decide(document, {.ttlSeconds = 61}), PolicyReason::ttlExceeded, "big");
  expectReason(decide(document + deny("d"), {.ttlSeconds = 60, .approval = true}), PolicyReason::policy, "d");
}

TEST(PolicyEvaluate, aLaterRuleMayStillGrant) {
  const std::string document = allow("short", "maxTtlSeconds = 60") + allow("long", "maxTtlSeconds = 600\napproval = \"required\"");
  EXPECT_EQ(decide(document, {.ttlSeconds = 60}).rule, "short");
  EXPECT_EQ(decide(document, {.ttlSeconds = 600, .approval = true}).rule, "long");
  expectReason(decide(document, {.ttlSeconds = 600}), PolicyReason::ttlExceeded, "short");  // the first one that covers it
}

TEST(PolicyEvaluate, explanationNamesTheNearestRuleAndNoValue) {
  const Request request{
      .id = "kanarienvogel", .host = "host-kanarienvogel", .scope = {"contents:read", "kanarienvogel"}, .resources = {"kanarienvogel"}};
  const PolicyDecision decision = decide(kGitRead, request);
  EXPECT_EQ(decision.explanation,
            "no rule covers the whole request; rule 'git-read' comes near and covers 1 of 2 in scope, 0 of 1 in resource");
  EXPECT_EQ(
      decide(kGitRead, {.resources = {}}).explanation,
      "no rule covers the whole request; rule 'git-read' comes near and covers 1 of 1 in scope, a request that names a resource only");
}

TEST(PolicyEvaluate, aPolicyOutlivesItsDocumentAndItsCopies) {
  std::optional<Policy> first = Policy::parse(std::string(kGitRead));
  const Policy second = *first;
  first.reset();
  EXPECT_EQ(second.name(), "production");
  EXPECT_TRUE(decide(second, {}).allowed);
}

TEST(PolicyParse, keepsRulesInOrderWithTheirLines) {
  const Policy policy = Policy::parse("\n" + deny("z") + "# comment [[rule]] { . \n" + allow("a", "maxUses = 1_000"));
  ASSERT_EQ(policy.rules().size(), 2U);
  EXPECT_EQ(policy.rules()[0].name, "z");
  EXPECT_EQ(policy.rules()[0].effect, PolicyEffect::deny);
  EXPECT_EQ(policy.rules()[0].line, 2U);
  EXPECT_EQ(policy.rules()[1].maxUses, 1000U);
  EXPECT_EQ(policy.rules()[1].line, 7U);
  EXPECT_EQ(policy.name(), "");
}

TEST(PolicyParse, takesWindowsLineEndsAByteOrderMarkAndListsOverSeveralLines) {
  const std::string document =
      "\xef\xbb\xbf[[rule]]\r\nname = 'r'\r\neffect = \"allow\" # yes\r\nscope = [\r\n  \"a\", # ] first\r\n  'b',\r\n]\r\n";
  EXPECT_TRUE(decide(document, {.scope = {"a", "b"}}).allowed);
  EXPECT_FALSE(decide(document, {.scope = {"a", "c"}}).allowed);
}

TEST(PolicyParse, decodesEscapesBeforeChecking) {
  EXPECT_TRUE(decide(allow("r", R"(scope = ["\u0061"])"), {.scope = {"a"}}).allowed);
  EXPECT_EQ(policyFault(allow("r", R"(scope = ["a\u0000"])")).code(), ErrorCode::invalidValue);
  EXPECT_EQ(policyFault(allow("r", R"(resource = ["a/\u002e./b"])")).code(), ErrorCode::invalidValue);
}

struct Refused {
  const char* lines;  // of an allow rule
  ErrorCode code;
  const char* field;
};

TEST(PolicyParse, refusesWithLineRuleAndKey) {
  const Refused table[] = {
      {"kanarienvogel = 1", ErrorCode::unknownField, "/rule/1"},
      {"\"kanarienvogel\" = 1", ErrorCode::unknownField, "/rule/1"},
      {"maxUses = 1\nmaxUses = 2", ErrorCode::duplicateField, ""},
      {"scope = \"kanarienvogel\"", ErrorCode::invalidValue, "/rule/1/scope"},
      {"scope = []", ErrorCode::invalidValue, "/rule/1/scope"},
      {"scope = [1]", ErrorCode::invalidValue, "/rule/1/scope"},
      {"scope = [\"\"]", ErrorCode::invalidValue, "/rule/1/scope"},
      {"scope = [\"kanarienvogel*\"]", ErrorCode::invalidValue, "/rule/1/scope"},
      {"scope = [\"a:*b\"]", ErrorCode::invalidValue, "/rule/1/scope"},
      {"scope = [\"**\"]", ErrorCode::invalidValue, "/rule/1/scope"},
      {"scope = [\"a:**\"]", ErrorCode::invalidValue, "/rule/1/scope"},
      {"host = [\"host_*\"]", ErrorCode::invalidValue, "/rule/1/host"},
      {"host = [\"host.*\"]", ErrorCode::invalidValue, "/rule/1/host"},
      {"host = [true]", ErrorCode::invalidValue, ""},
      {"grantee = [\"kanarienvogel\"]", ErrorCode::invalidValue, "/rule/1/grantee"},
      {"grantee = [\"kanarienvogel:x\"]", ErrorCode::invalidValue, "/rule/1/grantee"},
      {"grantee = [\"agent:\"]", ErrorCode::invalidValue, "/rule/1/grantee"},
      {"grantee = [\"agent-*\"]", ErrorCode::invalidValue, "/rule/1/grantee"},
      {"resource = [\"a/../kanarienvogel\"]", ErrorCode::invalidValue, "/rule/1/resource"},
      {"resource = [\"a//*\"]", ErrorCode::invalidValue, "/rule/1/resource"},
      {"resource = [\"a/\"]", ErrorCode::invalidValue, "/rule/1/resource"},
      {"resource = [\"a/../*\"]", ErrorCode::invalidValue, "/rule/1/resource"},
      {"resource = [\"a%2fb\"]", ErrorCode::invalidValue, "/rule/1/resource"},
      {"resource = ['a\\b']", ErrorCode::invalidValue, "/rule/1/resource"},
      {"credential = [\"kanarienvogel\"]", ErrorCode::invalidValue, "/rule/1/credential"},
      {"credential = [\"git_token\", \"unspecified\"]", ErrorCode::invalidValue, "/rule/1/credential"},
      {"credential = [\"git_*\"]", ErrorCode::invalidValue, "/rule/1/credential"},
      {"credential = [7]", ErrorCode::invalidValue, "/rule/1/credential"},
      {"maxTtlSeconds = 0", ErrorCode::invalidValue, "/rule/1/maxTtlSeconds"},
      {"maxTtlSeconds = -1", ErrorCode::invalidValue, "/rule/1/maxTtlSeconds"},
      {"maxTtlSeconds = 31622401", ErrorCode::invalidValue, "/rule/1/maxTtlSeconds"},
      {"maxTtlSeconds = \"900\"", ErrorCode::invalidValue, "/rule/1/maxTtlSeconds"},
      {"maxTtlSeconds = true", ErrorCode::invalidValue, ""},
      {"maxTtlSeconds = 1e3", ErrorCode::invalidValue, ""},
      {"maxTtlSeconds = inf", ErrorCode::invalidValue, ""},
      {"maxTtlSeconds = 900.0", ErrorCode::invalidValue, ""},
      {"maxTtlSeconds = 99999999999999999999", ErrorCode::invalidValue, ""},
      {"maxUses = -1", ErrorCode::invalidValue, "/rule/1/maxUses"},
      {"maxUses = 9007199254740992", ErrorCode::invalidValue, "/rule/1/maxUses"},
      {"renewableForSeconds = -1", ErrorCode::invalidValue, "/rule/1/renewableForSeconds"},
      {"renewableForSeconds = 1979-05-27", ErrorCode::invalidValue, ""},
      {"approval = \"kanarienvogel\"", ErrorCode::invalidValue, "/rule/1/approval"},
      {"approval = 1", ErrorCode::invalidValue, "/rule/1/approval"},
      {"scope = 1979-05-27T:7032", ErrorCode::invalidValue, ""},
      {"scope = 07:32:00", ErrorCode::invalidValue, ""},
      {"scope = 2\"kanarienvogel\xcd\x90\"", ErrorCode::invalidValue, ""},
      {"scope = [\"a\"\"b\"]", ErrorCode::invalidValue, ""},
      {"scope = kanarienvogel = 1", ErrorCode::invalidValue, ""},
      {"approval = true", ErrorCode::invalidValue, ""},
      {"a.kanarienvogel = 1", ErrorCode::invalidValue, ""},
      {"a = { kanarienvogel = 1 }", ErrorCode::tooDeep, ""},
      {"a = [[\"kanarienvogel\"]]", ErrorCode::tooDeep, ""},
      {"scope = [\"kanarienvogel", ErrorCode::invalidValue, ""},
      {"scope = \"\"\"kanarienvogel\"\"\"", ErrorCode::invalidValue, ""},
      {"kanarienvogel", ErrorCode::invalidValue, ""},
      {"scope = kanarienvogel", ErrorCode::invalidValue, ""},
      {"scope = [\"\\kanarienvogel\"]", ErrorCode::invalidValue, ""},
  };
  for (const Refused& row : table) {
    const std::string first = allow("first");  // four lines
    const Fault fault = policyFault(first + allow("second", row.lines));
    EXPECT_EQ(fault.code(), row.code) << row.lines << ": " << fault.what();
    EXPECT_EQ(fault.field(), row.field) << row.lines << ": " << fault.what();
    EXPECT_NE(fault.detail().find("line "), std::string::npos) << fault.what();
    EXPECT_FALSE(fault.hint().empty()) << row.lines;
  }
}

TEST(PolicyParse, namesLineRuleAndKey) {
  const Fault fault = policyFault(allow("first") + allow("second", "# a comment\nmaxUses = -1"));
  EXPECT_EQ(fault.detail(), "policy, line 9: rule 2: maxUses is out of range");
  EXPECT_EQ(fault.hint(), "a whole number from 0 to 9007199254740991");
}

// The TOML library would have let these near code that is not made for them, or would have quoted the document.
TEST(PolicyParse, saysItInItsOwnWords) {
  EXPECT_EQ(policyFault("# a\n# b\x01").detail(), "policy, line 2: a control character");
  EXPECT_EQ(policyFault("a='\x0b'").detail(), "policy, line 1: a control character");
  EXPECT_EQ(policyFault("a=1\r").detail(), "policy, line 1: a control character");
  EXPECT_EQ(policyFault("a = 2\"\xcd\x90\"").detail(), "policy, line 1: two values without anything between them");
  EXPECT_EQ(policyFault("a = ''\"\"").detail(), "policy, line 1: two values without anything between them");
  EXPECT_EQ(policyFault("\na = 99999999999999999999").detail(), "policy, line 2: not valid TOML");
  EXPECT_EQ(policyFault("kanarienvogel = 1\nkanarienvogel = 2").detail(), "policy, line 2: a key for the second time");
}

TEST(PolicyParse, suggestsTheKeyThatWasMeant) {
  EXPECT_EQ(policyFault(allow("r", "scopes = [\"a\"]")).hint().substr(0, 20), "did you mean scope? ");
  EXPECT_EQ(policyFault(allow("r", "max_ttl_seconds = 1")).hint().substr(0, 28), "did you mean maxTtlSeconds? ");
}

TEST(PolicyParse, refusesDocumentsThatAreNotAPolicy) {
  EXPECT_EQ(policyFault("kanarienvogel = 1").code(), ErrorCode::unknownField);
  EXPECT_EQ(policyFault("[kanarienvogel]").code(), ErrorCode::unknownField);
  EXPECT_EQ(policyFault("name = 7").code(), ErrorCode::invalidValue);
  EXPECT_EQ(policyFault("name = \"kanarienvogel kanarienvogel\"").code(), ErrorCode::invalidValue);
  EXPECT_EQ(policyFault("[rule]\nname = \"a\"\neffect = \"deny\"").code(), ErrorCode::invalidValue);
  EXPECT_EQ(policyFault("rule = [1]").code(), ErrorCode::invalidValue);
  EXPECT_EQ(policyFault("rule = \"kanarienvogel\"").code(), ErrorCode::invalidValue);
  EXPECT_EQ(policyFault("[[rule]]\neffect = \"allow\"").field(), "/rule/0/name");
  EXPECT_EQ(policyFault("[[rule]]\nname = \"\"\neffect = \"allow\"").field(), "/rule/0/name");
  EXPECT_EQ(policyFault("[[rule]]\nname = \"a\\nb\"\neffect = \"allow\"").field(), "/rule/0/name");
  EXPECT_EQ(policyFault("[[rule]]\nname = \"a\"").field(), "/rule/0/effect");
  EXPECT_EQ(policyFault("[[rule]]\nname = \"a\"\neffect = \"Allow\"").field(), "/rule/0/effect");
  EXPECT_EQ(policyFault(rule(std::string(129, 'a'), "effect = \"deny\"")).field(), "/rule/0/name");
  EXPECT_EQ(policyFault("[[rule]]\n[rule.name]\n").code(), ErrorCode::invalidValue);
}

TEST(PolicyParse, refusesLimitsInADenyRule) {
  for (const char* line : {"maxTtlSeconds = 1", "maxUses = 1", "renewableForSeconds = 1", "approval = \"none\""}) {
    EXPECT_EQ(policyFault(deny("d", line)).code(), ErrorCode::invalidValue) << line;
  }
}

TEST(PolicyParse, refusesTwoRulesOfOneName) {
  const Fault fault = policyFault(allow("a") + allow("b") + allow("c") + deny("b"));
  EXPECT_EQ(fault.code(), ErrorCode::duplicateField);
  EXPECT_EQ(fault.field(), "/rule/3/name");
  EXPECT_NE(fault.detail().find("rule 2"), std::string::npos);
}

TEST(PolicyParse, limitsOfTheDocument) {
  std::string most;
  for (int i = 0; i < 1000; ++i) most += "[[rule]]\nname='" + std::to_string(i) + "'\neffect='deny'\n";
  ASSERT_LT(most.size(), limits::kPolicyBytesMax);
  EXPECT_EQ(Policy::parse(most).rules().size(), limits::kPolicyRulesMax);
  EXPECT_EQ(policyFault(most + "[[rule]]\nname='x'\neffect='deny'\n").code(), ErrorCode::tooLarge);
  std::string headers;
  for (int i = 0; i < 5000; ++i) headers += "[[rule]]\n";
  EXPECT_EQ(policyFault(headers).code(), ErrorCode::tooLarge);

  const std::string full = allow("a") + "#";
  EXPECT_EQ(Policy::parse(full + std::string(limits::kPolicyBytesMax - full.size(), 'x')).rules().size(), 1U);
  EXPECT_EQ(policyFault(full + std::string(limits::kPolicyBytesMax - full.size() + 1, 'x')).code(), ErrorCode::tooLarge);

  const std::string longest(limits::kScannedBytesMax, 'a');
  EXPECT_TRUE(decide(allow("r", "scope = [\"" + longest + "\"]"), {.scope = {longest}}).allowed);
  EXPECT_EQ(policyFault(allow("r", "scope = [\"a" + longest + "\"]")).code(), ErrorCode::tooLong);

  std::string items;
  for (std::size_t i = 0; i < limits::kListItemsMax; ++i) items += "'x',";
  EXPECT_EQ(Policy::parse(allow("r", "scope = [" + items + "]")).rules().size(), 1U);
  EXPECT_EQ(policyFault(allow("r", "scope = [" + items + "'y']")).code(), ErrorCode::tooLarge);
}

// Each of these ends the process, or comes close, if it reaches the TOML library as it is.
TEST(PolicyParse, refusesHostileStructure) {
  const std::size_t n = limits::kPolicyBytesMax;
  const auto repeated = [n](std::string_view unit) {
    std::string out;
    while (out.size() + unit.size() <= n) out += unit;
    return out;
  };
  for (const std::string& document : {repeated("["),
                                      repeated("[["),
                                      "a=" + repeated("[").substr(2),
                                      "a=" + repeated("{a=").substr(3),
                                      repeated("a."),
                                      repeated("a.").substr(2) + "=1",
                                      "[" + repeated("a.").substr(2),
                                      repeated("\"a\"."),
                                      repeated("]"),
                                      repeated("\""),
                                      repeated("'"),
                                      repeated("="),
                                      std::string("[=]"),
                                      std::string("[.a]"),
                                      std::string("[[=]]"),
                                      std::string("[ ]"),
                                      std::string("["),
                                      std::string("[["),
                                      std::string("[\n"),
                                      std::string("a"),
                                      std::string("a="),
                                      std::string("a=["),
                                      std::string("a=[\n"),
                                      std::string("\"a"),
                                      std::string("a=\"\\"),
                                      std::string("=1"),
                                      std::string("a=1 b=2"),
                                      std::string("a=-"),
                                      std::string("a=+"),
                                      std::string("a=0x"),
                                      std::string("a=1\rb=2"),
                                      std::string("a=1\x0b"
                                                  "b=1"),
                                      std::string("a=\0", 3),
                                      std::string("\xe2\x80\xa8")}) {
    const Fault fault = policyFault(document);
    EXPECT_EQ(factsOf(fault.code()).exitStatus, 2) << document.substr(0, 20);
  }
  EXPECT_EQ(policyFault(repeated("a=[\n[")).code(), ErrorCode::tooDeep);
  EXPECT_EQ(policyFault("a='\xff'").code(), ErrorCode::invalidUtf8);
  EXPECT_EQ(policyFault("a='\xed\xa0\x80'").code(), ErrorCode::invalidUtf8);
}

// Any string of small pieces is either parsed or refused with a Fault; seeds are fixed, so a failure repeats.
TEST(PolicyParse, survivesRandomDocuments) {
  constexpr std::string_view kPieces[] = {
      "[[rule]]", "[",          "]", "\n", "name", "=",    "\"a\"", "'b'",      "effect", "\"allow\"", "\"deny\"", "scope", ",",
      "#",        "maxUses",    "1", "-1", "0x",   "\"",   "'",     "\\",       " ",      "\t",        "{",        "}",     ".",
      "rule",     "1979-05-27", ":", "+",  "_",    "true", "nan",   "\xc3\xa9", "\xff",   "\r\n",      "*"};
  std::uint64_t state = 20260301;
  std::size_t accepted = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string document;
    for (std::uint64_t pieces = round % 24; pieces > 0; --pieces) {
      state = state * 6364136223846793005ULL + 1442695040888963407ULL;
      document += kPieces[(state >> 33) % std::size(kPieces)];
    }
    try {
      Policy::parse(document);
      ++accepted;
    } catch (const Fault&) {
    }
  }
  EXPECT_GT(accepted, 500U);
}

}  // namespace
}  // namespace counterfoil
