// The client against a server that answers a script: what is sent, what is sent again, and when that ends.
#include "clients/cpp/client.h"

#include <gtest/gtest.h>

#include <fstream>

#include "clients/cpp/http_client.h"
#include "tests/support/fake_server.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::client {
namespace {

using std::chrono::milliseconds;
using test::fakeAnswer;
using test::fakeProblem;
using test::FakeServer;

constexpr std::string_view kReceipt =
    R"("receipt":{"number":1,"workspace":"w1","seq":7,"leafHash":"ab","id":"i","recordedAt":"2026-03-01T09:30:00Z","ack":"durable"})";

std::string granted() {
  return fakeAnswer(201, "application/json",
                    R"({"outcome":"granted","lease":{"id":"L1","state":"granted","issuedAt":"t","expiresAt":"u","uses":0,"maxUses":2},)" +
                        std::string(kReceipt) + "}");
}

// A client whose pauses take no time but pass on its clock.
class ClientTest : public testing::Test {
 protected:
  Options options(const FakeServer& server) {
    Options options;
    options.url = server.url();
    options.workspace = "w/1";
    options.token = Secret(std::string_view("token-4711"));
    options.deadline = milliseconds(10'000);
    options.surroundings = Surroundings::real();
    options.surroundings.steady = [this] { return now_; };
    options.surroundings.pause = [this](milliseconds time, const std::stop_token&) {
      pauses_.push_back(time);
      now_ += time;
    };
    return options;
  }
  static GrantRequest request() {
    GrantRequest request;
    request.credential = "git_token";
    request.grantee = {"agent", "fixer"};
    request.scope = {"contents:read"};
    request.ttlSeconds = 300;
    return request;
  }
  static std::string headerOf(const std::string& text, const std::string& name) {
    const std::size_t at = text.find("\r\n" + name + ": ");
    if (at == std::string::npos) return {};
    const std::size_t begin = at + name.size() + 4;
    return text.substr(begin, text.find("\r\n", begin) - begin);
  }

  milliseconds now_{1'000};
  std::vector<milliseconds> pauses_;
};

TEST_F(ClientTest, SaysWhatItIsAsked) {
  FakeServer server({granted()});
  Client client(options(server));
  GrantRequest wanted = request();
  wanted.reason = "a \"reason\"\n";
  wanted.maxUses = 0;
  wanted.secret.value = Secret(std::string_view("secret-4711"));
  wanted.context.run = "run-1";
  const Decision decision = client.grant(wanted);
  EXPECT_TRUE(decision.allowed);
  EXPECT_EQ(decision.lease->id, "L1");
  EXPECT_EQ(decision.lease->maxUses, 2U);
  EXPECT_EQ(decision.receipt->seq, 7U);
  const std::string sent = server.requests().at(0);
  EXPECT_EQ(sent.substr(0, sent.find("\r\n")), "POST /v1/workspaces/w%2F1/leases HTTP/1.1");
  EXPECT_EQ(headerOf(sent, "Authorization"), "Bearer token-4711");
  EXPECT_EQ(headerOf(sent, "Content-Type"), "application/json");
  EXPECT_EQ(headerOf(sent, "Idempotency-Key"), decision.id);
  EXPECT_EQ(headerOf(sent, "Expect"), "");
  EXPECT_EQ(sent.substr(sent.find("\r\n\r\n") + 4),
            R"({"credential":"git_token","grantee":{"kind":"agent","id":"fixer"},"scope":["contents:read"],"ttlSeconds":300,"maxUses":0,)"
            R"("reason":"a \"reason\"\u000a","secret":{"value":"secret-4711"},"run":"run-1"})");
}

TEST_F(ClientTest, IdsAreUuidsWithTheTimeInside) {
  FakeServer server({granted()});
  Options given = options(server);
  given.surroundings.wall = [] { return milliseconds(0x0123456789ab); };
  given.surroundings.random = [] { return std::array<std::uint8_t, 10>{0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5, 6}; };
  EXPECT_EQ(Client(std::move(given)).makeId(), "01234567-89ab-7fff-bfff-010203040506");
}

TEST_F(ClientTest, WaitsAsLongAsItIsToldAndKeepsTheId) {
  FakeServer server({fakeProblem(429, "rate_limited", "Retry-After: 3\r\n"), fakeProblem(503, "intake_full", "Retry-After: 0\r\n"), "",
                     fakeProblem(503, "indeterminate"), granted()});
  const Decision decision = Client(options(server)).grant(request());
  EXPECT_TRUE(decision.allowed);
  // libcurl itself asks anew when a connection it had kept is closed without an answer.
  EXPECT_EQ(pauses_, (std::vector<milliseconds>{milliseconds(3'000), milliseconds(200), milliseconds(400)}));
  const std::vector<std::string> sent = server.requests();
  ASSERT_EQ(sent.size(), 5U);
  for (const std::string& one : sent) EXPECT_EQ(headerOf(one, "Idempotency-Key"), decision.id);
}

TEST_F(ClientTest, GivesUpWhenThePauseIsLongerThanTheDeadline) {
  FakeServer server({fakeProblem(503, "clock_behind", "Retry-After: 11\r\n"), granted()});
  Client client(options(server));
  try {
    client.grant(request());
    FAIL() << "it waited";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "clock_behind");
    EXPECT_EQ(error.detail(), "d");
    EXPECT_EQ(error.hint(), "h");
    EXPECT_EQ(error.requestId(), "r-1");
    EXPECT_EQ(error.status(), 503);
    EXPECT_TRUE(error.isPassing());
  }
  EXPECT_TRUE(pauses_.empty());
}

TEST_F(ClientTest, NeverTriesPastTheDeadline) {
  FakeServer server({fakeProblem(429, "rate_limited", "Retry-After: 4\r\n")});
  EXPECT_THROW(Client(options(server)).grant(request()), Error);
  EXPECT_EQ(pauses_.size(), 2U);
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(ClientTest, WhatItDoesNotKnowIsIndeterminate) {
  FakeServer server({""});
  Client client(options(server));
  try {
    client.consume("L1");
    FAIL() << "an answer came of nothing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), kIndeterminate);
    EXPECT_TRUE(error.isPassing());
  }
  EXPECT_GT(server.requests().size(), 3U);
  // A reading has changed nothing.
  try {
    client.lease("L1");
    FAIL() << "an answer came of nothing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), kNotReady);
  }
  // What came to the first try is not known, whatever the later ones say.
  FakeServer full({"", fakeProblem(503, "intake_full", "Retry-After: 60\r\n")});
  try {
    Client(options(full)).consume("L1");
    FAIL() << "an answer came of nothing";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), kIndeterminate);
  }
}

TEST_F(ClientTest, ALostTryStaysUnknownUntilAnAnswerSettlesIt) {
  const auto codeAfter = [&](std::vector<test::FakeAnswer> answers) {
    FakeServer server(std::move(answers));
    try {
      Client(options(server)).consume("L1");
      return std::string("nothing was thrown");
    } catch (const Error& error) {
      return std::string(error.code());
    }
  };
  EXPECT_EQ(codeAfter({"", fakeProblem(401, "bad_token")}), kIndeterminate);
  EXPECT_EQ(codeAfter({"", fakeProblem(403, "not_allowed")}), kIndeterminate);
  EXPECT_EQ(codeAfter({"", fakeProblem(500, "internal")}), kIndeterminate);
  EXPECT_EQ(codeAfter({fakeAnswer(502, "text/html", "<p>no server</p>")}), kIndeterminate) << "a proxy lost it";
  // Refused for what it says: so no try of it was taken.
  EXPECT_EQ(codeAfter({"", fakeProblem(400, "invalid_value")}), "invalid_value");
  EXPECT_EQ(codeAfter({fakeProblem(401, "bad_token")}), "bad_token") << "nothing was lost";
}

TEST_F(ClientTest, WhatMustNotBeRepeatedIsSentOnce) {
  FakeServer server({fakeAnswer(200, "application/json", "{}"), "", fakeProblem(503, "intake_full", "Retry-After: 1\r\n")});
  HttpOptions plain;
  plain.url = server.url();
  plain.surroundings = options(server).surroundings;
  HttpClient http(std::move(plain));
  HttpRequest first;
  first.target = "/";
  http.send(first);  // leaves a connection that libcurl would repeat on
  HttpRequest once = first;
  once.method = "POST";
  once.repeatable = false;
  for (const std::string_view code : {kIndeterminate, std::string_view("intake_full")}) {
    try {
      http.send(once);
      FAIL() << "an answer came of nothing";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
    }
  }
  EXPECT_EQ(server.requests().size(), 3U);
}

TEST_F(ClientTest, WhatIsWrongIsNotRepeated) {
  for (const auto& [status, code] : std::vector<std::pair<int, std::string>>{{400, "invalid_value"},
                                                                             {401, "bad_token"},
                                                                             {403, "not_allowed"},
                                                                             {409, "idempotency_conflict"},
                                                                             {500, "internal"},
                                                                             {507, "disk_full"}}) {
    FakeServer server({fakeProblem(status, code), granted()});
    try {
      Client(options(server)).grant(request());
      ADD_FAILURE() << code;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_EQ(error.status(), status);
    }
    EXPECT_EQ(server.requests().size(), 1U) << code;
  }
}

TEST_F(ClientTest, ADenialIsAnAnswer) {
  FakeServer server(
      {fakeAnswer(403, "application/json", R"({"outcome":"denied","reasonCode":"ttl_exceeded",)" + std::string(kReceipt) + "}")});
  const Decision decision = Client(options(server)).grant(request());
  EXPECT_FALSE(decision.allowed);
  EXPECT_EQ(decision.reasonCode, "ttl_exceeded");
  EXPECT_FALSE(decision.lease);
  EXPECT_EQ(decision.receipt->leafHash, "ab");
}

TEST_F(ClientTest, AForeignServerIsNamedAsOne) {
  for (const std::string& answer :
       {fakeAnswer(200, "text/html", "<html>"), fakeAnswer(200, "application/json", "[]"), fakeAnswer(200, "application/json", "{}"),
        fakeAnswer(302, "text/html", "", "Location: http://127.0.0.1:1/\r\n"), fakeAnswer(404, "text/html", "no")}) {
    FakeServer server({answer});
    try {
      Client(options(server)).grant(request());
      ADD_FAILURE() << answer;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), kForeignAnswer) << answer;
    }
  }
}

TEST_F(ClientTest, AnExpiredTokenIsReadAgainFromItsFile) {
  const test::TemporaryFolder folder;
  const auto file = folder.path() / "token";
  std::ofstream(file) << "first.token\n";
  FakeServer server({granted(), fakeProblem(401, "expired_token"), granted(), fakeProblem(401, "expired_token")});
  Options given = options(server);
  given.token = {};
  given.tokenFile = file.string();
  Client client(std::move(given));
  client.grant(request());
  std::ofstream(file) << "second.token\n";
  client.grant(request());
  const std::vector<std::string> sent = server.requests();
  ASSERT_EQ(sent.size(), 3U);
  EXPECT_EQ(headerOf(sent[1], "Authorization"), "Bearer first.token");
  EXPECT_EQ(headerOf(sent[2], "Authorization"), "Bearer second.token");
  EXPECT_EQ(headerOf(sent[1], "Idempotency-Key"), headerOf(sent[2], "Idempotency-Key"));
  // The same one again is of no use.
  try {
    client.grant(request());
    FAIL() << "an expired token was taken";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "expired_token");
    EXPECT_EQ(std::string(error.what()).find("second.token"), std::string::npos);
  }
  EXPECT_EQ(server.requests().size(), 4U);
}

TEST_F(ClientTest, WhatCannotBeSentIsRefused) {
  FakeServer server({granted()});
  Options two = options(server);
  two.tokenFile = "/nowhere";
  EXPECT_THROW(Client{std::move(two)}, Error);
  Options lines = options(server);
  lines.token = Secret(std::string_view("two\r\nX-Header: lines"));
  EXPECT_THROW(Client(std::move(lines)).grant(request()), Error);
  Client client(options(server));
  GrantRequest both = request();
  both.secret.value = Secret(std::string_view("secret-4711"));
  both.secret.sha256 = std::string(64, 'a');
  EXPECT_THROW(client.grant(both), Error);
  GrantRequest id = request();
  id.context.id = "x\r\nX-Header: y";
  EXPECT_THROW(client.grant(id), Error);
  EXPECT_THROW(client.consume(""), Error);
  EXPECT_THROW(client.fact({WipingString("[]"), {}}), Error);
  EXPECT_TRUE(server.requests().empty());
}

TEST_F(ClientTest, RevocationsNameOneThing) {
  const std::string answer = fakeAnswer(200, "application/json", R"({"outcome":"ordered","revocationId":"r","matched":3})");
  FakeServer server({answer});
  Client client(options(server));
  EXPECT_EQ(client.revokeAll({ByRun{"run-1"}, "compromise", {}, {}}).matched, 3U);
  client.revokeAll({ByPrincipal{{"agent", "a"}}, {}, "why", {}});
  client.revokeAll({ByCredential{{Secret(std::string_view("s")), {}}}, {}, {}, {}});
  std::vector<std::string> bodies;
  for (const std::string& one : server.requests()) bodies.push_back(one.substr(one.find("\r\n\r\n") + 4));
  EXPECT_EQ(bodies,
            (std::vector<std::string>{R"({"run":"run-1","reasonCode":"compromise"})",
                                      R"({"principal":{"kind":"agent","id":"a"},"reason":"why"})", R"({"credential":{"value":"s"}})"}));
}

TEST_F(ClientTest, FactsWithoutRoomAreSentAgainAndKeepTheirPlaces) {
  const std::string ok = R"({"outcome":"invoked"})";
  const std::string later = R"({"error":{"status":503,"code":"intake_full","detail":"d"}})";
  const std::string bad = R"({"error":{"status":400,"code":"kind_not_a_fact","detail":"d"}})";
  FakeServer server({fakeAnswer(200, "application/x-ndjson", later + "\n" + bad + "\n" + ok + "\n"),
                     fakeAnswer(200, "application/x-ndjson", R"({"outcome":"second"})" + std::string("\n")),
                     fakeAnswer(200, "application/x-ndjson", ok + "\n" + ok.substr(0, 5))});
  Client client(options(server));
  std::vector<Fact> facts(3);
  for (Fact& fact : facts) fact.json = R"({"kind":"tool.invoked"})";
  const std::vector<FactResult> results = client.facts(facts);
  ASSERT_EQ(results.size(), 3U);
  EXPECT_EQ(results[0].recorded->outcome, "second");
  EXPECT_EQ(results[1].error->code(), "kind_not_a_fact");
  EXPECT_EQ(results[2].recorded->outcome, "invoked");
  EXPECT_NE(server.requests().at(1).find("{\"id\":\"" + results[0].recorded->id + "\",\"kind\""), std::string::npos)
      << server.requests()[1];
  // An answer that was cut says nothing about its last line.
  try {
    client.facts(std::span(facts).first(2));
    FAIL() << "half a line was taken for a result";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), kIndeterminate);
  }
}

TEST_F(ClientTest, PagesFollowTheirCursor) {
  const auto page = [](const std::string& seqs, const std::string& next) {
    return fakeAnswer(200, "application/json", "{\"items\":[" + seqs + "],\"next\":" + next + "}");
  };
  FakeServer server(
      {page(R"({"seq":1,"kind":"a.b"},{"seq":2,"kind":"a.b"})", "\"c/1\""), page("", "\"c2\""), page(R"({"seq":3,"kind":"a.b"})", "null")});
  Client client(options(server));
  EntryFilters filters;
  filters.kinds = {"lease.*"};
  filters.wait = 9;
  EntryPages pages = client.entries(filters);
  std::vector<std::uint64_t> seqs;
  for (auto entry = pages.next(); entry; entry = pages.next()) seqs.push_back(entry->seq);
  EXPECT_EQ(seqs, (std::vector<std::uint64_t>{1, 2, 3}));
  EXPECT_FALSE(pages.next());
  const std::vector<std::string> sent = server.requests();
  EXPECT_TRUE(sent.at(0).starts_with("GET /v1/workspaces/w%2F1/entries?kind=lease.%2A&order=asc&limit=500&wait=9 HTTP/1.1")) << sent[0];
  EXPECT_NE(sent.at(1).find("&after=c%2F1 "), std::string::npos) << sent[1];
}

std::string streamed(std::string_view text) {
  return "HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\n\r\n" + std::string(text);
}

TEST_F(ClientTest, ATailGoesOnBehindItsLastEntryAndShowsNoneTwice) {
  const std::string first = "retry: 2000\n\nid: 6\ndata: {\"seq\":6,\"kind\":\"a.b\"}\n\nid: 7\ndata: {\"seq\":7,";  // cut
  const std::string second = "id: 6\ndata: {\"seq\":6,\"kind\":\"a.b\"}\n\nid: 7\ndata: {\"seq\":7,\"kind\":\"a.b\"}\n\n";
  const std::string third = "id: 9\ndata: {\"seq\":9,\"kind\":\"a.b\"}\n\nid: 10\ndata: {\"seq\":10,\"kind\":\"a.b\"}\n\n";
  FakeServer server({streamed(first), streamed(second), fakeProblem(503, "not_ready"), streamed(third)});
  Client client(options(server));
  std::vector<std::uint64_t> seqs;
  TailOptions from;
  from.after = 5;
  from.kinds = {"a.*"};
  client.tail(from, [&](const Entry& entry) {
    seqs.push_back(entry.seq);
    return entry.seq < 9;
  });
  EXPECT_EQ(seqs, (std::vector<std::uint64_t>{6, 7, 9}));
  std::vector<std::string> last;
  for (const std::string& one : server.requests()) last.push_back(headerOf(one, "Last-Event-ID"));
  EXPECT_EQ(last, (std::vector<std::string>{"5", "6", "7", "7"}));
}

TEST_F(ClientTest, ATailEndsWithWhatIsThrownAndGivesUpInTheEnd) {
  FakeServer server({streamed("id: 6\ndata: {\"seq\":6,\"kind\":\"a.b\"}\n\n"), fakeProblem(503, "not_ready")});
  TailOptions from;
  from.after = 5;
  const auto thrower = [](const Entry&) -> bool { throw Error(kNotReady, "the caller's own"); };
  try {
    Client(options(server)).tail(from, thrower);
    FAIL() << "it went on";
  } catch (const Error& error) {
    EXPECT_EQ(error.detail(), "the caller's own");
  }
  FakeServer gone({streamed("id: 6\ndata: {\"seq\":6,\"kind\":\"a.b\"}\n\n"), fakeProblem(503, "not_ready")});
  const milliseconds began = now_;
  try {
    Client(options(gone)).tail(from, [](const Entry&) { return true; });
    FAIL() << "it goes on for ever";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), "not_ready");
  }
  EXPECT_GE(now_ - began, from.unreachableMax);
  EXPECT_LE(now_ - began, from.unreachableMax + milliseconds(10'000));
}

}  // namespace
}  // namespace counterfoil::client
