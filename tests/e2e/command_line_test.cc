// The program as people and programs use it: stable codes and exit statuses, bad input beside good, nothing repeated that was a value.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/e2e/ledger_folder.h"

namespace counterfoil::test {
namespace {

// Reads until `process` has said `text` on one of its outputs.
void waitFor(Process& process, std::string_view text) {
  while (process.out.find(text) == std::string::npos && process.error.find(text) == std::string::npos) {
    ASSERT_TRUE(process.pump(kProcessTimeoutMs)) << "it ended without saying so: " << process.error;
  }
}

TEST(CommandLine, ASecondProcessOnTheSameDataIsRefusedAndReadersAreNot) {
  LedgerFolder ledger;
  Process holder(ledger.words({"fact", "append", "-", "--workspace", "w1"}));
  // Far more than any buffer on the way: its first answer says that it holds the data.
  Ids ids(1);
  std::string facts;
  for (unsigned count = 0; count < 4'000; ++count) facts += plainFact(ids.next());
  holder.send(facts);
  waitFor(holder, "\"receipt\"");
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{
           {"fact", "append", "-", "--workspace", "w1"}, {"workspace", "create", "w2"}, {"workspace", "list"}}) {
    expectFault(ledger.run(verb, plainFact(ids.next())), "data_in_use", 3);
  }
  const Result beside = ledger.run({"verify"});
  EXPECT_EQ(beside.status, 0) << beside;
  holder.closeInput();
  EXPECT_EQ(holder.finish(), 0) << holder.error;
  EXPECT_EQ(ledger.size(), 4'001U) << "workspace.created and the holder's facts";
}

TEST(CommandLine, AHeldLedgerIsFreeAgainWhenItsHolderIsKilled) {
  LedgerFolder ledger;
  {
    Process holder(ledger.words({"fact", "append", "-", "--workspace", "w1"}));
    Ids ids(2);
    std::string facts;
    for (unsigned count = 0; count < 4'000; ++count) facts += plainFact(ids.next());
    holder.send(facts);
    waitFor(holder, "\"receipt\"");
    holder.signal(SIGKILL);
    EXPECT_EQ(holder.finish(), 128 + SIGKILL);
  }
  EXPECT_GT(ledger.size(), 1U);
  expectVerified(ledger);
}

// A producer that waits for each answer before it sends the next fact must not wait for ever.
TEST(CommandLine, AFactIsAnsweredWhileThePipeStaysOpen) {
  LedgerFolder ledger;
  Process producer(ledger.words({"fact", "append", "-", "--workspace", "w1"}));
  Ids ids(3);
  for (unsigned count = 1; count <= 3; ++count) {
    const std::string id = ids.next();
    producer.send(plainFact(id));
    const std::int64_t deadline = nowMicroseconds() + 20'000'000;
    while (producer.out.find(id) == std::string::npos && nowMicroseconds() < deadline) ASSERT_TRUE(producer.pump(200)) << producer.error;
    ASSERT_NE(producer.out.find(id), std::string::npos) << "fact " << count << " has no answer after 20 s";
  }
  producer.closeInput();
  EXPECT_EQ(producer.finish(), 0) << producer.error;
}

TEST(CommandLine, WhereNoLedgerIsEveryVerbSaysSo) {
  LedgerFolder ledger(false);
  const std::filesystem::path nothing = ledger.root() / "nothing";
  for (const std::vector<std::string>& verb : std::vector<std::vector<std::string>>{{"verify"},
                                                                                    {"workspace", "list"},
                                                                                    {"fact", "append", "-", "--workspace", "w1"},
                                                                                    {"lease", "revoke", "x", "--workspace", "w1"},
                                                                                    {"config"}}) {
    std::vector<std::string> words = verb;
    words.insert(words.end(), {"--json", "--data", nothing.string()});
    expectFault(runProgram(words), "no_ledger", 2);
  }
  EXPECT_FALSE(std::filesystem::exists(nothing)) << "asking made a folder";
}

TEST(CommandLine, InitMakesALedgerOnce) {
  LedgerFolder ledger;
  const std::string before = readBytes(ledger.data() / "counterfoil.toml");
  expectFault(ledger.run({"init", "--keys", (ledger.root() / "other").string()}), "already_exists", 2);
  EXPECT_EQ(readBytes(ledger.data() / "counterfoil.toml"), before);
  EXPECT_FALSE(std::filesystem::exists(ledger.root() / "other"));
  expectVerified(ledger);
}

TEST(CommandLine, KeysDoNotLieInsideTheData) {
  LedgerFolder ledger(false);
  for (const std::filesystem::path& keys : {ledger.data() / "keys", ledger.data(), ledger.data() / "a" / ".." / "b", ledger.data() / ""}) {
    expectFault(ledger.run({"init", "--keys", keys.string()}), "invalid_value", 2);
    EXPECT_FALSE(std::filesystem::exists(ledger.data() / "counterfoil.toml"));
  }
  // The same place by another name.
  std::filesystem::create_directories(ledger.data());
  std::filesystem::create_directory_symlink(ledger.data(), ledger.root() / "alias");
  expectFault(ledger.run({"init", "--keys", (ledger.root() / "alias" / "keys").string()}), "invalid_value", 2);
}

TEST(CommandLine, NobodyElseCanReadWhatALedgerHolds) {
  LedgerFolder ledger;
  for (const std::filesystem::path& top : {ledger.data(), ledger.keys()}) {
    for (const auto& item : std::filesystem::recursive_directory_iterator(top)) {
      struct stat facts {};
      ASSERT_EQ(::lstat(item.path().c_str(), &facts), 0);
      if (item.path().filename() == "counterfoil.toml") continue;
      EXPECT_EQ(facts.st_mode & 077, 0U) << item.path();
    }
  }
}

TEST(CommandLine, UsageErrorsHaveStatus2) {
  LedgerFolder ledger;
  for (const std::vector<std::string>& words : std::vector<std::vector<std::string>>{{},
                                                                                     {"no-such-verb"},
                                                                                     {"fact"},
                                                                                     {"fact", "append"},
                                                                                     {"lease", "request"},
                                                                                     {"verify", "--no-such-flag"},
                                                                                     {"verify", "--against", "nothing"}}) {
    EXPECT_EQ(runProgram(words).status, 2) << (words.empty() ? "" : words.front());
  }
  expectFault(ledger.in({"fact", "append", (ledger.root() / "no-file").string()}), "unreadable_input", 2);
  expectFault(ledger.run({"fact", "append", "-", "--workspace", "nobody"}, plainFact(Ids(4).next())), "no_such_item", 1);
  expectFault(ledger.run({"workspace", "create", "w1"}), "already_exists", 2);
  expectFault(ledger.run({"workspace", "show", "nobody"}), "no_such_item", 1);
  EXPECT_EQ(runProgram({"--help"}).status, 0);
  EXPECT_EQ(runProgram({"--version"}).status, 0);
}

TEST(CommandLine, SettingsComeFromFileThenEnvironmentAndAreChecked) {
  LedgerFolder ledger;
  const std::string good = readBytes(ledger.data() / "counterfoil.toml");
  const Result shown = ledger.run({"config"}, {}, {"COUNTERFOIL_VIEW_WORKERS=3"});
  EXPECT_EQ(shown.status, 0) << shown;
  EXPECT_NE(shown.out.find("environment"), std::string::npos) << shown;
  expectFault(ledger.run({"workspace", "list"}, {}, {"COUNTERFOIL_INTAKE_BYTES=1e9"}), "invalid_value", 2);
  expectFault(ledger.run({"workspace", "list"}, {}, {"COUNTERFOIL_LOG=nowhere"}), "invalid_value", 2);
  writeBytes(ledger.data() / "counterfoil.toml", good + "no_such_setting = 1\n");
  expectFault(ledger.run({"workspace", "list"}), "unknown_field", 2);
  writeBytes(ledger.data() / "counterfoil.toml", good + "view_workers = = 1\n");
  expectFault(ledger.run({"workspace", "list"}), "invalid_value", 2);
  writeBytes(ledger.data() / "counterfoil.toml", good + "origin = \"again\"\n");
  expectFault(ledger.run({"workspace", "list"}), "invalid_value", 2);
  writeBytes(ledger.data() / "counterfoil.toml", good);
  expectVerified(ledger);
}

struct BadLine {
  std::string line;
  std::string code;
};

std::vector<BadLine> badLines() {
  const std::string start = R"({"kind":"tool.invoked","tool":"git")";
  std::string deep = start + R"(,"operation":)";
  for (unsigned level = 0; level < 40; ++level) deep += '[';
  return {
      {"{bad", "malformed_json"},
      {"[]", "invalid_value"},
      {start + "} {}", "malformed_json"},
      {start + R"(,"tool":"again"})", "duplicate_field"},
      {start + R"(,"\u0074ool":"again"})", "duplicate_field"},
      {R"({"kind":"tool.invoked","tool":"a\u0000b"})", "invalid_value"},
      {std::string(R"({"kind":"tool.invoked","tool":"a)") + '\0' + "b\"}", "malformed_json"},
      {start + R"(,"durationMs":1e400})", "invalid_value"},
      {start + R"(,"durationMs":900.0})", "invalid_value"},
      {start + R"(,"durationMs":9007199254740992})", "invalid_value"},
      {start + R"(,"outcome":"no-such-outcome"})", "invalid_value"},
      {start + R"(,"occurredAt":"yesterday"})", "invalid_value"},
      {start + R"(,"id":"not-a-uuid"})", "invalid_value"},
      {start + R"(,"canary-member":1})", "unknown_field"},
      {R"({"kind":"canary.kind"})", "kind_not_a_fact"},
      {R"({"kind":"policy.set","name":"x"})", "kind_not_a_fact"},
      {R"({"tool":"git"})", "invalid_value"},
      {start + ",\"operation\":\"\xff\xfe\"}", "invalid_utf8"},
      {start + R"(,"operation":"\ud800"})", "invalid_utf8"},
      {deep, "too_deep"},
      {start + ",\"operation\":\"" + std::string(600, 'x') + "\"}", "too_long"},
      {start + ",\"operation\":\"" + std::string(200'000, 'x') + "\"}", "too_large"},
  };
}

TEST(CommandLine, ABadLineHasOneProblemAndTheGoodOnesAroundItAreRecorded) {
  LedgerFolder ledger;
  Ids ids(5);
  const std::vector<BadLine> bad = badLines();
  std::string input;
  std::vector<std::string> good;
  for (const BadLine& one : bad) {
    good.push_back(ids.next());
    input += plainFact(good.back()) + one.line + "\n";
  }
  good.push_back(ids.next());
  // Empty lines are no lines; the last line needs no newline.
  std::string last = plainFact(good.back());
  last.pop_back();
  input += "\n  \t\r\n" + last;
  const Result result = ledger.in({"fact", "append", "-"}, input);
  EXPECT_EQ(result.status, 2) << result;
  const std::vector<std::string> lines = result.lines();
  ASSERT_EQ(lines.size(), 2 * bad.size() + 1) << result;
  for (std::size_t index = 0; index < lines.size(); ++index) {
    boost::system::error_code failed;
    const boost::json::value answer = boost::json::parse(lines[index], failed);
    ASSERT_FALSE(failed) << lines[index];
    if (index % 2 == 0) {
      EXPECT_EQ(textAt(answer, {"receipt", "id"}), good[index / 2]) << lines[index];
    } else {
      const BadLine& one = bad[index / 2];
      EXPECT_EQ(textAt(answer, {"code"}), one.code) << one.line.substr(0, 100) << "\n" << lines[index];
      EXPECT_FALSE(textAt(answer, {"detail"}).empty());
    }
  }
  for (const char* value : {"canary", "yesterday", "not-a-uuid", "no-such-outcome", "xxxxx"}) {
    EXPECT_EQ(result.out.find(value), std::string::npos) << "an answer repeats a value: " << value;
    EXPECT_EQ(result.error.find(value), std::string::npos) << "a message repeats a value: " << value;
  }
  EXPECT_EQ(ledger.size(), good.size() + 1);
  expectVerified(ledger);
}

TEST(CommandLine, NoInputAndOnlyBadInputAreTwoThings) {
  LedgerFolder ledger;
  EXPECT_EQ(ledger.in({"fact", "append", "-"}).status, 0);
  EXPECT_EQ(ledger.in({"fact", "append", "-"}, "x\n").status, 2);
  EXPECT_EQ(ledger.in({"fact", "append", "-"}, std::string(1'000'000, 'x')).status, 2) << "one line without an end";
  EXPECT_EQ(ledger.size(), 1U);
}

TEST(CommandLine, ARepeatedFactIsAnsweredAsTheFirstAndAnotherOneOfItsIdIsAConflict) {
  LedgerFolder ledger;
  const std::string id = Ids(6).next();
  const Result first = ledger.in({"fact", "append", "-"}, plainFact(id));
  const Result second = ledger.in({"fact", "append", "-"}, plainFact(id) + plainFact(id));
  ASSERT_EQ(first.status, 0) << first;
  ASSERT_EQ(second.status, 0) << second;
  for (const std::string& line : second.lines()) {
    const boost::json::value answer = boost::json::parse(line);
    EXPECT_EQ(textAt(answer, {"replayed"}), "true");
    EXPECT_EQ(textAt(answer, {"receipt"}), textAt(first.json(), {"receipt"}));
  }
  const Result other = ledger.in({"fact", "append", "-"}, R"({"kind":"tool.invoked","id":")" + id + R"(","tool":"hammer"})" + "\n");
  EXPECT_EQ(other.status, 2);
  EXPECT_NE(other.out.find("idempotency_conflict"), std::string::npos) << other;
  EXPECT_EQ(ledger.size(), 2U);
}

TEST(CommandLine, IdsOfAnotherTimeAreRefused) {
  LedgerFolder ledger;
  const auto fact = [](const char* id) { return R"({"kind":"tool.invoked","tool":"git","id":")" + std::string(id) + "\"}\n"; };
  const Result old = ledger.in({"fact", "append", "-"}, fact("01800000-0000-7000-8000-000000000001"));
  EXPECT_NE(old.out.find("id_too_old"), std::string::npos) << old;
  EXPECT_EQ(old.status, 2);
  const Result ahead = ledger.in({"fact", "append", "-"}, fact("02000000-0000-7000-8000-000000000001"));
  EXPECT_NE(ahead.out.find("invalid_value"), std::string::npos) << ahead;
  EXPECT_EQ(ledger.size(), 1U);
}

TEST(CommandLine, APolicyWithErrorsIsRefusedByLineAndKeyAndTheOldOneStays) {
  LedgerFolder ledger;
  const std::string good = "name = \"p\"\n[[rule]]\nname = \"r\"\neffect = \"allow\"\ncredential = [\"git_token\"]\n";
  ASSERT_EQ(ledger.in({"policy", "set", "-"}, good).status, 0);
  for (const std::string& bad :
       {std::string("name = \"p\"\n[[rule]\n"), good + "canaryKey = 1\n", good + "maxTtlSeconds = -1\n", good + "maxUses = \"canary\"\n",
        good + "effect = \"deny\"\n", std::string("name = \"p\"\n[[rule]]\nname = \"r\"\neffect = \"canary\"\n"),
        good + "# " + std::string(60'000, 'x') + "\n", good + "host = [\"a*b\"]\n", std::string("\xff\xfe")}) {
    const Result refused = ledger.in({"policy", "set", "-"}, bad);
    EXPECT_EQ(refused.status, 2) << refused;
    EXPECT_FALSE(refused.code().empty()) << refused;
    EXPECT_EQ(refused.error.find("canary"), std::string::npos) << "a message repeats what was written: " << refused;
  }
  const Result secret = ledger.in({"policy", "set", "-"}, good + "# ghp_" + "4kQzW8mXv2RtLp9sYc3NbHd7FgJe6UaTo1iK\n");
  expectFault(secret, "secret_in_policy", 2);
  EXPECT_EQ(secret.error.find("ghp_"), std::string::npos);
  const Result shown = ledger.in({"policy", "show"});
  EXPECT_EQ(textAt(shown.json(), {"version"}), "1") << shown;
  EXPECT_EQ(ledger.size(), 2U);
}

}  // namespace
}  // namespace counterfoil::test
