// `bench`: what this machine makes of the table of targets, each row beside the bare limit of the same run.
#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "cmd/bench/rows.h"
#include "cmd/output.h"
#include "ledger/core/json.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

struct BenchFlags {
  std::vector<std::string> only;
  std::string folder;
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

void printResult(const CommonOptions& common, const bench::Result& result) {
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

int run(const CommonOptions& common, BenchFlags flags) {
  flags.options.folder = flags.folder.empty() ? std::filesystem::temp_directory_path() : std::filesystem::path(flags.folder);
  flags.options.note = [&common](const std::string& line) { note(common, line); };
  if (!common.json) {
    print("bench: " + std::to_string(std::thread::hardware_concurrency()) + " cores, load " + bench::loadAverage() + ", scratch in " +
          visible(flags.options.folder.string()) + ", " + std::to_string(flags.options.workspaces) + " workspaces by Zipf, " +
          shown(flags.options.seconds) + " s a row");
  }
  for (const bench::Row& row : bench::allRows()) {
    if (!flags.only.empty() && std::find(flags.only.begin(), flags.only.end(), row.name) == flags.only.end()) continue;
    for (const bench::Result& result : row.run(flags.options)) printResult(common, result);
    std::fflush(stdout);
  }
  if (!common.json) print("bench: load " + bench::loadAverage() + " at the end");
  return 0;
}

}  // namespace

void addBench(CLI::App& app, Program& program) {
  CLI::App* verb = app.add_subcommand("bench", "Measure a scratch ledger against the table of targets");
  addCommonFlags(*verb, program.common, false);
  auto flags = std::make_shared<BenchFlags>();
  std::vector<std::string> names;
  for (const bench::Row& row : bench::allRows()) names.emplace_back(row.name);
  verb->add_option("--only", flags->only, "Rows to run (default: all)")->delimiter(',')->check(CLI::IsMember(names));
  verb->add_option("--seconds", flags->options.seconds, "Time of each row that runs by time")
      ->check(CLI::Range(0.1, 3'600.0))
      ->capture_default_str();
  verb->add_option("--dir", flags->folder, "Where the scratch ledger goes (default: the system's temporary folder)")
      ->check(CLI::ExistingDirectory);
  verb->add_option("--workspaces", flags->options.workspaces, "Workspaces of the mixes")
      ->check(CLI::Range(1, 100'000))
      ->capture_default_str();
  verb->add_option("--leases", flags->options.leases, "Live leases of the restart")
      ->check(CLI::Range(1, 20'000'000))
      ->capture_default_str();
  verb->add_option("--entries", flags->options.entries, "Entries of the rows that read")
      ->check(CLI::Range(1'000, 100'000'000))
      ->capture_default_str();
  verb->callback([&program, flags] { program.run = [&program, flags] { return run(program.common, *flags); }; });
}

}  // namespace counterfoil::cmd
