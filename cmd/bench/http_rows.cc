// Rows that write through HTTP and TLS: one after another, 64 clients, batches.
#include <algorithm>

#include "cmd/bench/bare_limits.h"
#include "cmd/bench/http_run.h"
#include "cmd/bench/rows.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr std::size_t kHttpBatch = 100;
constexpr std::size_t kBatchClients = 8;
constexpr double kAllowanceMilliseconds = 0.25;
constexpr std::size_t kEntryBytes = 500;

std::int64_t after(double seconds) {
  return Stopwatch::now() + static_cast<std::int64_t>(seconds * 1e9);
}

template <class Clients>
void followAll(Clients& clients, const Plan& plan) {
  for (const auto& client : clients) client->follow(plan);
}

Plan until(std::int64_t endAt) {
  Plan plan;
  plan.endAt = endAt;
  return plan;
}

// The requests of the mix to a path that there is not: TLS, HTTP and an answer, without token and ledger.
struct Transport {
  Samples milliseconds;
  double rate = 0;
  double serverCpu = 0;  // microseconds a request
};
Transport transportAlone(HttpRun& run, const BenchOptions& options, std::size_t connections, double seconds) {
  const auto generator = run.load();
  Tally tally;
  std::vector<std::unique_ptr<SequenceClient>> clients;
  Mix mix(MixKind::full, 0, options.workspaces, 0);
  for (std::size_t client = 0; client < connections; ++client) {
    const auto render = [&mix, &run](std::string& wire) {
      appendRequest("POST", "/v1/none", run.token(), "application/json", mix.next().json, wire);
      return 404;
    };
    clients.push_back(std::make_unique<SequenceClient>(render, tally));
    generator->add(*clients.back());
  }
  followAll(clients, until(after(seconds)));
  const Stretch stretch = run.measure(*generator);
  const auto count = static_cast<double>(std::max<std::uint64_t>(tally.answers, 1));
  return {std::move(tally.milliseconds), count / stretch.seconds, stretch.serverCpu / count * 1e6};
}

double httpBaselineSeconds(const BenchOptions& options) {
  return std::min(3.0, options.seconds);
}

void tell(const BenchOptions& options, const std::string& line) {
  if (options.note) options.note(line);
}

}  // namespace

std::vector<Result> httpAppendOne(const BenchOptions& options) {
  HttpRun run(options);
  run.warmUp();
  const auto generator = run.load();
  Tally tally;
  const auto clients = run.mixClients(MixKind::full, 1, tally, *generator);
  followAll(clients, until(after(options.seconds)));
  const Stretch stretch = run.measure(*generator);
  Transport transport = transportAlone(run, options, 1, httpBaselineSeconds(options));
  const bool verified = run.finish();
  const double bytes = run.server().recordBytes();
  const CommitLimit bare = sqliteCommits(options.folder, static_cast<std::size_t>(bytes), 1, httpBaselineSeconds(options));
  const double bareMilliseconds = bare.p50Microseconds * 1e-3;
  const double p50 = tally.milliseconds.percentile(0.5);
  Result result{"http-append-one",
                "durable append, one after another, full mix, through HTTP and TLS 1.3",
                figuresOf(tally, stretch),
                "p50 <= bare commit + 0.25 ms",
                "+ 0.15 ms",
                {{"SQLite FULL commit p50", bareMilliseconds, "ms"},
                 {"p99", bare.p99Microseconds * 1e-3, "ms"},
                 {"HTTP and TLS alone p50", transport.milliseconds.percentile(0.5), "ms"}},
                p50 <= bareMilliseconds + kAllowanceMilliseconds && tally.errors == 0 && verified};
  result.measured.push_back({"over bare", p50 - bareMilliseconds, "ms"});
  result.measured.push_back({"record", bytes, "B"});
  result.measured.push_back({"verified", verified ? 1.0 : 0.0, ""});
  return {result};
}

std::vector<Result> httpAppend64(const BenchOptions& options) {
  HttpRun run(options);
  run.warmUp();
  const ProcessUse before = run.server().use();
  const auto generator = run.load();
  Tally tally;
  const auto clients = run.mixClients(MixKind::full, kHttpClients, tally, *generator);
  tell(options, "http-append-64: the server is process " + std::to_string(run.server().process()));
  followAll(clients, until(after(options.seconds)));
  const Stretch stretch = run.measure(*generator);
  const ProcessUse loaded = run.server().use();
  Stopwatch drain;
  run.awaitViews(600);
  const double drained = drain.seconds();
  const ProcessUse rest = run.server().use();
  Transport transport = transportAlone(run, options, kHttpClients, httpBaselineSeconds(options));
  const bool verified = run.finish();
  const double bytes = run.server().recordBytes();
  const CommitLimit bare = sqliteCommits(options.folder, static_cast<std::size_t>(bytes), kHttpClients, httpBaselineSeconds(options));
  const double rate = static_cast<double>(tally.entries) / stretch.seconds;
  const double p99 = tally.milliseconds.percentile(0.99);
  Result result{"http-append-64",
                "durable append, 64 clients, one entry a request, full mix, through HTTP and TLS 1.3",
                figuresOf(tally, stretch),
                ">= 15 k/s, p99 <= 10 ms",
                "25 k/s, 6 ms",
                {{"SQLite FULL, 64 a commit", bare.rowsPerSecond, "rows/s"},
                 {"SHA-256 of 500 B", sha256PerSecond(kEntryBytes), "/s a core"},
                 {"HTTP and TLS alone", transport.rate, "/s"},
                 {"p99", transport.milliseconds.percentile(0.99), "ms"},
                 {"server cpu", transport.serverCpu, "us a request"}},
                rate >= 15'000 && p99 <= 10 && tally.errors == 0 && verified};
  result.measured.push_back({"of HTTP and TLS alone", 100 * rate / std::max(transport.rate, 1.0), "%"});
  result.measured.push_back({"views drained in", drained, "s"});
  result.measured.push_back({"verified", verified ? 1.0 : 0.0, ""});
  constexpr double kMega = 1e6;
  Result memory{"http-memory",
                "memory and descriptors of the server of the row before, " + std::to_string(options.workspaces) + " workspaces",
                {{"before", static_cast<double>(before.residentBytes) / kMega, "MB"},
                 {"under load", static_cast<double>(loaded.residentBytes) / kMega, "MB"},
                 {"views drained", static_cast<double>(rest.residentBytes) / kMega, "MB"},
                 {"an entry",
                  static_cast<double>(rest.residentBytes - std::min(before.residentBytes, rest.residentBytes)) /
                      static_cast<double>(std::max<std::uint64_t>(tally.entries, 1)),
                  "B"},
                 {"descriptors before", static_cast<double>(before.descriptors), ""},
                 {"under load", static_cast<double>(loaded.descriptors), ""}},
                "bounded by configuration; see bench --soak",
                "",
                {},
                std::nullopt};
  return {result, memory};
}

namespace {

Result httpBatchOf(const BenchOptions& options, MixKind kind) {
  HttpRun run(options);
  const bool full = kind == MixKind::full;
  const auto generator = run.load();
  Tally tally;
  std::vector<std::unique_ptr<BatchClient>> clients;
  for (std::size_t client = 0; client < kBatchClients; ++client) {
    clients.push_back(std::make_unique<BatchClient>(kind, client, options.workspaces, kHttpBatch, run.token(), tally));
    generator->add(*clients.back());
  }
  // Keys of workspaces and persons are made once.
  Plan warm;
  warm.requests = options.workspaces / kBatchClients + 10;
  followAll(clients, warm);
  generator->run();
  run.awaitViews(600);
  const std::uint64_t warmErrors = tally.errors;
  tally = {};
  followAll(clients, until(after(options.seconds)));
  const Stretch stretch = run.measure(*generator);
  Stopwatch drain;
  run.awaitViews(600);
  const double drained = drain.seconds();
  const bool verified = run.finish();
  const double bytes = run.server().recordBytes();
  const CommitLimit bare = sqliteCommits(options.folder, static_cast<std::size_t>(bytes), kHttpBatch, httpBaselineSeconds(options));
  const double rate = static_cast<double>(tally.entries) / stretch.seconds;
  const double entries = static_cast<double>(std::max<std::uint64_t>(tally.entries, 1));
  tally.errors += warmErrors;
  Result result{full ? "http-batch-full" : "http-batch-bare",
                std::string("NDJSON, 100 facts a request, 8 connections, ") + (full ? "full" : "bare") + " mix, through HTTP and TLS 1.3",
                figuresOf(tally, stretch),
                full ? ">= 30 k/s" : ">= 60 k/s",
                full ? "60 k/s" : "120 k/s",
                {{"SQLite FULL, 100 a commit", bare.rowsPerSecond, "rows/s"}},
                rate >= (full ? 30'000 : 60'000) && tally.errors == 0 && verified};
  result.measured.push_back({"server cpu", stretch.serverCpu / entries * 1e6, "us an entry"});
  result.measured.push_back({"load cpu", stretch.loadCpu / entries * 1e6, "us an entry"});
  result.measured.push_back({"record", bytes, "B"});
  result.measured.push_back({"views drained in", drained, "s"});
  result.measured.push_back({"verified", verified ? 1.0 : 0.0, ""});
  return result;
}

}  // namespace

std::vector<Result> httpBatchFull(const BenchOptions& options) {
  return {httpBatchOf(options, MixKind::full)};
}

std::vector<Result> httpBatchBare(const BenchOptions& options) {
  return {httpBatchOf(options, MixKind::bare)};
}

}  // namespace counterfoil::cmd::bench
