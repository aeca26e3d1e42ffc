// The server's limits against clients that mean harm or are merely slow: connections, descriptors, lines, times, the end.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/e2e/many_clients.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr const char* kStatsPath = "/v1/workspaces/w1/stats";
constexpr const char* kFactsPath = "/v1/workspaces/w1/facts";
// What an idle connection may take of the server's memory: its first 4 KiB of input, its place in the loop, allocator slack.
constexpr std::size_t kIdleBytesMax = 16 * 1'024;
constexpr std::int64_t kServedWithinMs = 1'000;

bool longRun() {
  return std::getenv("COUNTERFOIL_TEST_LONG") != nullptr;
}

std::string headOf(const std::string& method, const std::string& path, const std::string& token, const std::string& more = {}) {
  return method + " " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + token + "\r\n" + more + "\r\n";
}

std::string bulkHead(const std::string& token, std::size_t bytes) {
  return headOf("POST", kFactsPath, token, "Content-Type: application/x-ndjson\r\nContent-Length: " + std::to_string(bytes) + "\r\n");
}

std::size_t countOf(std::string_view text, std::string_view what) {
  std::size_t count = 0;
  for (std::size_t at = text.find(what); at != std::string_view::npos; at = text.find(what, at + what.size())) ++count;
  return count;
}

// Open connections of the API, as the metrics say.
std::size_t connectionsOf(const RunningServer& server) {
  constexpr std::string_view kName = "\ncounterfoil_connections ";
  const std::string text = server.admin().get("/metrics").body;
  const std::size_t at = text.find(kName);
  return at == std::string::npos ? 0 : std::stoul(text.substr(at + kName.size()));
}

class ServerLimits : public testing::Test {
 protected:
  // The worst of so many requests, each of which must be answered with 200.
  static std::int64_t worstMs(HttpClient& client, int requests) {
    Latencies times;
    for (int index = 0; index < requests; ++index) {
      const std::int64_t started = nowMicroseconds();
      const HttpAnswer answer = client.get(kStatsPath);
      times.add(nowMicroseconds() - started);
      EXPECT_EQ(answer.status, 200) << answer;
    }
    return times.worstMs();
  }

  LedgerFolder ledger_;
};

TEST_F(ServerLimits, TenThousandSilentConnectionsCostLittleAndEndByTheClock) {
  constexpr std::size_t kConnections = 10'000;
  if (raiseDescriptors(kConnections + 500) < kConnections + 500 || descriptorsAtMost() < kConnections + 8'192) {
    GTEST_SKIP() << "ten thousand connections need a hard limit of 18,192 descriptors (ulimit -Hn)";
  }
  RunningServer server(ledger_);
  HttpClient reader = server.client("reader", "w1");
  ASSERT_TRUE(viewIsThere(server, reader, "w1"));
  const pid_t pid = server.process().pid();
  const std::size_t memoryBefore = residentBytes(pid);
  const std::size_t descriptorsBefore = descriptorsOf(pid);
  ManyClients silent(server.address());
  ASSERT_TRUE(silent.add(kConnections)) << silent.size() << " of them";
  ASSERT_TRUE(until(server.process(), 20'000, [&] { return connectionsOf(server) > kConnections; })) << connectionsOf(server);
  const std::size_t each = (residentBytes(pid) - memoryBefore) / kConnections;
  RecordProperty("bytesOfAnIdleConnection", static_cast<int>(each));
  EXPECT_LT(each, kIdleBytesMax);
  EXPECT_GT(each, 0U);
  EXPECT_LT(worstMs(reader, 100), kServedWithinMs);
  // They cost no time either.
  const double used = cpuSeconds(pid);
  until(server.process(), 1'000, [] { return false; });
  EXPECT_LT(cpuSeconds(pid) - used, 0.3);

  // Between requests 75 s are allowed, in the head of one 10 s.
  const std::int64_t started = nowMicroseconds();
  const bool idle = longRun();
  if (!idle) silent.sendAll("G");
  EXPECT_TRUE(until(server.process(), idle ? 100'000 : 20'000, [&] { return silent.closedByPeer() == kConnections; }));
  const std::int64_t tookMs = (nowMicroseconds() - started) / 1'000;
  EXPECT_GT(tookMs, idle ? 60'000 : 9'000);
  EXPECT_LT(tookMs, idle ? 90'000 : 16'000);
  if (!idle) {
    EXPECT_THAT(silent.said(), AllOf(StartsWith("HTTP/1.1 408"), HasSubstr("\"code\":\"too_slow\"")));
  }
  EXPECT_LT(worstMs(reader, 20), kServedWithinMs);
  silent.closeAll();
  EXPECT_TRUE(until(server.process(), 5'000, [&] { return descriptorsOf(pid) <= descriptorsBefore + 8; })) << descriptorsOf(pid);
  EXPECT_EQ(server.stop(), 0);
}

// Connections never take what the ledger's files need, the rest waits, nothing spins, and all is well when the crowd goes.
TEST_F(ServerLimits, ACrowdAtTheLimitOfDescriptorsShutsNobodysView) {
  constexpr int kTenants = 6;
  const FewDescriptors few(ledger_.root(), 256);
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  for (int tenant = 0; tenant < kTenants; ++tenant) {
    ASSERT_EQ(owner.post("/v1/workspaces", R"({"id":"t)" + std::to_string(tenant) + "\"}").status, 201);
  }
  const pid_t pid = server.process().pid();
  const std::size_t before = descriptorsOf(pid);
  ManyClients crowd(server.address());
  ASSERT_TRUE(crowd.add(600));  // most of them in the kernel's queue
  ASSERT_TRUE(until(server.process(), 10'000, [&] { return connectionsOf(server) == 128; })) << connectionsOf(server);
  const double used = cpuSeconds(pid);
  until(server.process(), 1'000, [] { return false; });
  EXPECT_LT(cpuSeconds(pid) - used, 0.3) << "it spins at the limit";

  Ids ids(61);
  for (int tenant = 0; tenant < kTenants; ++tenant) {
    const std::string workspace = "/v1/workspaces/t" + std::to_string(tenant);
    const HttpAnswer recorded = owner.post(workspace + "/facts", plainFact(ids.next()));
    ASSERT_EQ(recorded.status, 201) << recorded;
    const HttpAnswer read = owner.get(workspace + "/entries?wait=" + recorded.at({"receipt", "seq"}));
    EXPECT_EQ(read.status, 200) << read;
  }
  EXPECT_EQ(server.admin().get("/readyz").status, 200) << "whoever watches is let in";
  // One goes, one comes: full again each time.
  for (int index = 0; index < 50; ++index) {
    crowd.closeFirst();
    EXPECT_EQ(owner.get("/v1/workspaces").status, 200);
  }
  HttpClient waiting = server.client("reader", "w1");
  crowd.closeAll();
  EXPECT_EQ(waiting.get(kStatsPath).status, 200);
  EXPECT_TRUE(until(server.process(), 10'000, [&] { return descriptorsOf(pid) <= before + 6 * kTenants + 4; })) << descriptorsOf(pid);
  EXPECT_EQ(server.stop(), 0);
  EXPECT_LE(countOf(server.process().out + server.process().error, "connections_full"), 1U) << "told once, not once a connection";
  expectVerified(ledger_);
}

TEST_F(ServerLimits, WhoWaitsForAPlaceGetsItWhenOneIsFree) {
  RunningServer server(ledger_, {"COUNTERFOIL_CONNECTIONS_MAX=2"});
  const std::string token = server.token("reader");
  const std::string request = headOf("GET", "/v1/workspaces", token, "Connection: close\r\n");
  std::atomic<int> answered{0};
  const auto come = [&] {
    for (int round = 0; round < 150; ++round) {
      RawClient client(server.address());
      client.send(request);
      if (client.read({}, 20'000).starts_with("HTTP/1.1 200")) ++answered;
    }
  };
  std::vector<std::thread> clients;
  for (int client = 0; client < 8; ++client) clients.emplace_back(come);
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 8 * 150);
}

// A bulk body whose answer is read while it is sent.
struct BulkRun {
  std::string start;  // of the answer
  std::size_t bytes = 0;
  std::size_t errors = 0;
};

BulkRun sendBulk(const std::string& address, const std::string& token, const std::string& body) {
  constexpr std::string_view kError = "{\"error\":";
  RawClient client(address);
  std::thread sender([&] {
    client.send(bulkHead(token, body.size()));
    client.send(body);
  });
  BulkRun run;
  std::string text;  // what is new, behind the end of what was looked at: a word may come in two pieces
  const auto ended = [&] {
    const std::size_t head = run.start.find("\r\n\r\n");
    if (client.closed() || head == std::string::npos) return client.closed();
    const std::size_t length = run.start.find("Content-Length: ");
    return length == std::string::npos ? text.ends_with("\r\n0\r\n\r\n")
                                       : run.bytes >= head + 4 + std::stoul(run.start.substr(length + 16));
  };
  const std::int64_t deadline = nowMicroseconds() + 120'000'000;
  while (!ended() && nowMicroseconds() < deadline) {
    const std::string piece = client.readBytes(64 * 1'024, 20);
    run.bytes += piece.size();
    if (run.start.size() < 600) run.start += piece.substr(0, 600);
    text.erase(0, text.size() - std::min(text.size(), kError.size() - 1));
    text += piece;
    run.errors += countOf(text, kError);
  }
  sender.join();
  return run;
}

// Lines that are nothing cost the sender its own time and nobody else's.
TEST_F(ServerLimits, AMillionTinyLinesDelayNobodyAndFitInLittleMemory) {
  RunningServer server(ledger_);
  HttpClient owner = server.client("owner");
  ASSERT_EQ(owner.post("/v1/workspaces", R"({"id":"other"})").status, 201);
  const std::string token = server.token("member", "w1");
  const pid_t pid = server.process().pid();
  const std::size_t memoryBefore = residentBytes(pid);
  const std::size_t tiny = longRun() ? 1'000'000 : 250'000;
  std::string lines;
  for (std::size_t index = 0; index < tiny; ++index) lines += "{}\n";
  std::atomic<bool> done{false};
  BulkRun empties, bad;
  std::thread sender([&] {
    empties = sendBulk(server.address(), token, std::string(1'000'000, '\n'));
    bad = sendBulk(server.address(), token, lines);
    done = true;
  });
  Latencies others;
  std::size_t most = 0;
  Ids ids(62);
  while (!done) {
    const std::int64_t started = nowMicroseconds();
    EXPECT_EQ(owner.post("/v1/workspaces/other/facts", plainFact(ids.next())).status, 201);
    others.add(nowMicroseconds() - started);
    most = std::max(most, residentBytes(pid));
    server.process().pump(5);
  }
  sender.join();
  EXPECT_THAT(empties.start, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Content-Length: 0")));
  EXPECT_THAT(bad.start, StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(bad.errors, tiny) << "a line of answer for each line";
  EXPECT_GT(others.size(), 50U);
  EXPECT_LT(others.worstMs(), kServedWithinMs);
  EXPECT_LT(most, memoryBefore + 48 * 1'024 * 1'024);
  RecordProperty("othersWorstMs", static_cast<int>(others.worstMs()));
  RecordProperty("memoryGrownKiB", static_cast<int>((most - std::min(most, memoryBefore)) / 1'024));
  EXPECT_EQ(server.stop(), 0);
}

TEST_F(ServerLimits, ABulkBodyOverTheBoundIsRefusedBeforeItIsRead) {
  RunningServer server(ledger_);
  const std::string token = server.token("member", "w1");
  RawClient announced(server.address());
  announced.send(bulkHead(token, 64 * 1'024 * 1'024 + 1));
  EXPECT_THAT(announced.read({}, 10'000), AllOf(StartsWith("HTTP/1.1 413"), HasSubstr("\"code\":\"too_large\"")));
  EXPECT_TRUE(announced.closed());
  // A line nobody ends is skipped as it comes.
  const std::size_t memoryBefore = residentBytes(server.process().pid());
  const BulkRun run = sendBulk(server.address(), token, std::string(32 * 1'024 * 1'024, 'x'));
  EXPECT_THAT(run.start, AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("\"code\":\"too_large\"")));
  EXPECT_EQ(run.errors, 1U);
  EXPECT_LT(residentBytes(server.process().pid()), memoryBefore + 8 * 1'024 * 1'024);
}

// What came whole counts; a line cut by the end of its connection does not, though it may look whole.
TEST_F(ServerLimits, ALineCutByTheEndOfTheConnectionIsNotRecorded) {
  RunningServer server(ledger_);
  HttpClient member = server.client("member", "w1");
  const std::string token = server.token("member", "w1");
  Ids ids(63);
  std::string body = plainFact(ids.next()) + plainFact(ids.next());
  std::string last = plainFact(ids.next());
  last.pop_back();
  {
    RawClient cut(server.address());
    cut.send(bulkHead(token, body.size() + last.size() + 100) + body + last);
    cut.finishSending();
    EXPECT_THAT(cut.read({}, 10'000), Not(HasSubstr("200 OK")));
    EXPECT_TRUE(cut.closed());
  }
  const HttpAnswer next = member.post(kFactsPath, plainFact(ids.next()));
  EXPECT_EQ(next.at({"receipt", "seq"}), "3") << "two lines before it, and the workspace's own entry: " << next;
  // The end of the body in the middle of a line is a line that is no JSON; a whole one needs no line end.
  const HttpAnswer half = member.ask("POST", kFactsPath, plainFact(ids.next()) + last.substr(0, last.size() / 2), "application/x-ndjson");
  EXPECT_EQ(half.status, 200);
  EXPECT_EQ(countOf(half.body, "\"receipt\""), 1U) << half;
  EXPECT_EQ(countOf(half.body, "malformed_json"), 1U) << half;
  const HttpAnswer whole = member.ask("POST", kFactsPath, last, "application/x-ndjson");
  EXPECT_EQ(countOf(whole.body, "\"receipt\""), 1U) << whole;
  EXPECT_EQ(server.stop(), 0);
  expectVerified(ledger_);
}

TEST_F(ServerLimits, HugeHeadsAndTokensAreRefusedAndNeverLogged) {
  RunningServer server(ledger_);
  const auto ask = [&](const std::string& head) {
    RawClient client(server.address());
    client.send(head);
    const std::string answer = client.read({}, 10'000);
    EXPECT_TRUE(client.closed());
    return answer;
  };
  const std::string canary = "canary-of-a-token-";
  std::string megabyte;
  while (megabyte.size() < 1'000'000) megabyte += canary;
  const auto isRefused = AllOf(StartsWith("HTTP/1.1 431"), HasSubstr("\"code\":\"header_too_large\""), Not(HasSubstr(canary)));
  EXPECT_THAT(ask(headOf("GET", kStatsPath, megabyte)), isRefused);
  EXPECT_THAT(ask(headOf("GET", kStatsPath, "x", "X-Long: " + megabyte + "\r\n")), isRefused);
  std::string many;
  for (int index = 0; index < 5'000; ++index) many += "X-" + std::to_string(index) + ": 1\r\n";
  EXPECT_THAT(ask(headOf("GET", kStatsPath, "x", many)), isRefused);
  EXPECT_THAT(ask("GET /" + megabyte + " HTTP/1.1\r\nHost: x\r\n\r\n"), AllOf(StartsWith("HTTP/1.1 431"), Not(HasSubstr(canary))));
  // Within the head's limit and over the token's.
  HttpClient nobody(server.address(), megabyte.substr(0, 12'000));
  const HttpAnswer answer = nobody.get(kStatsPath);
  EXPECT_EQ(answer.status, 401) << answer;
  EXPECT_EQ(answer.at({"code"}), "bad_token");
  const std::string token = server.token("reader", "w1");
  EXPECT_THAT(ask(headOf("GET", kStatsPath, token, "Authorization: Bearer " + token + "\r\n")), StartsWith("HTTP/1.1 400"));
  EXPECT_EQ(server.stop(), 0);
  EXPECT_THAT(server.process().error, Not(HasSubstr(canary)));
}

// Ten streams and two hundred requests that do not come to their end: the drain's time limit counts, and the exit is orderly.
TEST_F(ServerLimits, TheEndDoesNotWaitForSlowClientsForEver) {
  RunningServer server(ledger_);
  HttpClient member = server.client("member", "w1");
  const std::string token = server.token("member", "w1");
  std::vector<std::unique_ptr<RawClient>> streams;
  for (int index = 0; index < 10; ++index) {
    streams.push_back(std::make_unique<RawClient>(server.address()));
    streams.back()->send(headOf("GET", "/v1/workspaces/w1/stream", token));
    ASSERT_THAT(streams.back()->read("\r\n\r\n"), HasSubstr("text/event-stream"));
  }
  Ids ids(64);
  const std::string fact = plainFact(ids.next());
  std::vector<std::unique_ptr<RawClient>> bodies, heads;
  for (int index = 0; index < 100; ++index) {
    bodies.push_back(std::make_unique<RawClient>(server.address()));
    bodies.back()->send(bulkHead(token, fact.size() + 1'000) + (index == 0 ? fact : std::string()));
    heads.push_back(std::make_unique<RawClient>(server.address()));
    heads.back()->send("GET /v1/wor");
  }
  const std::string before = std::string("/v1/workspaces/w1/entries?kind=tool.invoked");
  ASSERT_TRUE(until(server.process(), 10'000, [&] { return countOf(member.get(before).body, "tool.invoked") > 0; }));
  const std::int64_t started = nowMicroseconds();
  EXPECT_EQ(server.stop(), 0);
  const std::int64_t tookMs = (nowMicroseconds() - started) / 1'000;
  EXPECT_GT(tookMs, 9'000) << "who is under way has time";
  EXPECT_LT(tookMs, 19'000) << "but 15 s at most";
  for (const auto& stream : streams) {
    stream->read({}, 1'000);
    EXPECT_TRUE(stream->closed());
  }
  EXPECT_THAT(heads.front()->read({}, 1'000), StartsWith("HTTP/1.1 408"));
  bodies.back()->read({}, 1'000);
  EXPECT_TRUE(bodies.back()->closed());
  EXPECT_EQ(ledger_.size(), 2U + countOf(ledger_.in({"entries", "--kind", "audit.queried", "--limit", "100"}).out, "audit.queried"))
      << "the fact that was acknowledged to nobody is recorded like any other";
  expectVerified(ledger_);
}

}  // namespace
}  // namespace counterfoil::test
