// The erasure of a whole workspace against the real program: two administrators of the ledger, what is left, and a kill at any moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "tests/e2e/running_server.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kErasedPolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 900\n";
constexpr std::string_view kTenantHost = "host-of-the-tenant";
constexpr const char* kSystemErasures = "/v1/workspaces/_system/erasures";

class EraseWorkspace : public testing::Test {
 protected:
  void SetUp() override {
    begin();
    ASSERT_EQ(owner_->ask("PUT", "/v1/workspaces/w1/policy", kErasedPolicy, "text/toml").status, 200);
    ASSERT_EQ(owner_->post("/v1/workspaces", R"({"id":"w2"})").status, 201);
    const HttpAnswer granted = owner_->post("/v1/workspaces/w1/leases", R"({"credential":"git_token","scope":["contents:read"],
      "ttlSeconds":600,"host":"host-of-the-tenant","grantee":{"kind":"human","id":"carol@example.com"},"reason":"asked on the phone"})");
    ASSERT_EQ(granted.status, 201) << granted;
    ASSERT_EQ(owner_->get("/v1/workspaces/w1/entries?wait=" + granted.at({"receipt", "seq"})).status, 200);
  }
  void begin() {
    server_ = std::make_unique<RunningServer>(ledger_);
    owner_ = std::make_unique<HttpClient>(server_->client("owner", "*", "human:olga"));
    admin_ = std::make_unique<HttpClient>(server_->client("admin", "*", "human:adam"));
  }
  static std::string body(const std::string& approval = {}) {
    return approval.empty() ? R"({"workspaceId":"w1","basis":"contract-7"})" : R"({"workspaceId":"w1","approval":")" + approval + "\"}";
  }
  HttpAnswer order() {
    const HttpAnswer asked = owner_->post(kSystemErasures, body());
    EXPECT_EQ(asked.status, 200) << asked;
    const HttpAnswer decided =
        admin_->post("/v1/workspaces/_system/approvals/" + asked.at({"approvalId"}) + "/decide", R"({"decision":"approved"})");
    EXPECT_EQ(decided.status, 200) << decided;
    return owner_->post(kSystemErasures, body(asked.at({"approvalId"})));
  }
  bool erased() {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60); std::chrono::steady_clock::now() < end;) {
      const HttpAnswer page = owner_->get("/v1/workspaces/_system/entries?kind=key.destroyed");
      if (page.status == 200 && page.body.find("kek/1") != std::string::npos) return true;
    }
    return false;
  }
  void expectGone() {
    const HttpAnswer shown = owner_->get("/v1/workspaces/w1");
    EXPECT_EQ(shown.at({"state"}), "erased") << shown;
    EXPECT_FALSE(std::filesystem::exists(ledger_.keys() / "kek" / "1" / "1.key"));
    EXPECT_TRUE(std::filesystem::exists(ledger_.keys() / "kek" / "2" / "1.key")) << "of the other workspace";
    EXPECT_NE(shown.at({"entries"}), "0");
    EXPECT_EQ(shown.at({"liveLeases"}), "0");
    for (const char* rest : {"entries", "leases", "policy", "holds", "stats", "retention", "keys", "stream"}) {
      const HttpAnswer answer = owner_->get(std::string("/v1/workspaces/w1/") + rest);
      EXPECT_EQ(answer.at({"code"}), "workspace_closed") << rest << answer;
      EXPECT_THAT(answer.body, Not(HasSubstr(std::string(kTenantHost))));
    }
    const HttpAnswer refused = owner_->post("/v1/workspaces/w1/close", "{}");
    EXPECT_EQ(refused.status, 409) << refused;
    EXPECT_EQ(refused.at({"code"}), "workspace_closed");
    EXPECT_EQ(owner_->post("/v1/workspaces", R"({"id":"w1"})").at({"code"}), "already_exists");
    EXPECT_EQ(owner_->ask("PUT", "/v1/workspaces/w2/policy", kErasedPolicy, "text/toml").status, 200) << "others go on";
  }
  void expectVerified() {
    std::string state, body;
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
         state != "done" && std::chrono::steady_clock::now() < end;) {
      const HttpAnswer answer = owner_->get("/v1/workspaces/w1/verify");
      body = answer.body;
      state = answer.at({"state"});
    }
    EXPECT_THAT(body, HasSubstr("\"ok\":true"));
    EXPECT_THAT(body, HasSubstr("\"notChecked\":0"));
    EXPECT_THAT(body, Not(HasSubstr("\"erased\":0")));
  }
  void searchFiles() const {
    for (const auto& root : {ledger_.data(), ledger_.keys()}) {
      for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
        if (!file.is_regular_file()) continue;
        EXPECT_THAT(readBytes(file.path()), Not(HasSubstr(std::string(kTenantHost)))) << file.path();
      }
    }
  }
  // Of what the server left: before anything is made anew.
  void expectNothingLeft() {
    searchFiles();
    const Result verified = ledger_.run({"verify"});
    EXPECT_EQ(verified.status, 0) << verified;
    EXPECT_EQ(textAt(verified.json(), {"notChecked"}), "[]") << verified;
    EXPECT_THAT(verified.out, HasSubstr("\"erased\":"));
    const Result rebuilt = ledger_.run({"rebuild", "--check"});
    EXPECT_EQ(rebuilt.status, 0) << rebuilt;
    searchFiles();
    EXPECT_FALSE(std::filesystem::exists(ledger_.keys() / "kek" / "1" / "1.key"));
  }

  LedgerFolder ledger_;
  std::unique_ptr<RunningServer> server_;
  std::unique_ptr<HttpClient> owner_, admin_;
};

TEST_F(EraseWorkspace, NothingOfItIsLeftButItsNumberAndHead) {
  const HttpAnswer ordered = order();
  ASSERT_EQ(ordered.status, 200) << ordered;
  EXPECT_EQ(ordered.at({"outcome"}), "erased");
  EXPECT_EQ(ordered.at({"receipt", "workspace"}), "_system");
  ASSERT_TRUE(erased());
  expectGone();
  const HttpAnswer orders = owner_->get("/v1/workspaces/_system/entries?kind=workspace.erased&disclose=true");
  EXPECT_THAT(orders.body, HasSubstr("olga")) << "who is behind it is on the ledger's own record" << orders;
  expectVerified();
  server_->kill();
  begin();
  expectGone();
  expectVerified();
  EXPECT_EQ(server_->stop(), 0);
  expectNothingLeft();
  begin();
  expectGone();
}

TEST_F(EraseWorkspace, ByOwnersOfTheLedgerWithAnothersApprovalAndNeverAgainstAHold) {
  EXPECT_EQ(admin_->post(kSystemErasures, body()).status, 403);
  EXPECT_EQ(server_->client("owner", "w1", "human:otto").post(kSystemErasures, body()).status, 403) << "of the workspace only";
  EXPECT_EQ(owner_->post(kSystemErasures, R"({"workspaceId":"nobody"})").status, 404);
  EXPECT_EQ(owner_->post(kSystemErasures, R"({"workspaceId":"_system"})").status, 400);
  const HttpAnswer asked = owner_->post(kSystemErasures, body());
  const std::string decide = "/v1/workspaces/_system/approvals/" + asked.at({"approvalId"}) + "/decide";
  EXPECT_EQ(owner_->post(decide, R"({"decision":"approved"})").status, 403) << "who asked";
  EXPECT_EQ(server_->client("member", "*", "human:mia").post(decide, R"({"decision":"approved"})").status, 403);
  EXPECT_EQ(owner_->post(kSystemErasures, body(asked.at({"approvalId"}))).status, 403) << "nobody approved it";
  ASSERT_EQ(admin_->post("/v1/workspaces/w1/holds", R"({"holdId":"case-1"})").status, 201);
  EXPECT_EQ(owner_->post(kSystemErasures, body()).at({"code"}), "hold_in_force");
  ASSERT_EQ(admin_->post("/v1/workspaces/w1/holds/case-1/release", "{}").status, 200);
  ASSERT_EQ(order().status, 200);
  ASSERT_TRUE(erased());
  expectGone();
}

TEST_F(EraseWorkspace, AKillAtAnyMomentLosesNothingAndItIsFinished) {
  ASSERT_EQ(order().status, 200);
  for (int round = 0; round < 6; ++round) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(round * 120);
    while (std::chrono::steady_clock::now() < until) EXPECT_EQ(admin_->get("/v1/workspaces/w2").status, 200);
    server_->kill();
    begin();
  }
  ASSERT_TRUE(erased());
  expectGone();
  EXPECT_EQ(server_->stop(), 0);
  expectNothingLeft();
}

TEST_F(EraseWorkspace, OnTheCommandLine) {
  EXPECT_EQ(server_->stop(), 0);
  const Result asked = ledger_.run({"erase", "workspace", "w1", "--basis", "contract-7"});
  ASSERT_EQ(asked.status, 0) << asked;
  const std::string approval = textAt(asked.json(), {"approvalId"});
  const Result alone = ledger_.run({"approval", "decide", approval, "approved", "--workspace", "_system"});
  EXPECT_EQ(alone.code(), "not_allowed") << "one operator is one person" << alone;
}

}  // namespace
}  // namespace counterfoil::test
