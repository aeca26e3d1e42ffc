#include "projections/views/view_worker.h"

#include <algorithm>
#include <chrono>
#include <iterator>

#include "ledger/core/current_thread.h"
#include "ledger/core/workspace_parts.h"

namespace counterfoil::views {
namespace {

constexpr std::uint64_t kRebuildBatch = 20'000;
constexpr std::uint64_t kMemoryEvery = 4'096;  // records between two looks at the memory in use

// Live views whose pages stay in memory between two transactions. The others read them again, mostly from the system's cache.
constexpr std::size_t kWarmViews = 32;
// While this much is waited for the oldest task beyond the pace, or for one task to be done, the thread takes turns with others.
constexpr std::int64_t kLateNanoseconds = 10'000'000'000;
// Between two looks at what is due: clocks are inputs, and what is due when follows from how much waits.
constexpr std::chrono::milliseconds kLookAgain{10};

struct GapFault {};       // a record came that does not follow what the view has
struct OutlivedFault {};  // a record says that what the view shows was destroyed

bool retriable(ErrorCode code) {
  return code == ErrorCode::diskFull || code == ErrorCode::notReady || code == ErrorCode::logUnavailable;
}

}  // namespace

std::optional<ViewState> ViewBoard::get(WorkspaceNumber workspace) const {
  const std::lock_guard guard(mutex_);
  const auto found = states_.find(workspace);
  return found == states_.end() ? std::nullopt : std::optional(found->second);
}

void ViewBoard::advance(WorkspaceNumber workspace, const ViewPosition& position) {
  const std::lock_guard guard(mutex_);
  ViewState& state = states_[workspace];
  state.size = position.size;
  state.leaf = position.leaf;
  changed_.notify_all();
}

void ViewBoard::introduce(WorkspaceNumber workspace, const ViewPosition& position) {
  const std::lock_guard guard(mutex_);
  states_.try_emplace(workspace, ViewState{position.size, position.leaf, std::nullopt, false});
}

void ViewBoard::fail(WorkspaceNumber workspace, const Fault& fault, bool behind) {
  const std::lock_guard guard(mutex_);
  ViewState& state = states_[workspace];
  if (!state.fault) state.fault = fault;
  state.behind = behind;
  changed_.notify_all();
}

void ViewBoard::markBehind(WorkspaceNumber workspace, bool outlived) {
  const std::lock_guard guard(mutex_);
  ViewState& state = states_[workspace];
  if (!state.fault) state.behind = true;
  state.outlived = state.outlived || outlived;
  changed_.notify_all();
}

void ViewBoard::forgive(WorkspaceNumber workspace, bool fromNothing) {
  const std::lock_guard guard(mutex_);
  ViewState& state = states_[workspace];
  state.fault.reset();
  state.behind = false;
  state.outlived = false;
  if (fromNothing) state = {};
}

std::vector<WorkspaceNumber> ViewBoard::behind() const {
  const std::lock_guard guard(mutex_);
  std::vector<WorkspaceNumber> result;
  for (const auto& [workspace, state] : states_) {
    if (state.behind) result.push_back(workspace);
  }
  return result;
}

std::vector<std::pair<WorkspaceNumber, ViewState>> ViewBoard::all() const {
  const std::lock_guard guard(mutex_);
  return {states_.begin(), states_.end()};
}

bool ViewBoard::wait(WorkspaceNumber workspace, std::int64_t milliseconds, const std::function<bool(const ViewState&)>& ready) const {
  std::unique_lock guard(mutex_);
  return changed_.wait_for(guard, std::chrono::milliseconds(milliseconds), [&] {
    const auto found = states_.find(workspace);
    return found != states_.end() && ready(found->second);
  });
}

class ViewWorker::Draining {
 public:
  explicit Draining(ViewWorker& worker) : worker_(worker) {
    ++worker_.draining_;
    worker_.changed_.notify_all();
  }
  ~Draining() { --worker_.draining_; }
  Draining(const Draining&) = delete;
  Draining& operator=(const Draining&) = delete;

 private:
  ViewWorker& worker_;
};

ViewWorker::ViewWorker(Options options, keys::KeyRing& ring, ViewBoard& board, OpenFiles& files,
                       std::function<void(std::size_t, std::size_t)> done)
    : options_(std::move(options)),
      ring_(ring),
      board_(board),
      files_(files),
      done_(std::move(done)),
      queue_(options_.clock == nullptr ? std::nullopt : options_.pace),
      thread_([this] { work(); }) {}

ViewWorker::~ViewWorker() {
  {
    const std::lock_guard guard(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

std::int64_t ViewWorker::now() const {
  return options_.clock == nullptr ? 0 : options_.clock->monotonicNanoseconds();
}

void ViewWorker::push(ViewTask task) {
  const std::lock_guard guard(mutex_);
  const std::int64_t time = now();
  const bool first = queue_.empty();
  queue_.push(std::move(task), time);
  hurry();
  if (first || queue_.untilDue(time) == 0) changed_.notify_all();  // else it looks again by itself, soon enough
}

void ViewWorker::want(WorkspaceNumber workspace) {
  const std::lock_guard guard(mutex_);
  if (queue_.want(workspace, now())) changed_.notify_all();
  hurry();
}

// Somebody waits for a view, or they all are late.
bool ViewWorker::urgent() const {
  if (queue_.wanted() || draining_ != 0 || closing_) return true;
  const std::int64_t time = now();
  if (busy_ && (busyWanted_ || time - busySince_ > kLateNanoseconds)) return true;
  return queue_.age(time) > options_.pace->waitMaxNanoseconds + kLateNanoseconds;
}

// Whoever brings work or waits for it sees to it that the thread gets its turn: on a machine that is busy it could not do so itself. The
// lock is held.
void ViewWorker::hurry() {
  if (givesWay_ != 0 && urgent() && takeTurns(givesWay_)) givesWay_ = 0;
}

void ViewWorker::drain() {
  std::unique_lock guard(mutex_);
  const Draining draining(*this);
  hurry();
  changed_.wait(guard, [&] { return queue_.empty() && !busy_; });
}

bool ViewWorker::drainWithin(std::chrono::milliseconds limit) {
  std::unique_lock guard(mutex_);
  const Draining draining(*this);
  hurry();
  return changed_.wait_for(guard, limit, [&] { return queue_.empty() && !busy_; });
}

void ViewWorker::abandon() {
  std::vector<ViewTask> forgotten;
  {
    const std::lock_guard guard(mutex_);
    forgotten = queue_.clear();
    changed_.notify_all();
  }
  for (const ViewTask& task : forgotten) done_(task.bytes, task.records.size());
}

void ViewWorker::hurryIfLate() {
  const std::lock_guard guard(mutex_);
  hurry();
}

void ViewWorker::work() {
  nameCurrentThread("view-worker");
  if (options_.background) runInBackground();
  const bool mayGiveWay = options_.background && options_.clock != nullptr && options_.pace && mayGiveWayForAWhile();
  const pid_t self = currentThread();
  std::unique_lock guard(mutex_);
  while (true) {
    const std::int64_t time = now();
    hurry();
    busyWanted_ = queue_.wanted();
    std::optional<ViewTask> task = queue_.take(time, draining_ != 0 || closing_);
    if (!task) {
      if (closing_) break;
      if (mayGiveWay && givesWay_ == 0 && giveWay(self)) givesWay_ = self;
      if (queue_.untilDue(time)) {
        changed_.wait_for(guard, kLookAgain);
      } else {
        changed_.wait(guard);
      }
      continue;
    }
    busy_ = true;
    busySince_ = time;
    if (mayGiveWay && givesWay_ == 0 && !urgent() && giveWay(self)) givesWay_ = self;
    guard.unlock();
    process(*task);
    closeCrowd();
    done_(task->bytes, task->records.size());
    task.reset();
    guard.lock();
    busy_ = false;
    busyWanted_ = false;
    changed_.notify_all();
  }
}

// Whatever goes wrong with one view stays with that view.
void ViewWorker::process(ViewTask& task) {
  if (const auto state = board_.get(task.workspace); state && (state->fault || state->behind)) return;
  try {
    processTask(task);
    return;
  } catch (const GapFault&) {
    board_.markBehind(task.workspace);
  } catch (const OutlivedFault&) {
    close(task.workspace);
    endRebuild(task.workspace);
    removeView(options_.files.folder, task.workspace);
    board_.markBehind(task.workspace, true);
  } catch (const Fault& fault) {
    board_.fail(task.workspace, fault, retriable(fault.code()));
  } catch (const std::exception&) {
    board_.fail(task.workspace,
                Fault(ErrorCode::internal, "a view could not be written for an unknown reason", "run `counterfoil rebuild`"), false);
  }
  giveUp(task.workspace);
}

// A half-built file is of no use to a second try, which begins at nothing; and it may be what fills the disk.
void ViewWorker::giveUp(WorkspaceNumber workspace) {
  close(workspace);
  const bool rebuilt = rebuilding_.contains(workspace);
  endRebuild(workspace);
  if (rebuilt) removeRebuild(options_.files.folder, workspace);
}

void ViewWorker::processTask(ViewTask& task) {
  const bool rebuild = task.kind != TaskKind::apply;
  ViewFile& file = viewOf(task.workspace, rebuild);
  if (task.kind == TaskKind::finish) {
    const ViewPosition position = file.position();
    file.finish();
    endRebuild(task.workspace);
    close(task.workspace);
    board_.advance(task.workspace, position);
    return;
  }
  const auto keys = ring_.workspace(task.workspace);
  for (const log::ValidRecord& record : task.records) applyRecord(file, *keys, record);
  if (!rebuild) {
    file.commit();
    board_.advance(task.workspace, file.position());
  } else if (file.uncommitted() >= kRebuildBatch) {
    file.commit();
  }
  sinceMemory_ += task.records.size();
  if (rebuild && sinceMemory_ >= kMemoryEvery) {
    sinceMemory_ = 0;
    keepWithinMemory();
  }
}

void ViewWorker::applyRecord(ViewFile& file, keys::WorkspaceKeys& keys, const log::ValidRecord& record) {
  if (record.kind == log::RecordKind::keys) {
    if (!keys::openKeysRecord(keys, record.value)) {
      throw Fault(ErrorCode::logDamaged, "a record of keys is damaged", "run `counterfoil verify`");
    }
    return;
  }
  if (record.seq.value < file.position().size) return passRecord(file, keys, record);
  if (record.seq.value > file.position().size) throw GapFault{};
  applyEntry(file, keys, record);
}

// A record the view has applied before: it must be the same one, and its keys may still be new to the ring.
void ViewWorker::passRecord(ViewFile& file, keys::WorkspaceKeys& keys, const log::ValidRecord& record) {
  if (!file.holds(record.seq, record.leaf)) {
    throw Fault(ErrorCode::logTruncated,
                "the log holds another entry at a place that the view of this workspace has passed: it was cut or replaced",
                "run `counterfoil verify`; put the right log in place, or run `counterfoil rebuild` to follow this one");
  }
  if (options_.keysComplete) return;
  std::vector<KeyId> ids;
  if (keys::newKeyIds(record.value, ids) && !ids.empty()) {
    static_cast<void>(keys::openRecord(keys, record.seq, record.leaf, record.value, opened_, keys::LeafCheck::callerHashes));
  }
}

void ViewWorker::applyEntry(ViewFile& file, keys::WorkspaceKeys& keys, const log::ValidRecord& record) {
  auto outcome = keys::openRecord(keys, record.seq, record.leaf, record.value, opened_);
  if (outcome == keys::OpenOutcome::withheld && options_.keysAhead != nullptr) {
    options_.keysAhead->learn();
    // Also if another worker learnt them meanwhile.
    outcome = keys::openRecord(keys, record.seq, record.leaf, record.value, opened_);
  }
  if (outcome == keys::OpenOutcome::withheld) {
    // Something went while this view stood still; it may show what went as well, or what went before.
    if (!file.rebuilding() && file.showsAnything()) throw OutlivedFault{};
    file.applyWithheld(record.seq, record.previous, record.leaf, record.position);
    return;
  }
  EntryView view;
  arena_.reset();
  const bool read = outcome == keys::OpenOutcome::opened && readEntry(opened_.entry, Strictness::lenient, arena_, view) == nullptr;
  if (!read || view.seq != record.seq || view.previous != record.previous) {
    throw Fault(ErrorCode::logDamaged, "a record of this workspace does not hold the entry its header names", "run `counterfoil verify`");
  }
  if (view.known && view.kind() == Kind::subjectErased) {
    for (const KeyId& id : erasedKeys(view.body)) keys.forget(id);
  }
  if (isLastWord(view)) {
    keys.forgetAll();
    throw OutlivedFault{};
  }
  if (view.known && view.kind() == Kind::keyDestroyed && view.body.text(Field::purpose) == kLogPurpose) {
    const std::string_view id = view.body.text(Field::keyId);
    for (const KeyId& key : keyIdsIn({&id, 1})) keys.forget(key);
    // Made anew it shows of that month what whoever reads the log now is shown: nothing.
    const bool shown = file.rebuilding() ? isOpenedUnder(record.workspace, id) : file.showsMonth(view.body.number(Field::generation));
    if (shown) throw OutlivedFault{};
  }
  if (file.rebuilding()) noteOpened(record.workspace, opened_.logKey);
  file.apply(view, record.leaf, opened_.entry, record.position);
}

// A rebuild may have begun before a month went, and end behind that.
void ViewWorker::noteOpened(WorkspaceNumber workspace, const KeyId& key) {
  if (lastOpened_ == std::pair(workspace, key)) return;
  lastOpened_ = {workspace, key};
  openedUnder_[workspace].insert(key);
}

bool ViewWorker::isOpenedUnder(WorkspaceNumber workspace, std::string_view key) const {
  const auto opened = openedUnder_.find(workspace);
  if (opened == openedUnder_.end()) return false;
  const std::vector<KeyId> ids = keyIdsIn({&key, 1});
  return std::any_of(ids.begin(), ids.end(), [&](const KeyId& id) { return opened->second.contains(id); });
}

void ViewWorker::endRebuild(WorkspaceNumber workspace) {
  rebuilding_.erase(workspace);
  openedUnder_.erase(workspace);
  lastOpened_ = {};
}

ViewFile& ViewWorker::viewOf(WorkspaceNumber workspace, bool rebuild) {
  const auto known = byWorkspace_.find(workspace);
  if (known != byWorkspace_.end()) {
    if (known->second->file->rebuilding() == rebuild) {
      open_.splice(open_.begin(), open_, known->second);
      coolOne();
      return *open_.front().file;
    }
    close(workspace);
  }
  while (!open_.empty() && files_.crowded(open_.size())) closeOldest();
  std::unique_ptr<ViewFile> file;
  if (rebuild) {
    const bool again = !rebuilding_.insert(workspace).second;
    file = ViewFile::rebuild(options_.files, workspace, again);
  } else {
    file = ViewFile::open(options_.files, workspace);
  }
  files_.opened();
  open_.push_front({workspace, std::move(file)});
  byWorkspace_[workspace] = open_.begin();
  coolOne();
  return *open_.front().file;
}

void ViewWorker::close(WorkspaceNumber workspace) {
  const auto known = byWorkspace_.find(workspace);
  if (known == byWorkspace_.end()) return;
  open_.erase(known->second);
  byWorkspace_.erase(known);
  files_.closed();
}

// The warm views are the foremost ones: when one comes to the front, at most one leaves them.
void ViewWorker::coolOne() {
  open_.front().warm = true;
  if (open_.size() <= kWarmViews) return;
  OpenView& next = *std::next(open_.begin(), kWarmViews);
  if (next.warm) next.file->cool();
  next.warm = false;
}

// Others need the places that this worker has beyond its share.
void ViewWorker::closeCrowd() {
  while (open_.size() > 1 && files_.beyond(open_.size())) closeOldest();
}

void ViewWorker::closeOldest() {
  OpenView& oldest = open_.back();
  const WorkspaceNumber workspace = oldest.workspace;
  try {
    oldest.file->commit();  // of a rebuild; a live view is committed after each task
  } catch (const Fault& fault) {
    board_.fail(workspace, fault, retriable(fault.code()));
    giveUp(workspace);
    return;
  }
  close(workspace);
}

void ViewWorker::keepWithinMemory() {
  std::size_t bytes = 0;
  for (const OpenView& view : open_) bytes += view.file->memory();
  while (bytes > options_.memoryMax && open_.size() > 1) {
    bytes -= std::min(bytes, open_.back().file->memory());
    closeOldest();
  }
}

}  // namespace counterfoil::views
