// Retention against the real program, on a ledger that has lived for months: what is older than was said is gone from every copy, and the
// rest goes on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "ledger/write/ledger.h"
#include "tests/e2e/log_evidence.h"
#include "tests/e2e/running_server.h"
#include "tests/support/manual_clock.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::int64_t kDaySeconds = 24 * 3600;
constexpr const char* kYearPolicy = "name = \"long\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 31000000\n";
constexpr std::string_view kOldHost = "host-of-long-ago";

Timestamp daysAgo(std::int64_t days) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {std::chrono::duration_cast<std::chrono::nanoseconds>(now).count() - days * kDaySeconds * kNanosecondsPerSecond};
}

// Puts a log of the past in the place of the one that `init` made, written through the libraries: the program has one clock, and nobody can
// turn it back.
class Past {
 public:
  Past(const LedgerFolder& ledger, std::int64_t days) : clock_(daysAgo(days)), provider_(ledger.keys(), random_) {
    log::EmbeddedLogOptions options;
    options.directory = ledger.data() / "log";
    options.identity = {1, 1, "node", "", 1};
    const log::Genesis genesis = log::EmbeddedLog::openReadOnly(options.directory)->genesis();
    for (const char* name : {"log", "snapshots", "views"}) std::filesystem::remove_all(ledger.data() / name);
    log::EmbeddedLog::create(options, {genesis.ledger.ledgerId, genesis.ledger.origin, clock_.wall()});
    log_ = log::EmbeddedLog::open(options);
    ledger_ = std::make_unique<write::Ledger>(*log_, provider_, clock_, random_, write::LedgerOptions{});
    ledger_->start([](const std::string&) {});
    Command create = Command::make(CommandKind::workspaceCreate);
    create.body.setText(create.arena, Field::workspaceId, "w1");
    ledger_->execute("", std::move(create));
  }
  void policy() {
    Command policy = Command::make(CommandKind::policySet);
    policy.body.setText(policy.arena, Field::document, kYearPolicy);
    ledger_->execute("w1", std::move(policy));
  }
  void retain(std::uint64_t days) {
    Command command = Command::make(CommandKind::retentionSet);
    command.body.setNumber(Field::days, days);
    ledger_->execute("w1", std::move(command));
  }
  void grant(std::string_view lease, std::string_view host, std::uint64_t seconds) {
    Command command = Command::make(CommandKind::leaseRequest);
    command.body.setText(command.arena, Field::leaseId, lease);
    command.body.setNumber(Field::credential, static_cast<std::uint64_t>(Credential::gitToken));
    setPrincipal(command.arena, command.body, Field::grantee, {PrincipalKind::agent, "fixer"});
    command.common.setText(command.arena, Field::host, host);
    const std::string_view scope[] = {"contents:read"};
    command.body.setTexts(command.arena, Field::scope, scope);
    command.body.setNumber(Field::ttlSeconds, seconds);
    EXPECT_FALSE(ledger_->execute("w1", std::move(command)).denied);
    Command issue = Command::make(CommandKind::leaseIssue);
    issue.body.setText(issue.arena, Field::leaseId, lease);
    ledger_->execute("w1", std::move(issue));
  }
  void hold(std::string_view id) {
    Command command = Command::make(CommandKind::holdPlace);
    command.body.setText(command.arena, Field::holdId, id);
    ledger_->execute("w1", std::move(command));
  }
  void pass(std::int64_t days) {
    clock_.advanceSeconds(days * kDaySeconds);
    ledger_->drain();
  }

 private:
  ManualClock clock_;
  crypto::SystemRandom random_;
  keys::FileKeyProvider provider_;
  std::unique_ptr<log::EmbeddedLog> log_;
  std::unique_ptr<write::Ledger> ledger_;
};

class RetentionOfMonths : public testing::Test {
 protected:
  void past(bool held) {
    {
      Past past(ledger_, 100);
      past.policy();
      past.retain(45);
      past.grant("long", "host-of-today", 300 * kDaySeconds);
      past.grant("short", kOldHost, 600);
      past.pass(2);
      if (held) past.hold("case-1");
      past.pass(40);
    }
    // A machine whose kernel does not vouch for its clock would wait for an operator's word after so many days.
    const Result accepted = ledger_.run({"doctor", "--accept-clock"});
    ASSERT_EQ(accepted.status, 0) << accepted;
  }
  static std::string path(const std::string& rest) { return "/v1/workspaces/w1/" + rest; }
  static bool destroyed(HttpClient& client) {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60); std::chrono::steady_clock::now() < end;) {
      const HttpAnswer shown = client.get(path("retention"));
      EXPECT_EQ(shown.status, 200) << shown;
      if (shown.body.find("\"destroyed\"") != std::string::npos && shown.body.find("\"due\"") == std::string::npos) return true;
    }
    return false;
  }
  void expectNowhere(std::string_view text) const {
    for (const auto& root : {ledger_.data(), ledger_.keys()}) {
      for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
        if (file.is_regular_file()) {
          EXPECT_THAT(readBytes(file.path()), Not(HasSubstr(std::string(text)))) << file.path();
        }
      }
    }
  }

  LedgerFolder ledger_;
};

TEST_F(RetentionOfMonths, WhatIsOlderThanWasSaidIsGoneAndTheWorkspaceGoesOn) {
  past(false);
  {
    RunningServer server(ledger_);
    HttpClient reader = server.client("reader", "w1");
    ASSERT_TRUE(destroyed(reader));
    const HttpAnswer used = server.client("member", "w1").post(path("leases/long/consume"), "{}");
    ASSERT_EQ(used.status, 200) << used;
    const HttpAnswer page = reader.get(path("entries?limit=1000&order=asc&wait=" + used.at({"receipt", "seq"})));
    ASSERT_EQ(page.status, 200) << page;
    EXPECT_THAT(page.body, HasSubstr("\"withheld\":true"));
    EXPECT_THAT(page.body, HasSubstr("key.destroyed"));
    EXPECT_THAT(page.body, Not(HasSubstr(std::string(kOldHost))));
    server.kill();
  }
  const Result verified = ledger_.run({"verify"});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(textAt(verified.json(), {"notChecked"}), "[]") << verified;
  EXPECT_THAT(verified.out, HasSubstr("\"erased\":"));
  const Result rebuilt = ledger_.run({"rebuild", "--check"});
  EXPECT_EQ(rebuilt.status, 0) << rebuilt;
  expectNowhere(kOldHost);
  const Result shown = ledger_.in({"retention", "show"});
  EXPECT_THAT(shown.out, HasSubstr("\"days\":45"));
  EXPECT_THAT(shown.out, HasSubstr("\"destroyed\""));
  const Result used = ledger_.in({"lease", "consume", "long"});
  EXPECT_EQ(used.status, 0) << used << "read from the beginning: the server was killed";
}

TEST_F(RetentionOfMonths, AHoldStopsItAndItsReleaseLetsItGoOn) {
  past(true);
  {
    RunningServer server(ledger_);
    HttpClient admin = server.client("admin", "*", "human:adam");
    const HttpAnswer shown = admin.get(path("retention"));
    EXPECT_THAT(shown.body, HasSubstr("\"held\":true"));
    EXPECT_THAT(shown.body, Not(HasSubstr("destroyed")));
    ASSERT_EQ(admin.post(path("holds/case-1/release"), "{}").status, 200);
    EXPECT_EQ(server.stop(), 0);
  }
  RunningServer server(ledger_);  // which looks at once
  HttpClient reader = server.client("reader", "w1");
  EXPECT_TRUE(destroyed(reader));
}

TEST_F(RetentionOfMonths, OnlyOwnersSayForHowLong) {
  past(false);
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner", "*", "human:olga");
  EXPECT_EQ(server.client("admin").post(path("retention"), R"({"days":400})").status, 403);
  EXPECT_EQ(server.client("producer", "w1").get(path("retention")).status, 403);
  EXPECT_EQ(owner.post("/v1/workspaces/_system/retention", R"({"days":400})").status, 403);
  EXPECT_EQ(owner.post(path("retention"), R"({"days":36501})").at({"code"}), "invalid_value");
  EXPECT_EQ(owner.post(path("retention"), R"({"days":-1})").at({"code"}), "invalid_value");
  const HttpAnswer set = owner.post(path("retention"), R"({"days":400,"reason":"the contract says so"})");
  ASSERT_EQ(set.status, 200) << set;
  EXPECT_EQ(set.at({"outcome"}), "set");
  EXPECT_THAT(owner.get(path("retention")).body, HasSubstr("\"days\":400"));
  ASSERT_EQ(owner.post(path("retention"), "{}").status, 200);
  EXPECT_THAT(owner.get(path("retention")).body, HasSubstr("\"days\":0"));
}

}  // namespace
}  // namespace counterfoil::test
