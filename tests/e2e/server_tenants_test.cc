// Two hundred tenants and one that floods: what the others feel of it, what it is told, what of it is on the record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "tests/e2e/log_evidence.h"
#include "tests/e2e/many_clients.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;

constexpr int kTenants = 200;
constexpr int kFloodConnections = 32;
// For 2 cores that also run the flood, under a sanitizer or beside other work; idle machines see some 10 ms.
constexpr std::int64_t kOthersP99Ms = 1'000;

std::string nameOf(int tenant) {
  return "t" + std::to_string(tenant);
}

std::string pathOf(int tenant, const std::string& rest) {
  return "/v1/workspaces/" + nameOf(tenant) + rest;
}

// Without a policy every request is denied.
constexpr const char* kLeaseRequest =
    R"({"credential":"git_token","grantee":{"kind":"agent","id":"fixer"},"scope":["contents:read"],"ttlSeconds":600})";

std::size_t timesIn(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

class ServerTenants : public testing::Test {
 protected:
  static void makeTenants(RunningServer& server, int count) {
    HttpClient owner = server.client("owner");
    for (int tenant = 0; tenant < count; ++tenant) {
      ASSERT_EQ(owner.post("/v1/workspaces", "{\"id\":\"" + nameOf(tenant) + "\"}").status, 201);
    }
  }
  // Entries of one kind in the flooded workspace, once its view has come to the end of it.
  static std::size_t recorded(RunningServer& server, HttpClient& owner, const char* kind) {
    const HttpAnswer last = owner.post(pathOf(0, "/revocations"), R"({"run":"run-of-nobody"})");
    EXPECT_EQ(last.status, 200) << last;
    const std::string seq = last.at({"receipt", "seq"});
    HttpAnswer stats;
    const bool there = until(server.process(), 30'000, [&] {
      stats = owner.get(pathOf(0, "/stats"));
      return stats.status == 200 && std::stoull(stats.at({"seq"})) >= std::stoull(seq);
    });
    EXPECT_TRUE(there) << stats;
    const std::string count = stats.at({"kinds", kind});
    return count.empty() ? 0 : std::stoul(count);
  }

  LedgerFolder ledger_;
};

// What all connections of the flood were told.
struct Told {
  std::atomic<int> taken{0}, denied{0}, limited{0}, other{0};
};

void flood(const std::string& address, const std::string& token, std::uint64_t seed, const std::atomic<bool>& enough, Told& told) {
  HttpClient client(address, token);
  Ids ids(seed);
  for (int round = 0; !enough; ++round) {
    const HttpAnswer answer =
        round % 2 == 0 ? client.post(pathOf(0, "/facts"), plainFact(ids.next())) : client.post(pathOf(0, "/leases"), kLeaseRequest);
    if (answer.status == 201) {
      ++told.taken;
    } else if (answer.status == 403 && answer.at({"outcome"}) == "denied") {
      ++told.denied;
    } else if (answer.status == 429 && answer.at({"code"}) == "rate_limited" && answer.head.find("Retry-After: ") != std::string::npos) {
      ++told.limited;
    } else {
      if (++told.other == 1) ADD_FAILURE() << answer;
    }
  }
}

TEST_F(ServerTenants, AFloodOfOneIsRefusedOnTheRecordAndTheOthersAreServed) {
  RunningServer server(ledger_, {"COUNTERFOIL_WORKSPACE_ENTRIES_PER_SECOND=200", "COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND=200"});
  ASSERT_NO_FATAL_FAILURE(makeTenants(server, kTenants));
  const std::string token = server.token("member", nameOf(0), "service:flood");
  HttpClient owner = server.client("owner");
  std::atomic<bool> enough{false};
  Told told;
  std::vector<std::thread> clients;
  for (int client = 0; client < kFloodConnections; ++client) {
    clients.emplace_back(flood, server.address(), token, 700 + client, std::cref(enough), std::ref(told));
  }
  Latencies others, revocations;
  Ids ids(71);
  const std::int64_t deadline = nowMicroseconds() + 120'000'000;
  for (int turn = 0; (turn < 3 * kTenants || told.limited < 1'000) && nowMicroseconds() < deadline; ++turn) {
    const int tenant = 1 + turn % (kTenants - 1);
    const std::int64_t started = nowMicroseconds();
    const HttpAnswer answer = owner.post(pathOf(tenant, "/facts"), plainFact(ids.next()));
    others.add(nowMicroseconds() - started);
    EXPECT_EQ(answer.status, 201) << answer;
    if (turn % 20 != 0) continue;
    const std::int64_t asked = nowMicroseconds();
    const HttpAnswer revoked = owner.post(pathOf(0, "/revocations"), R"({"run":"run-7","reason":"it floods"})");
    revocations.add(nowMicroseconds() - asked);
    EXPECT_EQ(revoked.status, 200) << "a flood must not keep a credential alive: " << revoked;
  }
  enough = true;
  for (std::thread& client : clients) client.join();
  EXPECT_GT(told.limited, 1'000);
  EXPECT_GT(told.denied, 50);
  EXPECT_EQ(told.other, 0);
  EXPECT_LT(others.at(0.99), kOthersP99Ms) << "of " << others.size();
  EXPECT_LT(revocations.worstMs(), kOthersP99Ms);
  RecordProperty("othersP99Ms", static_cast<int>(others.at(0.99)));
  server.kill();
  // The log itself, read without the program: each denial that was told is in it, and no other.
  const LogEvidence evidence = readEvidence(ledger_.data() / "log", ledger_.keys());
  expectSound(evidence);
  const auto kinds = [&](const char* kind) { return evidence.kinds.contains(kind) ? evidence.kinds.at(kind) : 0; };
  EXPECT_EQ(kinds("lease.denied"), static_cast<std::uint64_t>(told.denied));
  EXPECT_EQ(kinds("tool.invoked"), static_cast<std::uint64_t>(told.taken) + others.size());
}

// Facts of one bulk body; how many lines were refused for the full intake.
std::size_t refusedOf(const std::string& address, const std::string& token, std::uint64_t seed, std::atomic<std::size_t>& taken) {
  HttpClient client(address, token);
  Ids ids(seed);
  std::string body;
  constexpr std::size_t kLines = 300;
  for (std::size_t line = 0; line < kLines; ++line) body += plainFact(ids.next());
  const HttpAnswer answer = client.ask("POST", pathOf(0, "/facts"), body, "application/x-ndjson");
  EXPECT_EQ(answer.status, 200) << answer;
  const std::size_t refused = timesIn(answer.body, "\"code\":\"intake_full\"");
  const std::size_t recorded = timesIn(answer.body, "\"receipt\"");
  EXPECT_EQ(refused + recorded, kLines) << answer;
  taken += recorded;
  return refused;
}

// A full intake is told to whoever is refused, line by line, and once it has drained the record tells how many there were.
TEST_F(ServerTenants, WhatAFullIntakeRefusesIsCountedOnTheRecord) {
  RunningServer server(ledger_, {"COUNTERFOIL_INTAKE_BYTES=100000", "COUNTERFOIL_WORKSPACE_ENTRIES_PER_SECOND=1000000",
                                 "COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND=1000000"});
  ASSERT_NO_FATAL_FAILURE(makeTenants(server, 10));
  const std::string token = server.token("member", nameOf(0), "service:flood");
  HttpClient owner = server.client("owner");
  std::atomic<std::size_t> refused{0}, taken{0};
  std::atomic<int> running{kFloodConnections};
  std::vector<std::thread> clients;
  for (int client = 0; client < kFloodConnections; ++client) {
    clients.emplace_back([&, client] {
      for (std::uint64_t round = 0; round < 5; ++round) {
        refused += refusedOf(server.address(), token, 1'000 * round + static_cast<std::uint64_t>(client), taken);
      }
      --running;
    });
  }
  // A tenth of the room is kept for what ends leases.
  int revocations = 0;
  while (running > 0) {
    const HttpAnswer revoked = owner.post(pathOf(1 + revocations % 9, "/revocations"), R"({"run":"run-7"})");
    EXPECT_EQ(revoked.status, 200) << revoked;
    ++revocations;
  }
  for (std::thread& client : clients) client.join();
  ASSERT_GT(refused, 0U) << "the intake was never full";
  EXPECT_GT(revocations, 5);
  Ids ids(72);
  EXPECT_EQ(owner.post(pathOf(0, "/facts"), plainFact(ids.next())).status, 201) << "it has drained";
  EXPECT_EQ(recorded(server, owner, "tool.invoked"), taken + 1);
  EXPECT_EQ(server.stop(), 0);
  const Result listed = ledger_.run({"entries", "--workspace", nameOf(0), "--kind", "intake.overloaded", "--limit", "1000", "--all"});
  ASSERT_EQ(listed.status, 0) << listed;
  std::size_t counted = 0;
  for (const std::string& line : listed.lines()) {
    const boost::json::value entry = boost::json::parse(line);
    for (const auto& one : entry.at("refused").as_array()) {
      EXPECT_EQ(textAt(one, {"name"}), "tool.invoked");
      counted += one.at("count").to_number<std::size_t>();
    }
  }
  EXPECT_EQ(counted, refused);
  EXPECT_LE(listed.lines().size(), refused / 2 + 1) << "a summary, not a line each";
  expectVerified(ledger_);
}

}  // namespace
}  // namespace counterfoil::test
