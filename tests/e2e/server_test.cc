// The server as a process: the whole story over HTTP, kill -9 and SIGTERM under load, tenants that must not see or starve each other,
// secrets that must be nowhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <mutex>
#include <set>
#include <thread>

#include "tests/e2e/running_server.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kPolicy = R"(name = "production"
[[rule]]
name = "git-read"
effect = "allow"
credential = ["git_token"]
scope = ["contents:read"]
maxTtlSeconds = 900
)";

std::string request(const std::string& scope = "contents:read", const std::string& more = {}) {
  return R"({"credential":"git_token","grantee":{"kind":"agent","id":"fixer"},"scope":[")" + scope +
         R"("],"ttlSeconds":600,"run":"run-7")" + more + "}";
}

void setPolicy(HttpClient& client, const std::string& workspace) {
  const HttpAnswer set = client.ask("PUT", "/v1/workspaces/" + workspace + "/policy", kPolicy, "text/toml");
  ASSERT_EQ(set.status, 200) << set;
}

class Server : public testing::Test {
 protected:
  LedgerFolder ledger_;
};

TEST_F(Server, TellsTheWholeStoryOfALease) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  ASSERT_EQ(owner.post("/v1/workspaces", R"({"id":"shop"})").status, 201);
  setPolicy(owner, "shop");
  RawClient stream(server.address());
  stream.send("GET /v1/workspaces/shop/stream HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + server.token("reader", "shop") + "\r\n\r\n");
  ASSERT_THAT(stream.read("\r\n\r\n"), HasSubstr("text/event-stream"));

  const HttpAnswer granted = owner.post("/v1/workspaces/shop/leases", request());
  ASSERT_EQ(granted.status, 201) << granted;
  const std::string lease = "/v1/workspaces/shop/leases/" + granted.at({"lease", "id"});
  EXPECT_EQ(owner.post(lease + "/issued", R"({"secret":{"value":"not a value anybody keeps"}})").status, 200);
  EXPECT_EQ(owner.post(lease + "/consume", R"({"operation":"git.clone"})").status, 200);
  const HttpAnswer denied = owner.post("/v1/workspaces/shop/leases", request("contents:write"));
  EXPECT_EQ(denied.status, 403) << denied;
  EXPECT_EQ(denied.at({"reasonCode"}), "policy");
  EXPECT_NE(denied.at({"receipt", "seq"}), "");
  const HttpAnswer revoked = owner.post(lease + "/revoke", "{}");
  ASSERT_EQ(revoked.status, 200) << revoked;
  const HttpAnswer shown = owner.get(lease + "?wait=" + revoked.at({"receipt", "seq"}));
  EXPECT_EQ(shown.at({"state"}), "revoked") << shown;
  EXPECT_EQ(shown.json().at("history").as_array().size(), 4U) << shown;
  EXPECT_THAT(stream.read("lease.revoked"), HasSubstr("lease.revoked"));
  stream.close();
  EXPECT_EQ(server.stop(), 0);
  EXPECT_FALSE(std::filesystem::exists(ledger_.data() / "server.json"));
  expectVerified(ledger_);
}

// As proxies ask that keep no connection to what is behind them.
TEST_F(Server, ListenersAreToldOnConnectionsThatAreNotKept) {
  RunningServer server(ledger_);
  HttpClient member = server.client("member", "w1");
  const std::string reader = server.token("reader", "w1");
  Ids ids(37);
  for (const std::string& line : {std::string("HTTP/1.0\r\n"), std::string("HTTP/1.1\r\nConnection: close\r\n")}) {
    RawClient stream(server.address());
    stream.send("GET /v1/workspaces/w1/stream?kind=tool.invoked " + line + "Host: x\r\nAuthorization: Bearer " + reader + "\r\n\r\n");
    const std::string begun = stream.read("retry: 2000\n\n");
    ASSERT_THAT(begun, HasSubstr("retry: 2000\n\n")) << line;
    const std::size_t directive = begun.find("Cache-Control: no-store");
    EXPECT_NE(directive, std::string::npos) << begun;
    EXPECT_EQ(begun.find("Cache-Control", directive + 1), std::string::npos) << begun;
    const std::string id = ids.next();
    ASSERT_EQ(member.post("/v1/workspaces/w1/facts", plainFact(id)).status, 201);
    EXPECT_THAT(stream.read(id), HasSubstr(id)) << line;
    EXPECT_FALSE(stream.closed()) << line;
  }
  EXPECT_EQ(server.stop(), 0);
}

TEST_F(Server, RepeatsGetTheFirstAnswer) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  setPolicy(owner, "w1");
  Ids ids(7);
  const std::string key = "Idempotency-Key: " + ids.next() + "\r\n";
  const HttpAnswer first = owner.ask("POST", "/v1/workspaces/w1/leases", request(), "application/json", key);
  const HttpAnswer again = owner.ask("POST", "/v1/workspaces/w1/leases", request(), "application/json", key);
  EXPECT_EQ(again.at({"receipt", "seq"}), first.at({"receipt", "seq"}));
  EXPECT_EQ(again.at({"replayed"}), "true");
  const HttpAnswer other = owner.ask("POST", "/v1/workspaces/w1/leases", request("contents:write"), "application/json", key);
  EXPECT_EQ(other.status, 409);
  EXPECT_EQ(other.at({"code"}), "idempotency_conflict");
}

TEST_F(Server, BadInputGetsTheErrorOfTheTable) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  const std::string leases = "/v1/workspaces/w1/leases";
  const auto expect = [](const HttpAnswer& answer, int status, const char* code) {
    EXPECT_EQ(answer.status, status) << answer;
    EXPECT_EQ(answer.at({"code"}), code) << answer;
    EXPECT_NE(answer.at({"requestId"}), "") << answer;
  };
  expect(owner.post(leases, "{"), 400, "malformed_json");
  expect(owner.post(leases, R"({"credential":"git_token","credential":"git_token"})"), 400, "duplicate_field");
  expect(owner.post(leases, R"({"nonsense":1})"), 400, "unknown_field");
  expect(owner.post(leases, R"({"credential":7})"), 400, "invalid_value");
  expect(owner.post(leases, "{\"reason\":\"\xff\"}"), 400, "invalid_utf8");
  expect(owner.post(leases, std::string(40, '[') + std::string(40, ']')), 400, "too_deep");
  expect(owner.ask("POST", leases, "<a/>", "text/xml"), 415, "unsupported_media_type");
  expect(owner.ask("POST", leases, std::string(1'100'000, ' ')), 413, "too_large");
  expect(owner.ask("DELETE", leases), 405, "method_not_allowed");
  expect(owner.get("/v1/nowhere"), 404, "no_such_route");
  expect(owner.get("/v1/workspaces/w1/leases/none"), 404, "no_such_item");
  expect(owner.get("/v1/workspaces/w1/entries?limit=0"), 400, "invalid_value");
  expect(owner.get("/v1/workspaces/w1/entries?nonsense=1"), 400, "unknown_field");
  expect(owner.get("/v1/workspaces/w1/entries?after=x"), 400, "bad_cursor");
  expect(owner.get("/v1/workspaces/w1/entries?token=x"), 401, "token_in_url");
  expect(owner.post("/v1/workspaces/w1/query", R"({"sql":"DELETE FROM entries"})"), 400, "bad_query");
  expect(owner.post("/v1/workspaces/w1/facts", R"({"kind":"policy.set"})"), 400, "kind_not_a_fact");
  expect(owner.ask("POST", leases, request(), "application/json", "Idempotency-Key: 1\r\n"), 400, "invalid_value");
  expect(owner.ask("GET", "/v1/workspaces", {}, {}, "Accept: text/html\r\n"), 406, "not_acceptable");
  expect(server.anonymous().get("/v1/workspaces"), 401, "no_token");
  HttpClient forged(server.address(), server.token("owner") + "x");
  expect(forged.get("/v1/workspaces"), 401, "bad_token");
  EXPECT_EQ(owner.get("/v1/workspaces").status, 200) << "the connection and the server are as they were";
}

// Each of these was once taken for something that its sender cannot have meant.
TEST_F(Server, WhatIsMeantOtherwiseIsNotGuessed) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  const auto expect = [](const HttpAnswer& answer, int status, const char* code) {
    EXPECT_EQ(answer.status, status) << answer;
    EXPECT_EQ(answer.at({"code"}), code) << answer;
  };
  setPolicy(owner, "w1");
  expect(owner.ask("PUT", "/v1/workspaces/w1/policy", "", "text/toml"), 400, "invalid_value");
  EXPECT_EQ(owner.get("/v1/workspaces/w1/policy").at({"document"}), kPolicy) << "a forgotten body must not deny everything";
  const std::string facts = "/v1/workspaces/w1/facts";
  Ids ids(31);
  expect(owner.post(facts + "?ack=soon", plainFact(ids.next())), 400, "invalid_value");
  expect(owner.post(facts + "?ack=replicated", plainFact(ids.next())), 400, "invalid_value");  // said by receipts, not asked for
  const HttpAnswer published = owner.post(facts + "?ack=published", plainFact(ids.next()));
  EXPECT_EQ(published.status, 202) << published;
  EXPECT_EQ(published.at({"receipt", "ack"}), "durable");
  EXPECT_EQ(owner.post(facts + "?ack=durable", plainFact(ids.next())).status, 201);
  expect(owner.ask("POST", facts, R"({"kind":"run.started","run":"r"})", "application/json", "Idempotency-Key: \r\n"), 400,
         "invalid_value");
  const std::string secret = std::string(8'193, 'k');
  expect(owner.post("/v1/workspaces/w1/secrets/lookup", R"({"secret":{"value":")" + secret + R"("}})"), 422, "too_long");
  EXPECT_EQ(owner.post("/v1/workspaces/w1/secrets/lookup", R"({"secret":{"value":")" + secret.substr(1) + R"("}})").status, 200);
  expect(owner.get("/v1/workspaces/w1/producers/p?source="), 400, "invalid_value");
  expect(owner.ask("GET", "/v1/workspaces/w1/stream?after=x", {}, {}, "Last-Event-ID: 1\r\n"), 400, "invalid_value");
  EXPECT_EQ(owner.get("/v1/workspaces?after=").status, 200) << "an empty cursor is the first page, here as in every list";
}

// Every operation of the document is a route that wants a token, and what it refers to is there.
TEST_F(Server, TheDocumentNamesRoutesThatAreThere) {
  RunningServer server(ledger_);
  HttpClient nobody = server.anonymous();
  const HttpAnswer document = nobody.get("/openapi.json");
  ASSERT_EQ(document.status, 200) << document;
  const boost::json::value api = document.json();
  EXPECT_EQ(textAt(api, {"openapi"}), "3.1.0");
  std::size_t operations = 0;
  for (const auto& [path, methods] : api.at("paths").as_object()) {
    std::string asked;
    bool variable = false;
    for (const char c : std::string(path)) {
      if (c == '{') asked += 'x';
      variable = c == '{' || (variable && c != '}');
      if (!variable && c != '}') asked += c;
    }
    for (const auto& [method, operation] : methods.as_object()) {
      ++operations;
      std::string verb(method);
      std::transform(verb.begin(), verb.end(), verb.begin(), [](char c) { return static_cast<char>(c - 'a' + 'A'); });
      EXPECT_EQ(nobody.ask(verb, asked).status, path == "/openapi.json" ? 200 : 401) << verb << ' ' << path;
    }
  }
  EXPECT_GT(operations, 30U);
  const boost::json::object& schemas = api.at("components").at("schemas").as_object();
  const std::string prefix = "\"#/components/schemas/";
  for (std::size_t at = document.body.find(prefix); at != std::string::npos; at = document.body.find(prefix, at + 1)) {
    const std::size_t start = at + prefix.size();
    const std::string name = document.body.substr(start, document.body.find('"', start) - start);
    EXPECT_TRUE(schemas.contains(name)) << name;
  }
}

TEST_F(Server, ATenantLearnsNothingOfAnother) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  ASSERT_EQ(owner.post("/v1/workspaces", R"({"id":"w2"})").status, 201);
  HttpClient tenant = server.client("admin", "w1", "human:mallory");
  EXPECT_EQ(tenant.get("/v1/workspaces/w1/entries").status, 200);
  const std::vector<std::pair<const char*, const char*>> routes = {{"GET", "/entries"}, {"GET", "/stats"},   {"GET", "/stream"},
                                                                   {"GET", "/policy"},  {"POST", "/leases"}, {"POST", "/facts"},
                                                                   {"POST", "/query"}};
  for (const auto& [method, path] : routes) {
    HttpAnswer other = tenant.ask(method, std::string("/v1/workspaces/w2") + path, std::string_view(method) == "POST" ? "{}" : "");
    HttpAnswer missing = tenant.ask(method, std::string("/v1/workspaces/none") + path, std::string_view(method) == "POST" ? "{}" : "");
    EXPECT_EQ(other.status, 403) << path << other;
    EXPECT_EQ(missing.status, 403) << path << missing;
    const auto withoutId = [](const HttpAnswer& answer) { return answer.body.substr(0, answer.body.find("requestId")); };
    EXPECT_EQ(withoutId(other), withoutId(missing)) << path;
  }
  EXPECT_THAT(tenant.get("/v1/workspaces").body, Not(HasSubstr("w2")));
  EXPECT_EQ(tenant.post("/v1/workspaces", R"({"id":"w3"})").status, 403);
  HttpClient reader = server.client("reader", "w1");
  EXPECT_EQ(reader.post("/v1/workspaces/w1/leases", request()).status, 403);
  EXPECT_EQ(reader.get("/v1/workspaces/w1/entries").status, 200);
  HttpClient auditor = server.client("auditor");
  EXPECT_EQ(auditor.get("/v1/workspaces/w1/entries").status, 403);
  EXPECT_EQ(auditor.get("/v1/workspaces/w1/verify").status, 200);
}

TEST_F(Server, ARevokedTokenIsRefusedAtOnceAndAfterARestart) {
  std::string token;
  {
    RunningServer server(ledger_);
    token = server.token("reader", "w1", "human:alice");
    HttpClient reader(server.address(), token);
    ASSERT_EQ(reader.get("/v1/workspaces/w1/stats").status, 200);
    const Result listed = runProgram({"token", "list", "--json", "--data", ledger_.data().string()});
    ASSERT_EQ(listed.status, 0) << listed;
    const std::size_t at = listed.out.find("\"tokenId\":\"");
    ASSERT_NE(at, std::string::npos) << listed;
    const Result revoked = runProgram({"token", "revoke", listed.out.substr(at + 11, 36), "--data", ledger_.data().string()});
    ASSERT_EQ(revoked.status, 0) << revoked;
    EXPECT_EQ(reader.get("/v1/workspaces/w1/stats").status, 401);
    EXPECT_EQ(server.stop(), 0);
  }
  RunningServer server(ledger_);
  EXPECT_EQ(HttpClient(server.address(), token).get("/v1/workspaces/w1/stats").status, 401);
}

TEST_F(Server, AFloodOfOneTenantIsRefusedAndTheOthersAreServed) {
  // So few that 300 come faster on a slow machine, too.
  RunningServer server(ledger_, {"COUNTERFOIL_WORKSPACE_ENTRIES_PER_SECOND=5", "COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND=5"});
  HttpClient owner = server.client("owner");
  ASSERT_EQ(owner.post("/v1/workspaces", R"({"id":"calm"})").status, 201);
  HttpClient flooding = server.client("member", "w1");
  HttpClient calm = server.client("member", "calm");
  Ids ids(11);
  int refused = 0;
  for (int index = 0; index < 300; ++index) {
    const HttpAnswer answer = flooding.post("/v1/workspaces/w1/facts", plainFact(ids.next()));
    if (answer.status == 201) continue;
    ++refused;
    EXPECT_EQ(answer.status, 429) << answer;
    EXPECT_EQ(answer.at({"code"}), "rate_limited");
    EXPECT_THAT(answer.head, HasSubstr("Retry-After: "));
  }
  EXPECT_GT(refused, 100);
  EXPECT_EQ(calm.post("/v1/workspaces/calm/facts", plainFact(ids.next())).status, 201);
  const HttpAnswer revocation = flooding.post("/v1/workspaces/w1/revocations", R"({"run":"run-7"})");
  EXPECT_EQ(revocation.status, 200) << "a flood must not keep a credential alive: " << revocation;
  const std::string metrics = server.admin().get("/metrics").body;
  EXPECT_THAT(metrics, HasSubstr("counterfoil_refusals_total{code=\"rate_limited\"}"));
  EXPECT_THAT(metrics, HasSubstr("\ncounterfoil_log_commit_duration_seconds_count "));
  EXPECT_THAT(metrics, Not(HasSubstr("\ncounterfoil_log_commit_duration_seconds_count 0\n")));
}

// Clients that keep every acknowledged seq, while the server goes away in the middle.
struct AcknowledgedFact {
  std::mutex mutex;
  std::map<std::string, std::string> leafOf;  // by entry id
  std::atomic<int> answers{0};
};

void load(const std::string& address, const std::string& token, int seed, AcknowledgedFact& acknowledged) {
  HttpClient client(address, token);
  Ids ids(static_cast<std::uint64_t>(seed));
  for (;;) {
    const std::string id = ids.next();
    const HttpAnswer answer = client.post("/v1/workspaces/w1/facts", plainFact(id));
    if (answer.status != 201) return;
    const std::lock_guard lock(acknowledged.mutex);
    acknowledged.leafOf[id] = answer.at({"receipt", "leafHash"});
    ++acknowledged.answers;
  }
}

void expectAllThere(const LedgerFolder& ledger, const AcknowledgedFact& acknowledged) {
  std::map<std::string, int> seen;
  const Result listed = ledger.in({"entries", "--kind", "tool.invoked", "--limit", "1000", "--all"});
  ASSERT_EQ(listed.status, 0) << listed;
  for (const std::string& line : listed.lines()) {
    const boost::json::value entry = boost::json::parse(line);
    const std::string id = textAt(entry, {"id"});
    ++seen[id];
    const auto found = acknowledged.leafOf.find(id);
    if (found == acknowledged.leafOf.end()) continue;
    EXPECT_EQ(textAt(entry, {"leafHash"}), found->second);
  }
  for (const auto& [id, leaf] : acknowledged.leafOf) ASSERT_EQ(seen[id], 1) << "an acknowledged fact is not there once";
}

TEST_F(Server, KilledUnderLoadItKeepsWhatItAcknowledged) {
  for (int round = 0; round < 3; ++round) {
    AcknowledgedFact acknowledged;
    {
      RunningServer server(ledger_);
      const std::string token = server.token("member", "w1");
      std::vector<std::thread> clients;
      for (int client = 0; client < 8; ++client) {
        clients.emplace_back(load, server.address(), token, round * 100 + client, std::ref(acknowledged));
      }
      while (acknowledged.answers < 400) std::this_thread::yield();
      server.kill();
      for (std::thread& client : clients) client.join();
    }
    expectAllThere(ledger_, acknowledged);
  }
  expectVerified(ledger_);
}

TEST_F(Server, StoppedUnderLoadItAnswersWhatIsUnderWay) {
  AcknowledgedFact acknowledged;
  RunningServer server(ledger_);
  const std::string token = server.token("member", "w1");
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) clients.emplace_back(load, server.address(), token, 500 + client, std::ref(acknowledged));
  while (acknowledged.answers < 400) std::this_thread::yield();
  EXPECT_EQ(server.stop(), 0);
  for (std::thread& client : clients) client.join();
  expectAllThere(ledger_, acknowledged);
  expectVerified(ledger_);
}

TEST_F(Server, ASecondOneOnTheSameDataIsRefused) {
  RunningServer server(ledger_);
  const Result second =
      runProgram({"serve", "--json", "--data", ledger_.data().string(), "--listen", "127.0.0.1:0", "--admin-listen", "none"});
  expectFault(second, "data_in_use", 3);
}

TEST_F(Server, ThousandsOfIdleConnectionsLeaveRoom) {
  RunningServer server(ledger_);
  HttpClient reader = server.client("reader", "w1");
  std::vector<std::unique_ptr<RawClient>> idle;
  for (int index = 0; index < 900; ++index) idle.push_back(std::make_unique<RawClient>(server.address()));
  EXPECT_EQ(reader.get("/v1/workspaces/w1/stats").status, 200);
}

// I8: one that does not read delays nobody, costs bounded memory, and is put out.
TEST_F(Server, ASlowListenerIsPutOutAndDelaysNobody) {
  if (std::getenv("COUNTERFOIL_TEST_LONG") == nullptr) GTEST_SKIP() << "takes half a minute: set COUNTERFOIL_TEST_LONG";
  RunningServer server(ledger_, {"COUNTERFOIL_WORKSPACE_ENTRIES_PER_SECOND=1000000", "COUNTERFOIL_PRINCIPAL_ENTRIES_PER_SECOND=1000000"});
  HttpClient member = server.client("member", "w1");
  Ids ids(23);
  std::string facts;
  for (int index = 0; index < 40'000; ++index) facts += plainFact(ids.next());
  const HttpAnswer taken = member.ask("POST", "/v1/workspaces/w1/facts", facts.substr(0, 2'000), "application/x-ndjson");
  ASSERT_EQ(taken.status, 200) << taken;
  const Result filled = ledger_.run({"fact", "append", "--workspace", "w1"}, facts);
  ASSERT_EQ(filled.status, 0) << filled.error.substr(0, 500);
  RawClient slow(server.address());
  slow.send("GET /v1/workspaces/w1/stream?after=0 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + server.token("reader", "w1") +
            "\r\n\r\n");
  bool evicted = false;
  for (int tries = 0; tries < 300 && !evicted; ++tries) {
    EXPECT_EQ(member.post("/v1/workspaces/w1/facts", plainFact(ids.next())).status, 201);
    evicted = server.admin().get("/metrics").body.find("counterfoil_streams_evicted_total 1") != std::string::npos;
    if (!evicted) slow.waitForClose(100);
  }
  EXPECT_TRUE(evicted);
}

// What of `needle` lies in the memory of a server whose workspace has kPolicy.
struct MemorySearch {
  MemorySearch(pid_t process, const std::string& needle) {
    std::ifstream maps("/proc/" + std::to_string(process) + "/maps");
    std::ifstream memory("/proc/" + std::to_string(process) + "/mem", std::ios::binary);
    std::string line;
    while (std::getline(maps, line)) {
      std::uint64_t from = 0, to = 0;
      char readable = 0;
      if (std::sscanf(line.c_str(), "%lx-%lx %c", &from, &to, &readable) != 3 || readable != 'r' || line.find("[v") != std::string::npos)
        continue;
      std::string bytes(to - from, '\0');
      memory.clear();
      memory.seekg(static_cast<std::streamoff>(from));
      memory.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
      read += static_cast<std::size_t>(memory.gcount());
      control = control || bytes.find("maxTtlSeconds = 900") != std::string::npos;
      for (std::size_t at = bytes.find(needle); at != std::string::npos; at = bytes.find(needle, at + 1)) {
        found.insert(bytes.substr(at, 17) + " in " + line);
      }
    }
  }
  std::size_t read = 0;  // bytes; 0 where nobody may look
  bool control = false;  // what must be there was found: the policy in force
  std::set<std::string> found;
};

// An answer leaves before its connection is made ready for the next request; another request on the same loop comes behind that.
void comeBehind(const RunningServer& server) {
  for (int other = 0; other < 4; ++other) ASSERT_EQ(server.anonymous().get("/openapi.json").status, 200);
}

// I6: nothing of a bulk request's lines stays behind while its connection waits for the next one.
TEST_F(Server, SecretsOfManyFactsAreNowhereWhileTheConnectionIdles) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  setPolicy(owner, "w1");
  Ids ids(47);
  std::string facts;
  for (int number = 0; number < 300; ++number) {
    facts += R"({"kind":"lease.issued","id":")" + ids.next() + R"(","leaseId":"lease-)" + std::to_string(number) +
             R"(","outcome":"issued","secret":{"value":"zk4mQ8wT)" + std::to_string(720'000'000 + number) + R"(vXp2LrYs"}})" + "\n";
  }
  const HttpAnswer taken = owner.ask("POST", "/v1/workspaces/w1/facts", facts, "application/x-ndjson");
  ASSERT_EQ(taken.status, 200) << taken;
  ASSERT_THAT(taken.body, Not(HasSubstr("\"error\""))) << taken;
  ASSERT_THAT(taken.head, Not(HasSubstr("Connection: close")));
  comeBehind(server);
  const MemorySearch search(server.process().pid(), "k4mQ8wT72");
  if (search.read == 0) GTEST_SKIP() << "the memory of another process cannot be read here";
  EXPECT_TRUE(search.control) << "the search does not find what is there";
  for (const std::string& one : search.found) ADD_FAILURE() << one;
  EXPECT_EQ(owner.get("/v1/workspaces/w1/stats").status, 200) << "it was the same connection";
}

// I6: after their requests secrets are nowhere: not in the process's memory, not in a file, a log line or a metric.
TEST_F(Server, SecretsAreNowhereAfterTheirRequests) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  setPolicy(owner, "w1");
  // Made of parts, so that this program's own request buffers, not the server's, are the only place of the whole.
  const auto canary = [](int number) { return "zk4mQ8wT" + std::to_string(710'000'000 + number) + "vXp2LrYs"; };
  constexpr int kGrants = 1'000;
  for (int number = 0; number < kGrants; ++number) {
    const std::string secret = number % 2 == 0 ? canary(number) : "\\u007a" + canary(number).substr(1);  // escaped: decoded elsewhere
    const HttpAnswer granted = owner.post(
        "/v1/workspaces/w1/leases",
        request("contents:read", ",\"reason\":\"for " + std::to_string(number) + "\",\"secret\":{\"value\":\"" + secret + "\"}"));
    ASSERT_EQ(granted.status, 201) << number;
    ASSERT_THAT(granted.body, Not(HasSubstr("k4mQ8wT")));
  }
  EXPECT_THAT(server.admin().get("/metrics").body, Not(HasSubstr("k4mQ8wT")));
  comeBehind(server);
  const MemorySearch search(server.process().pid(), "k4mQ8wT7");
  if (search.read == 0) GTEST_SKIP() << "the memory of another process cannot be read here";
  EXPECT_TRUE(search.control) << "the search does not find what is there";
  for (const std::string& one : search.found) ADD_FAILURE() << one;
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(server.process().out + server.process().error, Not(HasSubstr("k4mQ8wT")));
  for (const auto& root : {ledger_.data(), ledger_.keys()}) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
      if (!file.is_regular_file()) continue;
      EXPECT_THAT(readBytes(file.path()), Not(HasSubstr("k4mQ8wT7"))) << file.path();
    }
  }
}

}  // namespace
}  // namespace counterfoil::test
