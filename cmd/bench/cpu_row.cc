// What one entry of the full mix costs in processor time, stage by stage, without threads and without a log.
#include <memory>
#include <optional>

#include "cmd/bench/bare_limits.h"
#include "cmd/bench/rows.h"
#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/core/ruling.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/redact/redactor.h"
#include "ledger/write/partition_state.h"
#include "ledger/write/request_binding.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr std::size_t kChunk = 1'000;

struct Stages {
  double parse = 0;
  double redact = 0;
  double decide = 0;  // rule, chain, read back, fold
  double seal = 0;
  std::uint64_t requests = 0;
  std::uint64_t entries = 0;
  std::uint64_t denied = 0;
  std::uint64_t bytes = 0;
};

// The stages of the write side in a row, as Ledger and Sequencer run them, on one thread.
class Line {
 public:
  Line(const BenchOptions& options, const std::filesystem::path& keys)
      : provider_(keys, random_), ring_(provider_, random_), state_(ring_, known_, 1'000'000) {
    for (std::size_t index = 0; index < options.workspaces; ++index) {
      const WorkspaceNumber number{index + 1};
      redactors_.push_back(std::make_unique<redact::Redactor>(*ring_.workspace(number), &known_, random_));
      RedactedEvent created = RedactedEvent::ofLedger(Kind::workspaceCreated, freshId());
      created.body().setText(created.arena(), Field::workspaceId, workspaceId(index));
      created.body().setNumber(Field::number, number.value);
      record(number, std::move(created));
      std::string policy = "{\"document\":";
      appendJsonString(benchPolicy(), policy);
      run({{CommandKind::policySet, index, policy + "}"}});
    }
  }

  // Adds what `requests` cost to stages().
  void run(const std::vector<BenchRequest>& requests) {
    CpuWatch parseWatch(CpuWatch::Of::thread);
    std::vector<ParsedRequest> parsed;
    parsed.reserve(requests.size());
    for (const BenchRequest& request : requests) parsed.push_back(parse(request));
    stages_.parse += parseWatch.seconds();

    CpuWatch redactWatch(CpuWatch::Of::thread);
    std::vector<Ready> ready;
    ready.reserve(requests.size());
    for (std::size_t index = 0; index < requests.size(); ++index) ready.push_back(redact(requests[index], std::move(parsed[index])));
    stages_.redact += redactWatch.seconds();

    CpuWatch decideWatch(CpuWatch::Of::thread);
    for (Ready& each : ready) decide(std::move(each));
    state_.commit(state_.endBatch());
    stages_.decide += decideWatch.seconds();

    CpuWatch sealWatch(CpuWatch::Of::thread);
    for (const Entry& entry : entries_) {
      const auto workspaceKeys = ring_.workspace(entry.workspace());
      const auto logKey = workspaceKeys->logKey(entry.recordedAt());
      std::vector<KeyId> used = entry.redaction().keysUsed;
      used.push_back(logKey->id);
      const auto newKeys = workspaceKeys->carry(used);
      stages_.bytes += keys::sealRecord(entry, *logKey, newKeys, random_.bytes<crypto::kAeadNonceSize>()).size();
    }
    stages_.seal += sealWatch.seconds();
    stages_.requests += requests.size();
    stages_.entries += entries_.size();
    entries_.clear();
  }

  const Stages& stages() const { return stages_; }
  void forget() { stages_ = {}; }

 private:
  struct Ready {
    WorkspaceNumber number;
    std::optional<RedactedCommand> command;
    std::optional<RedactedEvent> event;
    std::string binding;
  };

  EntryId freshId() { return makeUuidV7(clock_.wall(), random_.bytes<10>()); }

  Ready redact(const BenchRequest& request, ParsedRequest parsed) {
    Ready ready;
    ready.number = {request.workspace + 1};
    redact::Redactor& redactor = *redactors_[request.workspace];
    if (parsed.command) {
      parsed.command->id = freshId();
      ready.command.emplace(redactor.redact(std::move(*parsed.command)));
      ready.binding = write::requestBinding(*ready.command, *ring_.workspace(ready.number));
    } else {
      parsed.fact->id = freshId();
      ready.event.emplace(redactor.redact(std::move(*parsed.fact)));
      ready.event->common().setText(ready.event->arena(), Field::source, "api");
    }
    return ready;
  }

  void decide(Ready ready) {
    const WorkspaceState& workspace = state_.workspace(ready.number);
    const Timestamp now = clock_.wall();
    if (!ready.command) {
      record(ready.number, completeFact(workspace, std::move(*ready.event), now));
      return;
    }
    const std::string grantee(ready.command->granteeForPolicy());
    Ruling ruling = rule(workspace, std::move(*ready.command), {now, grantee, ready.binding});
    if (ruling.denied) ++stages_.denied;
    for (RedactedEvent& event : ruling.entries) record(ready.number, std::move(event));
  }

  void record(WorkspaceNumber number, RedactedEvent event) {
    WorkspaceState& workspace = state_.workspace(number);
    ChainHead head = workspace.head();
    Entry entry = chain(std::move(event), number, clock_.wall(), random_.bytes<16>(), head);
    state_.touch(workspace);
    state_.applyEntry(entry, entry.redaction().requestDigest);
    entries_.push_back(std::move(entry));
  }

  SystemClock clock_;
  crypto::SystemRandom random_;
  keys::FileKeyProvider provider_;
  keys::KeyRing ring_;
  write::KnownSecretStore known_;
  write::PartitionState state_;
  std::vector<std::unique_ptr<redact::Redactor>> redactors_;
  std::vector<Entry> entries_;
  Stages stages_;
};

std::vector<BenchRequest> take(Mix& mix, std::size_t count) {
  std::vector<BenchRequest> requests;
  requests.reserve(count);
  for (std::size_t index = 0; index < count; ++index) requests.push_back(mix.next());
  return requests;
}

}  // namespace

std::vector<Result> cpuEntry(const BenchOptions& options) {
  const ScratchFolder keys(options.folder);
  Line line(options, keys.path());
  Mix mix(MixKind::full, 1, options.workspaces, 0);
  for (std::size_t sent = 0; sent < 20 * kChunk + 20 * options.workspaces; sent += kChunk) line.run(take(mix, kChunk));
  line.forget();
  const Stopwatch whole;
  while (whole.seconds() < options.seconds) line.run(take(mix, kChunk));
  const Stages& stages = line.stages();
  const auto entries = static_cast<double>(stages.entries);
  const auto each = [&](double seconds) { return seconds / entries * 1e6; };
  const double sum = each(stages.parse + stages.redact + stages.decide + stages.seal);
  return {{"cpu-entry",
           "processor time of parse + redact + decide and chain + encrypt, full mix, one thread, no log",
           {{"sum", sum, "us an entry"},
            {"parse", each(stages.parse), "us"},
            {"redact", each(stages.redact), "us"},
            {"decide, chain, fold", each(stages.decide), "us"},
            {"encrypt", each(stages.seal), "us"},
            {"denied", 100 * static_cast<double>(stages.denied) / entries, "%"},
            {"record", static_cast<double>(stages.bytes) / entries, "B"}},
           "<= 30 us",
           "20 us",
           {{"SHA-256 of 600 B", 1e6 / sha256PerSecond(600), "us"}, {"AES-256-GCM of 900 B", 1e6 / sealsPerSecond(900), "us"}},
           sum <= 30}};
}

}  // namespace counterfoil::cmd::bench
