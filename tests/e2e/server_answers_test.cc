// What a caller is told and what not: lists of what its token reaches, keys that stand for one request.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tests/e2e/running_server.h"

namespace counterfoil::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ServerAnswers : public ::testing::Test {
 protected:
  LedgerFolder ledger_;
};

TEST_F(ServerAnswers, ATokenOfOneWorkspaceSeesThatOneInTheList) {
  RunningServer server(ledger_);
  ASSERT_EQ(server.client("owner").post("/v1/workspaces", R"({"id":"w2"})").status, 201);
  for (const char* role : {"owner", "admin", "member", "reader", "auditor"}) {
    const HttpAnswer list = server.client(role, "w2").get("/v1/workspaces");
    EXPECT_EQ(list.status, 200) << role << list;
    const boost::json::value page = list.json();
    ASSERT_EQ(page.at("items").as_array().size(), 1U) << role << list;
    EXPECT_EQ(page.at("items").at(0).at("id").as_string(), "w2");
    EXPECT_EQ(page.at("items").at(0).at("root").as_string().size(), 64U);
  }
  EXPECT_EQ(server.client("producer", "w2").get("/v1/workspaces").status, 403);
  EXPECT_EQ(server.client("owner").get("/v1/workspaces").json().at("items").as_array().size(), 2U);
}

// Of a lease that another system granted, as its answer tells it and as its view does.
TEST_F(ServerAnswers, AReportedLeaseBeganWhenItHappenedUnlessTheReportSaysOtherwise) {
  RunningServer server(ledger_);
  HttpClient member = server.client("member");
  const auto report = [&](const std::string& lease, const std::string& more) {
    return member.post("/v1/workspaces/w1/facts", R"({"kind":"lease.granted","leaseId":")" + lease +
                                                      R"(","credential":"git_token","grantee":{"kind":"agent","id":"fixer"},)"
                                                      R"("occurredAt":"2026-03-01T09:30:00Z","expiresAt":"2099-03-01T09:30:00Z")" +
                                                      more + "}");
  };
  const HttpAnswer silent = report("silent", "");
  ASSERT_EQ(silent.status, 201) << silent;
  EXPECT_EQ(silent.at({"lease", "issuedAt"}), "2026-03-01T09:30:00Z");
  const HttpAnswer told = report("told", R"(,"issuedAt":"2026-03-01T09:29:00Z")");
  EXPECT_EQ(told.at({"lease", "issuedAt"}), "2026-03-01T09:29:00Z") << told;
  const HttpAnswer shown = member.get("/v1/workspaces/w1/leases/silent?wait=" + told.at({"receipt", "seq"}));
  EXPECT_EQ(shown.at({"issuedAt"}), "2026-03-01T09:30:00Z") << shown;
}

TEST_F(ServerAnswers, AKeyStandsForOneRequestAndNotForManyFacts) {
  RunningServer server(ledger_);
  HttpClient member = server.client("member");
  const std::string lines = "{\"kind\":\"tool.invoked\",\"tool\":\"git\",\"outcome\":\"ok\"}\n";
  const auto send = [&](const char* headers) {
    return member.ask("POST", "/v1/workspaces/w1/facts", lines + lines, "application/x-ndjson", headers);
  };
  const std::uint64_t before = member.get("/v1/workspaces/w1").json().at("entries").to_number<std::uint64_t>();
  for (const char* headers : {"Idempotency-Key: 01a1fc4b-0c3e-7aa3-9a6a-68051649e9dc\r\n", "Idempotency-Key: rubbish\r\n"}) {
    const HttpAnswer refused = send(headers);
    EXPECT_EQ(refused.status, 400) << refused;
    EXPECT_EQ(refused.at({"code"}), "invalid_value") << refused;
  }
  EXPECT_EQ(member.get("/v1/workspaces/w1").json().at("entries").to_number<std::uint64_t>(), before);
  EXPECT_EQ(send("").status, 200);
  EXPECT_EQ(member.get("/v1/workspaces/w1").json().at("entries").to_number<std::uint64_t>(), before + 2);
}

// A body that breaks once its results are on their way: what was recorded is told to the last line, and the end is none.
TEST_F(ServerAnswers, ACutBodyTellsWhatItRecordedAndDoesNotLookWhole) {
  constexpr std::size_t kLines = 5'000;
  RunningServer server(ledger_);
  const std::string line = "{\"kind\":\"tool.invoked\",\"tool\":\"git\",\"outcome\":\"ok\"}\n";
  RawClient client(server.address());
  std::string request = "POST /v1/workspaces/w1/facts HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\nAuthorization: Bearer " +
                        server.token("member") + "\r\nTransfer-Encoding: chunked\r\n\r\n";
  std::string lines;
  for (std::size_t index = 0; index < kLines; ++index) lines += line;
  std::ostringstream size;
  size << std::hex << lines.size();
  request += size.str() + "\r\n" + lines + "\r\n";
  ASSERT_TRUE(client.send(request + "no number\r\n"));
  const std::string answer = client.read({}, 30'000);
  ASSERT_THAT(answer, HasSubstr("HTTP/1.1 200")) << "the results did not begin before the body broke: more lines are needed";
  std::size_t told = 0;
  for (std::size_t at = answer.find("\"receipt\""); at != std::string::npos; at = answer.find("\"receipt\"", at + 1)) ++told;
  EXPECT_EQ(told, kLines);
  EXPECT_FALSE(answer.ends_with("0\r\n\r\n")) << "a cut answer looks whole";
  const std::uint64_t entries = server.client("member").get("/v1/workspaces/w1").json().at("entries").to_number<std::uint64_t>();
  EXPECT_GE(entries, kLines);
}

// Jobs that read the whole log have a thread of their own: nobody waits behind them.
TEST_F(ServerAnswers, VerifyingManyWorkspacesDelaysNobody) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  std::string lines;
  for (int index = 0; index < 1'000; ++index) lines += "{\"kind\":\"tool.invoked\",\"tool\":\"git\",\"outcome\":\"ok\"}\n";
  constexpr int kWorkspaces = 20;
  for (int number = 2; number <= kWorkspaces; ++number) {
    const std::string id = "w" + std::to_string(number);
    ASSERT_EQ(owner.post("/v1/workspaces", "{\"id\":\"" + id + "\"}").status, 201);
    ASSERT_EQ(owner.ask("POST", "/v1/workspaces/" + id + "/facts", lines, "application/x-ndjson").status, 200);
  }
  const auto running = [&] {
    int count = 0;
    for (int number = 1; number <= kWorkspaces; ++number) {
      count += owner.get("/v1/workspaces/w" + std::to_string(number) + "/verify").at({"state"}) == "running" ? 1 : 0;
    }
    return count;
  };
  running();  // starts them
  // What blocks goes through the pool that verifying used to share: four threads, and the list would come when all but a few are over.
  const HttpAnswer list = owner.get("/v1/workspaces");
  EXPECT_EQ(list.status, 200);
  EXPECT_GE(running(), kWorkspaces / 2) << "the list waited for them, or they are too short: then more facts are needed";
  EXPECT_EQ(server.stop(), 0) << "and the end does not wait for them either";
}

}  // namespace
}  // namespace counterfoil::test
