#include "projections/runner.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include "ledger/core/check.h"
#include "ledger/core/current_thread.h"
#include "projections/views/view_check.h"
#include "projections/views/view_place.h"

namespace counterfoil::views {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRoundRecords = 20'000;
constexpr std::size_t kRoundBytes = 16 * 1024 * 1024;
constexpr std::size_t kTaskBytes = 16 * 1024;  // what a transaction costs, in bytes of records that cost as much
constexpr std::chrono::milliseconds kLookWhetherLate{100};
constexpr std::uint64_t kSaveEvery = 200'000;  // records read again at most after a crash, while following
}  // namespace

struct ViewRunner::Lane {
  std::unique_ptr<log::PartitionReader> reader;
  bool main = false;
  bool rebuildAll = false;               // of the main lane: everything goes to new files until the log's end
  std::map<WorkspaceNumber, bool> only;  // of a repair: these, and whether they are rebuilt
  std::set<WorkspaceNumber> met;         // while rebuilding all
};

ViewRunner::ViewRunner(log::EventLog& log, keys::KeyRing& ring, ViewRunnerOptions options)
    : log_(log), ring_(ring), options_(std::move(options)) {
  makeViewFolder(options_.files.folder);
  std::size_t count = options_.workers != 0 ? options_.workers : std::thread::hardware_concurrency();
  count = std::clamp<std::size_t>(count, 1, 64);
  ViewWorker::Options each;
  each.files = options_.files;
  files_.emplace(std::max<std::size_t>(1, options_.openMax), count);
  each.memoryMax = options_.rebuildBytes / count;
  each.keysComplete = options_.keysComplete;
  if (!options_.keysComplete) each.keysAhead = &keysAhead_.emplace(log_, options_.partition, ring_);
  each.background = options_.background;
  each.clock = options_.clock;
  each.pace = options_.pace;
  each.pace->bytesEnough = std::max<std::size_t>(1, options_.queueBytes / 2 / count);
  const auto done = [this](std::size_t bytes, std::size_t records) {
    const std::lock_guard guard(mutex_);
    queuedBytes_ -= bytes;
    done_.applied += records;
    changed_.notify_all();
  };
  for (std::size_t index = 0; index < count; ++index) workers_.push_back(std::make_unique<ViewWorker>(each, ring_, board_, *files_, done));
  assigned_.resize(count);
}

ViewRunner::~ViewRunner() {
  stop();
  workers_.clear();
}

// ---- lanes ----

void ViewRunner::startLanes() {
  bool rebuildAll = false;
  {
    const std::lock_guard guard(mutex_);
    std::swap(rebuildAll, rebuildAll_);
    if (rebuildAll) rebuildRequests_.clear();  // what follows reads everything anyway
  }
  if (main_ && !rebuildAll) return;
  if (rebuildAll) {
    drainAll();
    repair_.reset();
    for (const auto& [workspace, state] : board_.all()) board_.forgive(workspace, true);
  }
  // A place that is not there is no fault: the log is read from its beginning. Beside one there are only views of this version's form.
  auto place = rebuildAll ? std::nullopt : loadPlace(placePath());
  if (!rebuildAll && !place) {
    for (const WorkspaceNumber workspace : filesPresent()) rebuildAll = removeOutdated(options_.files, workspace) || rebuildAll;
  }
  auto lane = std::make_unique<Lane>();
  lane->main = true;
  lane->rebuildAll = rebuildAll;
  log::FoldState from;
  std::vector<WorkspaceNumber> troubled;
  if (place) {
    from = std::move(place->state);
    troubled = std::move(place->troubled);
  } else {
    checkLengths_ = !rebuildAll;
  }
  // Without the keys of what was passed, nothing can be opened: the log is read from its beginning, the views go on where they stand.
  if (!options_.keysComplete) from = {};
  try {
    lane->reader = log_.read(options_.partition, from);
  } catch (const Fault& fault) {
    if (fault.code() != ErrorCode::logTruncated) throw;
    // Which workspaces are concerned is found by reading what is there.
    from = {};
    checkLengths_ = true;
    lane->reader = log_.read(options_.partition, from);
  }
  for (const auto& [workspace, head] : from.heads) {
    if (!fs::exists(viewPath(options_.files.folder, workspace))) board_.markBehind(workspace);
  }
  if (from.next.value != 0) {
    for (const WorkspaceNumber workspace : troubled) board_.markBehind(workspace);
  }
  main_ = std::move(lane);
  const std::lock_guard guard(mutex_);
  heads_ = from.heads;
}

bool ViewRunner::pump(Lane& lane) {
  std::vector<log::ValidRecord> records;
  std::size_t bytes = 0;
  std::optional<Fault> problem;
  try {
    log::ValidRecord record;
    while (records.size() < kRoundRecords && bytes < kRoundBytes && lane.reader->next(record)) {
      bytes += record.value.size();
      records.push_back(std::move(record));
      record = {};
    }
  } catch (const Fault& fault) {
    problem = fault;  // what was read before counts
  }
  const bool any = !records.empty();
  if (any) hand(lane, records);
  if (progress_) {
    std::unique_lock guard(mutex_);
    const ViewProgress now = done_;
    guard.unlock();
    progress_(now);
  }
  if (problem) throw *problem;
  return any;
}

void ViewRunner::hand(Lane& lane, std::vector<log::ValidRecord>& records) {
  std::unordered_map<WorkspaceNumber, ViewTask, WorkspaceNumberHash> tasks;
  std::vector<WorkspaceNumber> order;
  {
    const std::lock_guard guard(mutex_);
    done_.records += records.size();
    if (lane.main) {
      for (const log::ValidRecord& record : records) {
        if (record.kind == log::RecordKind::entry) heads_[record.workspace] = {record.seq.value + 1, record.leaf};
      }
    }
  }
  for (log::ValidRecord& record : records) {
    if (record.kind != log::RecordKind::entry && record.kind != log::RecordKind::keys) continue;
    bool rebuild = lane.rebuildAll;
    if (!lane.main) {
      const auto wanted = lane.only.find(record.workspace);
      if (wanted == lane.only.end()) continue;
      rebuild = wanted->second;
    } else if (repair_ && repair_->only.contains(record.workspace)) {
      continue;  // the repair reads this record too, in its turn
    }
    if (lane.rebuildAll && record.kind == log::RecordKind::entry) lane.met.insert(record.workspace);
    const auto [found, fresh] = tasks.try_emplace(record.workspace);
    ViewTask& task = found->second;
    if (fresh) {
      task.kind = rebuild ? TaskKind::rebuild : TaskKind::apply;
      task.workspace = record.workspace;
      order.push_back(record.workspace);
    }
    task.bytes += record.value.size() + sizeof(record);
    task.records.push_back(std::move(record));
  }
  if (lane.main) unsaved_ += records.size();
  assign(order, tasks);
  for (const WorkspaceNumber workspace : order) {
    touched_.insert(workspace);
    push(std::move(tasks[workspace]));
  }
}

void ViewRunner::push(ViewTask task) {
  {
    std::unique_lock guard(mutex_);
    const auto room = [&] { return queuedBytes_ < options_.queueBytes; };
    while (!changed_.wait_for(guard, kLookWhetherLate, room)) {
      guard.unlock();
      for (const auto& worker : workers_) worker->hurryIfLate();
      guard.lock();
    }
    queuedBytes_ += task.bytes;
  }
  const std::size_t worker = workerOf_.try_emplace(task.workspace, task.workspace.value % workers_.size()).first->second;
  assigned_[worker] += task.bytes + kTaskBytes;
  workers_[worker]->push(std::move(task));
}

// Workspaces that are met for the first time go to the worker that has had least, the largest of them first: few workspaces hold most
// entries, and two of those must not wait for one worker while another has nothing to do.
void ViewRunner::assign(const std::vector<WorkspaceNumber>& order,
                        const std::unordered_map<WorkspaceNumber, ViewTask, WorkspaceNumberHash>& tasks) {
  std::vector<std::pair<std::size_t, WorkspaceNumber>> fresh;
  std::vector<std::size_t> load = assigned_;
  for (const WorkspaceNumber workspace : order) {
    const std::size_t bytes = tasks.at(workspace).bytes + kTaskBytes;
    const auto known = workerOf_.find(workspace);
    if (known == workerOf_.end()) {
      fresh.emplace_back(bytes, workspace);
    } else {
      load[known->second] += bytes;
    }
  }
  std::sort(fresh.begin(), fresh.end(), [](const auto& left, const auto& right) { return left.first > right.first; });
  for (const auto& [bytes, workspace] : fresh) {
    const auto least = static_cast<std::size_t>(std::min_element(load.begin(), load.end()) - load.begin());
    workerOf_.emplace(workspace, least);
    load[least] += bytes;
    if (options_.clock != nullptr) meet(workspace);
  }
}

// What waits for a view counts as lag from its first record on, also before anybody has opened it.
void ViewRunner::meet(WorkspaceNumber workspace) {
  if (board_.get(workspace)) return;
  try {
    board_.introduce(workspace, peek(workspace).value_or(ViewPosition{}));
  } catch (const Fault&) {
    // For the worker to find out, who opens it for writing.
  }
}

void ViewRunner::drainAll() {
  for (const auto& worker : workers_) worker->drain();
}

bool ViewRunner::drainAllWithin(std::int64_t milliseconds) {
  // They work at once: while one is waited for, the others go on.
  const std::chrono::milliseconds each(milliseconds / static_cast<std::int64_t>(workers_.size()));
  return std::all_of(workers_.begin(), workers_.end(), [&](const auto& worker) { return worker->drainWithin(each); });
}

// ---- repair: views that must be read for anew, while the others go on ----

bool ViewRunner::beginRepair(std::set<WorkspaceNumber>& attempted) {
  if (repair_) return true;
  std::map<WorkspaceNumber, bool> wanted;
  for (const WorkspaceNumber workspace : board_.behind()) {
    // Made anew as often as something goes meanwhile: each time it shows less.
    const bool outlived = board_.get(workspace)->outlived;
    if (attempted.insert(workspace).second || outlived) wanted[workspace] = outlived;
  }
  {
    const std::lock_guard guard(mutex_);
    for (const WorkspaceNumber workspace : rebuildRequests_) wanted[workspace] = true;
    rebuildRequests_.clear();
  }
  if (wanted.empty()) return false;
  drainAll();  // nothing older about these views is on its way any more
  auto lane = std::make_unique<Lane>();
  lane->only = wanted;
  lane->reader = log_.read(options_.partition, {});
  for (const auto& [workspace, rebuild] : wanted) board_.forgive(workspace, rebuild);
  repair_ = std::move(lane);
  return true;
}

// One round. The repair is over when it has read as far as the main lane, which then goes on with these views too.
bool ViewRunner::stepRepair() {
  if (!repair_) return false;
  const bool more = pump(*repair_);
  if (more && repair_->reader->state().next < main_->reader->state().next) return true;
  for (const auto& [workspace, rebuild] : repair_->only) {
    if (rebuild) finish(workspace);
  }
  repair_.reset();
  return true;
}

void ViewRunner::finish(WorkspaceNumber workspace) {
  bool inLog = false;
  {
    const std::lock_guard guard(mutex_);
    inLog = heads_.contains(workspace);
  }
  if (!inLog) {
    removeView(options_.files.folder, workspace);  // the log knows nothing of it
    return;
  }
  ViewTask task;
  task.kind = TaskKind::finish;
  task.workspace = workspace;
  push(std::move(task));
}

void ViewRunner::finishRebuildAll() {
  if (!main_->rebuildAll) return;
  main_->rebuildAll = false;
  for (const WorkspaceNumber workspace : main_->met) finish(workspace);
  for (const WorkspaceNumber workspace : filesPresent()) {
    if (!main_->met.contains(workspace)) finish(workspace);
  }
  main_->met.clear();
}

// ---- at the log's end ----

// No view may be longer than its chain in the log. What the log lost, a view must not paper over.
void ViewRunner::checkLengths() {
  if (checkLengths_) {
    for (const WorkspaceNumber workspace : filesPresent()) {
      if (board_.get(workspace)) continue;
      try {
        if (const auto position = peek(workspace)) board_.introduce(workspace, *position);
      } catch (const Fault& fault) {
        board_.fail(workspace, fault, false);
      }
    }
    checkLengths_ = false;
  }
  for (const auto& [workspace, state] : board_.all()) {
    std::uint64_t size = 0;
    {
      const std::lock_guard guard(mutex_);
      const auto head = heads_.find(workspace);
      if (head != heads_.end()) size = head->second.size;
    }
    if (state.fault || state.size <= size) continue;
    board_.fail(workspace,
                Fault(ErrorCode::logTruncated,
                      "the log ends at entry " + std::to_string(size) + " of workspace " + std::to_string(workspace.value) +
                          ", its view at " + std::to_string(state.size),
                      "put the whole log back; only if its end is lost for good, run `counterfoil rebuild`"),
                false);
  }
}

fs::path ViewRunner::placePath() const {
  return options_.files.folder / ("place." + std::to_string(options_.partition.value));
}

// Saved only behind what the views have on disk: after a loss of power they must not be found short of it.
void ViewRunner::savePlace() {
  if (repair_ || main_->rebuildAll) return;
  bool synced = true;
  for (const WorkspaceNumber workspace : touched_) {
    const fs::path path = viewPath(options_.files.folder, workspace);
    synced = syncFile(fs::path(path).concat("-wal")) && syncFile(path) && synced;
  }
  if (!synced) return;  // the old place stays true
  ViewPlace place;
  place.state = main_->reader->state();
  for (const auto& [workspace, state] : board_.all()) {
    if (state.fault || state.behind) place.troubled.push_back(workspace);
  }
  if (!views::savePlace(placePath(), place)) return;
  touched_.clear();
  unsaved_ = 0;
}

std::vector<WorkspaceNumber> ViewRunner::filesPresent() const {
  std::vector<WorkspaceNumber> found;
  std::error_code problem;
  for (const auto& entry : fs::directory_iterator(options_.files.folder, problem)) {
    if (entry.path().extension() != ".db") continue;
    const std::string stem = entry.path().stem().string();
    std::uint64_t number = 0;
    const auto [end, code] = std::from_chars(stem.data(), stem.data() + stem.size(), number);
    const bool ours = code == std::errc{} && end == stem.data() + stem.size();
    if (ours && log_.partitionOf({number}) == options_.partition) found.push_back({number});
  }
  std::sort(found.begin(), found.end());
  return found;
}

// ---- running ----

void ViewRunner::catchUp(const std::function<void(const ViewProgress&)>& progress) {
  COUNTERFOIL_CHECK(!thread_.joinable());
  progress_ = progress;
  std::set<WorkspaceNumber> attempted;
  startLanes();
  while (true) {
    bool more = pump(*main_);
    if (!main_->rebuildAll) {
      beginRepair(attempted);
      more = stepRepair() || more;
    }
    if (more) continue;
    finishRebuildAll();
    drainAll();
    if (!beginRepair(attempted)) break;
  }
  checkLengths();
  savePlace();
  progress_ = {};
}

void ViewRunner::requestRebuild(WorkspaceNumber workspace) {
  const std::lock_guard guard(mutex_);
  rebuildRequests_.insert(workspace);
  awake_ = true;
  changed_.notify_all();
}

void ViewRunner::requestRebuildAll() {
  const std::lock_guard guard(mutex_);
  rebuildAll_ = true;
  awake_ = true;
  changed_.notify_all();
}

void ViewRunner::wake() {
  const std::lock_guard guard(mutex_);
  awake_ = true;
  changed_.notify_all();
}

void ViewRunner::follow(bool subscribe) {
  COUNTERFOIL_CHECK(!thread_.joinable());
  stopping_ = false;
  fault_.reset();
  awake_ = true;
  if (subscribe) log_.onAppended([this] { wake(); });
  thread_ = std::thread([this, subscribe] {
    nameCurrentThread("view-reader");
    if (options_.background) runInBackground();
    followLoop();
    if (subscribe) log_.onAppended({});
  });
}

void ViewRunner::stop() {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard guard(mutex_);
    stopping_ = true;
    changed_.notify_all();
  }
  thread_.join();
}

std::optional<Fault> ViewRunner::fault() const {
  const std::lock_guard guard(mutex_);
  return fault_;
}

// True: there is more to do at once.
bool ViewRunner::followRound(std::set<WorkspaceNumber>& attempted) {
  for (const auto& worker : workers_) worker->hurryIfLate();
  startLanes();
  bool more = pump(*main_);
  if (!main_->rebuildAll) {
    beginRepair(attempted);
    more = stepRepair() || more;
  }
  if (more) return true;
  finishRebuildAll();
  if (checkLengths_ || unsaved_ >= kSaveEvery) {
    drainAll();
    checkLengths();
    savePlace();
  }
  return false;
}

void ViewRunner::followLoop() {
  std::set<WorkspaceNumber> attempted;  // since the last retry
  std::int64_t sinceRetry = 0;
  while (true) {
    bool more = false;
    try {
      more = followRound(attempted);
    } catch (const Fault& fault) {
      if (fault.code() != ErrorCode::logUnavailable) {
        const std::lock_guard guard(mutex_);
        fault_ = fault;
        changed_.notify_all();
        return;
      }
    }
    std::unique_lock guard(mutex_);
    const auto called = [this] { return awake_ || stopping_; };
    if (!more && !changed_.wait_for(guard, std::chrono::milliseconds(options_.retryMilliseconds), called))
      sinceRetry = options_.retryMilliseconds;
    // A little more will come: what comes in this time is applied as one batch.
    if (!more && !stopping_) {
      changed_.wait_for(guard, std::chrono::milliseconds(options_.gatherMilliseconds), [this] { return stopping_; });
      sinceRetry += options_.gatherMilliseconds;
    }
    awake_ = false;
    if (sinceRetry >= options_.retryMilliseconds) {
      attempted.clear();
      sinceRetry = 0;
    }
    if (stopping_) break;
  }
  if (drainAllWithin(options_.stopMilliseconds)) {
    if (main_) savePlace();
    return;
  }
  for (const auto& worker : workers_) worker->abandon();
  drainAll();
  // Both lanes have read beyond what the views hold: whoever goes on begins where the place was saved last.
  repair_.reset();
  main_.reset();
}

// ---- asking ----

// A view nobody here has opened yet. nullopt: there is none, or it is just being made.
std::optional<ViewPosition> ViewRunner::peek(WorkspaceNumber workspace) const {
  const fs::path path = viewPath(options_.files.folder, workspace);
  if (!fs::exists(path)) return std::nullopt;
  Database database = Database::openReadOnly(path, options_.files.vfs);
  if (!database.ask("SELECT 1 FROM sqlite_schema LIMIT 1")) return std::nullopt;
  return readPosition(database).position;
}

ViewStatus ViewRunner::status(WorkspaceNumber workspace) {
  auto state = board_.get(workspace);
  ViewStatus status;
  if (!state) {
    try {
      if (const auto position = peek(workspace)) board_.introduce(workspace, *position);
      state = board_.get(workspace);
    } catch (const Fault& fault) {
      // Only told, not kept: whether the view stands still is for the one who writes it to find out.
      state = board_.get(workspace);
      if (!state && fault.code() != ErrorCode::notReady) {
        status.known = true;
        status.fault = fault;
      }
    }
  }
  if (state) {
    status.known = true;
    status.size = state->size;
    status.leaf = state->leaf;
    status.fault = state->fault;
  }
  const std::lock_guard guard(mutex_);
  const auto head = heads_.find(workspace);
  if (head != heads_.end()) {
    status.known = true;
    status.lag = head->second.size > status.size ? head->second.size - status.size : 0;
  }
  return status;
}

std::vector<std::pair<WorkspaceNumber, ViewStatus>> ViewRunner::troubled() {
  std::vector<std::pair<WorkspaceNumber, ViewStatus>> result;
  for (const auto& [workspace, state] : board_.all()) {
    if (state.fault || state.behind) result.emplace_back(workspace, status(workspace));
  }
  std::sort(result.begin(), result.end(), [](const auto& left, const auto& right) { return left.first < right.first; });
  return result;
}

std::uint64_t ViewRunner::lag() const {
  const auto states = board_.all();
  std::uint64_t entries = 0;
  const std::lock_guard guard(mutex_);
  for (const auto& [workspace, state] : states) {
    const auto head = heads_.find(workspace);
    if (head != heads_.end() && head->second.size > state.size) entries += head->second.size - state.size;
  }
  return entries;
}

// Which worker has it is known to the thread that reads alone; the others remember it for a second.
void ViewRunner::want(WorkspaceNumber workspace) {
  if (options_.clock == nullptr) return;
  for (const auto& worker : workers_) worker->want(workspace);
}

bool ViewRunner::waitFor(WorkspaceNumber workspace, Sequence seq, std::int64_t milliseconds) {
  status(workspace);
  const auto ready = [&](const ViewState& state) { return state.fault.has_value() || state.size > seq.value; };
  const std::int64_t wanted = std::max<std::int64_t>(1, options_.pace.wantedNanoseconds / 2 / 1'000'000);
  for (std::int64_t left = milliseconds;; left -= wanted) {
    want(workspace);
    if (board_.wait(workspace, std::min(left, wanted), ready)) break;
    if (left <= wanted) return false;
  }
  const auto state = board_.get(workspace);
  return state && state->size > seq.value;
}

std::vector<WorkspaceNumber> ViewRunner::workspaces() {
  std::vector<WorkspaceNumber> result = filesPresent();
  {
    const std::lock_guard guard(mutex_);
    for (const auto& [workspace, head] : heads_) result.push_back(workspace);
  }
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

}  // namespace counterfoil::views
