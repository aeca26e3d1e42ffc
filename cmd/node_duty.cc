#include "cmd/node_duty.h"

#include <spdlog/spdlog.h>

#include <atomic>

#include "cmd/log_choice.h"
#include "ledger/log/kafka/kafka_ownership.h"
#include "ledger/log/kafka/kafka_watch.h"

namespace counterfoil::cmd {

struct NodeDuty::Shared {
  Shared(Session& given, std::function<void()> bringUpToDate)
      : session(given),
        refresh(std::move(bringUpToDate)),
        system(given.ledger().home(kSystemWorkspace)),
        parts(given.ledger().partitions()) {}

  struct Part {
    bool meant = false;  // of the ownership's thread, as is `complained`
    bool complained = false;
    std::atomic<std::uint64_t> answersFor = 0;  // the take-over this node answers for as the writer
  };

  // Called some ten times a second for each partition this node is meant to write.
  void attend(PartitionId partition) {
    Part& part = parts[partition.value];
    try {
      if (!part.meant) {
        refreshNow();
        session.ledger().lead(partition, true);
        part.meant = true;
        spdlog::info("this node is meant to write partition {}", partition.value);
      }
      const write::SequencerStatus status = session.ledger().status(partition);
      if (status.leading && status.takeOvers != part.answersFor) {
        // Another node may have rotated its keys until the moment of the claim. What it revoked was read with the log (SystemFeed).
        refreshNow();
        part.answersFor = status.takeOvers;
        spdlog::info("this node is the writer of partition {}", partition.value);
      }
      follow();
    } catch (const Fault& fault) {
      if (!part.complained) spdlog::error("this node cannot write partition {}: {}", partition.value, fault.what());
      part.complained = true;
      return;
    }
    part.complained = false;
  }

  void taken(PartitionId partition) {
    parts[partition.value].meant = false;
    session.ledger().lead(partition, false);
    // A look runs between two steps of the sequencer: behind the second one the step that laid down the pen is done.
    for (int look = 0; look < 2; ++look) session.ledger().inspect(partition, [](const write::PartitionState&) {});
    spdlog::info("this node follows partition {}", partition.value);
  }

  // What another node rotates is in `_system`, whatever partition this one writes.
  void follow() {
    if (session.clock().monotonicNanoseconds() < lookAgainAt || session.ledger().status(system).leading) return;
    if (systemSize() != refreshedAt) refreshNow();
    lookAgainAt = session.clock().monotonicNanoseconds() + kNanosecondsPerSecond;
  }

  void refreshNow() {
    const std::uint64_t size = systemSize();
    refresh();
    refreshedAt = size;
  }

  std::uint64_t systemSize() {
    std::uint64_t size = 0;
    session.ledger().inspect(system, [&](const write::PartitionState& state) {
      if (const WorkspaceState* found = state.findWorkspace(kSystemWorkspace)) size = found->head().size();
    });
    return size;
  }

  Session& session;
  const std::function<void()> refresh;
  const PartitionId system;
  std::vector<Part> parts;
  std::uint64_t refreshedAt = UINT64_MAX;  // entries of `_system`; of the ownership's thread, as is `lookAgainAt`
  std::int64_t lookAgainAt = 0;            // monotonic
  std::unique_ptr<log::KafkaWatch> watch;
  std::unique_ptr<log::KafkaOwnership> ownership;
};

NodeDuty::NodeDuty(Session& session, std::function<void(double)> acknowledged, std::function<void()> refresh)
    : shared_(std::make_unique<Shared>(session, std::move(refresh))) {
  if (session.kafka() == nullptr) return;
  log::KafkaWatchOptions watching;
  watching.acknowledged = std::move(acknowledged);
  watching.broken = [&session](const Fault& fault) {
    spdlog::critical("the ledger stands still: {}; {}", fault.what(), fault.hint());
    // What it reads next tells it why.
    for (std::uint64_t index = 0; index < session.ledger().partitions(); ++index) session.ledger().lead(PartitionId{index}, false);
  };
  shared_->watch = std::make_unique<log::KafkaWatch>(*session.kafka(), session.clock(), std::move(watching));
  log::KafkaOwnershipOptions options;
  options.clock = &session.clock();
  options.sessionTimeout = std::chrono::milliseconds(session.config().kafkaSessionMilliseconds);
  shared_->ownership = std::make_unique<log::KafkaOwnership>(
      kafkaSettings(session.config()), options, [this](PartitionId partition) { shared_->attend(partition); },
      [this](PartitionId partition) { shared_->taken(partition); });
}

NodeDuty::~NodeDuty() {
  shared_->watch.reset();
  shared_->ownership.reset();
}

NodeDuty::Now NodeDuty::now(PartitionId partition) const {
  // Of a log that is not the one it was, this node tells its callers so itself: no other one can do more.
  if (shared_->ownership == nullptr || logBroken()) return {true, {}, {}};
  const write::SequencerStatus status = shared_->session.ledger().status(partition);
  return {status.leading && status.takeOvers == shared_->parts[partition.value].answersFor, status.writerName, status.writerUrl};
}

std::size_t NodeDuty::written() const {
  std::size_t count = 0;
  if (logBroken()) return count;
  for (std::uint64_t index = 0; index < shared_->parts.size(); ++index) count += now(PartitionId{index}).writer ? 1 : 0;
  return count;
}

std::optional<Fault> NodeDuty::logBroken() const {
  return shared_->watch == nullptr ? std::nullopt : shared_->watch->broken();
}

std::optional<Fault> NodeDuty::logTrouble() const {
  if (shared_->watch == nullptr) return std::nullopt;
  if (auto trouble = shared_->watch->trouble()) return trouble;
  if (shared_->ownership == nullptr) return std::nullopt;
  // A rebalance may take as long as a node that fell silent is waited for.
  const auto bound = std::chrono::milliseconds(shared_->session.config().kafkaSessionMilliseconds) + std::chrono::seconds(5);
  const std::chrono::nanoseconds outside = shared_->ownership->outsideFor();
  if (outside <= bound) return std::nullopt;
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(outside).count();
  return Fault(
      ErrorCode::logUnavailable,
      "Kafka has not let this node into the group of its writers for " + std::to_string(seconds) + " s: " + shared_->ownership->fault(),
      "the brokers that coordinate the group do not answer, or the ACLs do not let this node in; `counterfoil doctor`");
}

std::string NodeDuty::fault() const {
  return shared_->ownership == nullptr ? std::string() : shared_->ownership->fault();
}

}  // namespace counterfoil::cmd
