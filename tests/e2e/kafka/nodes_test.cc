// Several nodes of one ledger on a real Kafka: any of them takes a request, one decides, another takes over.
#include <sqlite3.h>

#include <future>
#include <set>

#include "tests/e2e/kafka/kafka_nodes.h"

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
  ASSERT_EQ(insist([&] { return throughSecond.get("/v1/workspaces/acme/leases/lease-0?wait=" + last); }).status, 200);

  // The command line at the node that does not write: its token and its request go to the other one.
  first = writer();
  ASSERT_NE(first, nullptr);
  second = other(first);
  const Result shown = runProgram({"lease", "show", "lease-1", "--workspace", "acme", "--data", second->data().string()});
  EXPECT_EQ(shown.status, 0) << shown;

  HttpClient throughOther(second->address(), token);
  first->kill();
  const auto killed = Clock::now();
  HttpAnswer answer;
  do {
    answer = throughOther.post("/v1/workspaces/acme/leases", grantBody("after"));
  } while (answer.status != 201 && Clock::now() - killed < std::chrono::seconds(60));
  const auto stall = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - killed).count();
  ASSERT_EQ(answer.status, 201) << answer;
  std::cout << "[          ] first receipt " << stall << " ms after the writer was killed\n";
  EXPECT_LT(stall, 10'000);
  acknowledged.insert("after");
  last = answer.at({"receipt", "seq"});
  for (const std::string& lease : acknowledged) {
    const HttpAnswer found = insist([&] { return throughOther.get("/v1/workspaces/acme/leases/" + lease + "?wait=" + last); });
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

// Views may be minutes behind after a burst, and one may stand still. Who writes next must not wait for them, nor forget what was revoked.
TEST_F(KafkaNodes, WhoTakesOverWaitsForNoView) {
  a_->start();
  b_->start();
  const std::string kept = mint("admin", "*");
  const std::string revoked = mint("admin", "*");
  Node* const first = writer();
  ASSERT_NE(first, nullptr);
  Node* const second = other(first);
  HttpClient client(second->address(), kept);
  ASSERT_EQ(insist([&] { return client.post("/v1/workspaces", R"({"id":"acme"})"); }).status, 201);
  // Nothing comes into the other one's view of `_system` from here on.
  ASSERT_TRUE(std::filesystem::exists(second->data() / "views" / "0.db"));
  sqlite3* view = nullptr;
  ASSERT_EQ(sqlite3_open((second->data() / "views" / "0.db").c_str(), &view), SQLITE_OK);
  sqlite3_busy_timeout(view, 10'000);
  ASSERT_EQ(sqlite3_exec(view, "BEGIN IMMEDIATE", nullptr, nullptr, nullptr), SQLITE_OK);
  ASSERT_EQ(writer(), first);
  const Result listed = runProgram({"token", "list", "--data", first->data().string()});
  ASSERT_EQ(listed.lines().size(), 2U) << listed;
  const std::string revokedId = listed.lines().back().substr(0, 36);
  const Result done = runProgram({"token", "revoke", revokedId, "--data", first->data().string()});
  ASSERT_EQ(done.status, 0) << done;
  first->kill();
  const auto killed = Clock::now();
  HttpAnswer answer;
  do {
    answer = client.get("/v1/workspaces");
  } while (answer.status != 200 && Clock::now() - killed < std::chrono::seconds(30));
  const auto stall = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - killed).count();
  EXPECT_EQ(answer.status, 200) << answer;
  EXPECT_LT(stall, 10'000);
  HttpClient other(second->address(), revoked);
  EXPECT_EQ(other.get("/v1/workspaces").status, 401) << "revoked while no view was written";
  sqlite3_exec(view, "ROLLBACK", nullptr, nullptr, nullptr);
  sqlite3_close(view);
  EXPECT_EQ(second->stop(), 0);
}

template <class Condition>
bool until(Condition condition) {
  for (const auto end = Clock::now() + std::chrono::seconds(60); Clock::now() < end;) {
    if (condition()) return true;
  }
  return false;
}

TEST_F(KafkaNodes, ReadinessTellsOfALogThatTakesNothingAndOfOneThatWasCut) {
  a_->start();
  b_->start();
  Node* const first = writer();
  ASSERT_NE(first, nullptr);
  Node* const second = other(first);
  const std::string token = mint("admin", "*");
  HttpClient client(first->address(), token);
  ASSERT_EQ(insist([&] { return client.post("/v1/workspaces", R"({"id":"acme"})"); }).status, 201);
  constexpr const char* kFact = R"({"kind":"tool.invoked","tool":"git","operation":"clone","outcome":"ok"})";
  const HttpAnswer fact = client.post("/v1/workspaces/acme/facts?ack=durable", kFact);
  EXPECT_EQ(fact.status, 201) << fact;
  EXPECT_EQ(fact.at({"receipt", "ack"}), "replicated");
  EXPECT_EQ(client.post("/v1/workspaces/acme/facts?ack=published", kFact).status, 202);
  EXPECT_EQ(client.post("/v1/workspaces/acme/facts?ack=replicated", kFact).status, 400);
  constexpr const char* kAcknowledged = "counterfoil_log_acknowledge_duration_seconds_count";
  EXPECT_GE(first->metric(kAcknowledged) + second->metric(kAcknowledged), 3);
  EXPECT_EQ(first->metric("counterfoil_log_void_records"), 0);
  EXPECT_EQ(first->ready().status, 200);
  EXPECT_EQ(second->ready().status, 200);
  EXPECT_EQ(second->metric("counterfoil_log_troubled"), 0);

  // The broker answers nobody: nothing is acknowledged, and nothing can be read.
  if (!cluster_->pause()) GTEST_SKIP() << "the broker is not this test's to pause (COUNTERFOIL_TEST_KAFKA_FOLDER)";
  auto waiting = std::async(std::launch::async, [&] { return client.post("/v1/workspaces/acme/facts", kFact).status; });
  const bool noticed = until([&] { return first->ready().status == 503 && second->ready().status == 503; });
  const HttpAnswer stuck = first->ready();
  const double troubled = first->metric("counterfoil_log_troubled");
  const double ready = first->metric("counterfoil_ready");
  const double broken = first->metric("counterfoil_log_broken");
  cluster_->resume();
  ASSERT_TRUE(noticed) << stuck << second->ready();
  EXPECT_EQ(stuck.at({"code"}), "log_unavailable") << stuck;
  EXPECT_EQ(ready, 0);
  EXPECT_EQ(troubled, 1);
  EXPECT_EQ(broken, 0) << "silence is no verdict";
  EXPECT_TRUE(until([&] { return first->ready().status == 200 && second->ready().status == 200; })) << first->ready() << second->ready();
  EXPECT_NE(waiting.get(), 400);

  cluster_->deleteRecords(topic_, 0, 2);
  for (Node* const node : {first, second}) {
    // A look that was under way when the records went may find silence first.
    HttpAnswer cut;
    ASSERT_TRUE(until([&] {
      cut = node->ready();
      return cut.status == 503 && cut.at({"code"}) == "log_truncated";
    })) << cut;
    // Who read first found it first; the watch says so too.
    EXPECT_TRUE(until([&] { return node->metric("counterfoil_log_broken") == 1; }));
    EXPECT_EQ(node->metric("counterfoil_ready"), 0);
    EXPECT_TRUE(until([&] { return node->written() == 0; }));
    HttpClient caller(node->address(), token);
    HttpAnswer refused;
    EXPECT_TRUE(until([&] {
      refused = caller.post("/v1/workspaces/acme/facts", kFact);
      return refused.status == 503 && refused.at({"code"}) == "log_truncated";
    })) << refused;
    EXPECT_NE(refused.head.find("Retry-After: "), std::string::npos) << refused;
  }
  second->stop();
  first->stop();
  for (Node* const node : {first, second}) {
    EXPECT_NE(node->process().error.find("the ledger stands still"), std::string::npos) << node->process().error;
  }
}

}  // namespace
}  // namespace counterfoil::test
