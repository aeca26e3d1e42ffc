// Personal values for administrators: `disclose=true` over HTTP and on the command line, on the embedded log and on Kafka. What was given
// comes back exactly, secrets that stood in it do not, nobody else gets any of it, and each reading is on the record.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "ledger/log/lock_file.h"
#include "tests/e2e/kafka/kafka_nodes.h"
#include "tests/e2e/running_server.h"

namespace counterfoil::test {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr const char* kDisclosePolicy = R"(name = "production"
[[rule]]
name = "git-read"
effect = "allow"
credential = ["git_token"]
scope = ["contents:read"]
maxTtlSeconds = 900
)";
constexpr std::string_view kPerson = "carol.grant@example.com";
// In pieces, so that no one who searches this source for secrets finds one.
const std::string kSecret = std::string("ghp_") + "4kQzW8mXv2RtLp9sYc3NbHd7FgJe6UaTo1iK";

std::string quotedText(std::string_view text) {
  return boost::json::serialize(boost::json::value(text));
}

// Quotes, escapes, what JSON writes as an escape, letters of several bytes, what terminals act upon; as long as a personal text may be.
std::string hardText() {
  std::string text =
      "\"why\"? \\ \\u0007 \\n \n\t \x7f \xC2\x9B \xE2\x80\xAE \xF0\x9F\xA6\x8A\xF0\x9F\x91\xA9\xE2\x80\x8D\xF0\x9F\x9A\x80 </b> ";
  while (text.size() + 8 <= 8 * 1024) text += "\xC3\xA9t\xC3\xA9 \"\\";
  text.resize(8 * 1024, '!');
  return text;
}

std::string personalGrant(std::string_view lease, std::string_view person, std::string_view reason,
                          std::string_view scope = "contents:read") {
  return "{\"leaseId\":" + quotedText(lease) + R"(,"credential":"git_token","grantee":{"kind":"human","id":)" + quotedText(person) +
         R"(},"scope":[)" + quotedText(scope) + "],\"ttlSeconds\":600,\"reason\":" + quotedText(reason) + "}";
}

std::string reasonOf(const boost::json::value& entry) {
  return textAt(entry, {"reason", "value"});
}

// The value of a commitment that stands at no field of its own.
std::string valueAt(const boost::json::value& entry, std::string_view path) {
  if (!entry.is_object() || !entry.as_object().contains("commitments")) return "<no commitments>";
  for (const auto& one : entry.at("commitments").as_array()) {
    if (one.at("path").as_string() != path) continue;
    return one.as_object().contains("value") ? std::string(one.at("value").as_string()) : "<no value>";
  }
  return "<no such path>";
}

// The entry without its values: what anybody who reads sees.
boost::json::value withoutValues(boost::json::value entry) {
  boost::json::object& object = entry.as_object();
  object.erase("asOf");
  for (auto& member : object) {
    if (auto* inner = member.value().if_object(); inner != nullptr && inner->contains("commitment")) inner->erase("value");
    if (member.key() != "commitments") continue;
    for (auto& one : member.value().as_array()) one.as_object().erase("value");
  }
  return entry;
}

class Disclose : public testing::Test {
 protected:
  void SetUp() override {
    server_ = std::make_unique<RunningServer>(ledger_);
    HttpClient owner = server_->client("owner");
    ASSERT_EQ(owner.ask("PUT", "/v1/workspaces/w1/policy", kDisclosePolicy, "text/toml").status, 200);
    HttpClient member = server_->client("member", "w1", "human:bob@example.com");
    const HttpAnswer granted = member.post("/v1/workspaces/w1/leases", personalGrant("hard", kPerson, hardText()));
    ASSERT_EQ(granted.status, 201) << granted;
    granted_ = granted.at({"receipt", "seq"});
    const HttpAnswer secret = member.post("/v1/workspaces/w1/leases", personalGrant("secret", "dave", "use " + kSecret + " until monday"));
    ASSERT_EQ(secret.status, 201) << secret;
    secret_ = secret.at({"receipt", "seq"});
    const HttpAnswer denied = member.post("/v1/workspaces/w1/leases", personalGrant("denied", "erin", "to write", "contents:write"));
    ASSERT_EQ(denied.status, 403) << denied;
    denied_ = denied.at({"receipt", "seq"});
    admin_ = std::make_unique<HttpClient>(server_->client("admin", "w1", "human:ada"));
  }
  static std::string path(const std::string& rest) { return "/v1/workspaces/w1/" + rest; }
  // Filters and rows of the readings on the record that disclosed something, oldest first.
  std::vector<std::string> readings() {
    std::vector<std::string> result;
    const std::string newest = admin_->get("/v1/workspaces/w1").at({"asOf", "seq"});
    const HttpAnswer page = admin_->get(path("entries?kind=audit.queried&order=asc&limit=1000&wait=" + newest));
    EXPECT_EQ(page.status, 200) << page;
    const boost::json::value body = page.json();
    for (const auto& item : body.at("items").as_array()) {
      const std::string filter = textAt(item, {"filter"});
      if (filter.find("disclose=true") != std::string::npos) result.push_back(filter + " rows=" + textAt(item, {"rows"}));
    }
    return result;
  }

  LedgerFolder ledger_;
  std::unique_ptr<RunningServer> server_;
  std::unique_ptr<HttpClient> admin_;
  std::string granted_;  // seqs, in their order
  std::string secret_;
  std::string denied_;
};

TEST_F(Disclose, AnAdministratorSeesWhatWasGivenExactly) {
  const HttpAnswer page = admin_->get(path("entries?kind=lease.*&order=asc&disclose=true&wait=" + denied_));
  ASSERT_EQ(page.status, 200) << page;
  ASSERT_EQ(page.json().at("items").as_array().size(), 3U);
  const boost::json::value entry = page.json().at("items").at(0);
  EXPECT_EQ(valueAt(page.json().at("items").at(2), "/grantee/id"), "erin") << "of what was refused, too";
  EXPECT_EQ(reasonOf(entry), hardText());
  EXPECT_EQ(valueAt(entry, "/grantee/id"), kPerson);
  EXPECT_EQ(valueAt(entry, "/actor/id"), "bob@example.com");
  EXPECT_TRUE(textAt(entry, {"grantee", "id"}).starts_with("p2:")) << "the entry itself holds a pseudonym, as ever";

  const HttpAnswer one = admin_->get(path("entries/" + granted_ + "?disclose=true"));
  ASSERT_EQ(one.status, 200) << one;
  EXPECT_EQ(reasonOf(one.json()), hardText());
  EXPECT_EQ(valueAt(one.json(), "/grantee/id"), kPerson);
  const HttpAnswer plain = admin_->get(path("entries/" + granted_ + "?disclose=false"));
  EXPECT_EQ(reasonOf(plain.json()), "");
  EXPECT_EQ(withoutValues(one.json()), withoutValues(plain.json())) << "under the same commitments";
  EXPECT_EQ(withoutValues(entry), withoutValues(plain.json()));
  // Every role above may; a token of all workspaces too.
  EXPECT_EQ(reasonOf(server_->client("owner").get(path("entries/" + granted_ + "?disclose=true")).json()), hardText());
}

TEST_F(Disclose, ASecretInAPersonalTextDoesNotComeBack) {
  const HttpAnswer one = admin_->get(path("entries/" + secret_ + "?disclose=true&wait=" + denied_));
  ASSERT_EQ(one.status, 200) << one;
  const std::string reason = reasonOf(one.json());
  EXPECT_TRUE(reason.starts_with("use [redacted:")) << reason;
  EXPECT_TRUE(reason.ends_with(" until monday")) << reason;
  EXPECT_EQ(valueAt(one.json(), "/grantee/id"), "dave");
  EXPECT_THAT(one.body, Not(HasSubstr(kSecret)));
  EXPECT_THAT(one.body, Not(HasSubstr(kSecret.substr(4, 20))));
}

TEST_F(Disclose, NobodyElseGetsAnyOfIt) {
  ASSERT_EQ(server_->client("owner").post("/v1/workspaces", R"({"id":"w2"})").status, 201);
  admin_->get(path("entries?wait=" + denied_));
  const std::size_t before = readings().size();
  const std::vector<std::pair<std::string, std::string>> strangers = {
      {"reader", "w1"}, {"member", "w1"}, {"producer", "w1"}, {"auditor", "*"}, {"reader", "*"}, {"member", "*"}, {"admin", "w2"}};
  for (const auto& [role, workspace] : strangers) {
    HttpClient client = server_->client(role, workspace, role == "producer" ? "service:broker" : "human:" + role);
    for (const char* asked : {"entries?disclose=true", "entries?kind=lease.*&disclose=true", "entries?disclose=true&disclose=false"}) {
      const HttpAnswer refused = client.get(path(asked));
      EXPECT_EQ(refused.status, 403) << role << ' ' << asked << '\n' << refused;
      EXPECT_EQ(refused.at({"code"}), "not_allowed");
      EXPECT_THAT(refused.body, Not(HasSubstr("value")));
      EXPECT_THAT(refused.body, Not(HasSubstr(kPerson)));
    }
    const HttpAnswer refused = client.get(path("entries/" + granted_ + "?disclose=true"));
    EXPECT_EQ(refused.status, 403) << role << '\n' << refused;
    EXPECT_THAT(refused.body, Not(HasSubstr(kPerson)));
  }
  HttpClient reader = server_->client("reader", "w1");
  const HttpAnswer plain = reader.get(path("entries?disclose=false"));
  EXPECT_EQ(plain.status, 200) << "who asks for no values reads as ever";
  EXPECT_THAT(plain.body, Not(HasSubstr(kPerson)));
  for (const char* asked : {"denials?disclose=true", "leases?disclose=true", "leases/hard?disclose=true", "stream?disclose=true"}) {
    EXPECT_EQ(admin_->get(path(asked)).at({"code"}), "unknown_field") << asked << ": entries only";
  }
  EXPECT_EQ(admin_->get(path("entries?disclose=yes")).at({"code"}), "invalid_value");
  EXPECT_EQ(admin_->get(path("entries?disclose=true&disclose=true")).at({"code"}), "duplicate_field");
  EXPECT_EQ(readings().size(), before) << "nothing was disclosed, so nothing tells of it";
  EXPECT_EQ(server_->stop(), 0);
  const Result refusals = ledger_.run({"entries", "--workspace", "_system", "--kind", "access.refused", "--all"});
  std::uint64_t count = 0;
  for (const std::string& line : refusals.lines()) {
    const boost::json::value entry = boost::json::parse(line);
    if (textAt(entry, {"reason"}) == "not_allowed") count += std::stoull(textAt(entry, {"count"}));
  }
  EXPECT_EQ(count, strangers.size() * 4) << refusals;
}

TEST_F(Disclose, EachReadingIsOnTheRecordBeforeItIsAnswered) {
  for (int times = 0; times < 3; ++times) {
    ASSERT_EQ(admin_->get(path("entries?kind=lease.*&disclose=true&limit=5&wait=" + denied_)).status, 200);
  }
  ASSERT_EQ(admin_->get(path("entries/" + granted_ + "?disclose=true")).status, 200);
  server_->kill();
  server_ = std::make_unique<RunningServer>(ledger_);
  admin_ = std::make_unique<HttpClient>(server_->client("admin", "w1", "human:ada"));
  const std::string list = "entries disclose=true kind=lease.* rows=3";
  EXPECT_EQ(readings(), (std::vector<std::string>{list, list, list, "entries/" + granted_ + " disclose=true rows=1"}));
}

TEST_F(Disclose, OnTheCommandLineWithAServerAndWithout) {
  admin_->get(path("entries?wait=" + denied_));
  const std::vector<std::string> verb = {"entries", "--lease", "hard", "--disclose"};
  const auto check = [&](const char* how) {
    const Result json = ledger_.in(verb);
    ASSERT_EQ(json.status, 0) << how << json;
    EXPECT_EQ(reasonOf(json.json()), hardText()) << how;
    EXPECT_EQ(valueAt(json.json(), "/grantee/id"), kPerson) << how;
    std::vector<std::string> words = verb;
    words.insert(words.end(), {"--workspace", "w1", "--data", ledger_.data().string()});
    const Result table = runProgram(words);
    EXPECT_EQ(table.status, 0) << how << table;
    EXPECT_THAT(table.out, HasSubstr("/grantee/id=" + std::string(kPerson))) << how;
    EXPECT_THAT(table.out, HasSubstr("reason=\"why\"?")) << how;
    EXPECT_EQ(table.out.find_first_of("\x7f\x1b"), std::string::npos) << how << ": control characters are shown, never sent";
    EXPECT_EQ(table.out.find("\xE2\x80\xAE"), std::string::npos) << how;
    const Result plain = ledger_.in({"entries", "--lease", "hard"});
    EXPECT_EQ(reasonOf(plain.json()), "") << how;
  };
  check("with a server");
  EXPECT_EQ(readings().size(), 2U) << "the server records what it is asked for";
  EXPECT_EQ(server_->stop(), 0);
  check("without a server");
  {
    // The keys are read from the log then, for nobody meets them on the way to its end.
    const log::LockFile views(ledger_.data() / "views" / "lock");
    check("beside another process that keeps the views");
  }
  const Result counted = ledger_.in({"entries", "--kind", "audit.queried", "--all"});
  std::size_t disclosed = 0;
  for (const std::string& line : counted.lines()) disclosed += line.find("disclose=true") != std::string::npos ? 1 : 0;
  EXPECT_EQ(disclosed, 2U) << "who reads the folder holds its keys: nothing is recorded";
}

// Far apart in the log, and asked for at either node: the one that writes answers.
TEST_F(KafkaNodes, PersonalValuesComeFromKafka) {
  a_->start();
  b_->start();
  Node* const node = writer();
  ASSERT_NE(node, nullptr);
  HttpClient admin(node->address(), mint("admin", "*"));
  ASSERT_EQ(insist([&] { return admin.post("/v1/workspaces", R"({"id":"acme"})"); }).status, 201);
  ASSERT_EQ(insist([&] { return admin.ask("PUT", "/v1/workspaces/acme/policy", kDisclosePolicy, "text/toml"); }).status, 200);
  const std::string token = mint("member", "acme");
  HttpClient member(other(node)->address(), token);
  Ids ids(53);
  std::string last;
  constexpr int kGrants = 5;
  for (int index = 0; index < kGrants; ++index) {
    const HttpAnswer granted = insist([&] {
      const std::string number = std::to_string(index);
      return member.post("/v1/workspaces/acme/leases",
                         personalGrant("lease-" + number, "person-" + number + "@example.com", number + hardText().substr(8)));
    });
    ASSERT_EQ(granted.status, 201) << granted;
    last = granted.at({"receipt", "seq"});
    std::string facts;
    for (int fact = 0; fact < 300; ++fact) facts += plainFact(ids.next());
    // A connection of its own: what is answered while it is read has no length, which this client does not read to its end.
    HttpClient bulk(node->address(), token);
    ASSERT_EQ(insist([&] { return bulk.ask("POST", "/v1/workspaces/acme/facts", facts, "application/x-ndjson"); }).status, 200);
  }
  const std::string asked = "/v1/workspaces/acme/entries?kind=lease.granted&disclose=true&wait=" + last;
  for (const char* order : {"asc", "desc"}) {
    for (Node* const through : {node, other(node)}) {
      HttpClient client(through->address(), mint("admin", "acme"));
      const HttpAnswer page = insist([&] { return client.get(asked + "&order=" + order); });
      ASSERT_EQ(page.status, 200) << page;
      const auto items = page.json().at("items").as_array();
      ASSERT_EQ(items.size(), static_cast<std::size_t>(kGrants)) << order;
      for (int place = 0; place < kGrants; ++place) {
        const std::string number = std::to_string(std::string_view(order) == "asc" ? place : kGrants - 1 - place);
        EXPECT_EQ(reasonOf(items[static_cast<std::size_t>(place)]), number + hardText().substr(8)) << order;
        EXPECT_EQ(valueAt(items[static_cast<std::size_t>(place)], "/grantee/id"), "person-" + number + "@example.com") << order;
      }
    }
  }
  const HttpAnswer refused = insist([&] { return member.get(asked); });
  EXPECT_EQ(refused.status, 403) << refused;
  EXPECT_THAT(refused.body, Not(HasSubstr("person-")));
  EXPECT_EQ(other(node)->stop(), 0);
  EXPECT_EQ(node->stop(), 0);
}

}  // namespace
}  // namespace counterfoil::test
