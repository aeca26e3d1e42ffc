#include "cmd/node_duty.h"

#include <spdlog/spdlog.h>

#include <atomic>

#include "cmd/log_choice.h"
#include "ledger/log/kafka/kafka_ownership.h"

namespace counterfoil::cmd {

struct NodeDuty::Shared {
  Shared(Session& given, std::function<void()> bringUpToDate) : session(given), refresh(std::move(bringUpToDate)) {}

  // Called some ten times a second while this node is meant to write.
  void attend() {
    try {
      if (!meant) {
        refresh();
        session.ledger().lead(true);
        meant = true;
        spdlog::info("this node is meant to write");
      }
      const write::SequencerStatus status = session.ledger().status();
      if (!status.leading || status.takeOvers == answersFor) return;
      // Another node may have revoked until the moment of the claim.
      refresh();
      answersFor = status.takeOvers;
      spdlog::info("this node is the writer");
    } catch (const Fault& fault) {
      if (!complained) spdlog::error("this node cannot become the writer: {}", fault.what());
      complained = true;
      return;
    }
    complained = false;
  }

  void taken() {
    meant = false;
    session.ledger().lead(false);
    // A look runs between two steps of the sequencer: behind the second one the step that laid down the pen is done.
    for (int look = 0; look < 2; ++look) session.ledger().inspect([](const write::PartitionState&) {});
    spdlog::info("this node follows");
  }

  Session& session;
  const std::function<void()> refresh;
  bool meant = false;  // of the ownership's thread, as is `complained`
  bool complained = false;
  std::atomic<std::uint64_t> answersFor = 0;
  std::unique_ptr<log::KafkaOwnership> ownership;
};

NodeDuty::NodeDuty(Session& session, std::function<void()> refresh) : shared_(std::make_unique<Shared>(session, std::move(refresh))) {
  if (session.kafka() == nullptr) return;
  log::KafkaOwnershipOptions options;
  options.sessionTimeout = std::chrono::milliseconds(session.config().kafkaSessionMilliseconds);
  shared_->ownership = std::make_unique<log::KafkaOwnership>(
      kafkaSettings(session.config()), options, [this](PartitionId) { shared_->attend(); }, [this](PartitionId) { shared_->taken(); });
}

NodeDuty::~NodeDuty() {
  shared_->ownership.reset();
}

NodeDuty::Now NodeDuty::now() const {
  if (shared_->ownership == nullptr) return {true, {}, {}};
  const write::SequencerStatus status = shared_->session.ledger().status();
  return {status.leading && status.takeOvers == shared_->answersFor, status.writerName, status.writerUrl};
}

std::string NodeDuty::fault() const {
  return shared_->ownership == nullptr ? std::string() : shared_->ownership->fault();
}

}  // namespace counterfoil::cmd
