// `bench --http` and `bench --soak`: every row measures a real server, nothing is refused, the ledger verifies, nothing is left behind.
#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <map>
#include <optional>

#include "tests/e2e/ledger_folder.h"

namespace counterfoil::test {
namespace {

bool haveOpenssl() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path == nullptr ? "" : path;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find(':'), rest.size());
    if (::access((std::string(rest.substr(0, end)) + "/openssl").c_str(), X_OK) == 0) return true;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return false;
}

// The first figure of that name in "measured".
std::optional<double> figure(const boost::json::value& row, std::string_view name) {
  for (const boost::json::value& each : row.at("measured").as_array()) {
    if (each.at("name").as_string() == name) return each.at("value").to_number<double>();
  }
  return std::nullopt;
}

class BenchHttp : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!haveOpenssl()) GTEST_SKIP() << "the program openssl, which makes the server's certificate, is not installed";
  }
  // With small numbers; rows are told apart by their names.
  Result bench(std::vector<std::string> words) {
    words.insert(words.begin(), "bench");
    words.insert(words.end(), {"--workspaces", "3", "--dir", scratch_.path().string(), "--json"});
    return runProgram(words);
  }
  static std::multimap<std::string, boost::json::value> rowsOf(const Result& result) {
    std::multimap<std::string, boost::json::value> rows;
    for (const std::string& line : result.lines()) {
      boost::json::value row = boost::json::parse(line);
      std::string name(row.at("row").as_string());
      rows.emplace(std::move(name), std::move(row));
    }
    return rows;
  }
  void expectNothingLeft() const { EXPECT_TRUE(std::filesystem::is_empty(scratch_.path())); }

 private:
  TemporaryFolder scratch_;
};

TEST_F(BenchHttp, EveryRowMeasuresAServerThatRefusesNothingAndVerifies) {
  const Result result = bench({"--http", "--seconds", "0.3", "--entries", "4000", "--leases", "200"});
  ASSERT_EQ(result.status, 0) << result;
  const auto rows = rowsOf(result);
  for (const char* name : {"http-append-one", "http-append-64", "http-batch-full", "http-batch-bare", "http-lag"}) {
    ASSERT_EQ(rows.count(name), 1U) << name << result;
    const boost::json::value& row = rows.find(name)->second;
    EXPECT_GT(figure(row, "rate").value_or(0), 0) << row;
    EXPECT_GT(figure(row, "p50").value_or(0), 0) << row;
    EXPECT_GE(figure(row, "p99").value_or(0), figure(row, "p50").value_or(1)) << row;
    EXPECT_EQ(figure(row, "errors"), 0.0) << row;
    EXPECT_EQ(figure(row, "verified"), 1.0) << row;
    EXPECT_GT(figure(row, "server cpu").value_or(0), 0) << row;
    EXPECT_TRUE(row.as_object().contains("met")) << row;
    EXPECT_FALSE(row.at("must").as_string().empty()) << row;
  }
  ASSERT_EQ(rows.count("http-memory"), 1U) << result;
  EXPECT_GT(figure(rows.find("http-memory")->second, "under load").value_or(0), 1);
  EXPECT_EQ(rows.count("http-query"), 14U) << result;
  for (auto [row, end] = rows.equal_range("http-query"); row != end; ++row) {
    EXPECT_EQ(figure(row->second, "errors"), 0.0) << row->second;
    EXPECT_GT(figure(row->second, "p50").value_or(0), 0) << row->second;
  }
  ASSERT_EQ(rows.count("http-restart"), 1U) << result;
  const boost::json::value& restart = rows.find("http-restart")->second;
  // The 200, the 10,000 of the tail, and the first one after the restart.
  EXPECT_EQ(figure(restart, "live leases").value_or(0), 10'201) << restart;
  EXPECT_EQ(figure(restart, "verified"), 1.0) << restart;
  expectNothingLeft();
}

TEST_F(BenchHttp, TheServerEndsWithTheBenchmark) {
  const Result result = bench({"--only", "http-append-64", "--seconds", "0.1"});
  ASSERT_EQ(result.status, 0) << result;
  constexpr std::string_view kSays = "the server is process ";
  const std::size_t at = result.error.find(kSays);
  ASSERT_NE(at, std::string::npos) << result;
  const int process = std::stoi(result.error.substr(at + kSays.size()));
  EXPECT_EQ(::kill(process, 0), -1);
  expectNothingLeft();
}

TEST_F(BenchHttp, ASoakTellsEachPartAndItsVerdictIsTheExitStatus) {
  if (std::getenv("COUNTERFOIL_TEST_LONG") == nullptr) GTEST_SKIP() << "takes half a minute: set COUNTERFOIL_TEST_LONG=1";
  const Result result = bench({"--soak", "--minutes", "0.1", "--rate", "200"});
  const auto rows = rowsOf(result);
  EXPECT_GE(rows.count("soak-minute"), 3U) << result;
  for (auto [row, end] = rows.equal_range("soak-minute"); row != end; ++row) {
    EXPECT_GT(figure(row->second, "memory").value_or(0), 1) << row->second;
    EXPECT_GT(figure(row->second, "descriptors").value_or(0), 64) << row->second;
    EXPECT_GT(figure(row->second, "live leases").value_or(0), 0) << row->second;
    EXPECT_GT(figure(row->second, "streams").value_or(0), 0) << row->second;
    EXPECT_EQ(figure(row->second, "errors"), 0.0) << row->second;
    // What is due is sent: a fixed rate is no closed loop. Generous, for a machine that does other things as well.
    EXPECT_NEAR(figure(row->second, "rate").value_or(0), 200, 60) << row->second;
  }
  ASSERT_EQ(rows.count("soak"), 1U) << result;
  const boost::json::value& verdict = rows.find("soak")->second;
  EXPECT_EQ(figure(verdict, "errors"), 0.0) << verdict;
  EXPECT_EQ(figure(verdict, "verified"), 1.0) << verdict;
  EXPECT_EQ(result.status, verdict.at("met").as_bool() ? 0 : 1) << result;
  expectNothingLeft();
}

}  // namespace
}  // namespace counterfoil::test
