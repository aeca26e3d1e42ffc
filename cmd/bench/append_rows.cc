// Rows that write: one after another, 64 clients, batches.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include "cmd/bench/bare_limits.h"
#include "cmd/bench/rows.h"
#include "ledger/core/outcome.h"
#include "ledger/keys/record_cipher.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr std::size_t kClients = 64;
constexpr std::size_t kBatch = 100;
constexpr std::uint64_t kWarmUp = 2'000;

// Keys of persons and workspaces are made once; what is measured is the ledger that has met them.
void warmUp(Scratch& scratch, MixKind kind, const BenchOptions& options) {
  Mix mix(kind, 1'000, options.workspaces, kBatch);
  scratch.fill(mix, kWarmUp + 20 * options.workspaces, kBatch);
}

double baselineSeconds(const BenchOptions& options) {
  return std::min(3.0, options.seconds);
}

}  // namespace

LogSizes sizesOf(Scratch& scratch) {
  LogSizes sizes;
  const auto reader = scratch.log().read(PartitionId{0}, log::FoldState{});
  log::ValidRecord record;
  keys::OpenedRecord opened;
  double count = 0;
  while (reader->next(record)) {
    if (record.kind != log::RecordKind::entry || record.workspace == kSystemWorkspace || record.seq.value < 2) continue;
    if (keys::openRecord(*scratch.ring().workspace(record.workspace), record.seq, record.leaf, record.value, opened) !=
        keys::OpenOutcome::opened) {
      throw Fault(ErrorCode::logDamaged, "a record of the scratch ledger does not open");
    }
    ++count;
    sizes.entryBytes += static_cast<double>(opened.entry.size());
    sizes.recordBytes += static_cast<double>(record.value.size());
    sizes.personalValues += static_cast<double>(opened.disclosures.size());
  }
  if (count == 0) return sizes;
  return {sizes.entryBytes / count, sizes.recordBytes / count, sizes.personalValues / count};
}

std::vector<Result> appendOne(const BenchOptions& options) {
  Scratch scratch(options.folder, options.workspaces);
  warmUp(scratch, MixKind::full, options);
  Mix mix(MixKind::full, 1, options.workspaces, 0);
  Samples samples;
  const Stopwatch whole;
  while (whole.seconds() < options.seconds) {
    const BenchRequest request = mix.next();
    const Stopwatch one;
    scratch.ask(request);
    samples.add(one.microseconds());
  }
  const LogSizes sizes = sizesOf(scratch);
  const CommitLimit bare = sqliteCommits(options.folder, static_cast<std::size_t>(sizes.recordBytes), 1, baselineSeconds(options));
  const double ratio = samples.percentile(0.5) / bare.p50Microseconds;
  return {{"append-one",
           "durable append, one after another, full mix, in process",
           {{"p50", samples.percentile(0.5), "us"},
            {"p99", samples.percentile(0.99), "us"},
            {"ratio", ratio, "x"},
            {"entry", sizes.entryBytes, "B"},
            {"personal values", sizes.personalValues, "an entry"}},
           "p50 <= 2x bare commit",
           "1.3x",
           {{"SQLite FULL commit p50", bare.p50Microseconds, "us"}, {"p99", bare.p99Microseconds, "us"}},
           ratio <= 2}};
}

std::vector<Result> append64(const BenchOptions& options) {
  Scratch scratch(options.folder, options.workspaces);
  warmUp(scratch, MixKind::full, options);
  std::vector<Samples> samples(kClients);
  std::vector<std::optional<Fault>> faults(kClients);
  std::atomic<bool> stop{false};
  const Stopwatch whole;
  const CpuWatch cpu(CpuWatch::Of::process);
  std::vector<std::thread> clients;
  for (std::size_t client = 0; client < kClients; ++client) {
    clients.emplace_back([&, client] {
      Mix mix(MixKind::full, client, options.workspaces, 0);
      try {
        while (!stop) {
          const BenchRequest request = mix.next();
          const Stopwatch one;
          scratch.ask(request);
          samples[client].add(one.microseconds() * 1e-3);
        }
      } catch (const Fault& fault) {
        faults[client] = fault;
        stop = true;
      }
    });
  }
  while (whole.seconds() < options.seconds && !stop) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  stop = true;
  for (std::thread& client : clients) client.join();
  const double seconds = whole.seconds();
  const double cpuSeconds = cpu.seconds();
  Samples all;
  for (std::size_t client = 0; client < kClients; ++client) {
    if (faults[client]) throw Fault(*faults[client]);
    all.add(samples[client]);
  }
  const LogSizes sizes = sizesOf(scratch);
  const CommitLimit bare = sqliteCommits(options.folder, static_cast<std::size_t>(sizes.recordBytes), kClients, baselineSeconds(options));
  const auto count = static_cast<double>(all.size());
  const double rate = count / seconds;
  return {{"append-64",
           "durable append, 64 clients, one entry a request, full mix, in process",
           {{"rate", rate, "/s"},
            {"p50", all.percentile(0.5), "ms"},
            {"p99", all.percentile(0.99), "ms"},
            {"p99.9", all.percentile(0.999), "ms"},
            {"cpu", cpuSeconds / count * 1e6, "us an entry, clients included"},
            {"of bare", 100 * rate / bare.rowsPerSecond, "%"}},
           ">= 15 k/s, p99 <= 10 ms",
           "25 k/s, 6 ms",
           {{"SQLite FULL, 64 a commit", bare.rowsPerSecond, "rows/s"}},
           rate >= 15'000 && all.percentile(0.99) <= 10}};
}

namespace {

Result batchOf(const BenchOptions& options, MixKind kind) {
  Scratch scratch(options.folder, options.workspaces);
  warmUp(scratch, kind, options);
  // Two streams of batches, so that one is prepared while the other is committed.
  std::atomic<std::uint64_t> sent{0};
  std::vector<std::optional<Fault>> faults(2);
  const Stopwatch whole;
  const CpuWatch cpu(CpuWatch::Of::process);
  std::vector<std::thread> streams;
  for (std::size_t stream = 0; stream < faults.size(); ++stream) {
    streams.emplace_back([&, stream] {
      Mix mix(kind, stream, options.workspaces, 2 * kBatch);
      try {
        while (whole.seconds() < options.seconds) {
          scratch.fill(mix, 10 * kBatch, kBatch);
          sent += 10 * kBatch;
        }
      } catch (const Fault& fault) {
        faults[stream] = fault;
      }
    });
  }
  for (std::thread& stream : streams) stream.join();
  const double seconds = whole.seconds();
  const double cpuSeconds = cpu.seconds();
  for (const auto& fault : faults) {
    if (fault) throw Fault(*fault);
  }
  const LogSizes sizes = sizesOf(scratch);
  const CommitLimit bare = sqliteCommits(options.folder, static_cast<std::size_t>(sizes.recordBytes), kBatch, baselineSeconds(options));
  const auto count = static_cast<double>(sent);
  const bool full = kind == MixKind::full;
  return {full ? "append-batch-full" : "append-batch-bare",
          std::string("batches of 100 outstanding, two streams, ") + (full ? "full" : "bare") + " mix, in process",
          {{"rate", count / seconds, "/s"},
           {"cpu", cpuSeconds / count * 1e6, "us an entry, clients included"},
           {"entry", sizes.entryBytes, "B"},
           {"of bare", 100 * count / seconds / bare.rowsPerSecond, "%"}},
          full ? ">= 30 k/s" : ">= 60 k/s",
          full ? "60 k/s" : "120 k/s",
          {{"SQLite FULL, 100 a commit", bare.rowsPerSecond, "rows/s"}},
          count / seconds >= (full ? 30'000 : 60'000)};
}

}  // namespace

std::vector<Result> appendBatch(const BenchOptions& options) {
  return {batchOf(options, MixKind::bare), batchOf(options, MixKind::full)};
}

}  // namespace counterfoil::cmd::bench
