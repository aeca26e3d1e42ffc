// The import of a real audit trail through the program: the numbers it must give, what it must never leave behind, and that doing it again
// or being killed in the middle changes nothing.
#include <gtest/gtest.h>

#include <set>

#include "tests/e2e/cloudtrail_sample.h"

namespace counterfoil::test {
namespace {

class ImportTest : public testing::Test {
 protected:
  void SetUp() override {
    const auto sample = cloudTrailSample();
    if (!sample) GTEST_SKIP() << kSharedMissing;
    sample_ = *sample;
    secrets_ = credentialsIn(sample_);
    ASSERT_GE(secrets_.size(), 36U + 125U);
    ASSERT_EQ(run({"init"}).status, 0);
    ASSERT_EQ(run({"workspace", "create", "trail"}).status, 0);
  }

  Result run(std::vector<std::string> words) {
    words.insert(words.end(), {"--data", data()});
    return runProgram(words);
  }
  Result import() { return run({"import", "cloudtrail", sample_, "-w", "trail", "--json", "-q"}); }
  std::string data() const { return (folder_.path() / "data").string(); }

  void expectNoSecretInAnyFile() { expectInNoFile(secrets_, {data(), data() + ".keys"}); }

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
  EXPECT_EQ(numberAt(again.json(), "recorded") + numberAt(again.json(), "duplicates"), kSampleFacts);
  const Result query = run({"query", "-w", "trail", "--json", "SELECT kind, count(*) AS n FROM entries GROUP BY kind"});
  for (const std::string_view row : {"2745", "202", "184", "58", "25", "36"})
    EXPECT_NE(query.out.find(row), std::string::npos) << row << query;
  EXPECT_EQ(run({"verify", "-q"}).status, 0);
  expectNoSecretInAnyFile();
}

}  // namespace
}  // namespace counterfoil::test
