#include "cmd/bench/http_run.h"

#include <chrono>
#include <thread>

#include "ledger/core/outcome.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr double kViewsSeconds = 600;
// Lease ids hold the client's number: those that warm up have others than those that are measured.
constexpr std::size_t kWarmUpClient = 1'000'000;

}  // namespace

HttpRun::HttpRun(const BenchOptions& options, std::vector<std::string> settings)
    : options_(options), server_(options.folder, std::move(settings)), token_(server_.token()) {
  makeWorkspaces();
}

std::unique_ptr<HttpLoad> HttpRun::load() const {
  return std::make_unique<HttpLoad>(server_.port(), server_.certificate());
}

void HttpRun::makeWorkspaces() {
  // Each connection makes workspaces of its own, one after another: the workspace, then its policy.
  const auto generator = load();
  Tally tally;
  std::vector<std::unique_ptr<SequenceClient>> clients;
  std::size_t nextWorkspace = 0;
  for (std::size_t client = 0; client < kHttpClients; ++client) {
    const auto render = [this, &nextWorkspace, made = false, workspace = std::size_t{0}](std::string& wire) mutable {
      if (made) {
        made = false;
        appendRequest("PUT", "/v1/workspaces/" + workspaceId(workspace) + "/policy", token_, "text/toml", benchPolicy(), wire);
        return 200;
      }
      if (nextWorkspace == options_.workspaces) return 0;
      workspace = nextWorkspace++;
      made = true;
      const std::string body = "{\"id\":\"" + workspaceId(workspace) + "\",\"region\":\"eu-central\"}";
      appendRequest("POST", "/v1/workspaces", token_, "application/json", body, wire);
      return 201;
    };
    clients.push_back(std::make_unique<SequenceClient>(render, tally));
    generator->add(*clients.back());
  }
  generator->run();
  if (tally.errors > 0) throw Fault(ErrorCode::internal, "the benchmark's workspaces could not be made");
}

std::vector<std::unique_ptr<MixClient>> HttpRun::mixClients(MixKind kind, std::size_t count, Tally& tally, HttpLoad& load, MixLimits limits,
                                                            bool leasesMayHaveEnded) const {
  std::vector<std::unique_ptr<MixClient>> clients;
  for (std::size_t client = 0; client < count; ++client) {
    clients.push_back(std::make_unique<MixClient>(Mix(kind, client, options_.workspaces, 0, limits), token_, tally, leasesMayHaveEnded));
    load.add(*clients.back());
  }
  return clients;
}

void HttpRun::warmUp(MixLimits limits) {
  const auto generator = load();
  Tally tally;
  std::vector<std::unique_ptr<MixClient>> clients;
  Plan plan;
  plan.requests = (2'000 + 20 * options_.workspaces) / kHttpClients + 1;
  for (std::size_t client = 0; client < kHttpClients; ++client) {
    clients.push_back(
        std::make_unique<MixClient>(Mix(MixKind::full, kWarmUpClient + client, options_.workspaces, 0, limits), token_, tally));
    clients.back()->follow(plan);
    generator->add(*clients.back());
  }
  generator->run();
  if (tally.errors > 0) throw Fault(ErrorCode::internal, "the server refused " + std::to_string(tally.errors) + " requests of the warm-up");
  awaitViews(kViewsSeconds);
}

Stretch HttpRun::measure(HttpLoad& load) {
  const double before = server_.use().cpuSeconds;
  const CpuWatch cpu(CpuWatch::Of::thread);
  const Stopwatch watch;
  load.run();
  return {watch.seconds(), server_.use().cpuSeconds - before, cpu.seconds()};
}

void HttpRun::awaitViews(double seconds) const {
  const Stopwatch watch;
  while (server_.metric("counterfoil_view_lag_entries") > 0) {
    if (watch.seconds() > seconds) throw Fault(ErrorCode::internal, "the views did not follow in time");
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

bool HttpRun::finish() {
  server_.stop();
  return server_.verifies();
}

std::vector<Figure> figuresOf(Tally& tally, const Stretch& stretch) {
  const auto entries = static_cast<double>(tally.entries);
  const double answers = tally.answers == 0 ? 1 : static_cast<double>(tally.answers);
  return {{"rate", entries / stretch.seconds, "/s"},
          {"p50", tally.milliseconds.percentile(0.5), "ms"},
          {"p99", tally.milliseconds.percentile(0.99), "ms"},
          {"p99.9", tally.milliseconds.percentile(0.999), "ms"},
          {"errors", static_cast<double>(tally.errors), ""},
          {"server cpu", stretch.serverCpu / answers * 1e6, "us a request"},
          {"load cpu", stretch.loadCpu / answers * 1e6, "us a request"}};
}

}  // namespace counterfoil::cmd::bench
