// Two nodes that share the partitions of a ledger: each writes some of them, any of them takes every request.
#include <map>
#include <set>

#include "tests/e2e/kafka/kafka_nodes.h"

namespace counterfoil::test {
namespace {

constexpr int kPartitions = 3;
constexpr int kWorkspaces = 6;
constexpr const char* kPartitionsPolicy =
    "name = \"nodes\"\n[[rule]]\nname = \"read\"\neffect = \"allow\"\ncredential = [\"git_token\"]\n"
    "scope = [\"contents:read\"]\nmaxTtlSeconds = 900\n";

std::string nodeOf(const HttpAnswer& answer) {
  constexpr std::string_view kHeader = "X-Counterfoil-Node: ";
  const std::size_t at = answer.head.find(kHeader);
  if (at == std::string::npos) return {};
  return answer.head.substr(at + kHeader.size(), answer.head.find('\r', at) - at - kHeader.size());
}

class KafkaPartitions : public KafkaNodes {
 protected:
  KafkaPartitions() : KafkaNodes(kPartitions) {}

  // Both write something, and together everything.
  bool shared() {
    for (const auto end = Clock::now() + std::chrono::seconds(60); Clock::now() < end;) {
      const double a = a_->written();
      const double b = b_->written();
      if (a >= 1 && b >= 1 && a + b == kPartitions) return true;
    }
    return false;
  }
  // Starts both; an owner's token once they share the partitions, else empty.
  std::string begin() {
    a_->start();
    b_->start();
    return shared() ? mintAnywhere("owner", "*") : std::string();
  }
  // At the node that writes `_system`, whichever it is.
  std::string mintAnywhere(const std::string& role, const std::string& workspace, const std::string& subject = "human:olga") {
    for (const auto end = Clock::now() + std::chrono::seconds(60); Clock::now() < end;) {
      for (Node* node : {a_.get(), b_.get()}) {
        const Result minted = runProgram(
            {"token", "mint", "--role", role, "--workspace", workspace, "--subject", subject, "--data", node->data().string()});
        if (minted.status == 0) return minted.out.substr(0, minted.out.find('\n'));
      }
    }
    return {};
  }
  // One request, however often it is sent.
  HttpAnswer create(HttpClient& client, const std::string& id) {
    const std::string key = "Idempotency-Key: " + ids_.next() + "\r\n";
    return insist([&] { return client.ask("POST", "/v1/workspaces", R"({"id":")" + id + R"("})", "application/json", key); });
  }
  Node* named(const std::string& name) { return name == "a" ? a_.get() : b_.get(); }

 private:
  Ids ids_{83};
};

TEST_F(KafkaPartitions, BothNodesWriteAndEitherTakesEveryRequest) {
  const std::string owner = begin();
  ASSERT_FALSE(owner.empty());
  HttpClient throughA(a_->address(), owner);
  HttpClient throughB(b_->address(), owner);
  std::map<std::string, std::string> writers;  // of workspaces
  std::set<std::string> creators;
  std::map<std::string, std::set<std::string>> leases;
  for (int index = 0; index < kWorkspaces; ++index) {
    const std::string id = "w" + std::to_string(index);
    HttpClient& here = index % 2 == 0 ? throughA : throughB;
    HttpClient& there = index % 2 == 0 ? throughB : throughA;
    const HttpAnswer made = create(here, id);
    ASSERT_EQ(made.status, 201) << made;
    creators.insert(nodeOf(made));
    // Through the other node, at once: it may hear of the workspace a moment later, and says so with 503 at most.
    const HttpAnswer policy = insist([&] { return there.ask("PUT", "/v1/workspaces/" + id + "/policy", kPartitionsPolicy, "text/toml"); });
    ASSERT_EQ(policy.status, 200) << policy;
    for (HttpClient* client : {&throughA, &throughB}) {
      const std::string lease = "lease-" + std::to_string(leases[id].size());
      const HttpAnswer granted = insist([&] { return client->post("/v1/workspaces/" + id + "/leases", grantBody(lease)); });
      ASSERT_EQ(granted.status, 201) << granted;
      leases[id].insert(lease);
      writers.try_emplace(id, nodeOf(granted));
      EXPECT_EQ(writers[id], nodeOf(granted)) << id;
    }
  }
  EXPECT_EQ(creators.size(), 1U) << "one node deals out the workspaces";
  std::set<std::string> different;
  for (const auto& [id, node] : writers) different.insert(node);
  EXPECT_EQ(different, (std::set<std::string>{"a", "b"}));
  // Of other nodes' partitions the list tells what this one has read of them, each workspace as of its own place.
  const auto leasesListed = [&] {
    const boost::json::value page = throughB.get("/v1/workspaces").json();
    int live = 0;
    for (const auto& item : page.at("items").as_array()) live += item.at("liveLeases").to_number<int>();
    return live;
  };
  const auto asked = Clock::now();
  while (leasesListed() != 2 * kWorkspaces && Clock::now() - asked < std::chrono::seconds(60)) {
  }
  EXPECT_EQ(leasesListed(), 2 * kWorkspaces);

  // The node that writes `_system` dies: the other writes everything, and knows everything.
  Node* const dead = named(*creators.begin());
  Node* const alive = other(dead);
  HttpClient survivor(alive->address(), owner);
  dead->kill();
  const auto killed = Clock::now();
  HttpAnswer answer;
  do {
    answer = survivor.post("/v1/workspaces", R"({"id":"after"})");
  } while (answer.status != 201 && Clock::now() - killed < std::chrono::seconds(60));
  ASSERT_EQ(answer.status, 201) << answer;
  EXPECT_LT(Clock::now() - killed, std::chrono::seconds(10));
  for (const auto& [id, granted] : leases) {
    for (const std::string& lease : granted) {
      const HttpAnswer found = insist([&] { return survivor.get("/v1/workspaces/" + id + "/leases/" + lease); });
      EXPECT_EQ(found.status, 200) << found;
    }
    const HttpAnswer again = insist([&] { return survivor.post("/v1/workspaces/" + id + "/leases", grantBody("after")); });
    EXPECT_EQ(again.status, 201) << again;
  }
  dead->start();
  EXPECT_TRUE(shared());
  const Result verified = runProgram({"verify", "--data", alive->data().string()});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(alive->stop(), 0);
  EXPECT_EQ(dead->stop(), 0);
}

TEST_F(KafkaPartitions, ATokenRevokedAtOneNodeIsRefusedByTheWriterOfAnotherPartition) {
  const std::string owner = begin();
  ASSERT_FALSE(owner.empty());
  HttpClient throughA(a_->address(), owner);
  std::string elsewhere;  // a workspace whose writer is not that of `_system`
  Node* system = nullptr;
  for (int index = 0; index < kPartitions; ++index) {
    const std::string id = "w" + std::to_string(index);
    const HttpAnswer made = create(throughA, id);
    ASSERT_EQ(made.status, 201) << made;
    system = named(nodeOf(made));
    const HttpAnswer read = insist([&] { return throughA.get("/v1/workspaces/" + id + "/leases"); });
    ASSERT_EQ(read.status, 200) << read;
    if (nodeOf(read) != nodeOf(made)) elsewhere = "/v1/workspaces/" + id + "/leases";
  }
  ASSERT_FALSE(elsewhere.empty());
  HttpClient direct(other(system)->address(), owner);
  ASSERT_EQ(insist([&] { return direct.get(elsewhere); }).status, 200);
  const Result listed = runProgram({"token", "list", "--json", "--data", system->data().string()});
  ASSERT_EQ(listed.status, 0) << listed;
  for (const std::string& line : listed.lines()) {
    const Result revoked =
        runProgram({"token", "revoke", textAt(boost::json::parse(line), {"tokenId"}), "--data", system->data().string()});
    ASSERT_EQ(revoked.status, 0) << revoked;
  }
  const auto revoked = Clock::now();
  HttpAnswer answer;
  do {
    answer = direct.get(elsewhere);
  } while (answer.status != 401 && Clock::now() - revoked < std::chrono::seconds(60));
  EXPECT_EQ(answer.status, 401) << answer;
  EXPECT_LT(Clock::now() - revoked, std::chrono::seconds(5));

  // Who writes no `_system` passes a refused request on to the one that records it; nobody learns what exists.
  HttpClient stranger(other(system)->address(), "nonsense");
  const HttpAnswer refused = stranger.get(elsewhere);
  EXPECT_EQ(refused.status, 401) << refused;
  EXPECT_EQ(nodeOf(refused), system == a_.get() ? "a" : "b");
  EXPECT_EQ(a_->stop(), 0);
  EXPECT_EQ(b_->stop(), 0);
}

// The chain of each is ended by who writes it, its keys are destroyed by who writes `_system`, and both have read of all of them before.
TEST_F(KafkaPartitions, WorkspacesAreErasedByTheNodesTogether) {
  const std::string owner = begin();
  ASSERT_FALSE(owner.empty());
  const std::string admin = mintAnywhere("admin", "*", "human:adam");
  const std::string system = "/v1/workspaces/_system/";
  std::set<std::string> writers;
  {
    HttpClient throughA(a_->address(), owner);
    HttpClient throughB(b_->address(), owner);
    HttpClient approves(b_->address(), admin);
    for (int index = 0; index < kPartitions; ++index) {
      const std::string id = "w" + std::to_string(index);
      ASSERT_EQ(create(throughA, id).status, 201);
      const std::string path = "/v1/workspaces/" + id + "/";
      ASSERT_EQ(insist([&] { return throughA.ask("PUT", path + "policy", kPartitionsPolicy, "text/toml"); }).status, 200);
      const HttpAnswer granted = insist([&] { return throughA.post(path + "leases", grantBody("one")); });
      ASSERT_EQ(granted.status, 201) << granted;
      writers.insert(nodeOf(granted));
      for (HttpClient* client : {&throughA, &throughB}) {
        EXPECT_EQ(insist([&] { return client->get(path + "entries?wait=" + granted.at({"receipt", "seq"})); }).status, 200);
      }
    }
    EXPECT_EQ(writers.size(), 2U);
    for (int index = 0; index < kPartitions; ++index) {
      const std::string id = "w" + std::to_string(index);
      const HttpAnswer asked = insist([&] { return throughB.post(system + "erasures", R"({"workspaceId":")" + id + R"("})"); });
      ASSERT_EQ(asked.status, 200) << asked;
      const std::string approval = asked.at({"approvalId"});
      ASSERT_EQ(insist([&] { return approves.post(system + "approvals/" + approval + "/decide", R"({"decision":"approved"})"); }).status, 200);
      const std::string order = R"({"workspaceId":")" + id + R"(","approval":")" + approval + "\"}";
      ASSERT_EQ(insist([&] { return throughB.post(system + "erasures", order); }).status, 200);
    }
  }
  const auto gone = [&](Node* node) {
    HttpClient client(node->address(), owner);
    for (const auto end = Clock::now() + std::chrono::seconds(60); Clock::now() < end;) {
      const std::string page = client.get(system + "entries?kind=key.destroyed").body;
      int destroyed = 0;
      for (std::size_t at = page.find("kek/"); at != std::string::npos; at = page.find("kek/", at + 1)) ++destroyed;
      bool erased = destroyed == kPartitions;
      for (int index = 0; index < kPartitions; ++index) {
        erased = erased && client.get("/v1/workspaces/w" + std::to_string(index)).at({"state"}) == "erased";
      }
      if (erased && node->ready().status == 200) return true;
    }
    return false;
  };
  EXPECT_TRUE(gone(a_.get()));
  EXPECT_TRUE(gone(b_.get()));
  for (Node* node : {a_.get(), b_.get()}) node->kill();
  for (Node* node : {b_.get(), a_.get()}) node->start();
  ASSERT_TRUE(shared());
  EXPECT_TRUE(gone(a_.get()));
  EXPECT_TRUE(gone(b_.get()));
  HttpClient throughB(b_->address(), owner);
  EXPECT_EQ(insist([&] { return throughB.post("/v1/workspaces/w1/leases", grantBody("two")); }).at({"code"}), "workspace_closed");
  const Result verified = runProgram({"verify", "--data", a_->data().string(), "--json"});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(textAt(verified.json(), {"notChecked"}), "[]") << verified;
}

}  // namespace
}  // namespace counterfoil::test
