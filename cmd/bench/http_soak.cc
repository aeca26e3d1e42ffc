#include "cmd/bench/http_soak.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <csignal>
#include <exception>
#include <fstream>
#include <iterator>
#include <mutex>
#include <numeric>
#include <thread>

#include "cmd/bench/http_run.h"
#include "cmd/http_client.h"
#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"
#include "server/http/tls.h"

namespace counterfoil::cmd::bench {
namespace {

// Short enough that their number settles within the first minute.
constexpr MixLimits kShortLeases{30, 8, 16};
constexpr const char* kSmallWindow = "IDEMPOTENCY_ENTRIES=100000";
constexpr double kSampleSeconds = 10;  // between looks at the memory
constexpr double kSamplesLeast = 8;    // of a short run
constexpr double kShortRunMinutes = 2;
constexpr std::chrono::milliseconds kVisitPause{250};
constexpr std::size_t kStreamBytes = 4'096;
constexpr std::size_t kReadersAtOnce = 6;
constexpr double kGrowthPart = 0.05;
constexpr double kGrowthMegabytes = 8;
constexpr double kDescriptorsMore = 16;

constexpr std::string_view kPages[] = {"/entries?limit=100&order=desc", "/leases?state=active", "/denials", "/entries?text=registry",
                                       "/entries?host=host-3&kind=lease.*"};

HttpOptions optionsOf(HttpRun& run) {
  HttpOptions options;
  options.url = "https://127.0.0.1:" + std::to_string(run.server().port());
  options.authorities = run.server().certificate();
  std::ifstream file(options.authorities);
  const std::string pem(std::istreambuf_iterator<char>(file), {});
  options.pinnedKey = "sha256//" + toBase64(crypto::sha256(server::publicKeyOf(pem)));
  return options;
}

HttpRequest get(std::string target) {
  HttpRequest request;
  request.target = std::move(target);
  return request;
}

// Looks at every workspace, several at once at each: what the server opens for readers, and what SQLite keeps of those it closes again, is
// there then.
void openReaders(HttpRun& run, std::size_t workspaces) {
  std::vector<std::thread> threads;
  const std::string token = run.server().token();
  const HttpOptions options = optionsOf(run);
  for (std::size_t reader = 0; reader < kReadersAtOnce; ++reader) {
    threads.emplace_back([&] {
      HttpClient client(options);
      client.setToken(token);
      // The busiest ones last: the next ones who look want those.
      for (std::size_t workspace = workspaces; workspace-- > 0;) {
        for (const std::string_view page : kPages) {
          try {
            client.send(get("/v1/workspaces/" + workspaceId(workspace) + std::string(page)));
          } catch (const std::exception&) {
            // Not measured yet; the soak counts what fails in it.
          }
        }
      }
    });
  }
  for (std::thread& each : threads) each.join();
}

// A reader beside the load: pages, a query, a stream that it leaves after its first entries. A thread of its own, a token of its own.
class Visitor {
 public:
  explicit Visitor(HttpRun& run, std::size_t workspaces) : zipf_(workspaces), options_(optionsOf(run)) {
    token_ = run.server().token();
    thread_ = std::thread([this] { visit(); });
  }
  ~Visitor() {
    stop_ = true;
    thread_.join();
  }
  void renew(std::string token) {
    const std::lock_guard lock(mutex_);
    token_ = std::move(token);
  }
  double streams() const { return static_cast<double>(streams_.load()); }
  double errors() const { return static_cast<double>(errors_.load()); }

 private:
  void visit() {
    Dice dice(99);
    for (std::uint64_t round = 0; !stop_; ++round) {
      // A new connection each round, with its handshake.
      HttpClient client(options_);
      {
        const std::lock_guard lock(mutex_);
        client.setToken(token_);
      }
      const std::string workspace = "/v1/workspaces/" + workspaceId(zipf_.draw(dice));
      attempt([&] { client.send(get(workspace + std::string(kPages[round % std::size(kPages)]))); });
      attempt([&] {
        HttpRequest query;
        query.method = "POST";
        query.target = workspace + "/query";
        query.contentType = "application/json";
        query.body = R"({"sql":"SELECT state, count(*) FROM leases GROUP BY state"})";
        client.send(query);
      });
      attempt([&] {
        // The busiest workspace, so that something comes at once.
        HttpRequest stream = get("/v1/workspaces/" + workspaceId(0) + "/stream");
        stream.accept = "text/event-stream";
        std::size_t taken = 0;
        client.stream(stream, [&](std::string_view piece) { return (taken += piece.size()) < kStreamBytes; });
        ++streams_;
      });
      std::this_thread::sleep_for(kVisitPause);
    }
  }

  template <class Work>
  void attempt(const Work& work) {
    try {
      work();
    } catch (const std::exception&) {
      ++errors_;
    }
  }

  Zipf zipf_;
  HttpOptions options_;
  std::mutex mutex_;
  std::string token_;
  std::atomic<std::uint64_t> streams_{0};
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

struct MemorySample {
  double seconds = 0;
  double megabytes = 0;
  double descriptors = 0;
  double leases = 0;  // remembered
};

// How far the least-squares line through values at times rises.
double rise(const std::vector<double>& times, const std::vector<double>& values) {
  const auto count = static_cast<double>(times.size());
  const double meanTime = std::accumulate(times.begin(), times.end(), 0.0) / count;
  const double meanValue = std::accumulate(values.begin(), values.end(), 0.0) / count;
  double together = 0;
  double spread = 0;
  for (std::size_t index = 0; index < times.size(); ++index) {
    together += (times[index] - meanTime) * (values[index] - meanValue);
    spread += (times[index] - meanTime) * (times[index] - meanTime);
  }
  return spread > 0 ? together / spread * (times.back() - times.front()) : 0;
}

void judge(const std::vector<MemorySample>& samples, SoakVerdict& verdict) {
  const std::size_t half = samples.size() / 2;
  std::vector<double> times;
  std::vector<double> memory;
  std::vector<double> besideLeases;
  for (std::size_t index = 0; index < samples.size(); ++index) {
    const MemorySample& sample = samples[index];
    double& most = index < half ? verdict.descriptorsFirst : verdict.descriptorsSecond;
    most = std::max(most, sample.descriptors);
    if (index < half) continue;
    times.push_back(sample.seconds);
    memory.push_back(sample.megabytes);
    besideLeases.push_back(sample.megabytes - sample.leases * kBytesOfRememberedLease / 1e6);
  }
  const double meanMemory = std::accumulate(memory.begin(), memory.end(), 0.0) / static_cast<double>(memory.size());
  verdict.growthMegabytes = rise(times, memory);
  verdict.growthBesideLeases = rise(times, besideLeases);
  verdict.allowedMegabytes = std::max(kGrowthMegabytes, kGrowthPart * meanMemory);
  verdict.flat = verdict.growthMegabytes <= verdict.allowedMegabytes &&
                 verdict.descriptorsSecond <= verdict.descriptorsFirst + kDescriptorsMore && verdict.errors == 0 && verdict.verified;
}

// The clients of the load and what they see, a stretch after the other.
class SteadyLoad {
 public:
  SteadyLoad(HttpRun& run, const BenchOptions& options, double perSecond)
      : perSecond_(perSecond),
        generator_(run.load()),
        clients_(run.mixClients(MixKind::full, kHttpClients, tally, *generator_, kShortLeases, true)),
        probe(Mix(MixKind::full, kHttpClients, options.workspaces, 0, MixLimits{30, 0, 0}), run.token(), 0) {
    generator_->add(probe);
  }
  // The rate for so long; what was late is made up for, and counted as late.
  void go(double seconds) {
    const std::int64_t startAt = Stopwatch::now();
    Plan plan;
    plan.perSecond = perSecond_ / static_cast<double>(kHttpClients);
    plan.endAt = startAt + static_cast<std::int64_t>(seconds * 1e9);
    for (std::size_t client = 0; client < kHttpClients; ++client) {
      plan.startAt = startAt + static_cast<std::int64_t>(static_cast<double>(client) / perSecond_ * 1e9);
      clients_[client]->follow(plan);
    }
    probe.goOnUntil(plan.endAt);
    generator_->run();
  }

  Tally tally;

 private:
  double perSecond_;
  std::unique_ptr<HttpLoad> generator_;
  std::vector<std::unique_ptr<MixClient>> clients_;

 public:
  LagClient probe;
};

}  // namespace

SoakVerdict soak(const BenchOptions& options, const SoakOptions& soakOptions, const std::function<void(const SoakMinute&)>& minute) {
  HttpRun run(options, {kSmallWindow});
  // Views, keys and connections that the load needs are there before the first look.
  run.warmUp(kShortLeases);
  openReaders(run, options.workspaces);
  SteadyLoad load(run, options, soakOptions.perSecond);
  SoakVerdict verdict;
  std::vector<MemorySample> samples;
  const double whole = soakOptions.minutes * 60;
  const double sampleSeconds = std::min(kSampleSeconds, whole / kSamplesLeast);
  const double told = soakOptions.minutes < kShortRunMinutes ? whole / 4 : 60;
  {
    Visitor visitor(run, options.workspaces);
    const Stopwatch watch;
    double seconds = 0;
    double busy = 0;  // seconds of load: between two stretches there is none
    std::uint64_t errors = 0;
    while (watch.seconds() < whole - sampleSeconds / 2) {
      load.go(sampleSeconds);
      busy += sampleSeconds;
      const ProcessUse use = run.server().use();
      samples.push_back({watch.seconds(), static_cast<double>(use.residentBytes) / 1e6, static_cast<double>(use.descriptors),
                         run.server().metric("counterfoil_remembered_leases")});
      if (watch.seconds() - seconds < told - sampleSeconds / 2) continue;
      seconds = watch.seconds();
      errors += load.tally.errors + load.probe.errors;
      verdict.errors = static_cast<double>(errors) + visitor.errors();
      SoakMinute line{seconds / 60,
                      samples.back().megabytes,
                      samples.back().descriptors,
                      static_cast<double>(load.tally.entries) / busy,
                      load.tally.milliseconds.percentile(0.99),
                      load.probe.milliseconds.percentile(0.99),
                      run.server().metric("counterfoil_live_leases"),
                      samples.back().leases,
                      visitor.streams(),
                      verdict.errors};
      verdict.minutes.push_back(line);
      if (minute) minute(line);
      load.tally = {};
      load.probe.milliseconds = {};
      load.probe.errors = 0;
      busy = 0;
      run.renewToken();
      visitor.renew(run.server().token());
      run.server().signal(SIGHUP);
    }
    // Of the part that no line tells, too.
    verdict.errors = static_cast<double>(errors + load.tally.errors + load.probe.errors) + visitor.errors();
  }
  verdict.verified = run.finish();
  judge(samples, verdict);
  return verdict;
}

}  // namespace counterfoil::cmd::bench
