// The import of a real audit trail through the program: the numbers it must give, what it must never leave behind, and that doing it again
// or being killed in the middle changes nothing.
#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/e2e/ledger_folder.h"
#include "tests/support/vectors.h"

namespace counterfoil::test {
namespace {

class ImportTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto sample = sharedPath("data/cloudtrail-stratus/CloudTrail");
    if (!sample || !std::filesystem::exists(*sample)) GTEST_SKIP() << kSharedMissing;
    sample_ = sample->string();
    collectSecrets();
    ASSERT_EQ(run({"init"}).status, 0);
    ASSERT_EQ(run({"workspace", "create", "trail"}).status, 0);
  }

  Result run(std::vector<std::string> words) {
    words.insert(words.end(), {"--data", data()});
    return runProgram(words);
  }
  Result import() { return run({"import", "cloudtrail", sample_, "-w", "trail", "--json", "-q"}); }
  std::string data() const { return (folder_.path() / "data").string(); }

  // Session tokens and access key ids of the input, found by their JSON names without the importer's help.
  void collectSecrets() {
    for (const auto& file : std::filesystem::directory_iterator(sample_)) {
      std::ifstream stream(file.path(), std::ios::binary);
      const std::string text((std::istreambuf_iterator<char>(stream)), {});
      for (const std::string_view name : {"\"sessionToken\"", "\"accessKeyId\""}) {
        for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
          const std::size_t open = text.find_first_not_of(" \t\r\n:", at + name.size());
          if (text[open] != '"') continue;
          const std::string value = text.substr(open + 1, text.find('"', open + 1) - open - 1);
          if (value.size() >= 16) secrets_.insert(value);
        }
      }
    }
    ASSERT_GE(secrets_.size(), 36U + 125U);
  }

  // No file below the data and keys folders holds one of them, in whole or by a telling part.
  void expectNoSecretInAnyFile() {
    unsigned files = 0;
    for (const std::string& root : {data(), data() + ".keys"}) {
      for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
        if (!file.is_regular_file()) continue;
        ++files;
        std::ifstream stream(file.path(), std::ios::binary);
        const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
        for (const std::string& secret : secrets_) {
          const std::string part = secret.substr(0, 64);
          ASSERT_EQ(bytes.find(part), std::string::npos) << "a credential of the input stands in " << file.path();
        }
      }
    }
    ASSERT_GT(files, 3U);
  }

  static std::uint64_t numberAt(const boost::json::value& value, const char* name) { return value.at(name).to_number<std::uint64_t>(); }

  TemporaryFolder folder_;
  std::string sample_;
  std::set<std::string> secrets_;
};

TEST_F(ImportTest, GivesTheNumbersOfTheSampleOnceAndNothingAgain) {
  const Result first = import();
  ASSERT_EQ(first.status, 0) << first;
  const boost::json::value json = first.json();
  EXPECT_EQ(numberAt(json, "read"), 2'900U);
  EXPECT_EQ(numberAt(json, "failed"), 0U);
  EXPECT_EQ(numberAt(json, "withoutKey"), 85U);
  const boost::json::value& kinds = json.at("byKind");
  EXPECT_EQ(numberAt(kinds, "lease.granted"), 36U);
  EXPECT_EQ(numberAt(kinds, "lease.denied"), 13U + 45U);
  EXPECT_EQ(numberAt(kinds, "lease.consumed"), 25U);
  EXPECT_EQ(numberAt(kinds, "lease.expired"), 36U);
  EXPECT_EQ(numberAt(kinds, "credential.used"), 2'745U);
  EXPECT_EQ(numberAt(kinds, "vault.written"), 202U);
  EXPECT_EQ(numberAt(kinds, "vault.read"), 184U);

  const Result query = run({"query", "-w", "trail", "--json",
                            "SELECT (SELECT count(*) FROM leases WHERE state = 'expired' AND endedAt = expiresAt) AS ended, "
                            "(SELECT count(*) FROM uses WHERE outcome = 'error') AS errors"});
  ASSERT_EQ(query.status, 0) << query;
  EXPECT_NE(query.out.find("36"), std::string::npos) << query;

  const Result digests = run({"rebuild", "--json", "--check", "-q"});
  const Result second = import();
  ASSERT_EQ(second.status, 0) << second;
  EXPECT_EQ(numberAt(second.json(), "recorded"), 0U);
  EXPECT_TRUE(second.json().at("byKind").as_object().empty()) << second;
  const Result rebuilt = run({"rebuild", "--json", "-q"});
  EXPECT_EQ(rebuilt.out, digests.out);
  EXPECT_EQ(run({"verify", "-q"}).status, 0);
  expectNoSecretInAnyFile();
}

TEST_F(ImportTest, KilledInTheMiddleItGoesOnWhereItWas) {
  {
    Process process({"import", "cloudtrail", sample_, "-w", "trail", "--data", data()});
    // The log grows as facts become durable; somewhere in there the process dies.
    const std::filesystem::path wal = std::filesystem::path(data()) / "log" / "log.db-wal";
    std::error_code ignored;
    while (process.pump(1) && (!std::filesystem::exists(wal, ignored) || std::filesystem::file_size(wal, ignored) < 400'000)) {
    }
    process.signal(SIGKILL);
    process.closeInput();
    process.finish();
  }
  expectNoSecretInAnyFile();
  const Result again = import();
  ASSERT_EQ(again.status, 0) << again;
  EXPECT_EQ(numberAt(again.json(), "recorded") + numberAt(again.json(), "duplicates"), 3'250U);
  const Result query = run({"query", "-w", "trail", "--json", "SELECT kind, count(*) AS n FROM entries GROUP BY kind"});
  for (const std::string_view row : {"2745", "202", "184", "58", "25", "36"})
    EXPECT_NE(query.out.find(row), std::string::npos) << row << query;
  EXPECT_EQ(run({"verify", "-q"}).status, 0);
  expectNoSecretInAnyFile();
}

}  // namespace
}  // namespace counterfoil::test
