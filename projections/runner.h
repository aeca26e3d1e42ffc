// Follows one partition of the log and keeps the views of its workspaces: one file each, projected by a few workers, each with a durable
// position of its own. What is wrong with one view stands still alone, with its fault in status(); the others go on.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <vector>

#include "ledger/keys/key_ring.h"
#include "ledger/log/event_log.h"
#include "projections/keys_ahead.h"
#include "projections/views/view_worker.h"

namespace counterfoil::views {

struct ViewRunnerOptions {
  ViewFileOptions files;  // the folder `<data>/views`
  PartitionId partition;
  std::size_t workers = 0;                       // 0: one a core
  std::size_t openMax = 1'024;                   // view files open at once, by all workers together
  std::size_t queueBytes = 64 * 1024 * 1024;     // records read but not yet applied
  std::size_t rebuildBytes = 256 * 1024 * 1024;  // caches of views being rebuilt
  // The ring is fed by somebody else with every key of the log, up to its end (the ledger's own ring is). Otherwise the runner starts at
  // the log's beginning to find them; views still go on from where they stand.
  bool keysComplete = false;
  bool background =
      false;  // reading and folding wait for threads that have work (kBackgroundNice); with a clock, folding for idle processors
  // With a clock, which outlives the runner, what is read for a view waits for more of it as `pace` says. Without, nothing waits.
  const Clock* clock = nullptr;
  ViewPace pace;
  std::int64_t stopMilliseconds = 5'000;
  std::int64_t gatherMilliseconds = 10;    // follow(): between hearing of records and reading them
  std::int64_t retryMilliseconds = 5'000;  // follow(): between tries with views that a full disk stopped
};

struct ViewStatus {
  bool known = false;          // the workspace has entries, or a view
  std::uint64_t size = 0;      // entries in the view: the next seq
  LeafHash leaf;               // of the last one
  std::uint64_t lag = 0;       // entries the log has read beyond it
  std::optional<Fault> fault;  // why the view stands still: viewDamaged, logTruncated, logDamaged, diskFull, notReady
};

struct ViewProgress {
  std::uint64_t records = 0;  // read from the log
  std::uint64_t applied = 0;  // handed to the workers and done
};

// All methods are thread safe, but catchUp(), follow(), stop() and destruction belong to one thread.
class ViewRunner {
 public:
  // `log` and `ring` outlive the runner. Makes the folder; reads nothing yet. Throws Fault(diskFull | notReady).
  ViewRunner(log::EventLog& log, keys::KeyRing& ring, ViewRunnerOptions options);
  ~ViewRunner();

  // Reads to the log's end and applies everything, rebuilds and retries included; returns when all of it is committed. Not while following.
  // Throws the log's faults (logDamaged, logUnavailable); those of views are in status(). `progress` is called now and then, on this
  // thread.
  void catchUp(const std::function<void(const ViewProgress&)>& progress = {});
  // The next catchUp(), or the thread of follow(), makes this view anew from the log's beginning; it takes the old one's place when it is
  // complete. Clears its fault.
  void requestRebuild(WorkspaceNumber workspace);
  // The same for every workspace of the log, and those whose file is there.
  void requestRebuildAll();

  // Keeps up in a thread of its own until stop(). Takes the log's onAppended() unless `subscribe` is false: then somebody calls wake().
  void follow(bool subscribe = true);
  void wake();
  // Finishes what was read, commits, saves its place. What would take longer than stopMilliseconds is left: the views stand where they are,
  // and go on from there the next time.
  void stop();
  // Why following ended by itself, if it did.
  std::optional<Fault> fault() const;

  // Opens the view for its position if this runner has not met it yet.
  ViewStatus status(WorkspaceNumber workspace);
  // Workspaces with a fault, or behind.
  std::vector<std::pair<WorkspaceNumber, ViewStatus>> troubled();
  // Entries read from the log that its views do not hold yet, all together.
  std::uint64_t lag() const;
  // Somebody looks at this view: what was read for it waits no more, and so for the next second (ViewPace::wantedNanoseconds).
  void want(WorkspaceNumber workspace);
  // Wants it, until the view holds `seq`. False after `milliseconds`, or at once if the view has a fault.
  bool waitFor(WorkspaceNumber workspace, Sequence seq, std::int64_t milliseconds);
  // Files opened so far: many more than there are workspaces means that openMax is too small for them.
  std::uint64_t filesOpened() const { return files_->everOpened(); }
  // Every workspace this runner knows of, in the log or on disk, ascending.
  std::vector<WorkspaceNumber> workspaces();

 private:
  // A reader and what is done with what it reads.
  struct Lane;

  void startLanes();
  // One round of a lane; false: nothing more for now.
  bool pump(Lane& lane);
  void hand(Lane& lane, std::vector<log::ValidRecord>& records);
  void push(ViewTask task);
  void assign(const std::vector<WorkspaceNumber>& order, const std::unordered_map<WorkspaceNumber, ViewTask, WorkspaceNumberHash>& tasks);
  void meet(WorkspaceNumber workspace);
  bool beginRepair(std::set<WorkspaceNumber>& attempted);
  bool stepRepair();
  void finish(WorkspaceNumber workspace);
  void finishRebuildAll();
  void drainAll();
  bool drainAllWithin(std::int64_t milliseconds);
  void checkLengths();
  void savePlace();
  std::filesystem::path placePath() const;
  void followLoop();
  bool followRound(std::set<WorkspaceNumber>& attempted);
  std::vector<WorkspaceNumber> filesPresent() const;
  std::optional<ViewPosition> peek(WorkspaceNumber workspace) const;

  log::EventLog& log_;
  keys::KeyRing& ring_;
  const ViewRunnerOptions options_;
  ViewBoard board_;
  std::optional<OpenFiles> files_;
  std::optional<KeysAhead> keysAhead_;
  std::vector<std::unique_ptr<ViewWorker>> workers_;
  std::unordered_map<WorkspaceNumber, std::size_t, WorkspaceNumberHash> workerOf_;  // for good: records of a workspace stay in order
  std::vector<std::size_t> assigned_;  // bytes that went to each worker, and kTaskBytes for each task
  std::unique_ptr<Lane> main_;
  std::unique_ptr<Lane> repair_;
  bool checkLengths_ = false;          // at the log's end: is any view longer than its chain?
  std::uint64_t unsaved_ = 0;          // records read since the place was saved
  std::set<WorkspaceNumber> touched_;  // since the place was saved
  std::function<void(const ViewProgress&)> progress_;

  mutable std::mutex mutex_;  // of everything below
  std::condition_variable changed_;
  std::size_t queuedBytes_ = 0;  // handed out and not done
  ViewProgress done_;
  std::set<WorkspaceNumber> rebuildRequests_;
  bool rebuildAll_ = false;
  std::unordered_map<WorkspaceNumber, log::ChainEnd, WorkspaceNumberHash> heads_;  // as far as the log was read
  bool awake_ = false;
  bool stopping_ = false;
  std::optional<Fault> fault_;
  std::thread thread_;
};

}  // namespace counterfoil::views
