// One thread that applies records to the views it is given: every workspace always goes to the same worker, so its records stay in order.
#pragma once

#include <sys/types.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <thread>
#include <unordered_map>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/outcome.h"
#include "ledger/keys/key_ring.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/log/event_log.h"
#include "projections/keys_ahead.h"
#include "projections/views/view_file.h"
#include "projections/views/view_queue.h"

namespace counterfoil::views {

// How one workspace's view does.
struct ViewState {
  std::uint64_t size = 0;
  LeafHash leaf;
  std::optional<Fault> fault;  // why it stands still
  bool behind = false;         // it stands still until it is read for anew (missing records, or a fault worth another try)
  bool outlived = false;       // and made anew: it showed content whose key was destroyed
};

// What the workers know of all views. Thread safe.
class ViewBoard {
 public:
  std::optional<ViewState> get(WorkspaceNumber workspace) const;
  void advance(WorkspaceNumber workspace, const ViewPosition& position);
  // Only if nothing is known yet.
  void introduce(WorkspaceNumber workspace, const ViewPosition& position);
  void fail(WorkspaceNumber workspace, const Fault& fault, bool behind);
  void markBehind(WorkspaceNumber workspace, bool outlived = false);
  // It is being read for anew. `fromNothing`: its file will be replaced.
  void forgive(WorkspaceNumber workspace, bool fromNothing);
  std::vector<WorkspaceNumber> behind() const;
  std::vector<std::pair<WorkspaceNumber, ViewState>> all() const;
  // Until `ready(state)` holds; false after `milliseconds`.
  bool wait(WorkspaceNumber workspace, std::int64_t milliseconds, const std::function<bool(const ViewState&)>& ready) const;

 private:
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::unordered_map<WorkspaceNumber, ViewState, WorkspaceNumberHash> states_;
};

// Of all workers of a runner together. Each may have an equal share at any time, and more than that while the others have less.
class OpenFiles {
 public:
  OpenFiles(std::size_t filesMax, std::size_t workers) : max_(filesMax), share_(std::max<std::size_t>(1, filesMax / workers)) {}
  // Whether a worker that has `own` files open should close one before it opens another.
  bool crowded(std::size_t own) const { return own >= share_ && open_ >= max_; }
  // Whether it should close one that it has open: another needed a place of its share.
  bool beyond(std::size_t own) const { return own > share_ && open_ > max_; }
  void opened() { ++open_, ++everOpened_; }
  void closed() { --open_; }
  std::size_t open() const { return open_; }
  std::uint64_t everOpened() const { return everOpened_; }

 private:
  const std::size_t max_;
  const std::size_t share_;
  std::atomic<std::size_t> open_{0};
  std::atomic<std::uint64_t> everOpened_{0};
};

class ViewWorker {
 public:
  struct Options {
    ViewFileOptions files;
    std::size_t memoryMax = 0;       // bytes of caches of rebuilt views
    bool keysComplete = false;       // the ring needs no keys of records the view has passed
    KeysAhead* keysAhead = nullptr;  // for records that do not open; null: the ring has every key. Outlives the worker
    bool background = false;         // as ViewRunnerOptions has it
    const Clock* clock = nullptr;    // for `pace`; outlives the worker
    std::optional<ViewPace> pace;
  };
  // `done` is called after each task with the bytes and records it held.
  ViewWorker(Options options, keys::KeyRing& ring, ViewBoard& board, OpenFiles& files, std::function<void(std::size_t, std::size_t)> done);
  // Carries out what was pushed, then commits and ends.
  ~ViewWorker();
  void push(ViewTask task);
  // Somebody looks at this view, should it be one of this worker's: what came for it is done next, what will come at once.
  void want(WorkspaceNumber workspace);
  // Blocks until everything pushed so far is done, and every live view is committed.
  void drain();
  // The same, at most so long. False: there is more.
  bool drainWithin(std::chrono::milliseconds limit);
  // Forgets what was pushed and not begun. Every view stays whole, at its own place.
  void abandon();
  // Now and then while nothing is pushed: a thread that gives way to others could not see for itself that it is late.
  void hurryIfLate();

 private:
  struct OpenView {
    WorkspaceNumber workspace;
    std::unique_ptr<ViewFile> file;
    bool warm = true;
  };
  using OpenList = std::list<OpenView>;
  // Asks for everything that waits while it lives. The lock is held when it comes and when it goes.
  class Draining;

  void work();
  std::int64_t now() const;
  bool urgent() const;
  void hurry();
  void coolOne();
  void closeCrowd();
  void process(ViewTask& task);
  void processTask(ViewTask& task);
  void applyRecord(ViewFile& file, keys::WorkspaceKeys& keys, const log::ValidRecord& record);
  void applyEntry(ViewFile& file, keys::WorkspaceKeys& keys, const log::ValidRecord& record);
  void passRecord(ViewFile& file, keys::WorkspaceKeys& keys, const log::ValidRecord& record);
  ViewFile& viewOf(WorkspaceNumber workspace, bool rebuild);
  void close(WorkspaceNumber workspace);
  void giveUp(WorkspaceNumber workspace);
  void closeOldest();
  void keepWithinMemory();
  void noteOpened(WorkspaceNumber workspace, const KeyId& key);
  bool isOpenedUnder(WorkspaceNumber workspace, std::string_view key) const;
  void endRebuild(WorkspaceNumber workspace);

  const Options options_;
  keys::KeyRing& ring_;
  ViewBoard& board_;
  OpenFiles& files_;
  const std::function<void(std::size_t, std::size_t)> done_;
  OpenList open_;  // latest used first
  std::unordered_map<WorkspaceNumber, OpenList::iterator, WorkspaceNumberHash> byWorkspace_;
  std::set<WorkspaceNumber> rebuilding_;  // begun and not finished
  std::map<WorkspaceNumber, std::set<KeyId>> openedUnder_;  // of those: the months' keys that opened something
  std::pair<WorkspaceNumber, KeyId> lastOpened_;
  Arena arena_;
  keys::OpenedRecord opened_;
  std::uint64_t sinceMemory_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  ViewQueue queue_;
  std::size_t draining_ = 0;  // who waits until nothing waits
  bool busy_ = false;
  bool busyWanted_ = false;     // somebody wanted the task that is being done
  std::int64_t busySince_ = 0;  // when it was begun
  bool closing_ = false;
  pid_t givesWay_ = 0;  // the thread, while it runs only when nothing else does
  std::thread thread_;
};

}  // namespace counterfoil::views
