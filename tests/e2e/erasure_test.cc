// The erasure of a person against the real program: two administrators, holds, what the copies still give, what a kill leaves owed; and
// the keys it goes with.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "tests/e2e/running_server.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kErasePolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 900\n";
constexpr const char* kCarol = R"({"kind":"human","id":"carol.grant@example.com"})";
constexpr std::string_view kCarolId = "carol.grant@example.com";

std::string grantTo(const char* person) {
  return R"({"credential":"git_token","scope":["contents:read"],"ttlSeconds":600,"reason":"asked for in a meeting","grantee":)" +
         std::string(person) + "}";
}

class Erase : public testing::Test {
 protected:
  void SetUp() override { begin(); }
  void begin() {
    server_ = std::make_unique<RunningServer>(ledger_);
    owner_ = std::make_unique<HttpClient>(server_->client("owner", "*", "human:olga"));
    admin_ = std::make_unique<HttpClient>(server_->client("admin", "*", "human:adam"));
    if (granted_) return;
    ASSERT_EQ(owner_->ask("PUT", path("policy"), kErasePolicy, "text/toml").status, 200);
    grant(kCarol);
    grant(R"({"kind":"human","id":"dave"})");
    granted_ = true;
  }
  void grant(const char* person) {
    const HttpAnswer answer = admin_->post(path("leases"), grantTo(person));
    ASSERT_EQ(answer.status, 201) << answer;
    newest_ = answer.at({"receipt", "seq"});
  }
  static std::string path(const std::string& rest) { return "/v1/workspaces/w1/" + rest; }
  static std::string about(const char* person, const std::string& approval = {}) {
    return "{\"subject\":" + std::string(person) + (approval.empty() ? "}" : ",\"approval\":\"" + approval + "\",\"basis\":\"ticket-7\"}");
  }
  HttpAnswer decide(HttpClient& by, const std::string& approval) {
    return by.post(path("approvals/" + approval + "/decide"), R"({"decision":"approved"})");
  }
  HttpAnswer erase(const char* person) {
    const HttpAnswer asked = owner_->post(path("erasures"), about(person));
    EXPECT_EQ(asked.status, 200) << asked;
    const std::string approval = asked.at({"approvalId"});
    EXPECT_EQ(decide(*admin_, approval).status, 200);
    return owner_->post(path("erasures"), about(person, approval));
  }
  std::string pseudonymOf(const std::string& place) {
    const HttpAnswer page = admin_->get(path("entries?kind=lease.granted&order=asc&wait=" + newest_));
    return textAt(page.json().at("items").at(place == "carol" ? 0 : 1), {"grantee", "id"});
  }
  HttpAnswer resolve(HttpClient& by, const std::string& pseudonym) {
    return by.post(path("resolve"), "{\"pseudonym\":\"" + pseudonym + "\"}");
  }
  // Until the destruction is on the record.
  bool destroyed(std::size_t keys = 1) {
    for (const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(60); std::chrono::steady_clock::now() < end;) {
      const HttpAnswer page = admin_->get(path("entries?kind=key.destroyed"));
      std::size_t persons = 0, versions = 0;
      if (page.status == 200) {
        const boost::json::value body = page.json();
        for (const auto& item : body.at("items").as_array()) {
          ++(textAt(item, {"purpose"}) == "subject" ? persons : versions);
        }
      }
      if (persons >= keys && versions >= 1) return true;
    }
    return false;
  }
  std::string disclosed() { return admin_->get(path("entries?disclose=true&limit=1000")).body; }

  LedgerFolder ledger_;
  std::unique_ptr<RunningServer> server_;
  std::unique_ptr<HttpClient> owner_;
  std::unique_ptr<HttpClient> admin_;
  std::string newest_;
  bool granted_ = false;
};

TEST_F(Erase, APseudonymIsResolvedForAdministratorsAndOnTheRecord) {
  const std::string carol = pseudonymOf("carol");
  const HttpAnswer found = resolve(*admin_, carol);
  ASSERT_EQ(found.status, 200) << found;
  EXPECT_EQ(found.at({"id"}), kCarolId);
  EXPECT_EQ(found.at({"kind"}), "human");
  EXPECT_EQ(resolve(*admin_, pseudonymOf("dave")).at({"id"}), "dave");
  const HttpAnswer nobody = resolve(*admin_, "p2:AAAAAAAAAAAAAAAAAAAAAA");
  EXPECT_EQ(nobody.status, 404) << nobody;
  EXPECT_EQ(nobody.at({"code"}), "no_such_item");
  EXPECT_EQ(resolve(*admin_, "carol").at({"code"}), "invalid_value");
  EXPECT_EQ(admin_->post(path("resolve"), R"({"pseudonym":"p2:AAAAAAAAAAAAAAAAAAAAAA","x":1})").at({"code"}), "unknown_field");
  for (const char* role : {"member", "reader", "auditor"}) {
    HttpClient other = server_->client(role, role == std::string_view("auditor") ? "*" : "w1", "human:mia");
    EXPECT_EQ(resolve(other, carol).status, 403) << role;
  }
  const HttpAnswer record =
      admin_->get(path("entries?kind=subject.resolved&order=asc&wait=" + admin_->get("/v1/workspaces/w1").at({"asOf", "seq"})));
  ASSERT_EQ(record.json().at("items").as_array().size(), 3U) << "the one that found nobody, too";
  EXPECT_EQ(textAt(record.json().at("items").at(0), {"pseudonym"}), carol);
  EXPECT_EQ(textAt(record.json().at("items").at(0), {"rows"}), "1");
  EXPECT_THAT(record.body, Not(HasSubstr(std::string(kCarolId))));
}

TEST_F(Erase, TakesAnOwnerAndAnotherAdministratorAndNoHold) {
  HttpClient member = server_->client("member", "w1", "human:mia");
  EXPECT_EQ(admin_->post(path("erasures"), about(kCarol)).status, 403) << "an owner's";
  EXPECT_EQ(member.post(path("holds"), "{}").status, 403);
  const HttpAnswer held = admin_->post(path("holds"), R"({"subject":)" + std::string(kCarol) + R"(,"reason":"case 12","days":30})");
  ASSERT_EQ(held.status, 201) << held;
  const HttpAnswer refused = owner_->post(path("erasures"), about(kCarol));
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(refused.at({"code"}), "hold_in_force");
  const HttpAnswer holds = member.get(path("holds?wait=" + held.at({"receipt", "seq"})));
  ASSERT_EQ(holds.json().at("items").as_array().size(), 1U) << holds;
  EXPECT_EQ(textAt(holds.json().at("items").at(0), {"hold"}), held.at({"holdId"}));
  EXPECT_EQ(textAt(holds.json().at("items").at(0), {"scope"}), pseudonymOf("carol"));
  EXPECT_EQ(member.post(path("holds/" + held.at({"holdId"}) + "/release"), "{}").status, 403);
  EXPECT_EQ(admin_->post(path("holds/" + held.at({"holdId"}) + "/release"), "{}").status, 200);
  EXPECT_EQ(admin_->post(path("holds/" + held.at({"holdId"}) + "/release"), "{}").status, 404);

  const HttpAnswer asked = owner_->post(path("erasures"), about(kCarol));
  ASSERT_EQ(asked.status, 200) << asked;
  EXPECT_EQ(asked.at({"outcome"}), "requested");
  const std::string approval = asked.at({"approvalId"});
  EXPECT_EQ(owner_->post(path("erasures"), about(kCarol, approval)).status, 403) << "nobody approved it";
  EXPECT_EQ(decide(*owner_, approval).status, 403) << "who asked";
  EXPECT_EQ(decide(member, approval).status, 403);
  EXPECT_EQ(decide(*admin_, approval).status, 200);
  EXPECT_EQ(owner_->post(path("erasures"), about(R"({"kind":"human","id":"dave"})", approval)).status, 403) << "of another person";
  const std::string id = "Idempotency-Key: " + Ids(7).next() + "\r\n";
  const HttpAnswer erased = owner_->ask("POST", path("erasures"), about(kCarol, approval), "application/json", id);
  ASSERT_EQ(erased.status, 200) << erased;
  EXPECT_EQ(erased.at({"outcome"}), "erased");
  ASSERT_TRUE(destroyed());
  const HttpAnswer again = owner_->ask("POST", path("erasures"), about(kCarol, approval), "application/json", id);
  EXPECT_EQ(again.at({"receipt", "leafHash"}), erased.at({"receipt", "leafHash"})) << again << "a repeat gets the first answer";
  EXPECT_EQ(again.at({"replayed"}), "true");
  EXPECT_EQ(owner_->post(path("erasures"), about(kCarol)).status, 404) << "there is nobody left to erase";
}

TEST_F(Erase, NoCopyYieldsThePersonAndEverythingVerifies) {
  const std::string carol = pseudonymOf("carol");
  EXPECT_THAT(disclosed(), HasSubstr(std::string(kCarolId)));
  // A backup of before, keys folder and all; the keys are then replaced by those of after, which is all that the operator keeps.
  const std::filesystem::path backup = ledger_.root() / "backup";
  EXPECT_EQ(server_->stop(), 0);
  std::filesystem::copy(ledger_.data(), backup, std::filesystem::copy_options::recursive);
  begin();
  EXPECT_EQ(erase(kCarol).status, 200);
  EXPECT_EQ(resolve(*admin_, carol).status, 404) << "at once";
  EXPECT_THAT(disclosed(), Not(HasSubstr(std::string(kCarolId))));
  EXPECT_THAT(disclosed(), HasSubstr("\"dave\""));
  ASSERT_TRUE(destroyed());
  EXPECT_TRUE(std::filesystem::exists(ledger_.keys() / "kek" / "1" / "1.destroyed"));
  EXPECT_FALSE(std::filesystem::exists(ledger_.keys() / "kek" / "1" / "1.key"));
  // The same person is somebody new.
  grant(kCarol);
  EXPECT_EQ(owner_->post(path("leases"), grantTo(kCarol)).status, 201);
  const HttpAnswer twice = admin_->get(path("entries?kind=lease.granted&actor=human:adam&order=desc&limit=1&wait=" + newest_));
  EXPECT_NE(textAt(twice.json().at("items").at(0), {"grantee", "id"}), carol);
  EXPECT_EQ(erase(kCarol).status, 200);
  server_->kill();

  // Without snapshot and views, from the log alone.
  std::filesystem::remove_all(ledger_.data() / "snapshots");
  std::filesystem::create_directory(ledger_.data() / "snapshots");
  std::filesystem::remove_all(ledger_.data() / "views");
  const Result listed = ledger_.in({"entries", "--all"});
  EXPECT_THAT(listed.out, HasSubstr("\"policy.set\"")) << listed;
  EXPECT_THAT(listed.out, Not(HasSubstr("\"withheld\":true"))) << "what was recorded before the key was replaced is there";
  const Result verified = ledger_.run({"verify"});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(textAt(verified.json(), {"notChecked"}), "[]");
  const Result rebuilt = ledger_.run({"rebuild", "--check"});
  EXPECT_EQ(rebuilt.status, 0) << rebuilt;
  begin();
  ASSERT_TRUE(destroyed(2)) << "what was owed when it was killed";
  EXPECT_THAT(disclosed(), Not(HasSubstr(std::string(kCarolId))));
  EXPECT_EQ(server_->stop(), 0);
  for (const auto& root : {ledger_.data(), ledger_.keys(), backup}) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
      if (!file.is_regular_file()) continue;
      EXPECT_THAT(readBytes(file.path()), Not(HasSubstr(std::string(kCarolId)))) << file.path();
    }
  }
  std::filesystem::remove_all(backup / "views");
  const Result old = runProgram({"entries", "--workspace", "w1", "--disclose", "--data", backup.string(), "--json"});
  EXPECT_THAT(old.out, Not(HasSubstr(std::string(kCarolId)))) << "the backup's keys are gone as well";
}

// Killed somewhere between the answer and the end of the destruction, again and again.
TEST_F(Erase, AKillAtAnyMomentLosesNothingAndTheErasureIsFinished) {
  for (int round = 0; round < 6; ++round) {
    const std::string person = R"({"kind":"human","id":"person-)" + std::to_string(round) + "\"}";
    grant(person.c_str());
    ASSERT_EQ(erase(person.c_str()).status, 200);
    const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(round * 120);
    while (std::chrono::steady_clock::now() < until) EXPECT_EQ(admin_->get("/v1/workspaces/w1").status, 200);
    server_->kill();
    begin();
  }
  ASSERT_TRUE(destroyed(6));
  const std::string shown = disclosed();
  EXPECT_THAT(shown, Not(HasSubstr("person-")));
  EXPECT_THAT(shown, HasSubstr(std::string(kCarolId)));
  EXPECT_EQ(server_->stop(), 0);
  const Result verified = ledger_.run({"verify"});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(textAt(verified.json(), {"notChecked"}), "[]");
}

TEST_F(Erase, KeysAreListedAndRotatedByOwners) {
  EXPECT_EQ(admin_->get(path("keys")).status, 403);
  EXPECT_EQ(admin_->get("/v1/keys").status, 403);
  EXPECT_EQ(admin_->post("/v1/keys", R"({"purpose":"token"})").status, 403);
  const HttpAnswer before = owner_->get(path("keys"));
  ASSERT_EQ(before.status, 200) << before;
  EXPECT_EQ(before.at({"persons"}), "4");  // carol, dave, olga, adam
  EXPECT_THAT(before.body, Not(HasSubstr("\"kek\":2")));
  EXPECT_EQ(owner_->post(path("keys"), R"({"purpose":"key_encryption"})").status, 200);
  EXPECT_EQ(owner_->post(path("keys"), R"({"purpose":"fingerprint"})").status, 200);
  EXPECT_EQ(owner_->post(path("keys"), R"({"purpose":"other"})").at({"code"}), "invalid_value");
  EXPECT_TRUE(destroyed(0));
  EXPECT_TRUE(std::filesystem::exists(ledger_.keys() / "kek" / "1" / "1.destroyed"));
  const HttpAnswer after = owner_->get(path("keys"));
  EXPECT_THAT(after.body, Not(HasSubstr("\"kek\":1}")));
  EXPECT_THAT(after.body, HasSubstr("\"purpose\":\"fingerprint\",\"generation\":1"));
  EXPECT_THAT(disclosed(), HasSubstr(std::string(kCarolId))) << "a rotation erases nothing";

  const HttpAnswer one = owner_->get("/v1/keys");
  const HttpAnswer two = owner_->post("/v1/keys", R"({"purpose":"token"})");
  ASSERT_EQ(two.status, 200) << two;
  EXPECT_EQ(textAt(two.json().at("items").at(1), {"keyId"}), textAt(one.json().at("items").at(0), {"keyId"}));
  EXPECT_EQ(owner_->get("/v1/keys").status, 200) << "tokens of the key before stay valid";
}

TEST_F(Erase, OnTheCommandLineWithAServerAndWithout) {
  const std::string adminToken = (ledger_.root() / "admin-token").string();
  writeBytes(adminToken, server_->token("admin", "*", "human:adam"));
  std::filesystem::permissions(adminToken, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  const Result held = ledger_.in({"hold", "place", "--subject", "human:dave", "--reason", "case 7", "--hold", "case-7"});
  ASSERT_EQ(held.status, 0) << held;
  EXPECT_EQ(ledger_.in({"erase", "subject", "--subject", "human:dave"}).status, 2);
  EXPECT_EQ(ledger_.in({"erase", "subject", "--subject", "human:dave"}).code(), "hold_in_force");
  EXPECT_THAT(ledger_.in({"hold", "list"}).out, HasSubstr("case-7"));
  EXPECT_EQ(ledger_.in({"hold", "release", "case-7"}).status, 0);
  const Result asked = ledger_.in({"erase", "subject", "--subject", "human:dave", "--basis", "ticket-9"});
  ASSERT_EQ(asked.status, 0) << asked;
  const std::string approval = textAt(asked.json(), {"approvalId"});
  EXPECT_EQ(ledger_.in({"approval", "decide", approval, "approved"}).status, 4) << "who asked";
  EXPECT_EQ(ledger_.in({"approval", "decide", approval, "approved", "--token-file", adminToken}).status, 0);
  EXPECT_EQ(ledger_.in({"erase", "subject", "--subject", "human:dave", "--approval", approval}).status, 0);
  ASSERT_TRUE(destroyed());
  EXPECT_THAT(ledger_.in({"key", "list"}).out, HasSubstr("\"kek\":2"));
  EXPECT_EQ(ledger_.in({"key", "rotate", "--purpose", "fingerprint"}).status, 0);
  EXPECT_EQ(ledger_.run({"key", "list"}).status, 0);
  EXPECT_EQ(ledger_.run({"key", "rotate", "--purpose", "token"}).status, 0);
  EXPECT_EQ(ledger_.run({"key", "rotate", "--purpose", "fingerprint"}).status, 2) << "of which workspace?";
  EXPECT_EQ(server_->stop(), 0);

  EXPECT_EQ(ledger_.run({"key", "list"}).status, 3) << "those that sign are a server's";
  EXPECT_THAT(ledger_.in({"key", "list"}).out, HasSubstr("\"purpose\":\"log\""));
  const Result rotated = ledger_.in({"key", "rotate", "--purpose", "key_encryption"});
  EXPECT_EQ(rotated.status, 0) << rotated;
  EXPECT_TRUE(std::filesystem::exists(ledger_.keys() / "kek" / "1" / "3.key")) << "it is done when the program ends";
  EXPECT_FALSE(std::filesystem::exists(ledger_.keys() / "kek" / "1" / "2.key"));
  EXPECT_EQ(ledger_.run({"verify"}).status, 0);
}

}  // namespace
}  // namespace counterfoil::test
