// The views of all partitions of a log: a runner for each partition, spoken to by workspace.
#pragma once

#include <memory>
#include <vector>

#include "projections/runner.h"

namespace counterfoil::views {

// Thread safe as ViewRunner is: catchUp(), follow(), stop() and destruction belong to one thread.
class ViewSet {
 public:
  // As ViewRunner's; `options.partition` is left out, and what it bounds is shared by the partitions.
  ViewSet(log::EventLog& log, keys::KeyRing& ring, const ViewRunnerOptions& options);
  ~ViewSet();

  // As ViewRunner's, of all partitions. catchUp() reads the one of `_system` first: keys of persons who act everywhere are there.
  void catchUp(const std::function<void(const ViewProgress&)>& progress = {});
  void requestRebuildAll();
  void follow();
  void wake();
  void stop();
  // The first one's.
  std::optional<Fault> fault() const;
  std::vector<std::pair<WorkspaceNumber, ViewStatus>> troubled();
  std::uint64_t lag() const;
  std::uint64_t filesOpened() const;
  std::vector<WorkspaceNumber> workspaces();

  // As ViewRunner's, of the partition that holds the workspace.
  void requestRebuild(WorkspaceNumber workspace) { of(workspace).requestRebuild(workspace); }
  ViewStatus status(WorkspaceNumber workspace) { return of(workspace).status(workspace); }
  void want(WorkspaceNumber workspace) { of(workspace).want(workspace); }
  bool waitFor(WorkspaceNumber workspace, Sequence seq, std::int64_t milliseconds) {
    return of(workspace).waitFor(workspace, seq, milliseconds);
  }

 private:
  ViewRunner& of(WorkspaceNumber workspace);

  log::EventLog& log_;
  std::vector<std::unique_ptr<ViewRunner>> runners_;  // by partition
  bool following_ = false;
};

}  // namespace counterfoil::views
