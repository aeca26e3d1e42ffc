#include "projections/views/view_queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace counterfoil::views {
namespace {

constexpr std::size_t kTaskRecordsMax = 20'000;
constexpr std::size_t kWantedMax = 4'096;  // remembered workspaces, before those are forgotten that nobody looks at any more

}  // namespace

bool ViewQueue::isWanted(WorkspaceNumber workspace, std::int64_t now) const {
  const auto found = wantedUntil_.find(workspace);
  return found != wantedUntil_.end() && now < found->second;
}

void ViewQueue::makeReady(Places::iterator place) {
  if (place->ready) return;
  place->ready = true;
  ready_.splice(ready_.end(), waiting_, place);
}

// A task that has others of its workspace before it keeps its place: their order counts.
void ViewQueue::makeWanted(const Last& last) {
  makeReady(last.place);
  if (last.place->wanted || last.tasks > 1) return;
  last.place->wanted = true;
  ++wantedTasks_;
  const auto behind = std::find_if(ready_.begin(), ready_.end(), [](const Place& place) { return !place.wanted; });
  if (behind != ready_.end()) ready_.splice(behind, ready_, last.place);
}

bool ViewQueue::push(ViewTask task, std::int64_t now) {
  const WorkspaceNumber workspace = task.workspace;
  const bool wantedNow = pace_ && isWanted(workspace, now);
  bytes_ += task.bytes;
  Last& last = lastOf_[workspace];
  const bool joins = last.tasks != 0 && task.kind == TaskKind::apply && last.place->task.kind == TaskKind::apply &&
                     last.place->task.records.size() + task.records.size() <= kTaskRecordsMax;
  if (joins) {
    ViewTask& waiting = last.place->task;
    waiting.bytes += task.bytes;
    waiting.records.insert(waiting.records.end(), std::make_move_iterator(task.records.begin()),
                           std::make_move_iterator(task.records.end()));
  } else {
    const bool behindOthers = last.tasks != 0;
    if (behindOthers) makeReady(last.place);
    Places& home = pace_ && !behindOthers && task.kind == TaskKind::apply ? waiting_ : ready_;
    home.push_back({std::move(task), now, &home == &ready_, false});
    last = {std::prev(home.end()), last.tasks + 1};
  }
  if (pace_ && last.place->task.records.size() >= pace_->recordsEnough) makeReady(last.place);
  if (wantedNow) makeWanted(last);
  return wantedNow;
}

bool ViewQueue::want(WorkspaceNumber workspace, std::int64_t now) {
  if (!pace_) return false;
  if (wantedUntil_.size() >= kWantedMax) std::erase_if(wantedUntil_, [now](const auto& entry) { return entry.second <= now; });
  wantedUntil_[workspace] = now + pace_->wantedNanoseconds;
  const auto last = lastOf_.find(workspace);
  if (last == lastOf_.end()) return false;
  makeWanted(last->second);
  return true;
}

std::int64_t ViewQueue::delay() const {
  if (pressed()) return 0;
  return std::min(pace_->waitMaxNanoseconds, static_cast<std::int64_t>(waiting_.size()) * pace_->eachNanoseconds);
}

std::optional<ViewTask> ViewQueue::take(std::int64_t now, bool everything) {
  const bool ripe = !waiting_.empty() && (everything || now - waiting_.front().since >= delay());
  if (ready_.empty() && !ripe) return std::nullopt;
  // What is large enough all the time must not keep the small ones waiting for ever.
  const bool older = ripe && (ready_.empty() || (!ready_.front().wanted && waiting_.front().since < ready_.front().since));
  Places& from = older ? waiting_ : ready_;
  ViewTask task = std::move(from.front().task);
  if (from.front().wanted) --wantedTasks_;
  from.pop_front();
  const auto last = lastOf_.find(task.workspace);
  if (--last->second.tasks == 0) lastOf_.erase(last);
  bytes_ -= task.bytes;
  return task;
}

std::optional<std::int64_t> ViewQueue::untilDue(std::int64_t now) const {
  if (!ready_.empty()) return 0;
  if (waiting_.empty()) return std::nullopt;
  return std::max<std::int64_t>(0, waiting_.front().since + delay() - now);
}

std::int64_t ViewQueue::age(std::int64_t now) const {
  std::int64_t since = now;
  if (!waiting_.empty()) since = std::min(since, waiting_.front().since);
  if (!ready_.empty()) since = std::min(since, ready_.front().since);
  return now - since;
}

std::vector<ViewTask> ViewQueue::clear() {
  std::vector<ViewTask> tasks;
  for (Places* places : {&ready_, &waiting_}) {
    for (Place& place : *places) tasks.push_back(std::move(place.task));
    places->clear();
  }
  lastOf_.clear();
  bytes_ = 0;
  wantedTasks_ = 0;
  return tasks;
}

}  // namespace counterfoil::views
