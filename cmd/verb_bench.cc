// `bench`: what this machine makes of the table of targets, each row beside the bare limit of the same run.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "cmd/bench/http_soak.h"
#include "cmd/bench/rows.h"
#include "cmd/output.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

constexpr std::size_t kBenchWorkspaces = 100;
constexpr std::size_t kHttpWorkspaces = 1'000;

struct BenchFlags {
  std::vector<std::string> only;
  std::string folder;
  bool http = false;
  bool soak = false;
  bench::SoakOptions soakOptions;
  std::size_t workspaces = 0;  // 0: what the row is stated for
  bench::BenchOptions options;
};

// Four significant digits, without an exponent.
std::string shown(double value) {
  std::array<char, 64> text{};
  const int decimals = value >= 1'000 ? 0 : value >= 100 ? 1 : value >= 10 ? 2 : 3;
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return text.data();
}

std::string shown(const std::vector<bench::Figure>& figures) {
  std::string line;
  for (const bench::Figure& figure : figures) {
    line += (line.empty() ? "" : ", ") + figure.name + " " + shown(figure.value) + (figure.unit.empty() ? "" : " " + figure.unit);
  }
  return line;
}

std::string asJson(const std::vector<bench::Figure>& figures) {
  std::string list = "[";
  for (const bench::Figure& figure : figures) {
    if (list.size() > 1) list += ',';
    JsonObject object(list);
    object.text("name", figure.name).raw("value", shown(figure.value)).text("unit", figure.unit);
    object.end();
  }
  return list + "]";
}

void printRow(const CommonOptions& common, const bench::Result& result) {
  if (common.json) {
    std::string out;
    JsonObject object(out);
    object.text("row", result.row).text("what", result.what).raw("measured", asJson(result.measured));
    object.text("must", result.must).text("aim", result.aim).raw("beside", asJson(result.beside));
    if (result.met) object.boolean("met", *result.met);
    object.end();
    print(out);
    return;
  }
  print(result.row + ": " + result.what);
  print("  measured  " + shown(result.measured));
  print("  must      " + result.must + (result.aim.empty() ? "" : "; aim " + result.aim) +
        (result.met ? (*result.met ? "; met" : "; NOT met") : ""));
  if (!result.beside.empty()) print("  beside    " + shown(result.beside));
}

// The rows that were named, else those in process or those through HTTP.
std::vector<bench::Row> rowsOf(const BenchFlags& flags) {
  std::vector<bench::Row> rows;
  const auto add = [&](std::span<const bench::Row> table, bool whole) {
    for (const bench::Row& row : table) {
      const bool named = std::find(flags.only.begin(), flags.only.end(), row.name) != flags.only.end();
      if (flags.only.empty() ? whole : named) rows.push_back(row);
    }
  };
  add(bench::kafkaRows(), !flags.options.kafka.empty());
  add(bench::allRows(), !flags.http && flags.options.kafka.empty());
  add(bench::httpRows(), flags.http);
  return rows;
}

void printMinute(const CommonOptions& common, const bench::SoakMinute& minute) {
  const std::vector<bench::Figure> figures = {{"at", minute.at, "min"},
                                              {"memory", minute.residentMegabytes, "MB"},
                                              {"descriptors", minute.descriptors, ""},
                                              {"rate", minute.rate, "/s"},
                                              {"p99", minute.p99, "ms"},
                                              {"view lag p99", minute.viewLag, "ms"},
                                              {"live leases", minute.liveLeases, ""},
                                              {"remembered leases", minute.rememberedLeases, ""},
                                              {"streams", minute.streams, ""},
                                              {"errors", minute.errors, ""}};
  if (common.json) {
    std::string out;
    JsonObject object(out);
    object.text("row", "soak-minute").raw("measured", asJson(figures));
    object.end();
    print(out);
  } else {
    print("soak: " + shown(figures));
  }
  std::fflush(stdout);
}

// Exit status 1 if it is not flat.
int runSoak(const CommonOptions& common, const BenchFlags& flags) {
  const bench::SoakVerdict verdict =
      bench::soak(flags.options, flags.soakOptions, [&common](const bench::SoakMinute& minute) { printMinute(common, minute); });
  printRow(common, {"soak",
                    "full mix at " + shown(flags.soakOptions.perSecond) + " /s for " + shown(flags.soakOptions.minutes) +
                        " minutes through HTTP and TLS 1.3, leases of 30 s, readers, streams, reloads and new tokens",
                    {{"growth of memory over the second half", verdict.growthMegabytes, "MB"},
                     {"beside remembered leases, 512 B each", verdict.growthBesideLeases, "MB"},
                     {"allowed", verdict.allowedMegabytes, "MB"},
                     {"descriptors in the first half", verdict.descriptorsFirst, ""},
                     {"in the second", verdict.descriptorsSecond, ""},
                     {"errors", verdict.errors, ""},
                     {"verified", verdict.verified ? 1.0 : 0.0, ""}},
                    "flat: growth <= 5 % of its mean or 8 MB, descriptors <= the first half's most + 16, no errors, verifies",
                    "",
                    {},
                    verdict.flat});
  return verdict.flat ? 0 : 1;
}

int runBench(const CommonOptions& common, BenchFlags flags) {
  flags.options.folder = flags.folder.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(flags.folder);
  flags.options.note = [&common](const std::string& line) { note(common, line); };
  if (!common.json) {
    print("bench: " + std::to_string(std::thread::hardware_concurrency()) + " cores, load " + bench::loadAverage() +
          (bench::hasShaInstructions() ? ", SHA instructions" : ", no SHA instructions") + ", scratch in " +
          visible(flags.options.folder.string()) + ", workspaces by Zipf, " + shown(flags.options.seconds) + " s a row");
  }
  if (flags.soak) {
    flags.options.workspaces = flags.workspaces != 0 ? flags.workspaces : kHttpWorkspaces;
    return runSoak(common, flags);
  }
  for (const bench::Row& row : rowsOf(flags)) {
    const std::size_t usual = row.name.starts_with("http-") ? kHttpWorkspaces : kBenchWorkspaces;
    flags.options.workspaces = flags.workspaces != 0 ? flags.workspaces : usual;
    for (const bench::Result& result : row.run(flags.options)) printRow(common, result);
    std::fflush(stdout);
  }
  if (!common.json) print("bench: load " + bench::loadAverage() + " at the end");
  return 0;
}

}  // namespace

void addBench(Verb app, Program& program) {
  Verb verb = app.verb("bench", "Measure a scratch ledger against the table of targets");
  addCommonFlags(verb, program.common, false);
  auto flags = std::make_shared<BenchFlags>();
  std::vector<std::string> names;
  for (const bench::Row& row : bench::allRows()) names.emplace_back(row.name);
  for (const bench::Row& row : bench::httpRows()) names.emplace_back(row.name);
  for (const bench::Row& row : bench::kafkaRows()) names.emplace_back(row.name);
  verb.option("--kafka", flags->options.kafka, "Measure the writer of a ledger on these brokers, HOST:PORT,..., in topics of its own");
  verb.flag("--http", flags->http, "Start a server with TLS and measure through it, from clients in this process");
  verb.flag("--soak", flags->soak,
            "Load a server for long at a fixed rate, and look whether memory and descriptors stay flat; else exit 1");
  verb.option("--minutes", flags->soakOptions.minutes, "Length of the soak").between(0.05, 100'000.0).showDefault();
  verb.option("--rate", flags->soakOptions.perSecond, "Entries a second of the soak").between(1.0, 1'000'000.0).showDefault();
  verb.option("--only", flags->only, "Rows to run (default: all in process, or with --http all through the server)")
      .separatedByCommas()
      .oneOf(names);
  verb.option("--seconds", flags->options.seconds, "Time of each row that runs by time").between(0.1, 3'600.0).showDefault();
  verb.option("--dir", flags->folder, "Where the scratch ledger goes (default: the system's temporary folder)").existingFolder();
  verb.option("--workspaces", flags->workspaces, "Workspaces of the mixes (default: 100 in process, 1,000 through HTTP)")
      .within(1, 100'000);
  verb.option("--leases", flags->options.leases, "Live leases of the restart").within(1, 20'000'000).showDefault();
  verb.option("--entries", flags->options.entries, "Entries of the rows that read").within(1'000, 100'000'000).showDefault();
  verb.whenGiven([&program, flags] { program.run = [&program, flags] { return runBench(program.common, *flags); }; });
}

}  // namespace counterfoil::cmd
