// Several nodes of one ledger on a real Kafka: any of them takes a request, one decides, another takes over.
#include "tests/e2e/kafka_nodes.h"

#include <set>

namespace counterfoil::test {
namespace {

TEST_F(KafkaNodes, AGrantThroughEitherNodeAndNothingLostWhenTheWriterIsKilled) {
  a_->start();
  b_->start();
  Node* first = writer();
  ASSERT_NE(first, nullptr);
  Node* second = other(first);
  HttpClient admin(second->address(), mint("admin", "*"));
  ASSERT_EQ(insist([&] { return admin.post("/v1/workspaces", R"({"id":"acme"})"); }).status, 201);
  const std::string token = mint("member", "acme");
  HttpClient throughFirst(first->address(), token);
  HttpClient throughSecond(second->address(), token);
  constexpr const char* kPolicy =
      "name = \"nodes\"\n[[rule]]\nname = \"read\"\neffect = \"allow\"\ncredential = [\"git_token\"]\n"
      "scope = [\"contents:read\"]\nmaxTtlSeconds = 900\n";
  ASSERT_EQ(insist([&] { return admin.ask("PUT", "/v1/workspaces/acme/policy", kPolicy, "text/toml"); }).status, 200);
  std::set<std::string> acknowledged;
  std::string last;  // seq of the last receipt
  for (int index = 0; index < 20; ++index) {
    const std::string lease = "lease-" + std::to_string(index);
    HttpClient& client = index % 2 == 0 ? throughFirst : throughSecond;
    const HttpAnswer answer = insist([&] { return client.post("/v1/workspaces/acme/leases", grantBody(lease)); });
    ASSERT_EQ(answer.status, 201) << answer;
    acknowledged.insert(lease);
    last = answer.at({"receipt", "seq"});
  }
  ASSERT_EQ(throughSecond.get("/v1/workspaces/acme/leases/lease-0?wait=" + last).status, 200);

  first = writer();
  ASSERT_NE(first, nullptr);
  second = other(first);
  HttpClient throughOther(second->address(), token);
  first->kill();
  const auto killed = Clock::now();
  HttpAnswer answer;
  do {
    answer = throughOther.post("/v1/workspaces/acme/leases", grantBody("after"));
  } while (answer.status != 201 && Clock::now() - killed < std::chrono::seconds(30));
  const auto stall = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - killed).count();
  ASSERT_EQ(answer.status, 201) << answer;
  std::cout << "[          ] first receipt " << stall << " ms after the writer was killed\n";
  EXPECT_LT(stall, 10'000);
  acknowledged.insert("after");
  last = answer.at({"receipt", "seq"});
  for (const std::string& lease : acknowledged) {
    const HttpAnswer found = throughOther.get("/v1/workspaces/acme/leases/" + lease + "?wait=" + last);
    EXPECT_EQ(found.status, 200) << lease << '\n' << found;
  }
  // The one that was killed comes back, and follows.
  first->start();
  EXPECT_TRUE(writer() != nullptr);
  const Result verified = runProgram({"verify", "--data", second->data().string()});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(second->stop(), 0);
  EXPECT_EQ(first->stop(), 0);
}

TEST_F(KafkaNodes, ATokenRevokedAtOneNodeIsRefusedByTheNextWriter) {
  a_->start();
  b_->start();
  Node* first = writer();
  ASSERT_NE(first, nullptr);
  Node* second = other(first);
  const std::string token = mint("admin", "*");
  HttpClient client(second->address(), token);
  ASSERT_EQ(insist([&] { return client.post("/v1/workspaces", R"({"id":"acme"})"); }).status, 201);
  first = writer();
  ASSERT_NE(first, nullptr);
  second = other(first);
  const Result listed = runProgram({"token", "list", "--json", "--data", first->data().string()});
  ASSERT_EQ(listed.status, 0) << listed;
  const Result revoked =
      runProgram({"token", "revoke", textAt(boost::json::parse(listed.lines().back()), {"tokenId"}), "--data", first->data().string()});
  ASSERT_EQ(revoked.status, 0) << revoked;
  ASSERT_EQ(insist([&] { return client.get("/v1/workspaces/acme/leases"); }).status, 401);
  EXPECT_EQ(first->stop(), 0);
  Node* now = writer();
  ASSERT_EQ(now, second);
  HttpClient again(second->address(), token);
  EXPECT_EQ(insist([&] { return again.get("/v1/workspaces/acme/leases"); }).status, 401);
  EXPECT_EQ(second->stop(), 0);
}

}  // namespace
}  // namespace counterfoil::test
