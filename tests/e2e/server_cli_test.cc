// Verbs against a running server: the same answers as on a folder, and what happens when the server goes.
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>

#include "ledger/log/lock_file.h"
#include "tests/e2e/ledger_folder.h"
#include "tests/support/free_port.h"

namespace counterfoil::test {
namespace {

constexpr std::string_view kVerbsPolicy = R"(name = "p"
[[rule]]
name = "git"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
scope = ["contents:*"]
maxTtlSeconds = 900
maxUses = 2
renewableForSeconds = 3600
[[rule]]
name = "cloud"
effect = "allow"
credential = ["cloud_identity"]
grantee = ["agent:*"]
maxTtlSeconds = 900
approval = "required"
)";

// A server on a port of its own choice.
class ServerOfVerbs {
 public:
  explicit ServerOfVerbs(const LedgerFolder& ledger)
      : process_({"serve", "--data", ledger.data().string(), "--listen", "127.0.0.1:0", "--admin-listen", "none"}) {
    constexpr std::string_view kSays = "counterfoil serves ";
    std::size_t at = std::string::npos;
    while ((at = process_.out.find(kSays)) == std::string::npos || process_.out.find('\n', at) == std::string::npos) {
      if (!process_.pump(kProcessTimeoutMs)) break;
    }
    if (at != std::string::npos) url_ = process_.out.substr(at + kSays.size(), process_.out.find('\n', at) - at - kSays.size());
    EXPECT_TRUE(url_.starts_with("http://127.0.0.1:")) << process_.out << process_.error;
  }
  const std::string& url() const { return url_; }
  // Its exit status, and everything it said.
  int end(int signal) {
    process_.signal(signal);
    const int status = process_.finish();
    said_ = process_.out + process_.error;
    return status;
  }
  const std::string& said() const { return said_; }

 private:
  Process process_;
  std::string url_;
  std::string said_;
};

// What differs between any two runs, made alike.
boost::json::value alike(const boost::json::value& value, std::string_view name = {}) {
  constexpr std::string_view kVolatile[] = {
      "seq",       "leafHash",     "id",         "recordedAt",  "occurredAt",  "issuedAt", "expiresAt",     "endedAt",     "previous",
      "asOf",      "grantedSeq",   "lastSeq",    "entries",     "size",        "root",     "viewDigest",    "commitment",  "renewableUntil",
      "requestId", "revocationId", "approvalId", "fingerprint", "commitments", "issueBy",  "requestDigest", "requestedAt", "secret"};
  if (std::find(std::begin(kVolatile), std::end(kVolatile), name) != std::end(kVolatile)) return "*";
  if (const auto* object = value.if_object()) {
    boost::json::object result;
    for (const auto& [member, inner] : *object) {
      if (member != "root") result[member] = alike(inner, member);
    }
    return result;
  }
  if (const auto* array = value.if_array()) {
    boost::json::array result;
    for (const auto& inner : *array) result.push_back(alike(inner, name));
    return result;
  }
  return value;
}

std::string alikeLines(const Result& result) {
  std::string text;
  for (const std::string& line : result.lines()) {
    boost::system::error_code failed;
    const boost::json::value json = boost::json::parse(line, failed);
    text += failed ? line + "\n" : boost::json::serialize(alike(json)) + "\n";
  }
  return text;
}

struct Step {
  std::vector<std::string> words;
  std::string input = {};
};

std::vector<Step> everyVerb() {
  const std::vector<std::string> git = {"lease",     "request",     "--credential", "git_token",
                                        "--grantee", "agent:fixer", "--scope",      "contents:read"};
  const auto request = [&](const std::string& lease, std::vector<std::string> more) {
    std::vector<std::string> words = git;
    words.insert(words.end(), {"--lease", lease});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  };
  return {
      {{"policy", "show"}},
      {{"policy", "set", "-"}, std::string(kVerbsPolicy)},
      {{"policy", "show"}},
      {request("one",
               {"--ttl", "5m", "--run", "run-1", "--host", "host/1", "--resource", "github.com/acme/shop", "--reason", "fix \"it\"\n\\"})},
      {request("one", {"--ttl", "5m"})},
      {request("two", {"--ttl", "5m", "--secret-stdin", "--max-uses", "1"}), "the-secret-of-two-4711"},
      {request("wide", {"--ttl", "2h"})},
      {{"lease", "issued", "one", "--upstream-id", "tok-1"}},
      {{"lease", "consume", "one", "--operation", "git.clone", "--resource", "github.com/acme/shop"}},
      {{"lease", "consume", "two"}},
      {{"lease", "consume", "two"}},
      {{"lease", "consume", "no/such?lease"}},
      {{"lease", "renew", "one", "--ttl", "10m"}},
      {{"lease", "revoke", "one", "--reason-code", "compromise", "--reason", "seen elsewhere"}},
      {{"lease", "revoke-all", "--run", "run-1"}},
      {{"lease", "revoke-all"}},
      {{"approval", "request", "--credential", "cloud_identity", "--grantee", "agent:x", "--scope", "a", "--ttl", "5m", "--approval",
        "ap-1", "--on-behalf-of", "human:sam"}},
      {{"approval", "decide", "ap-1", "approved"}},
      {{"approval", "decide", "ap-none", "approved"}},
      {{"approval", "list"}},
      {{"fact", "append"},
       "{\"kind\":\"tool.invoked\",\"tool\":\"git\",\"outcome\":\"ok\"}\n\n{\"kind\":\"no.such\"}\nnot json\n" + std::string(140'000, 'x') +
           "\n{\"kind\":\"tool.invoked\",\"tool\":\"hg\",\"outcome\":\"ok\"}"},
      {{"lease", "show", "one"}},
      {{"lease", "show", "none"}},
      {{"lease", "show", "one", "--at", "1d"}},
      {{"lease", "list", "--state", "ended"}},
      {{"lease", "list", "--limit", "1"}},
      {{"entries", "--kind", "lease.*", "--kind", "tool.*"}},
      {{"entries", "--kind", "lease.*", "--all"}},
      {{"entries", "--kind", "nonsense"}},
      {{"entries", "--after", "nonsense"}},
      {{"query", "SELECT lease, state, uses, 1.50 AS half FROM leases ORDER BY lease"}},
      {{"query", "DELETE FROM leases"}},
      {{"query"}},
  };
}

class ServerCli : public testing::Test {
 protected:
  LedgerFolder ledger_;
};

TEST_F(ServerCli, EveryVerbAnswersAsItDoesOnAFolder) {
  const LedgerFolder alone;
  ServerOfVerbs server(ledger_);
  for (const Step& step : everyVerb()) {
    const Result expected = alone.in(step.words, step.input);
    const Result found = ledger_.in(step.words, step.input);
    const std::string what = testing::PrintToString(step.words);
    EXPECT_EQ(found.status, expected.status) << what << "\nwith a server: " << found << "\nwithout: " << expected;
    EXPECT_EQ(found.code(), expected.code()) << what << "\nwith a server: " << found << "\nwithout: " << expected;
    EXPECT_EQ(alikeLines(found), alikeLines(expected)) << what;
  }
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{"workspace", "create", "w2", "--region", "eu"},
                                                                                     {"workspace", "create", "w2"},
                                                                                     {"workspace", "show", "w2"},
                                                                                     {"workspace", "show", "none"},
                                                                                     {"workspace", "close", "w2"},
                                                                                     {"workspace", "close", "none"},
                                                                                     {"entries", "-w", "none"},
                                                                                     {"policy", "show", "-w", "none"},
                                                                                     {"lease", "consume", "x", "-w", "none"}}) {
    const Result expected = alone.run(words);
    const Result found = ledger_.run(words);
    EXPECT_EQ(found.status, expected.status) << testing::PrintToString(words) << found;
    EXPECT_EQ(found.code(), expected.code()) << testing::PrintToString(words) << found;
    // The receipt of a new workspace is of the ledger's own record, which the two name differently.
    if (words[1] != "create") {
      EXPECT_EQ(alikeLines(found), alikeLines(expected)) << testing::PrintToString(words);
    }
  }
  const Result listed = ledger_.run({"workspace", "list"});
  ASSERT_EQ(listed.lines().size(), 2U) << listed;
  EXPECT_NE(listed.lines()[1].find("\"closed\""), std::string::npos) << listed;
  EXPECT_EQ(server.end(SIGTERM), 0);
  EXPECT_EQ(server.said().find("the-secret-of-two"), std::string::npos);
  expectVerified(ledger_);
}

TEST_F(ServerCli, ARepeatIsRecordedOnce) {
  ServerOfVerbs server(ledger_);
  ASSERT_EQ(ledger_.in({"policy", "set", "-"}, kVerbsPolicy).status, 0);
  Ids ids(1);
  const std::vector<std::string> request = {"lease",   "request",    "--credential", "git_token", "--grantee", "agent:a",
                                            "--scope", "contents:x", "--ttl",        "1m",        "--id",      ids.next()};
  const Result first = ledger_.in(request);
  const Result second = ledger_.in(request);
  EXPECT_EQ(first.status, 0) << first;
  EXPECT_EQ(textAt(second.json(), {"replayed"}), "true") << second;
  EXPECT_EQ(textAt(second.json(), {"receipt", "leafHash"}), textAt(first.json(), {"receipt", "leafHash"}));
}

TEST_F(ServerCli, VerbsThatNeedTheFolderSayWhoHoldsIt) {
  ServerOfVerbs server(ledger_);
  const Result rebuilt = ledger_.run({"rebuild"});
  expectFault(rebuilt, "data_in_use", 3);
  // Its people's tokens come from the folder's own server only.
  expectFault(ledger_.run({"demo", "--url", "http://127.0.0.1:1"}), "usage", 2);
  expectVerified(ledger_);  // reads beside it
}

TEST_F(ServerCli, TheDemoPlaysThroughTheServerAsItsPeople) {
  ServerOfVerbs server(ledger_);
  const Result played = ledger_.run({"demo", "--json"});
  ASSERT_EQ(played.status, 0) << played;
  EXPECT_NE(played.out.find("\"workspace\":\"demo\""), std::string::npos) << played;
  // What each did is theirs on the record: who decides is the token's subject, and who asked cannot be the one.
  const Result actors = ledger_.run({"query", "--workspace", "demo", "--json",
                                     "SELECT kind, count(DISTINCT actor) FROM entries WHERE kind IN ('approval.requested', "
                                     "'approval.decided', 'policy.set', 'lease.granted') GROUP BY kind ORDER BY kind"});
  ASSERT_EQ(actors.status, 0) << actors;
  EXPECT_EQ(actors.lines().size(), 4U) << actors;
  const Result people = ledger_.run({"query", "--workspace", "demo", "--json",
                                     "SELECT count(*) FROM entries AS asked JOIN entries AS decided ON asked.actor = decided.actor "
                                     "WHERE asked.kind = 'approval.requested' AND decided.kind = 'approval.decided'"});
  EXPECT_NE(people.out.find(":0"), std::string::npos) << people;
  expectVerified(ledger_);
}

TEST_F(ServerCli, AServerThatWasKilledIsForgotten) {
  {
    ServerOfVerbs server(ledger_);
    ASSERT_EQ(ledger_.in({"fact", "append"}, "{\"kind\":\"tool.invoked\",\"tool\":\"git\",\"outcome\":\"ok\"}\n").status, 0);
    server.end(SIGKILL);
  }
  ASSERT_TRUE(std::filesystem::exists(ledger_.data() / "server.json")) << "nothing to be forgotten";
  const Result after = ledger_.in({"fact", "append"}, "{\"kind\":\"tool.invoked\",\"tool\":\"hg\",\"outcome\":\"ok\"}\n");
  EXPECT_EQ(after.status, 0) << after;
  const Result entries = ledger_.in({"entries", "--kind", "tool.invoked"});
  EXPECT_EQ(entries.lines().size(), 2U) << entries;
  // Another process may have its number by now: this one has, and is no server.
  writeBytes(ledger_.data() / "server.json", "{\"url\":\"http://127.0.0.1:1\",\"pid\":" + std::to_string(::getpid()) + "}");
  EXPECT_EQ(ledger_.in({"entries"}).status, 0);
}

TEST_F(ServerCli, TokensDecide) {
  ServerOfVerbs server(ledger_);
  const auto file = ledger_.root() / "token";
  const auto with = [&](std::vector<std::string> words) {
    words.insert(words.end(), {"--token-file", file.string()});
    return ledger_.in(words);
  };
  writeBytes(file, "not.a.token\n");
  expectFault(with({"entries"}), "bad_token", 4);
  writeBytes(file, "two\r\nX-Header: lines\n");
  expectFault(with({"entries"}), "bad_token", 4);
  const Result minted = runProgram({"token", "mint", "--role", "reader", "--data", ledger_.data().string()});
  ASSERT_EQ(minted.status, 0) << minted;
  writeBytes(file, minted.out);
  EXPECT_EQ(with({"entries"}).status, 0);
  expectFault(with({"lease", "revoke", "x"}), "not_allowed", 4);
  // From elsewhere: no folder, the URL and a token.
  const std::vector<std::string> far = {"entries", "--json",    "-w", "w1", "--data", (ledger_.root() / "none").string(),
                                        "--url",   server.url()};
  expectFault(runProgram(far), "no_token", 4);
  const std::string token = minted.out.substr(0, minted.out.find('\n'));
  const Result read = runProgram(far, {}, {"COUNTERFOIL_TOKEN=" + token});
  EXPECT_EQ(read.status, 0) << read;
  EXPECT_FALSE(read.lines().empty()) << read;
  EXPECT_EQ(read.error.find(token), std::string::npos);
}

TEST_F(ServerCli, UrlsAreChecked) {
  const std::string closed = "http://127.0.0.1:" + std::to_string(freePort());
  expectFault(ledger_.in({"entries", "--url", closed}), "not_ready", 3);
  expectFault(ledger_.in({"lease", "revoke", "x", "--url", closed}), "not_ready", 3);
  expectFault(ledger_.in({"tail", "--url", closed}), "not_ready", 3);
  for (const char* wrong :
       {"http://ledger.example.com", "ftp://127.0.0.1", "https://user:pass@127.0.0.1:1", "https://127.0.0.1:1/?a=b", ":"}) {
    const Result refused = ledger_.in({"entries", "--url", wrong});
    expectFault(refused, "usage", 2);
    EXPECT_EQ(refused.error.find("pass"), std::string::npos) << refused;
  }
}

TEST_F(ServerCli, WhoWaitsForAnAnswerBeforeSendingMoreGetsIt) {
  ServerOfVerbs server(ledger_);
  Process appender(ledger_.words({"fact", "append", "--workspace", "w1"}));
  Ids ids(2);
  for (std::size_t round = 1; round <= 3; ++round) {
    appender.send(plainFact(ids.next()));
    const auto answered = [&] { return static_cast<std::size_t>(std::count(appender.out.begin(), appender.out.end(), '\n')); };
    while (answered() < round) ASSERT_TRUE(appender.pump(kProcessTimeoutMs)) << appender.error;
    EXPECT_EQ(answered(), round);
  }
  appender.closeInput();
  EXPECT_EQ(appender.finish(), 0) << appender.error;
}

// Seqs in the order they came.
std::vector<std::uint64_t> seqsOf(const std::string& out) {
  std::vector<std::uint64_t> seqs;
  for (std::size_t at = out.find("{\"seq\":"); at != std::string::npos; at = out.find("\n{\"seq\":", at)) {
    if (out[at] == '\n') ++at;
    seqs.push_back(std::stoull(out.substr(at + 7)));
  }
  return seqs;
}

// A reading verb keeps the views for a moment, and may do so just when a server starts.
TEST_F(ServerCli, AServerWaitsForWhoReadsTheViews) {
  EXPECT_EQ(ledger_.in({"entries"}).status, 0);
  auto reader = std::make_unique<log::LockFile>(ledger_.data() / "views" / "lock");
  const std::vector<std::string> serve = {"serve", "--data", ledger_.data().string(), "--listen", "127.0.0.1:0", "--admin-listen", "none"};
  Process server(serve);
  EXPECT_TRUE(server.untilError("waiting for who reads the views")) << server.error;
  EXPECT_EQ(server.out, "");
  reader.reset();
  EXPECT_TRUE(server.until([&] { return server.out.find("counterfoil serves ") != std::string::npos; })) << server.error;
  server.signal(SIGTERM);
  EXPECT_EQ(server.finish(), 0) << server.error;
  reader = std::make_unique<log::LockFile>(ledger_.data() / "views" / "lock");
  Process patient(serve);
  EXPECT_TRUE(patient.untilError("waiting for who reads the views")) << patient.error;
  patient.signal(SIGTERM);
  EXPECT_EQ(patient.finish(), 0) << patient.error;
  EXPECT_EQ(patient.out, "");
}

TEST_F(ServerCli, TailFollowsAcrossServersAndTheFolder) {
  const auto fact = [&](const char* tool) {
    const Result done =
        ledger_.in({"fact", "append"}, std::string("{\"kind\":\"tool.invoked\",\"tool\":\"") + tool + "\",\"outcome\":\"ok\"}\n");
    EXPECT_EQ(done.status, 0) << done;
  };
  auto server = std::make_unique<ServerOfVerbs>(ledger_);
  fact("first");
  Process all(ledger_.words({"tail", "--workspace", "w1", "--from-start"}));
  Process tools(ledger_.words({"tail", "--workspace", "w1", "--kind", "tool.*", "--after", "0"}));
  const auto waitFor = [&](std::string_view text) {
    for (Process* process : {&all, &tools}) {
      while (process->out.find(text) == std::string::npos) ASSERT_TRUE(process->pump(kProcessTimeoutMs)) << process->error;
    }
  };
  waitFor("\"first\"");
  fact("second");
  waitFor("\"second\"");
  EXPECT_EQ(server->end(SIGTERM), 0);
  fact("third");  // into the folder
  waitFor("\"third\"");
  server = std::make_unique<ServerOfVerbs>(ledger_);
  fact("fourth");
  waitFor("\"fourth\"");
  server->end(SIGKILL);
  fact("fifth");
  waitFor("\"fifth\"");
  for (Process* process : {&all, &tools}) {
    process->signal(SIGINT);
    EXPECT_EQ(process->finish(), 130);
  }
  const std::vector<std::uint64_t> seqs = seqsOf(all.out);
  for (std::size_t index = 0; index < seqs.size(); ++index) EXPECT_EQ(seqs[index], index) << all.out;
  EXPECT_EQ(seqsOf(tools.out).size(), 5U) << tools.out;
}

}  // namespace
}  // namespace counterfoil::test
