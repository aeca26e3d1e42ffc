#include "cmd/node_duty.h"

#include <spdlog/spdlog.h>

#include <atomic>

#include "cmd/log_choice.h"
#include "ledger/log/kafka/kafka_ownership.h"

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
        // Another node may have revoked until the moment of the claim.
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

  // What another node revokes is in `_system`, whatever partition this one writes.
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
  std::unique_ptr<log::KafkaOwnership> ownership;
};

NodeDuty::NodeDuty(Session& session, std::function<void()> refresh) : shared_(std::make_unique<Shared>(session, std::move(refresh))) {
  if (session.kafka() == nullptr) return;
  log::KafkaOwnershipOptions options;
  options.sessionTimeout = std::chrono::milliseconds(session.config().kafkaSessionMilliseconds);
  shared_->ownership = std::make_unique<log::KafkaOwnership>(
      kafkaSettings(session.config()), options, [this](PartitionId partition) { shared_->attend(partition); },
      [this](PartitionId partition) { shared_->taken(partition); });
}

NodeDuty::~NodeDuty() {
  shared_->ownership.reset();
}

NodeDuty::Now NodeDuty::now(PartitionId partition) const {
  if (shared_->ownership == nullptr) return {true, {}, {}};
  const write::SequencerStatus status = shared_->session.ledger().status(partition);
  return {status.leading && status.takeOvers == shared_->parts[partition.value].answersFor, status.writerName, status.writerUrl};
}

std::size_t NodeDuty::written() const {
  std::size_t count = 0;
  for (std::uint64_t index = 0; index < shared_->parts.size(); ++index) count += now(PartitionId{index}).writer ? 1 : 0;
  return count;
}

std::string NodeDuty::fault() const {
  return shared_->ownership == nullptr ? std::string() : shared_->ownership->fault();
}

}  // namespace counterfoil::cmd
