#include "ledger/write/sequencer.h"

#include <algorithm>
#include <chrono>
#include <unordered_set>

#include "ledger/core/check.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/ruling.h"

namespace counterfoil::write {
namespace {

constexpr std::int64_t kRetryAfter = kNanosecondsPerSecond;

bool isFatal(ErrorCode code) {
  return code == ErrorCode::logDamaged || code == ErrorCode::logTruncated || code == ErrorCode::keyDamaged;
}

[[noreturn]] void passedOver() {
  throw Fault(ErrorCode::dataInUse, "another node became the writer", "this node follows it");
}

Fault indeterminate() {
  return Fault(ErrorCode::indeterminate, "the log did not say whether the entry was recorded",
               "ask again with the same id: the answer will be that of the first request if it was");
}

}  // namespace

Sequencer::Sequencer(log::EventLog& eventLog, PartitionId partition, PartitionState& state, keys::KeyRing& ring, const Clock& clock,
                     crypto::RandomSource& random, const SequencerOptions& options)
    : log_(eventLog),
      partition_(partition),
      state_(state),
      ring_(ring),
      clock_(clock),
      random_(random),
      options_(options),
      intake_(options.intakeBytesMax) {
  state_.tellOfSystem(options_.systemFeed);
  state_.noteErasedIn(options_.erased);
  state_.onKeysMissing([this] { learnKeys(); });
  intake_.onPush([this](std::size_t queued) {
    if (!ahead_ || queued >= options_.requestsWorthABatch) wake();
  });
}

Sequencer::~Sequencer() {
  meant_ = false;
  writer_.reset();  // waits for what is in flight
  handleResults();
  settleFollowing();
  failAll(Fault(ErrorCode::notReady, "the ledger is stopping", "ask again with the same id"));
}

void Sequencer::submit(Request request) {
  std::optional<Fault> refusal;
  {
    const std::lock_guard lock(mutex_);
    refusal = status_.fault;
  }
  if (refusal) {
    request.done(nullptr, &*refusal);
    return;
  }
  if (!intake_.push(request, clock_.wall())) {
    const Fault fault(ErrorCode::intakeFull, "too much is waiting to be recorded", "ask again with the same id after a short pause");
    request.done(nullptr, &fault);
  }
}

void Sequencer::start() {
  takeOver(nullptr);
  startClock();
  const std::lock_guard lock(mutex_);
  status_.ready = true;
}

void Sequencer::startClock() {
  Timestamp last = state_.lastRecordedAt();
  // A partition may have been idle for days while the ledger as a whole was not.
  if (last.nanoseconds != 0 && options_.recordedElsewhere) last = std::max(last, options_.recordedElsewhere());
  ledgerClock_.emplace(clock_, last, options_.clockAccepted);
  // Before the first request: its id is made by this time.
  if (const auto now = ledgerClock_->now()) tellClock(*now);
}

void Sequencer::tellClock(Timestamp now) {
  const std::lock_guard lock(mutex_);
  status_.clockPaused = ledgerClock_->paused();
  lastTime_ = status_.clockPaused ? now : Timestamp{};
}

void Sequencer::takeOver(std::vector<EntryId>* landed) {
  writer_.reset();
  handleResults();
  const bool wrote = wrote_;
  // Whether content may be missing is known at the end only, and nothing is written before.
  readOn(landed, UINT64_MAX);
  settleFollowing();
  reader_.reset();
  if (wrote && !wrote_) passedOver();
  state_.requireWhole();
  std::unordered_set<WorkspaceNumber, WorkspaceNumberHash> read;
  writer_ = log_.takeOver(partition_, state_.durable(), [&](log::ValidRecord& record) {
    applyRead(record, landed);
    if (record.kind == log::RecordKind::entry) read.insert(record.workspace);
    // Who was writing and finds another's claim was passed over, for a reason the others know. It looks before it claims again.
    if (record.kind == log::RecordKind::claim && wrote && !wrote_) {
      adopt({read.begin(), read.end()});
      passedOver();
    }
  });
  wrote_ = true;
  learner_.reset();
  // What had begun may have been undone.
  for (const auto& [number, workspace] : allocatedElsewhere_) notBegun_.insert(number);
  adopt(state_.workspaces());
  tellRead(state_.durable());
  const std::lock_guard lock(mutex_);
  status_.leading = true;
  if (!wrote) ++status_.takeOvers;
}

void Sequencer::adopt(const std::vector<WorkspaceNumber>& workspaces) {
  for (const WorkspaceNumber number : workspaces) {
    WorkspaceState& workspace = state_.workspace(number);
    workspace.commitTo(workspace.mark());
    attention_.insert(number);
  }
  state_.window().commitTo(state_.window().mark());
  unfinished_ = true;
  count(workspaces);
  if (created_ && holdsSystem()) tellAllocated();
}

void Sequencer::tellAllocated() {
  if (known_.size() == state_.workspace(kSystemWorkspace).allocated().size()) return;
  for (const auto& [id, allocation] : state_.workspace(kSystemWorkspace).allocated()) {
    const WorkspaceNumber number{allocation.number};
    if (known_.contains(number)) continue;
    if (log_.partitionOf(number).value != allocation.partition) {
      throw Fault(ErrorCode::logDamaged,
                  "workspace number " + std::to_string(number.value) + " lies in partition " + std::to_string(allocation.partition) +
                      " of the log, where this version does not look for it",
                  "run the version that moved it; nothing was written");
    }
    const WorkspaceState* workspace = state_.findWorkspace(number);
    if (isHere(number) && (workspace == nullptr || workspace->head().size() == 0)) continue;
    known_.insert(number);
    created_({id, number, allocation.region});
  }
}

void Sequencer::expect(const NewWorkspace& workspace) {
  {
    const std::lock_guard lock(mutex_);
    expected_.push_back(workspace);
    woken_ = true;
  }
  work_.notify_one();
}

void Sequencer::takeExpected() {
  const std::lock_guard lock(mutex_);
  for (NewWorkspace& workspace : expected_) {
    const WorkspaceNumber number = workspace.number;
    if (allocatedElsewhere_.try_emplace(number, std::move(workspace)).second) notBegun_.insert(number);
    unfinished_ = true;
  }
  expected_.clear();
}

bool Sequencer::step() {
  handleResults();
  if (!meant_) {
    if (writer_) stepDown();
    follow();
    return false;
  }
  if (!writer_) {
    tryAgain();
    if (!writer_) return false;
  }
  if (ahead()) return false;
  const auto now = ledgerClock_->now();
  if (!now) {
    for (Request& request : intake_.take(options_.batchRequestsMax, options_.batchBytesMax)) {
      const Fault fault(ErrorCode::clockBehind, "the clock is more than 5 seconds behind the last entry",
                        "correct the clock, then ask again with the same id");
      request.done(nullptr, &fault);
    }
    return false;
  }
  buildBatch(*now);
  return !intake_.empty();
}

bool Sequencer::enoughInFlight() const {
  return writer_ && outstanding_ >= std::min(options_.batchesAhead, writer_->depth());
}

bool Sequencer::ahead() {
  // Set before the queue is looked at: who pushes after that look sees it, who pushed before is counted.
  ahead_ = enoughInFlight();
  return ahead_ && (outstanding_ >= writer_->depth() || intake_.queued() < options_.requestsWorthABatch);
}

bool Sequencer::idle() {
  handleResults();
  return outstanding_ == 0 && intake_.empty() && untilDue(1) > 0;
}

std::int64_t Sequencer::untilDue(std::int64_t most) {
  if (!writer_ || !ledgerClock_) return std::min(most, kRetryAfter);
  if (enoughInFlight()) return most;  // a result will come
  if (keysLacking_) return most;      // what is due cannot be recorded before the keys are there: look again then
  for (const WorkspaceNumber number : attention_) {
    // While the clock is paused only owed ends go on; the rest of the list waits for it.
    if (!ledgerClock_->paused() || state_.workspace(number).hasOwed()) return 0;
  }
  if (ledgerClock_->paused()) return most;
  while (!state_.timers().empty()) {
    const Timer& timer = state_.timers().next();
    const WorkspaceState* workspace = state_.findWorkspace(timer.workspace);
    if (workspace == nullptr || !workspace->timerCounts(timer.slot, timer.stamp)) {
      state_.timers().pop();
      continue;
    }
    const auto now = ledgerClock_->now();
    if (!now) return most;
    return std::clamp<std::int64_t>(timer.time.nanoseconds - now->nanoseconds, 0, most);
  }
  return most;
}

void Sequencer::waitForWork(std::int64_t nanoseconds) {
  std::unique_lock lock(mutex_);
  work_.wait_for(lock, std::chrono::nanoseconds(nanoseconds), [&] { return woken_ || !results_.empty(); });
  woken_ = false;
}

void Sequencer::wake() {
  {
    const std::lock_guard lock(mutex_);
    woken_ = true;
  }
  work_.notify_one();
}

void Sequencer::acceptClock() {
  if (ledgerClock_) ledgerClock_->accept();
}

void Sequencer::count(const std::vector<WorkspaceNumber>& workspaces) {
  std::int64_t live = 0;
  std::int64_t remembered = 0;
  std::int64_t owed = 0;
  std::int64_t renewals = 0;
  for (const WorkspaceNumber number : workspaces) {
    const WorkspaceState* workspace = state_.findWorkspace(number);
    const LeaseCounts now = workspace == nullptr ? LeaseCounts{}
                                                 : LeaseCounts{workspace->liveLeases(), workspace->rememberedLeases(),
                                                               workspace->owedLeases(),
                                                               workspace->owesKeyRenewal() || !workspace->erasing().empty()};
    LeaseCounts& before = counted_[number];
    live += static_cast<std::int64_t>(now.live) - static_cast<std::int64_t>(before.live);
    remembered += static_cast<std::int64_t>(now.remembered) - static_cast<std::int64_t>(before.remembered);
    owed += static_cast<std::int64_t>(now.owed) - static_cast<std::int64_t>(before.owed);
    renewals += static_cast<std::int64_t>(now.renewal) - static_cast<std::int64_t>(before.renewal);
    before = now;
  }
  if (live == 0 && remembered == 0 && owed == 0 && renewals == 0) return;
  const std::lock_guard lock(mutex_);
  status_.liveLeases += static_cast<std::uint64_t>(live);
  status_.rememberedLeases += static_cast<std::uint64_t>(remembered);
  status_.owedTerminals += static_cast<std::uint64_t>(owed);
  status_.owedRenewals += static_cast<std::uint64_t>(renewals);
}

SequencerStatus Sequencer::status() const {
  const std::lock_guard lock(mutex_);
  return status_;
}

Timestamp Sequencer::approximateTime() const {
  const std::lock_guard lock(mutex_);
  return lastTime_.nanoseconds == 0 ? clock_.wall() : lastTime_;
}

// ---- results ----

void Sequencer::handleResults() {
  takeResults();
  if (!ahead_ || enoughInFlight()) return;
  ahead_ = false;
  // Requests that did not wake the thread meanwhile are waiting, whoever called this.
  const std::lock_guard lock(mutex_);
  woken_ = true;
}

void Sequencer::takeResults() {
  for (;;) {
    std::vector<Result> results;
    {
      const std::lock_guard lock(mutex_);
      results.swap(results_);
    }
    if (results.empty()) return;
    std::vector<std::unique_ptr<Batch>> failed;
    std::optional<log::AppendResult> why;
    for (Result& result : results) {
      --outstanding_;
      if (result.outcome.outcome == log::AppendOutcome::appended && !why) {
        settle(*result.batch);
        continue;
      }
      if (!why) why = result.outcome;
      failed.push_back(std::move(result.batch));
    }
    if (why) recover(std::move(failed), *why);
  }
}

void Sequencer::settle(Batch& batch) {
  // Callers were answered on the log's thread; here the state catches up.
  log::FoldState& durable = state_.durable();
  for (log::RecordHeader& header : batch.headers) {
    // What the log gave the records: the claim's term and writer, the next pseq. Folded like any reader does.
    header.level = durable.last.level;
    header.term = durable.term;
    header.pseq = durable.pseq;
    header.node = durable.last.node;
    header.incarnation = durable.last.incarnation;
    COUNTERFOIL_CHECK(log::fold(durable, header) == log::FoldVerdict::valid);
  }
  state_.commit(batch.mark);
  for (const WorkspaceNumber number : batch.gone) {
    state_.workspace(number).markErased();
    state_.window().forget(number);
  }
  count(batch.gone);
  for (auto& [workspaceKeys, ids] : batch.keys) workspaceKeys->settle(ids);
}

void Sequencer::recover(std::vector<std::unique_ptr<Batch>> failed, const log::AppendResult& why) {
  // The writer may still report batches behind the failed one; its destructor waits for them.
  writer_.reset();
  {
    const std::lock_guard lock(mutex_);
    for (Result& result : results_) {
      --outstanding_;
      failed.push_back(std::move(result.batch));
    }
    results_.clear();
  }
  state_.rollback();
  ring_.dropPending([this](WorkspaceNumber number) { return isHere(number); });
  std::vector<EntryId> landed;
  std::optional<Fault> unreadable;
  bool passedOver = false;
  try {
    if (meant_) {
      takeOver(&landed);
    } else {
      readOn(&landed, UINT64_MAX);
      passedOver = !wrote_;
    }
  } catch (const Fault& fault) {
    unreadable = fault;
    passedOver = fault.code() == ErrorCode::dataInUse;
  }
  // Before anybody is told: who hears of it may ask for the status next.
  if (unreadable) fail(*unreadable);
  const std::unordered_set<EntryId, IdHash<EntryId>> found(landed.begin(), landed.end());
  // Behind another node's claim nothing of this one counts any more: what was not found by then is not there.
  const bool known = passedOver || (!unreadable && writer_ != nullptr) || why.outcome == log::AppendOutcome::rejected;
  for (const auto& batch : failed) {
    for (Waiting& waiting : batch->waiting) {
      if (waiting.recorded && found.contains(waiting.id)) {
        waiting.done(&waiting.answer, nullptr);
        continue;
      }
      const Fault fault =
          !known ? indeterminate()
                 : why.fault.value_or(Fault(ErrorCode::logUnavailable, "the log refused the entry", "ask again with the same id"));
      waiting.done(nullptr, &fault);
    }
  }
}

void Sequencer::fail(const Fault& fault) {
  const std::lock_guard lock(mutex_);
  status_.ready = false;
  status_.leading = false;
  status_.fault = fault;
  status_.fatal = isFatal(fault.code());
  retryAt_ = clock_.monotonicNanoseconds() + kRetryAfter;
}

void Sequencer::tryAgain() {
  std::optional<Fault> fault;
  {
    const std::lock_guard lock(mutex_);
    if (status_.fatal) {
      fault = status_.fault;
    } else if (clock_.monotonicNanoseconds() < retryAt_) {
      return;
    }
  }
  if (!fault) {
    try {
      const bool goesOn = wrote_;
      takeOver(nullptr);
      if (!goesOn || !ledgerClock_) startClock();
      const std::lock_guard lock(mutex_);
      status_.fault.reset();
      status_.ready = true;
      return;
    } catch (const Fault& again) {
      fault = again;
      fail(again);
    }
  }
  failAll(*fault);
}

void Sequencer::failAll(const Fault& fault) {
  while (!intake_.empty()) {
    for (Request& request : intake_.take(options_.batchRequestsMax, options_.batchBytesMax)) request.done(nullptr, &fault);
  }
}

}  // namespace counterfoil::write
