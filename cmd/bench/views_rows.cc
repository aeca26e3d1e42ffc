// The read side: rebuilding views, how far a live view is behind, and what each filter costs.
#include <array>
#include <chrono>
#include <string>
#include <thread>

#include "cmd/bench/rows.h"
#include "ledger/core/outcome.h"
#include "projections/query/filters.h"
#include "projections/query/view_reader.h"
#include "projections/runner.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr std::size_t kViewsOutstanding = 1'000;
constexpr double kLivePerSecond = 5'000;

views::ViewRunnerOptions runnerOptions(const Scratch& scratch, std::size_t workers) {
  views::ViewRunnerOptions options;
  options.files.folder = scratch.folder() / "views";
  options.workers = workers;
  options.keysComplete = true;
  return options;
}

void mustBeHealthy(views::ViewRunner& runner) {
  for (const auto& [number, status] : runner.troubled()) {
    if (status.fault) throw Fault(*status.fault);
    throw Fault(ErrorCode::internal, "a view of the scratch ledger is behind");
  }
}

}  // namespace

std::vector<Result> rebuildViews(const BenchOptions& options) {
  Scratch scratch(options.folder, options.workspaces);
  Mix mix(MixKind::full, 1, options.workspaces, kViewsOutstanding);
  scratch.fill(mix, options.entries, kViewsOutstanding);
  std::vector<Figure> figures;
  double perCore = 0;
  for (const std::size_t workers : {std::size_t{1}, std::size_t{0}}) {
    views::ViewRunner runner(scratch.log(), scratch.ring(), runnerOptions(scratch, workers));
    runner.requestRebuildAll();
    views::ViewProgress last;
    const Stopwatch watch;
    const CpuWatch cpu(CpuWatch::Of::process);
    runner.catchUp([&](const views::ViewProgress& progress) { last = progress; });
    const double seconds = watch.seconds();
    const double cpuSeconds = cpu.seconds();
    mustBeHealthy(runner);
    std::uint64_t entries = 0;
    for (const WorkspaceNumber number : runner.workspaces()) entries += runner.status(number).size;
    const auto count = static_cast<double>(entries);
    if (workers == 1) perCore = count / cpuSeconds;
    figures.push_back({workers == 1 ? "one worker" : "a worker a core", count / seconds, "/s"});
    figures.push_back({"cpu", cpuSeconds / count * 1e6, "us an entry"});
  }
  figures.insert(figures.begin(), {"a second of processor time", perCore, "entries"});
  return {{"rebuild",
           "views of " + std::to_string(options.workspaces) + " workspaces made anew, text index on, full mix",
           figures,
           ">= 60 k/s",
           "110 k/s",
           {},
           figures[3].value >= 60'000}};
}

std::vector<Result> viewLag(const BenchOptions& options) {
  Scratch scratch(options.folder, options.workspaces);
  Mix mix(MixKind::full, 1, options.workspaces, kViewsOutstanding);
  scratch.fill(mix, 2'000 + 20 * options.workspaces, kViewsOutstanding);
  views::ViewRunner runner(scratch.log(), scratch.ring(), runnerOptions(scratch, 0));
  runner.catchUp();
  runner.follow();
  Samples lag;
  std::uint64_t sent = 0;
  const Stopwatch whole;
  while (whole.seconds() < options.seconds) {
    // A hundredth of a second's worth, then the last one is waited for; what is late is made up for.
    const auto goal = static_cast<std::uint64_t>(whole.seconds() * kLivePerSecond) + 1;
    if (goal > sent + 1) scratch.fill(mix, goal - sent - 1, kViewsOutstanding);
    const write::Answer answer = scratch.ask(mix.next());
    sent = goal;
    const Stopwatch behind;
    if (answer.receipt && !runner.waitFor(answer.receipt->number, answer.receipt->seq, 10'000)) {
      throw Fault(ErrorCode::internal, "a view did not follow within ten seconds");
    }
    lag.add(behind.microseconds() * 1e-3);
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const double rate = static_cast<double>(sent) / whole.seconds();
  runner.stop();
  return {{"lag",
           "from the answer to the view that shows it, full mix at 5 k/s",
           {{"p50", lag.percentile(0.5), "ms"}, {"p99", lag.percentile(0.99), "ms"}, {"rate", rate, "/s"}},
           "p99 <= 500 ms",
           "100 ms",
           {},
           lag.percentile(0.99) <= 500}};
}

std::vector<Result> queries(const BenchOptions& options) {
  struct Question {
    query::ListKind list;
    const char* what;
    std::vector<query::Parameter> parameters;
    double mustMilliseconds;
  };
  const std::vector<Question> questions = {
      {query::ListKind::entries, "no filter", {}, 10},
      {query::ListKind::entries, "kind", {{"kind", "lease.denied"}}, 10},
      {query::ListKind::entries, "actor", {{"actor", "service:none"}}, 10},
      {query::ListKind::entries, "run", {{"run", "run-17"}}, 10},
      {query::ListKind::entries, "host", {{"host", "host-3"}}, 10},
      {query::ListKind::entries, "lease", {{"lease", "lease-1-40"}}, 10},
      {query::ListKind::entries, "resource", {{"resource", "github.com/acme/shop"}}, 10},
      {query::ListKind::entries, "scope", {{"scope", "contents:read"}}, 10},
      {query::ListKind::entries, "text", {{"text", "registry"}}, 100},
      {query::ListKind::entries, "time", {{"from", "2020-01-01T00:00:00Z"}, {"to", "2100-01-01T00:00:00Z"}}, 10},
      {query::ListKind::entries, "time, kind, host", {{"from", "2020-01-01T00:00:00Z"}, {"kind", "lease.*"}, {"host", "host-3"}}, 10},
      {query::ListKind::leases, "leases by state", {{"state", "granted"}}, 10},
      {query::ListKind::leases, "leases at a time", {{"at", "2100-01-01T00:00:00Z"}}, 10},
      {query::ListKind::denials, "denials", {}, 10},
  };
  Scratch scratch(options.folder, 1);
  Mix mix(MixKind::full, 1, 1, kViewsOutstanding);
  scratch.fill(mix, options.entries, kViewsOutstanding);
  views::ViewRunner runner(scratch.log(), scratch.ring(), runnerOptions(scratch, 0));
  runner.requestRebuildAll();
  runner.catchUp();
  mustBeHealthy(runner);
  query::ViewReader reader(scratch.folder() / "views", *scratch.ledger().findWorkspace(workspaceId(0)));
  const query::PrincipalResolver asItIs = [](const std::string& principal) { return principal; };
  std::vector<Result> results;
  for (const Question& question : questions) {
    const query::Filters filters = query::parseFilters(question.list, question.parameters);
    Samples samples;
    constexpr unsigned kAsked = 200;
    const CpuWatch cpu(CpuWatch::Of::thread);
    for (unsigned again = 0; again < kAsked; ++again) {
      const Stopwatch one;
      static_cast<void>(reader.list(question.list, filters, asItIs));
      samples.add(one.microseconds() * 1e-3);
    }
    const double cpuEach = cpu.seconds() / kAsked * 1e3;
    const double p99 = samples.percentile(0.99);
    const bool big = options.entries >= 10'000'000;
    results.push_back({"query",
                       std::string("page of 100 of ") + std::to_string(options.entries) + " entries: " + question.what,
                       {{"p50", samples.percentile(0.5), "ms"}, {"p99", p99, "ms"}, {"cpu", cpuEach, "ms"}},
                       question.mustMilliseconds > 10 ? "10 M entries: <= 100 ms" : "10 M entries: p99 <= 10 ms",
                       question.mustMilliseconds > 10 ? "30 ms" : "5 ms",
                       {},
                       big ? std::optional<bool>(p99 <= question.mustMilliseconds) : std::nullopt});
  }
  return results;
}

}  // namespace counterfoil::cmd::bench
