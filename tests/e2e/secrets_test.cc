// Secrets given to the program in every field that takes free text or a secret: afterwards no file under data or keys, no output and no
// decrypted entry holds one of them, in any of the forms below; after an orderly end and after kill -9.
#include <gtest/gtest.h>

#include <set>

#include "ledger/core/schema_tables.h"
#include "ledger/crypto/digest.h"
#include "tests/e2e/ledger_folder.h"
#include "tests/e2e/log_evidence.h"

namespace counterfoil::test {
namespace {

// In pieces, so that no one who searches this source for secrets finds one.
std::string tokenOf(std::uint64_t number) {
  std::string token = std::string("ghp_") + "4kQzW8mXv2RtLp9sYc3NbHd7FgJe6UaTo1iK";
  for (std::size_t at = 10; number > 0; ++at, number /= 26) token[at] = static_cast<char>('a' + number % 26);
  return token;
}

class Canaries {
 public:
  // A value for a `secret` field: nothing of its shape gives it away.
  std::string plain() { return keep("plain canary value no. " + std::to_string(1'000 + made_++)); }
  std::string token() { return keep(tokenOf(++made_)); }
  std::string address() { return keep("203.0.113." + std::to_string(100 + made_++ % 150)); }
  std::string person() { return keep("canary.person." + std::to_string(1'000 + made_++) + "@example.com"); }

  // Which of them, in clear or in a form that a guess could be tried against, is in `bytes`; empty if none.
  std::string findIn(std::string_view bytes) const {
    for (const auto& [form, canary] : forms_) {
      if (bytes.find(form) != std::string_view::npos) return canary;
    }
    return {};
  }
  std::size_t size() const { return made_; }

 private:
  std::string keep(const std::string& value) {
    const crypto::Bytes bytes(reinterpret_cast<const std::uint8_t*>(value.data()), value.size());
    const crypto::Digest digest = crypto::sha256(bytes);
    forms_[value] = value;
    forms_[toHex(bytes)] = value + " in hex";
    forms_[toHex(digest)] = value + " as its SHA-256 in hex";
    forms_[std::string(reinterpret_cast<const char*>(digest.data()), digest.size())] = value + " as its SHA-256";
    return value;
  }

  std::uint64_t made_ = 0;
  std::map<std::string, std::string> forms_;
};

std::string jsonText(const std::string& text) {
  return boost::json::serialize(boost::json::value(text));
}

// The JSON of one field, with a canary wherever one can be; empty for what takes no text.
std::string valueOf(const FieldTable& field, Canaries& canaries) {
  std::string text;
  switch (field.redaction) {
    case RedactionClass::secret:
      return "{\"value\":" + jsonText(canaries.plain()) + "}";
    case RedactionClass::personal:
      text = field.isAddress ? canaries.address() : "because " + canaries.plain() + " and " + canaries.token();
      break;
    case RedactionClass::scanned:
      text = "x " + canaries.token() + " y";
      break;
    case RedactionClass::digest:
      text = canaries.plain();
      break;
    case RedactionClass::pseudonym:
      return field.type == FieldType::structure ? "{\"kind\":\"human\",\"id\":" + jsonText(canaries.person()) + "}"
                                                : jsonText(canaries.person());
    case RedactionClass::id:
      text = field.name + "-1";
      break;
    case RedactionClass::clear:
      break;
  }
  switch (field.type) {
    case FieldType::boolean:
      return "true";
    case FieldType::time:
      return "\"2026-03-01T09:30:00Z\"";
    case FieldType::enumeration:
      return jsonText(field.enumeration->texts[1]);
    case FieldType::text:
      return text.empty() ? std::string() : jsonText(text);
    case FieldType::textList:
      return text.empty() ? std::string() : "[" + jsonText(text) + "]";
    case FieldType::data:
    case FieldType::structure:
    case FieldType::structureList:
      return {};
    default:
      return "1";
  }
}

// One fact of every kind that may be reported, every field filled.
std::vector<std::string> factsOfEveryKind(Ids& ids, Canaries& canaries) {
  std::vector<std::string> facts;
  for (const KindTable& kind : schemaTables().kinds) {
    if (!kind.fact) continue;
    std::string fact =
        "{\"kind\":" + jsonText(kind.name) + ",\"id\":\"" + ids.next() + "\",\"run\":\"run-1\",\"host\":\"host-1\",\"sandbox\":\"s-1\"";
    fact += ",\"actor\":{\"kind\":\"human\",\"id\":" + jsonText(canaries.person()) + "}";
    std::set<std::string> named = {"run", "host", "sandbox", "actor"};
    for (const FieldTable& field : kind.body->fields) {
      if (field.ledgerOnly || field.name == "fingerprint" || !named.insert(field.name).second) continue;
      const std::string value = valueOf(field, canaries);
      if (!value.empty()) fact += "," + jsonText(field.name) + ":" + value;
    }
    facts.push_back(fact + "}\n");
  }
  return facts;
}

// Views too: they are not encrypted.
void expectCleanFiles(const LedgerFolder& ledger, const Canaries& canaries) {
  const Result rebuilt = ledger.run({"rebuild"});
  EXPECT_EQ(rebuilt.status, 0) << rebuilt;
  EXPECT_EQ(canaries.findIn(rebuilt.out + rebuilt.error), "");
  std::size_t files = 0;
  for (const std::filesystem::path& top : {ledger.data(), ledger.keys()}) {
    for (const auto& item : std::filesystem::recursive_directory_iterator(top)) {
      if (!item.is_regular_file()) continue;
      ++files;
      EXPECT_EQ(canaries.findIn(readBytes(item.path())), "") << item.path();
    }
  }
  EXPECT_GE(files, 6U) << "configuration, log, snapshot, keys and views";
}

// What the entries hold once their encryption is taken away: personal values are commitments, secrets fingerprints.
void expectCleanEntries(const LedgerFolder& ledger, const Canaries& canaries) {
  LogReading reading(ledger.data() / "log", ledger.keys());
  VerifyItem item;
  while (reading.next(item)) {
    ASSERT_EQ(item.content, VerifyItem::Content::present);
    EXPECT_EQ(canaries.findIn({reinterpret_cast<const char*>(item.bytes.data()), item.bytes.size()}), "") << "entry " << item.seq.value;
  }
}

void expectCleanOutput(const Result& result, const Canaries& canaries) {
  EXPECT_EQ(canaries.findIn(result.out), "") << result;
  EXPECT_EQ(canaries.findIn(result.error), "") << result;
}

TEST(Secrets, TheSearchFindsWhatItLooksFor) {
  Canaries canaries;
  const std::string value = canaries.plain();
  EXPECT_NE(canaries.findIn("a" + value + "b"), "");
  EXPECT_NE(canaries.findIn(toHex(crypto::Bytes(reinterpret_cast<const std::uint8_t*>(value.data()), value.size()))), "");
  EXPECT_EQ(canaries.findIn("plain canary value"), "");
}

TEST(Secrets, InFactsOfEveryKindStayNowhere) {
  LedgerFolder ledger;
  Ids ids(41);
  Canaries canaries;
  const std::vector<std::string> facts = factsOfEveryKind(ids, canaries);
  ASSERT_GT(facts.size(), 20U);
  ASSERT_GT(canaries.size(), 60U);
  std::string input;
  for (const std::string& fact : facts) input += fact;
  const Result result = ledger.in({"fact", "append", "-"}, input);
  EXPECT_EQ(result.status, 0) << result;
  EXPECT_EQ(result.lines().size(), facts.size());
  for (std::size_t index = 0; index < result.lines().size(); ++index) {
    EXPECT_NE(result.lines()[index].find("\"receipt\""), std::string::npos) << facts[index] << result.lines()[index];
  }
  expectCleanOutput(result, canaries);
  expectCleanFiles(ledger, canaries);
  expectCleanEntries(ledger, canaries);
  // Not one bad byte of the fact may come back when it is refused, either.
  std::string refused;
  for (const std::string& fact : facts)
    refused += fact.substr(0, fact.size() - 2) + ",\"noSuchMember\":" + jsonText(canaries.token()) + "}\n";
  const Result none = ledger.in({"fact", "append", "-"}, refused);
  EXPECT_EQ(none.status, 2) << none;
  expectCleanOutput(none, canaries);
}

TEST(Secrets, InFactsOfAKilledProcessStayNowhere) {
  LedgerFolder ledger;
  Ids ids(42);
  Canaries canaries;
  std::string input;
  for (const std::string& fact : factsOfEveryKind(ids, canaries)) input += fact;
  Process process(ledger.words({"fact", "append", "-", "--workspace", "w1"}));
  process.send(input);
  for (unsigned count = 0; count < 4'000; ++count) process.send(plainFact(ids.next()));
  while (process.out.find("\"receipt\"") == std::string::npos) ASSERT_TRUE(process.pump(kProcessTimeoutMs)) << process.error;
  process.signal(SIGKILL);
  EXPECT_EQ(process.finish(), 128 + SIGKILL);
  for (const auto& item : std::filesystem::recursive_directory_iterator(ledger.data())) {
    if (!item.is_regular_file()) continue;
    EXPECT_EQ(canaries.findIn(readBytes(item.path())), "") << "as the killed process left it: " << item.path();
  }
  expectCleanOutput({0, process.out, process.error}, canaries);
  expectCleanFiles(ledger, canaries);
  expectCleanEntries(ledger, canaries);
  EXPECT_GT(readEvidence(ledger.data() / "log", ledger.keys()).sizeOf(1), 1U) << "nothing was recorded, nothing was tested";
}

TEST(Secrets, InLeasesAndApprovalsStayNowhere) {
  LedgerFolder ledger;
  ASSERT_EQ(ledger.in({"policy", "set", "-"}, "name = \"p\"\n[[rule]]\nname = \"r\"\neffect = \"allow\"\nmaxTtlSeconds = 900\n").status, 0);
  Canaries canaries;
  const auto clean = [&](const Result& result) {
    EXPECT_EQ(result.status, 0) << result;
    expectCleanOutput(result, canaries);
  };
  clean(ledger.in({"lease", "request", "--lease", "one", "--credential", "git_token", "--grantee", "human:" + canaries.person(), "--scope",
                   "read " + canaries.token(), "--resource", "repo " + canaries.token(), "--name", canaries.token(), "--ttl", "5m",
                   "--reason", canaries.plain() + canaries.token(), "--secret-stdin"},
                  canaries.plain()));
  clean(ledger.in({"lease", "consume", "one", "--operation", "clone " + canaries.token(), "--source-address", canaries.address()}));
  clean(ledger.in({"lease", "revoke", "one", "--reason", canaries.plain()}));
  clean(ledger.in(
      {"lease", "request", "--lease", "two", "--credential", "git_token", "--grantee", "agent:a", "--scope", "s", "--ttl", "5m"}));
  clean(ledger.in({"lease", "issued", "two", "--outcome", "issued", "--upstream-id", "x " + canaries.token(), "--secret-stdin"},
                  canaries.plain()));
  clean(ledger.in({"lease", "revoke-all", "--secret-stdin", "--reason", canaries.plain()}, canaries.plain()));
  clean(ledger.in({"approval", "request", "--approval", "ok", "--credential", "git_token", "--grantee", "agent:a", "--scope",
                   canaries.token(), "--ttl", "5m", "--operation", canaries.token(), "--comment", canaries.plain(), "--on-behalf-of",
                   "human:" + canaries.person()}));
  clean(ledger.in({"approval", "decide", "ok", "rejected", "--comment", canaries.plain()}));
  // A secret that was recorded as such is known from then on, whatever it looks like and wherever it turns up.
  const std::string known = canaries.token() + "-but-longer";
  clean(ledger.in({"lease", "request", "--lease", "three", "--credential", "git_token", "--grantee", "agent:a", "--scope", "s", "--ttl",
                   "5m", "--secret-stdin"},
                  known));
  clean(ledger.in({"lease", "consume", "three", "--operation", "push " + known}));
  expectCleanFiles(ledger, canaries);
  expectCleanEntries(ledger, canaries);
  expectVerified(ledger);
}

TEST(Secrets, AreTakenFromStandardInputOnlyAndInNoIdentifier) {
  LedgerFolder ledger;
  Canaries canaries;
  const std::vector<std::string> ask = {"lease",   "request", "--credential", "git_token", "--grantee", "agent:a",
                                        "--scope", "s",       "--ttl",        "5m"};
  for (const char* flag : {"--secret", "--secret-value", "--token"}) {
    std::vector<std::string> words = ask;
    words.insert(words.end(), {flag, canaries.token()});
    const Result result = ledger.in(words);
    EXPECT_EQ(result.status, 2) << result;
    expectCleanOutput(result, canaries);
  }
  for (const char* flag : {"--lease", "--run", "--host"}) {
    std::vector<std::string> words = ask;
    words.insert(words.end(), {flag, canaries.token()});
    const Result result = ledger.in(words);
    expectFault(result, "secret_in_identifier", 2);
    expectCleanOutput(result, canaries);
  }
  std::vector<std::string> wrong = ask;
  wrong[3] = canaries.token();
  const Result choice = ledger.in(wrong);
  EXPECT_EQ(choice.status, 2) << choice;
  expectCleanOutput(choice, canaries);
  expectCleanFiles(ledger, canaries);
}

}  // namespace
}  // namespace counterfoil::test
