// The sequencer of a node that is not the writer: it applies what others write, so that taking over is a claim and a short read.
#include <utility>

#include "ledger/write/sequencer.h"

namespace counterfoil::write {
namespace {

constexpr std::uint64_t kRecordsARound = 5'000;
constexpr std::uint64_t kTellReadEvery = 1'000;
constexpr std::uint64_t kSettleEvery = 50'000;  // records; copies every head

}  // namespace

void Sequencer::startFollowing() {
  meant_ = false;
  readOn(nullptr, UINT64_MAX);
  state_.requireWhole();
  settleFollowing();
  const std::lock_guard lock(mutex_);
  status_.ready = true;
}

void Sequencer::lead(bool meant) {
  if (meant_.exchange(meant) == meant) return;
  {
    const std::lock_guard lock(mutex_);
    retryAt_ = 0;
  }
  wake();
}

void Sequencer::stepDown() {
  writer_.reset();  // waits for what is in flight
  handleResults();
  {
    const std::lock_guard lock(mutex_);
    status_.leading = false;
  }
  failAll(Fault(ErrorCode::notReady, "another node is the writer now", "ask again with the same id"));
}

void Sequencer::follow() {
  {
    const std::lock_guard lock(mutex_);
    if (status_.fatal || clock_.monotonicNanoseconds() < retryAt_) return;
  }
  try {
    if (readOn(nullptr, kRecordsARound)) state_.requireWhole();
    const std::lock_guard lock(mutex_);
    status_.fault.reset();
    status_.ready = true;
  } catch (const Fault& fault) {
    settleFollowing();
    reader_.reset();
    fail(fault);
  }
  // Requests that came while this node was about to be the writer.
  if (!intake_.empty()) {
    failAll(Fault(ErrorCode::notReady, "this node does not write at the moment",
                  "ask again with the same id: a node that was just started, or takes over, writes some seconds later"));
  }
}

bool Sequencer::readOn(std::vector<EntryId>* landed, std::uint64_t recordsMax) {
  if (reader_ == nullptr) reader_ = log_.read(partition_, state_.durable());
  std::unordered_set<WorkspaceNumber, WorkspaceNumberHash> read;
  const auto apply = [&](const log::ValidRecord& record) {
    applyRead(record, landed);
    if (record.kind == log::RecordKind::entry) read.insert(record.workspace);
  };
  std::uint64_t count = 0;
  bool ended = false;
  try {
    if (unapplied_) apply(*unapplied_);
    unapplied_.reset();
    log::ValidRecord record;
    while (count < recordsMax) {
      ended = !reader_->next(record);
      if (ended) break;
      ++count;
      unapplied_ = std::move(record);
      record = {};
      apply(*unapplied_);
      unapplied_.reset();
    }
  } catch (const Fault&) {
    adopt({read.begin(), read.end()});
    throw;
  }
  if (!read.empty()) adopt({read.begin(), read.end()});
  tellRead(reader_->state());
  sinceSettled_ += count;
  if (sinceSettled_ >= kSettleEvery) settleFollowing();
  if (ended) learner_.reset();
  return ended;
}

void Sequencer::tellRead(const log::FoldState& state) {
  const std::lock_guard lock(mutex_);
  status_.recordsRead = state.next.value;
  status_.recordsVoid = state.voids;
}

void Sequencer::applyRead(const log::ValidRecord& record, std::vector<EntryId>* landed) {
  if (const auto claimant = log::claimantOf(record)) {
    wrote_ = wrote_ && record.incarnation == log_.incarnation();
    const std::lock_guard lock(mutex_);
    status_.writerName = claimant->node;
    status_.writerUrl = claimant->url;
  }
  if (progress_ && ++readForProgress_ % kTellReadEvery == 0) progress_(readForProgress_);
  const auto id = state_.applyRecord(record);
  if (landed != nullptr && id) landed->push_back(*id);
}

void Sequencer::settleFollowing() {
  if (reader_ != nullptr) state_.durable() = reader_->state();
  sinceSettled_ = 0;
}

}  // namespace counterfoil::write
