// Many live leases: restart to the first grant, and a storm of simultaneous expiries.
#include <filesystem>
#include <string>

#include "cmd/bench/rows.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr std::uint64_t kStorm = 50'000;
constexpr std::uint64_t kTail = 10'000;
constexpr std::size_t kLeasesOutstanding = 2'000;
constexpr std::int64_t kStormTtlSeconds = 3'600;

// A lease that is issued in the same commit, so that it lives until its time.
BenchRequest issuedLease(Dice& dice, std::size_t workspaces, std::uint64_t number, std::int64_t ttlSeconds) {
  BenchRequest request;
  request.command = CommandKind::leaseRequest;
  request.workspace = dice.below(workspaces);
  const std::string agent = dice.below(2) == 0 ? "fixer" : "reviewer";
  request.json = "{\"leaseId\":\"live-" + std::to_string(number) +
                 "\",\"credential\":\"git_token\",\"grantee\":{\"kind\":\"agent\",\"id\":\"" + agent +
                 "\"},\"scope\":[\"contents:read\"],\"resources\":[\"github.com/acme/shop\"],\"ttlSeconds\":" + std::to_string(ttlSeconds) +
                 ",\"run\":\"run-" + std::to_string(number / 4) + "\",\"host\":\"host-" + std::to_string(dice.below(8)) +
                 "\",\"secret\":{\"value\":\"ghs_" + dice.letters(36) + "\"},\"actor\":{\"kind\":\"service\",\"id\":\"broker\"}}";
  return request;
}

std::uint64_t liveLeases(Scratch& scratch) {
  std::uint64_t live = 0;
  scratch.ledger().inspect(kSystemWorkspace, [&](const write::PartitionState& state) {
    for (const WorkspaceNumber number : state.workspaces()) live += state.findWorkspace(number)->liveLeases();
  });
  return live;
}

Result storm(Scratch& scratch, Dice& dice, const BenchOptions& options) {
  std::uint64_t number = 0;
  scratch.fill([&] { return issuedLease(dice, options.workspaces, 1'000'000'000 + number++, kStormTtlSeconds); }, kStorm,
               kLeasesOutstanding);
  const std::uint64_t before = liveLeases(scratch);
  // All of them fall due at once: the time passes for the wall clock and the monotonic one alike.
  scratch.clock().pass((kStormTtlSeconds + 1) * kNanosecondsPerSecond);
  const Stopwatch watch;
  const CpuWatch cpu(CpuWatch::Of::process);
  // Whatever comes now is recorded behind what is due; its answer tells that the batch before it is durable.
  scratch.ledger().drain();
  std::uint64_t ended = before - liveLeases(scratch);
  while (ended < kStorm && watch.seconds() < 120) {
    scratch.ledger().drain();
    ended = before - liveLeases(scratch);
  }
  const double seconds = watch.seconds();
  if (ended != kStorm) throw Fault(ErrorCode::internal, "not every due lease ended");
  return {"expiry-storm",
          "50 k simultaneous expiries, from due to the last entry durable",
          {{"time", seconds, "s"},
           {"rate", static_cast<double>(kStorm) / seconds, "/s"},
           {"cpu", cpu.seconds() / static_cast<double>(kStorm) * 1e6, "us an expiry"},
           {"other live leases", static_cast<double>(before - kStorm), ""}},
          "< 2 s",
          "< 1 s",
          {},
          seconds < 2};
}

}  // namespace

std::vector<Result> leases(const BenchOptions& options) {
  Scratch scratch(options.folder, options.workspaces);
  Dice dice(7);
  std::uint64_t number = 0;
  const Stopwatch filling;
  scratch.fill([&] { return issuedLease(dice, options.workspaces, number++, 86'400); }, options.leases, kLeasesOutstanding);
  if (options.note) options.note("leases: " + std::to_string(options.leases) + " made in " + std::to_string(filling.seconds()) + " s");
  // A snapshot, and behind it a tail that only the log has: the one written at the next stop is put aside.
  scratch.close();
  const std::filesystem::path kept = scratch.folder() / "snapshot.kept";
  std::filesystem::copy_file(scratch.snapshot(), kept);
  scratch.reopen();
  scratch.fill([&] { return issuedLease(dice, options.workspaces, number++, 86'400); }, kTail, kLeasesOutstanding);
  scratch.close();
  const double snapshotBytes = static_cast<double>(std::filesystem::file_size(kept));
  std::filesystem::rename(kept, scratch.snapshot());
  trimMemory();
  const double before = static_cast<double>(residentBytes());
  const Stopwatch watch;
  const CpuWatch cpu(CpuWatch::Of::process);
  scratch.reopen();
  const double started = watch.seconds();
  scratch.ask(issuedLease(dice, options.workspaces, number++, 86'400));
  const double seconds = watch.seconds();
  const double cpuSeconds = cpu.seconds();
  const double memory = static_cast<double>(residentBytes()) - before;
  const auto count = static_cast<double>(options.leases);
  if (liveLeases(scratch) < options.leases) throw Fault(ErrorCode::internal, "leases were lost by the restart");
  std::vector<Result> results;
  results.push_back({"restart",
                     std::to_string(options.leases) + " live leases: restart to first grant, snapshot and a tail of " +
                         std::to_string(kTail) + " requests, files in the page cache",
                     {{"time", seconds, "s"},
                      {"of it before the first request", started, "s"},
                      {"cpu", cpuSeconds, "s"},
                      {"memory", memory / 1e6, "MB"},
                      {"memory a lease", memory / count, "B"},
                      {"snapshot", snapshotBytes / 1e6, "MB"}},
                     "2 M leases in < 5 s",
                     "5 M leases in < 2 s",
                     {},
                     options.leases >= 2'000'000 ? std::optional<bool>(seconds < 5) : std::nullopt});
  results.push_back(storm(scratch, dice, options));
  return results;
}

}  // namespace counterfoil::cmd::bench
