#include "projections/views/view_worker.h"

#include <chrono>
#include <iterator>

#include "ledger/core/current_thread.h"

namespace counterfoil::views {
namespace {

constexpr std::uint64_t kRebuildBatch = 20'000;
constexpr std::size_t kLiveBatch = 20'000;     // records
constexpr std::uint64_t kMemoryEvery = 4'096;  // records between two looks at the memory in use

struct GapFault {};  // a record came that does not follow what the view has

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

void ViewBoard::markBehind(WorkspaceNumber workspace) {
  const std::lock_guard guard(mutex_);
  ViewState& state = states_[workspace];
  if (!state.fault) state.behind = true;
  changed_.notify_all();
}

void ViewBoard::forgive(WorkspaceNumber workspace, bool fromNothing) {
  const std::lock_guard guard(mutex_);
  ViewState& state = states_[workspace];
  state.fault.reset();
  state.behind = false;
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

ViewWorker::ViewWorker(Options options, keys::KeyRing& ring, ViewBoard& board, std::function<void(std::size_t, std::size_t)> done)
    : options_(std::move(options)), ring_(ring), board_(board), done_(std::move(done)), thread_([this] { work(); }) {}

ViewWorker::~ViewWorker() {
  {
    const std::lock_guard guard(mutex_);
    closing_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

void ViewWorker::push(ViewTask task) {
  const std::lock_guard guard(mutex_);
  const auto last = lastOf_.find(task.workspace);
  // The further behind, the fewer transactions: what comes for a view before its turn has come goes into one.
  if (last != lastOf_.end() && task.kind == TaskKind::apply && last->second->kind == TaskKind::apply &&
      last->second->records.size() + task.records.size() <= kLiveBatch) {
    ViewTask& waiting = *last->second;
    waiting.bytes += task.bytes;
    waiting.records.insert(waiting.records.end(), std::make_move_iterator(task.records.begin()),
                           std::make_move_iterator(task.records.end()));
    return;
  }
  const WorkspaceNumber workspace = task.workspace;
  queue_.push_back(std::move(task));
  lastOf_[workspace] = std::prev(queue_.end());
  changed_.notify_all();
}

void ViewWorker::drain() {
  std::unique_lock guard(mutex_);
  changed_.wait(guard, [&] { return queue_.empty() && !busy_; });
}

bool ViewWorker::drainWithin(std::chrono::milliseconds limit) {
  std::unique_lock guard(mutex_);
  return changed_.wait_for(guard, limit, [&] { return queue_.empty() && !busy_; });
}

void ViewWorker::abandon() {
  std::list<ViewTask> forgotten;
  {
    const std::lock_guard guard(mutex_);
    forgotten.swap(queue_);
    lastOf_.clear();
    changed_.notify_all();
  }
  for (const ViewTask& task : forgotten) done_(task.bytes, task.records.size());
}

void ViewWorker::closeAll() {
  const std::lock_guard guard(mutex_);
  byWorkspace_.clear();
  open_.clear();
}

void ViewWorker::work() {
  nameCurrentThread("view-worker");
  if (options_.background) runInBackground();
  std::unique_lock guard(mutex_);
  while (true) {
    changed_.wait(guard, [&] { return !queue_.empty() || closing_; });
    if (queue_.empty()) return;
    ViewTask task = std::move(queue_.front());
    if (const auto last = lastOf_.find(task.workspace); last->second == queue_.begin()) lastOf_.erase(last);
    queue_.pop_front();
    busy_ = true;
    guard.unlock();
    process(task);
    done_(task.bytes, task.records.size());
    guard.lock();
    busy_ = false;
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
  if (rebuilding_.erase(workspace) != 0) removeRebuild(options_.files.folder, workspace);
}

void ViewWorker::processTask(ViewTask& task) {
  const bool rebuild = task.kind != TaskKind::apply;
  ViewFile& file = viewOf(task.workspace, rebuild);
  if (task.kind == TaskKind::finish) {
    const ViewPosition position = file.position();
    file.finish();
    rebuilding_.erase(task.workspace);
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
  const auto outcome = keys::openRecord(keys, record.seq, record.leaf, record.value, opened_);
  if (outcome == keys::OpenOutcome::withheld) {
    file.applyWithheld(record.seq, record.previous, record.leaf, record.position);
    return;
  }
  EntryView view;
  arena_.reset();
  const bool read = outcome == keys::OpenOutcome::opened && readEntry(opened_.entry, Strictness::lenient, arena_, view) == nullptr;
  if (!read || view.seq != record.seq || view.previous != record.previous) {
    throw Fault(ErrorCode::logDamaged, "a record of this workspace does not hold the entry its header names", "run `counterfoil verify`");
  }
  file.apply(view, record.leaf, opened_.entry, record.position);
}

ViewFile& ViewWorker::viewOf(WorkspaceNumber workspace, bool rebuild) {
  const auto known = byWorkspace_.find(workspace);
  if (known != byWorkspace_.end()) {
    if (known->second->file->rebuilding() == rebuild) {
      open_.splice(open_.begin(), open_, known->second);
      return *open_.front().file;
    }
    close(workspace);
  }
  while (open_.size() >= options_.openMax) closeOldest();
  std::unique_ptr<ViewFile> file;
  if (rebuild) {
    const bool again = !rebuilding_.insert(workspace).second;
    file = ViewFile::rebuild(options_.files, workspace, again);
  } else {
    file = ViewFile::open(options_.files, workspace);
  }
  open_.push_front({workspace, std::move(file)});
  byWorkspace_[workspace] = open_.begin();
  return *open_.front().file;
}

void ViewWorker::close(WorkspaceNumber workspace) {
  const auto known = byWorkspace_.find(workspace);
  if (known == byWorkspace_.end()) return;
  open_.erase(known->second);
  byWorkspace_.erase(known);
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
