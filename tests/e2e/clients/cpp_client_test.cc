// The C++ client against the real server.
#include <condition_variable>
#include <mutex>
#include <thread>

#include "clients/cpp/client.h"
#include "tests/e2e/running_server.h"
#include "tests/support/free_port.h"

namespace counterfoil::test {
namespace {

namespace client = counterfoil::client;

constexpr std::string_view kPolicy = R"(name = "p"
[[rule]]
name = "git"
effect = "allow"
credential = ["git_token"]
grantee = ["agent:*"]
scope = ["contents:*"]
maxTtlSeconds = 900
maxUses = 2
renewableForSeconds = 3600
)";
constexpr std::string_view kSecret = "the-secret-of-the-cpp-client-4711";

class CppClient : public testing::Test {
 protected:
  void SetUp() override {
    serve("127.0.0.1:" + std::to_string(freePort()));
    ASSERT_EQ(ledger_.in({"policy", "set", "-"}, kPolicy).status, 0);
  }
  // A server that comes back must have the address it had.
  void serve(const std::string& address) {
    server_ = std::make_unique<Process>(
        std::vector<std::string>{"serve", "--data", ledger_.data().string(), "--listen", address, "--admin-listen", "none"});
    while (server_->out.find('\n') == std::string::npos && server_->pump(kProcessTimeoutMs)) {
    }
    url_ = textAt(boost::json::parse(readBytes(ledger_.data() / "server.json")), {"url"});
    ASSERT_FALSE(url_.empty()) << server_->error;
  }
  std::string mint(const std::string& role = "admin") {
    const Result minted = runProgram({"token", "mint", "--role", role, "--data", ledger_.data().string()});
    EXPECT_EQ(minted.status, 0) << minted;
    return minted.out.substr(0, minted.out.find('\n'));
  }
  client::Client connect(const std::string& token) {
    client::Options options;
    options.url = url_;
    options.workspace = "w1";
    options.token = client::Secret(std::string_view(token));
    return client::Client(std::move(options));
  }
  static client::GrantRequest request() {
    client::GrantRequest request;
    request.credential = "git_token";
    request.grantee = {"agent", "fixer"};
    request.scope = {"contents:read"};
    request.ttlSeconds = 300;
    request.context.run = "run-1";
    return request;
  }

  LedgerFolder ledger_;
  std::unique_ptr<Process> server_;
  std::string url_;
};

TEST_F(CppClient, LivesThroughALease) {
  client::Client broker = connect(mint());
  client::GrantRequest wanted = request();
  wanted.leaseId = "lease/1";
  wanted.renewableForSeconds = 3'600;
  wanted.context.id = broker.makeId();
  const client::Decision granted = broker.grant(wanted);
  ASSERT_TRUE(granted.allowed && granted.lease && granted.receipt) << granted.reasonCode;
  EXPECT_EQ(granted.lease->id, "lease/1");
  EXPECT_EQ(granted.lease->maxUses, 2U);
  EXPECT_EQ(granted.receipt->leafHash.size(), 64U);
  EXPECT_EQ(granted.receipt->ack, "durable");
  const client::Decision again = broker.grant(wanted);
  EXPECT_TRUE(again.replayed);
  EXPECT_EQ(again.receipt->seq, granted.receipt->seq);

  client::IssuedReport minted;
  minted.secret.value = client::Secret(kSecret);
  minted.upstreamId = "tok-1";
  const client::Decision issued = broker.issued("lease/1", minted);
  EXPECT_TRUE(issued.allowed) << issued.reasonCode;
  const client::Decision renewed = broker.renew("lease/1", {600, {}});
  EXPECT_TRUE(renewed.allowed) << renewed.reasonCode;
  for (std::uint64_t use = 1; use <= 2; ++use) {
    const client::Decision used = broker.consume("lease/1");
    ASSERT_TRUE(used.lease) << used.reasonCode;
    EXPECT_EQ(used.lease->uses, use);
  }
  const client::Decision used = broker.consume("lease/1");
  EXPECT_FALSE(used.allowed);
  EXPECT_FALSE(used.reasonCode.empty());
  ASSERT_TRUE(used.receipt);
  client::GrantRequest wide = request();
  wide.ttlSeconds = 7'200;
  const client::Decision denied = broker.grant(wide);
  EXPECT_FALSE(denied.allowed);
  EXPECT_EQ(denied.reasonCode, "ttl_exceeded");
  ASSERT_TRUE(denied.receipt);

  const client::LeaseDetail seen = broker.lease("lease/1", denied.receipt->seq);
  EXPECT_EQ(seen.lease.uses, 2U);
  EXPECT_GE(seen.json.at("history").as_array().size(), 4U);
  const client::QueryResult rows = broker.query("SELECT lease FROM leases", denied.receipt->seq);
  EXPECT_EQ(rows.columns, std::vector<std::string>{"lease"});
  EXPECT_EQ(rows.rows.size(), 1U);
}

TEST_F(CppClient, Revokes) {
  client::Client broker = connect(mint());
  client::GrantRequest one = request();
  one.leaseId = "one";
  client::GrantRequest two = request();
  two.leaseId = "two";
  ASSERT_TRUE(broker.grant(one).allowed);
  ASSERT_TRUE(broker.grant(two).allowed);
  EXPECT_TRUE(broker.revoke("one", {"compromise", "seen elsewhere", {}}).allowed);
  const client::Decision after = broker.consume("one");
  EXPECT_EQ(after.reasonCode, "revoked");
  EXPECT_EQ(broker.revokeAll({client::ByRun{"run-1"}, {}, {}, {}}).matched, 1U);
  EXPECT_EQ(broker.consume("two").reasonCode, "revoked");
  EXPECT_EQ(broker.revokeAll({client::ByHost{"h"}, {}, {}, {}}).matched, 0U);
  EXPECT_EQ(broker.revokeAll({client::ByPrincipal{{"agent", "a"}}, {}, {}, {}}).matched, 0U);
  EXPECT_EQ(broker.revokeAll({client::ByBundle{"b"}, {}, {}, {}}).matched, 0U);
  EXPECT_EQ(broker.revokeAll({client::ByLease{"none"}, {}, {}, {}}).matched, 0U);
  EXPECT_EQ(broker.revokeAll({client::ByCredential{{client::Secret(kSecret), {}}}, {}, {}, {}}).matched, 0U);
}

TEST_F(CppClient, ReportsFactsAndReadsThemPageByPage) {
  client::Client broker = connect(mint());
  const client::Recorded one = broker.fact({client::WipingString(R"({"kind":"tool.invoked","tool":"git","outcome":"ok"})"), {}});
  ASSERT_TRUE(one.receipt);
  std::vector<client::Fact> facts(25);
  for (client::Fact& fact : facts) fact.json = R"({"kind":"tool.invoked","tool":"hg","outcome":"ok"})";
  facts[7].json = R"({"kind":"no.such"})";
  const std::vector<client::FactResult> results = broker.facts(facts);
  ASSERT_EQ(results.size(), 25U);
  for (std::size_t index = 0; index < results.size(); ++index) EXPECT_EQ(results[index].recorded.has_value(), index != 7) << index;
  EXPECT_EQ(results[7].error->code(), "kind_not_a_fact");
  client::EntryFilters filters;
  filters.kinds = {"tool.*"};
  filters.pageSize = 4;
  filters.wait = results[24].recorded->receipt->seq;
  client::EntryPages pages = broker.entries(filters);
  std::uint64_t previous = 0, count = 0;
  for (auto entry = pages.next(); entry; entry = pages.next()) {
    EXPECT_GT(entry->seq, previous);
    EXPECT_EQ(entry->kind, "tool.invoked");
    previous = entry->seq;
    ++count;
  }
  EXPECT_EQ(count, 25U);
}

TEST_F(CppClient, ErrorsSayWhatIsWrongAndHoldNoSecret) {
  const std::string token = mint();
  client::Client broker = connect(token);
  std::vector<std::string> said;
  const auto failing = [&](const std::string& code, const auto& ask) {
    try {
      ask();
      ADD_FAILURE() << "no " << code;
    } catch (const client::Error& error) {
      EXPECT_EQ(error.code(), code);
      EXPECT_EQ(error.requestId().empty(), error.status() == 0);
      said.push_back(std::string(error.what()) + error.hint() + error.field() + error.requestId());
    }
  };
  client::GrantRequest named = request();
  named.secret.value = client::Secret(kSecret);
  ASSERT_TRUE(broker.grant(named).allowed);
  named.reason = std::string(9'000, 'x') + std::string(kSecret);
  failing("too_long", [&] { broker.grant(named); });
  failing("unknown_field", [&] {
    broker.fact(
        {client::WipingString("{\"kind\":\"tool.invoked\",\"" + std::string(kSecret) + "\":\"" + std::string(kSecret) + "\"}"), {}});
  });
  failing("no_such_item", [&] { broker.lease(kSecret); });
  failing("bad_query", [&] { broker.query("SELECT " + std::string(kSecret)); });
  client::Client reader = connect(mint("reader"));
  failing("not_allowed", [&] { reader.consume("x"); });
  client::Client stranger = connect("not.a.token");
  failing("bad_token", [&] { stranger.consume("x"); });
  ASSERT_EQ(said.size(), 6U);
  for (const std::string& text : said) {
    EXPECT_EQ(text.find(kSecret), std::string::npos) << text;
    EXPECT_EQ(text.find(token), std::string::npos) << text;
    EXPECT_EQ(text.find("not.a.token"), std::string::npos) << text;
  }
  client::EntryPages pages = broker.entries();
  for (auto entry = pages.next(); entry; entry = pages.next()) {
    EXPECT_EQ(boost::json::serialize(entry->json).find(kSecret), std::string::npos) << entry->seq;
  }
  server_->signal(SIGTERM);
  EXPECT_EQ(server_->finish(), 0);
  EXPECT_EQ((server_->out + server_->error).find(kSecret), std::string::npos);
}

// What a tail on a thread of its own has shown.
class Shown {
 public:
  bool add(const client::Entry& entry) {
    const std::lock_guard lock(mutex_);
    seqs_.push_back(entry.seq);
    changed_.notify_all();
    return true;
  }
  bool waitFor(std::uint64_t seq) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::milliseconds(kProcessTimeoutMs), [&] { return !seqs_.empty() && seqs_.back() >= seq; });
  }
  std::vector<std::uint64_t> seqs() {
    const std::lock_guard lock(mutex_);
    return seqs_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::uint64_t> seqs_;
};

TEST_F(CppClient, ATailMissesNothingAndShowsNothingTwiceWhileTheServerIsKilled) {
  const std::string token = mint();
  client::Client broker = connect(token);
  client::Client follower = connect(token);
  Shown shown;
  std::string failure;
  std::jthread tail([&](const std::stop_token& stop) {
    try {
      client::TailOptions all;
      all.fromStart = true;
      follower.tail(
          all, [&](const client::Entry& entry) { return shown.add(entry); }, stop);
    } catch (const client::Error& error) {
      failure = error.what();
    }
  });
  const std::string fact = R"({"kind":"tool.invoked","tool":"git","outcome":"ok"})";
  std::uint64_t last = 0;
  for (int round = 0; round < 3; ++round) {
    std::vector<client::Fact> facts(200);
    for (client::Fact& one : facts) one.json = client::WipingString(fact);
    const std::vector<client::FactResult> results = broker.facts(facts);
    last = results.back().recorded->receipt->seq;
    // In the middle of what it tells in every round but the last.
    ASSERT_TRUE(shown.waitFor(round < 2 ? last - 150 : last));
    if (round == 2) break;
    server_->signal(SIGKILL);
    server_->finish();
    const std::string address = url_.substr(std::string_view("http://").size());
    serve(address);
    // A token of before the crash is good after it.
  }
  tail.request_stop();
  tail.join();
  EXPECT_EQ(failure, "");
  const std::vector<std::uint64_t> seqs = shown.seqs();
  for (std::size_t index = 0; index < seqs.size(); ++index) ASSERT_EQ(seqs[index], index);
  EXPECT_GE(seqs.size(), last + 1);
}

}  // namespace
}  // namespace counterfoil::test
