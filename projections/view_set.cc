#include "projections/view_set.h"

#include <algorithm>
#include <thread>

namespace counterfoil::views {
namespace {

template <class Number>
Number share(Number whole, std::size_t parts) {
  return std::max<Number>(1, whole / static_cast<Number>(parts));
}

}  // namespace

ViewSet::ViewSet(log::EventLog& log, keys::KeyRing& ring, const ViewRunnerOptions& options) : log_(log) {
  const std::size_t count = log.partitions();
  ViewRunnerOptions each = options;
  if (each.workers == 0) each.workers = std::thread::hardware_concurrency();
  each.workers = share(each.workers, count);
  each.openMax = share(each.openMax, count);
  each.queueBytes = share(each.queueBytes, count);
  each.rebuildBytes = share(each.rebuildBytes, count);
  for (std::size_t index = 0; index < count; ++index) {
    each.partition = PartitionId{index};
    runners_.push_back(std::make_unique<ViewRunner>(log, ring, each));
  }
}

ViewSet::~ViewSet() {
  stop();
}

ViewRunner& ViewSet::of(WorkspaceNumber workspace) {
  return *runners_[log_.partitionOf(workspace).value];
}

void ViewSet::catchUp(const std::function<void(const ViewProgress&)>& progress) {
  ViewProgress before;
  const auto catchUpOne = [&](ViewRunner& runner) {
    ViewProgress last;
    runner.catchUp([&](const ViewProgress& done) {
      last = done;
      if (progress) progress({before.records + done.records, before.applied + done.applied});
    });
    before.records += last.records;
    before.applied += last.applied;
  };
  ViewRunner& first = of(kSystemWorkspace);
  catchUpOne(first);
  for (const auto& runner : runners_) {
    if (runner.get() != &first) catchUpOne(*runner);
  }
}

void ViewSet::requestRebuildAll() {
  for (const auto& runner : runners_) runner->requestRebuildAll();
}

void ViewSet::follow() {
  for (const auto& runner : runners_) runner->follow(false);
  log_.onAppended([this] { wake(); });
  following_ = true;
}

void ViewSet::wake() {
  for (const auto& runner : runners_) runner->wake();
}

void ViewSet::stop() {
  if (!following_) return;
  following_ = false;
  log_.onAppended({});
  for (const auto& runner : runners_) runner->stop();
}

std::optional<Fault> ViewSet::fault() const {
  for (const auto& runner : runners_) {
    if (auto fault = runner->fault()) return fault;
  }
  return std::nullopt;
}

std::vector<std::pair<WorkspaceNumber, ViewStatus>> ViewSet::troubled() {
  std::vector<std::pair<WorkspaceNumber, ViewStatus>> all;
  for (const auto& runner : runners_) {
    for (auto& one : runner->troubled()) all.push_back(std::move(one));
  }
  std::sort(all.begin(), all.end(), [](const auto& left, const auto& right) { return left.first < right.first; });
  return all;
}

std::uint64_t ViewSet::lag() const {
  std::uint64_t entries = 0;
  for (const auto& runner : runners_) entries += runner->lag();
  return entries;
}

std::uint64_t ViewSet::filesOpened() const {
  std::uint64_t files = 0;
  for (const auto& runner : runners_) files += runner->filesOpened();
  return files;
}

std::vector<WorkspaceNumber> ViewSet::workspaces() {
  std::vector<WorkspaceNumber> all;
  for (const auto& runner : runners_) {
    for (const WorkspaceNumber workspace : runner->workspaces()) all.push_back(workspace);
  }
  std::sort(all.begin(), all.end());
  return all;
}

}  // namespace counterfoil::views
