// The erasure of a person with two nodes on one Kafka.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>

#include "tests/e2e/kafka/kafka_nodes.h"
#include "tests/e2e/running_server.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kErasurePolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 900\n";
constexpr const char* kCarol = R"({"kind":"human","id":"carol.grant@example.com"})";
constexpr std::string_view kCarolId = "carol.grant@example.com";
const std::string kGrant = R"({"credential":"git_token","scope":["contents:read"],"ttlSeconds":600,"grantee":)" + std::string(kCarol) + "}";

// The node that does not write takes the order, the other one carries it out, both forget; and both start from Kafka alone.
TEST_F(KafkaNodes, AnErasureReachesEveryNode) {
  a_->start();
  b_->start();
  Node* const writes = writer();
  ASSERT_NE(writes, nullptr);
  Node* const follows = other(writes);
  const auto token = [&](const std::string& role, const std::string& subject) {
    const Result minted =
        runProgram({"token", "mint", "--role", role, "--workspace", "*", "--subject", subject, "--data", follows->data().string()});
    EXPECT_EQ(minted.status, 0) << minted;
    return minted.out.substr(0, minted.out.find('\n'));
  };
  HttpClient owner(follows->address(), token("owner", "human:olga"));
  HttpClient admin(follows->address(), token("admin", "human:adam"));
  ASSERT_EQ(insist([&] { return owner.post("/v1/workspaces", R"({"id":"w1"})"); }).status, 201);
  ASSERT_EQ(insist([&] { return owner.ask("PUT", "/v1/workspaces/w1/policy", kErasurePolicy, "text/toml"); }).status, 200);
  ASSERT_EQ(insist([&] { return admin.post("/v1/workspaces/w1/leases", kGrant); }).status, 201);
  const HttpAnswer asked = insist([&] { return owner.post("/v1/workspaces/w1/erasures", "{\"subject\":" + std::string(kCarol) + "}"); });
  ASSERT_EQ(asked.status, 200) << asked;
  const std::string approval = asked.at({"approvalId"});
  ASSERT_EQ(insist([&] { return admin.post("/v1/workspaces/w1/approvals/" + approval + "/decide", R"({"decision":"approved"})"); }).status,
            200);
  const std::string order = "{\"subject\":" + std::string(kCarol) + ",\"approval\":\"" + approval + "\"}";
  ASSERT_EQ(insist([&] { return owner.post("/v1/workspaces/w1/erasures", order); }).status, 200);
  const auto gone = [&] { return std::filesystem::exists(keys() / "kek" / "1" / "1.destroyed"); };
  for (const auto end = Clock::now() + std::chrono::seconds(60); !gone() && Clock::now() < end;) admin.get("/v1/workspaces/w1");
  ASSERT_TRUE(gone());
  for (Node* node : {writes, follows}) {
    node->kill();
    std::filesystem::remove_all(node->data() / "snapshots");
    std::filesystem::create_directory(node->data() / "snapshots");
    std::filesystem::remove_all(node->data() / "views");
  }
  for (Node* node : {follows, writes}) node->start();
  ASSERT_NE(writer(), nullptr);
  HttpClient again(follows->address(), token("admin", "human:adam"));
  const HttpAnswer shown = insist([&] { return again.get("/v1/workspaces/w1/entries?disclose=true"); });
  EXPECT_EQ(shown.status, 200) << shown;
  EXPECT_THAT(shown.body, Not(HasSubstr(std::string(kCarolId))));
  EXPECT_THAT(shown.body, HasSubstr("subject.erased"));
  EXPECT_EQ(insist([&] { return again.post("/v1/workspaces/w1/leases", kGrant); }).status, 201);
  const Result verified = runProgram({"verify", "--data", follows->data().string()});
  EXPECT_EQ(verified.status, 0) << verified;
}

}  // namespace
}  // namespace counterfoil::test
