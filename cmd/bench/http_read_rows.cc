// Rows through HTTP and TLS that read or restart: how far a live view is behind, what a page costs, many live leases.
#include <algorithm>

#include "cmd/bench/http_run.h"
#include "cmd/bench/rows.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr double kReadLivePerSecond = 5'000;
constexpr double kDrainSeconds = 3'600;
constexpr std::uint64_t kLeaseTail = 10'000;
constexpr std::size_t kFillLines = 500;
constexpr std::size_t kFillClients = 8;
constexpr std::uint64_t kAsked = 200;

// A lease that is issued in the same commit, so that it lives until its time.
void appendIssuedLease(Dice& dice, std::size_t workspaces, std::uint64_t number, std::string_view token, std::string& wire) {
  const std::string body =
      "{\"leaseId\":\"live-" + std::to_string(number) + "\",\"credential\":\"git_token\",\"grantee\":{\"kind\":\"agent\",\"id\":\"" +
      (dice.below(2) == 0 ? "fixer" : "reviewer") +
      "\"},\"scope\":[\"contents:read\"],\"resources\":[\"github.com/acme/shop\"],\"ttlSeconds\":86400,\"run\":\"run-" +
      std::to_string(number / 4) + "\",\"host\":\"host-" + std::to_string(dice.below(8)) + "\",\"secret\":{\"value\":\"ghs_" +
      dice.letters(36) + "\"}}";
  appendRequest("POST", "/v1/workspaces/" + workspaceId(dice.below(workspaces)) + "/leases", token, "application/json", body, wire);
}

// Grants until there are `count`; `number` goes on from where it is.
void makeLeases(HttpRun& run, const BenchOptions& options, Dice& dice, std::uint64_t& number, std::uint64_t count) {
  const auto generator = run.load();
  Tally tally;
  const std::uint64_t end = number + count;
  std::vector<std::unique_ptr<SequenceClient>> clients;
  for (std::size_t client = 0; client < kHttpClients; ++client) {
    const auto render = [&](std::string& wire) {
      if (number == end) return 0;
      appendIssuedLease(dice, options.workspaces, number++, run.token(), wire);
      return 201;
    };
    clients.push_back(std::make_unique<SequenceClient>(render, tally));
    generator->add(*clients.back());
  }
  generator->run();
  if (tally.errors > 0) throw Fault(ErrorCode::internal, "the server refused " + std::to_string(tally.errors) + " of the leases");
}

struct Question {
  const char* what;
  const char* target;  // behind the workspace
  double mustMilliseconds;
};

constexpr Question kQuestions[] = {
    {"no filter", "/entries?limit=100", 10},
    {"kind", "/entries?kind=lease.denied", 10},
    {"actor", "/entries?actor=service:none", 10},
    {"run", "/entries?run=run-17", 10},
    {"host", "/entries?host=host-3", 10},
    {"lease", "/entries?lease=fact-1-40", 10},
    {"resource", "/entries?resource=github.com/acme/shop", 10},
    {"scope", "/entries?scope=contents:read", 10},
    {"text", "/entries?text=registry", 100},
    {"time", "/entries?from=2020-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", 10},
    {"time, kind, host", "/entries?from=2020-01-01T00:00:00Z&kind=lease.*&host=host-3", 10},
    {"leases by state", "/leases?state=granted", 10},
    {"leases at a time", "/leases?at=2099-01-01T00:00:00Z", 10},
    {"denials", "/denials", 10},
};

}  // namespace

std::vector<Result> httpLag(const BenchOptions& options) {
  HttpRun run(options);
  run.warmUp();
  const auto generator = run.load();
  Tally tally;
  const auto clients = run.mixClients(MixKind::full, kHttpClients, tally, *generator);
  const std::int64_t startAt = Stopwatch::now();
  Plan plan;
  plan.endAt = startAt + static_cast<std::int64_t>(options.seconds * 1e9);
  plan.perSecond = kReadLivePerSecond / static_cast<double>(kHttpClients);
  for (std::size_t client = 0; client < kHttpClients; ++client) {
    plan.startAt = startAt + static_cast<std::int64_t>(static_cast<double>(client) / kReadLivePerSecond * 1e9);
    clients[client]->follow(plan);
  }
  LagClient probe(Mix(MixKind::full, kHttpClients, options.workspaces, 0), run.token(), plan.endAt);
  generator->add(probe);
  const Stretch stretch = run.measure(*generator);
  const bool verified = run.finish();
  const double p99 = probe.milliseconds.percentile(0.99);
  const double rate = static_cast<double>(tally.entries) / stretch.seconds;
  tally.errors += probe.errors;
  Result result{"http-lag",
                "from the answer to an append to the answer of the page that shows it, full mix at 5 k/s, through HTTP and TLS 1.3",
                {{"p50", probe.milliseconds.percentile(0.5), "ms"},
                 {"p99", p99, "ms"},
                 {"of", static_cast<double>(probe.milliseconds.size()), "looks"},
                 {"given up", static_cast<double>(probe.gaveUp), "looks"},
                 {"rate", rate, "/s"},
                 {"append p50", tally.milliseconds.percentile(0.5), "ms"},
                 {"append p99", tally.milliseconds.percentile(0.99), "ms"},
                 {"errors", static_cast<double>(tally.errors), ""},
                 {"server cpu", stretch.serverCpu / stretch.seconds * 100, "% of a core"},
                 {"verified", verified ? 1.0 : 0.0, ""}},
                "p99 <= 500 ms",
                "100 ms",
                {},
                p99 <= 500 && rate >= 0.95 * kReadLivePerSecond && tally.errors == 0 && verified};
  return {result};
}

std::vector<Result> httpQuery(const BenchOptions& options) {
  BenchOptions one = options;
  one.workspaces = 1;
  HttpRun run(one);
  Tally filled;
  {
    const auto generator = run.load();
    std::vector<std::unique_ptr<BatchClient>> clients;
    Plan plan;
    plan.requests = (options.entries + kFillLines * kFillClients - 1) / (kFillLines * kFillClients);
    for (std::size_t client = 0; client < kFillClients; ++client) {
      clients.push_back(std::make_unique<BatchClient>(MixKind::full, client, 1, kFillLines, run.token(), filled));
      clients.back()->follow(plan);
      generator->add(*clients.back());
    }
    generator->run();
  }
  if (filled.errors > 0) throw Fault(ErrorCode::internal, "the server refused " + std::to_string(filled.errors) + " of the facts");
  run.awaitViews(kDrainSeconds);
  std::vector<Result> results;
  for (const Question& question : kQuestions) {
    const auto generator = run.load();
    Tally tally;
    const auto render = [&](std::string& wire) {
      appendRequest("GET", "/v1/workspaces/" + workspaceId(0) + question.target, run.token(), {}, {}, wire);
      return 200;
    };
    SequenceClient client(render, tally);
    generator->add(client);
    Plan plan;
    plan.requests = kAsked;
    client.follow(plan);
    const Stretch stretch = run.measure(*generator);
    const double p99 = tally.milliseconds.percentile(0.99);
    const bool big = options.entries >= 10'000'000;
    const bool fast = p99 <= question.mustMilliseconds && tally.errors == 0;
    results.push_back({"http-query",
                       "page of 100 of " + std::to_string(filled.entries) + " entries through HTTP and TLS 1.3: " + question.what,
                       {{"p50", tally.milliseconds.percentile(0.5), "ms"},
                        {"p99", p99, "ms"},
                        {"errors", static_cast<double>(tally.errors), ""},
                        {"server cpu", stretch.serverCpu / static_cast<double>(kAsked) * 1e3, "ms a request"}},
                       question.mustMilliseconds > 10 ? "10 M entries: <= 100 ms" : "10 M entries: p99 <= 10 ms",
                       question.mustMilliseconds > 10 ? "30 ms" : "5 ms",
                       {},
                       big || !fast ? std::optional<bool>(fast) : std::nullopt});
  }
  if (!run.finish()) throw Fault(ErrorCode::internal, "the benchmark's ledger does not verify");
  return results;
}

std::vector<Result> httpLeases(const BenchOptions& options) {
  HttpRun run(options);
  Dice dice(7);
  std::uint64_t number = 0;
  const Stopwatch filling;
  makeLeases(run, options, dice, number, options.leases);
  if (options.note) options.note("http-leases: " + std::to_string(options.leases) + " made in " + std::to_string(filling.seconds()) + " s");
  // A snapshot, behind it a tail that only the log has, and an end without warning.
  run.server().stop();
  run.server().start();
  makeLeases(run, options, dice, number, kLeaseTail);
  run.server().kill();
  const Stopwatch watch;
  run.server().start();
  const double serving = watch.seconds();
  makeLeases(run, options, dice, number, 1);
  const double seconds = watch.seconds();
  const ProcessUse use = run.server().use();
  const double live = run.server().metric("counterfoil_live_leases");
  const bool verified = run.finish();
  const bool kept = live >= static_cast<double>(number);
  const bool big = options.leases >= 2'000'000;
  const bool good = verified && kept;
  Result result{"http-restart",
                std::to_string(options.leases) + " live leases: from kill -9 to the first grant through HTTP and TLS 1.3, a snapshot and " +
                    std::to_string(kLeaseTail) + " entries behind it, files in the page cache",
                {{"time", seconds, "s"},
                 {"of it until it serves", serving, "s"},
                 {"cpu", use.cpuSeconds, "s"},
                 {"memory", static_cast<double>(use.residentBytes) / 1e6, "MB"},
                 {"live leases", live, ""},
                 {"verified", verified ? 1.0 : 0.0, ""}},
                "2 M leases in < 5 s",
                "5 M leases in < 2 s",
                {},
                big || !good ? std::optional<bool>(good && seconds < 5) : std::nullopt};
  return {result};
}

}  // namespace counterfoil::cmd::bench
