// What ops/ gives to other programs is what they take: alert rules and their tests, the dashboard's queries, systemd units; and the metrics
// they name are those the server has.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>
#include <string_view>

#include "tests/support/temporary_folder.h"

namespace counterfoil::tidy {
namespace {

const std::string kRoot = COUNTERFOIL_SOURCE_DIR;

struct Ran {
  int status = -1;
  std::string output;
};

Ran run(const std::string& command) {
  Ran ran;
  std::FILE* const pipe = ::popen((command + " 2>&1 </dev/null").c_str(), "r");
  if (pipe == nullptr) return ran;
  std::array<char, 4096> buffer{};
  for (std::size_t read = 0; (read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) ran.output.append(buffer.data(), read);
  const int status = ::pclose(pipe);
  if (WIFEXITED(status)) ran.status = WEXITSTATUS(status);
  return ran;
}

bool installed(const std::string& program) {
  return run("command -v " + program).status == 0;
}

std::string textOf(const std::string& path) {
  std::ifstream file(kRoot + "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

// Names of metrics in a text, without what a histogram adds to its own.
std::set<std::string> metricsIn(const std::string& text) {
  constexpr std::string_view kPrefix = "counterfoil_";
  std::set<std::string> names;
  for (std::size_t at = text.find(kPrefix); at != std::string::npos; at = text.find(kPrefix, at + 1)) {
    std::size_t end = at;
    while (end < text.size() && ((text[end] >= 'a' && text[end] <= 'z') || text[end] == '_')) ++end;
    std::string name = text.substr(at, end - at);
    for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
      if (name.ends_with(std::string("_seconds") + std::string(suffix))) name.resize(name.size() - suffix.size());
    }
    names.insert(std::move(name));
  }
  return names;
}

TEST(Ops, DashboardAndAlertsNameMetricsOfTheServer) {
  const std::set<std::string> known = metricsIn(textOf("server/metrics.cc"));
  ASSERT_GT(known.size(), 10U);
  for (const char* path : {"ops/grafana/dashboard.json", "ops/grafana/alerts.yml", "ops/grafana/alerts_test.yml", "docs/server.md"}) {
    const std::set<std::string> named = metricsIn(textOf(path));
    EXPECT_GT(named.size(), 5U) << path;
    for (const std::string& name : named) EXPECT_TRUE(known.contains(name)) << path << " names " << name;
  }
  const std::set<std::string> shown = metricsIn(textOf("ops/grafana/dashboard.json"));
  for (const std::string& name : known) EXPECT_TRUE(shown.contains(name)) << "the dashboard does not show " << name;
}

// A patch that no longer applies breaks nothing, and so proves nothing.
TEST(Ops, EveryMutationStillApplies) {
  if (run("git -C '" + kRoot + "' rev-parse HEAD").status != 0) GTEST_SKIP() << "this is no git work tree";
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kRoot + "/tests/mutations")) {
    if (entry.path().extension() != ".patch") continue;
    ++count;
    const Ran check = run("git -C '" + kRoot + "' apply --check '" + entry.path().string() + "'");
    EXPECT_EQ(check.status, 0) << check.output;
  }
  EXPECT_GT(count, 50U);
}

TEST(Ops, AlertRulesHoldWhatTheirTestsSay) {
  if (!installed("promtool")) GTEST_SKIP() << "promtool is not installed (package prometheus, --no-install-recommends)";
  const Ran check = run("promtool check rules '" + kRoot + "/ops/grafana/alerts.yml'");
  EXPECT_EQ(check.status, 0) << check.output;
  const Ran test = run("promtool test rules '" + kRoot + "/ops/grafana/alerts_test.yml'");
  EXPECT_EQ(test.status, 0) << test.output;
}

TEST(Ops, EveryAlertIsTested) {
  constexpr std::string_view kAlert = "- alert: ";
  const std::string rules = textOf("ops/grafana/alerts.yml");
  const std::string tests = textOf("ops/grafana/alerts_test.yml");
  std::size_t alerts = 0;
  for (std::size_t at = rules.find(kAlert); at != std::string::npos; at = rules.find(kAlert, at + 1)) {
    const std::size_t begin = at + kAlert.size();
    const std::string name = rules.substr(begin, rules.find('\n', begin) - begin);
    ++alerts;
    EXPECT_NE(tests.find("alertname: " + name + "\n        exp_alerts:\n"), std::string::npos) << "no test sees " << name << " fire";
    EXPECT_NE(tests.find("alertname: " + name + ", exp_alerts: []"), std::string::npos) << "no test sees " << name << " silent";
  }
  EXPECT_GT(alerts, 5U);
}

// Each query of the dashboard as a rule of its own: promtool then reads it as Prometheus will.
TEST(Ops, TheDashboardsQueriesAreQueries) {
  if (!installed("jq")) GTEST_SKIP() << "jq is not installed";
  const std::string dashboard = "'" + kRoot + "/ops/grafana/dashboard.json'";
  const Ran ids = run("jq -e '[.panels[].id] | length == (unique | length) and length > 10' " + dashboard);
  EXPECT_EQ(ids.status, 0) << "panels share an id, or are gone: " << ids.output;
  if (!installed("promtool")) GTEST_SKIP() << "promtool is not installed (package prometheus, --no-install-recommends)";
  const test::TemporaryFolder scratch;
  const std::string rules = scratch.path() / "rules.json";
  const Ran made =
      run("jq '{groups: [{name: \"dashboard\", rules: [[.panels[].targets[]?.expr | gsub(\"[$]__rate_interval\"; \"5m\")] | to_entries[] | "
          "{record: \"panel:\\(.key)\", expr: .value}]}]}' " +
          dashboard + " > '" + rules + "'");
  ASSERT_EQ(made.status, 0) << made.output;
  const Ran check = run("promtool check rules '" + rules + "'");
  EXPECT_EQ(check.status, 0) << check.output;
}

TEST(Ops, UnitsAreWhatSystemdTakes) {
  if (!installed("systemd-analyze")) GTEST_SKIP() << "systemd-analyze is not installed";
  // The program need not be installed here; everything else is as it stands.
  const test::TemporaryFolder scratch;
  std::string unit = textOf("ops/systemd/counterfoil.service");
  const std::string program = "/usr/bin/counterfoil";
  ASSERT_NE(unit.find(program), std::string::npos);
  unit.replace(unit.find(program), program.size(), "/bin/true");
  std::ofstream(scratch.path() / "counterfoil.service") << unit;
  std::ofstream(scratch.path() / "counterfoil.socket") << textOf("ops/systemd/counterfoil.socket");
  const std::string folder = scratch.path().string();
  const Ran ran = run("systemd-analyze verify '" + folder + "/counterfoil.service' '" + folder + "/counterfoil.socket'");
  EXPECT_EQ(ran.status, 0) << ran.output;
  // What it does not understand it only tells.
  EXPECT_EQ(ran.output.find(folder), std::string::npos) << ran.output;
}

}  // namespace
}  // namespace counterfoil::tidy
