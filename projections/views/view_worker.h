// One thread that applies records to the views it is given: every workspace always goes to the same worker, so its records stay in order.
#pragma once

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

#include "ledger/core/outcome.h"
#include "ledger/keys/key_ring.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/log/event_log.h"
#include "projections/views/view_file.h"

namespace counterfoil::views {

// How one workspace's view does.
struct ViewState {
  std::uint64_t size = 0;
  LeafHash leaf;
  std::optional<Fault> fault;  // why it stands still
  bool behind = false;         // it stands still until it is read for anew (missing records, or a fault worth another try)
};

// What the workers know of all views. Thread safe.
class ViewBoard {
 public:
  std::optional<ViewState> get(WorkspaceNumber workspace) const;
  void advance(WorkspaceNumber workspace, const ViewPosition& position);
  // Only if nothing is known yet.
  void introduce(WorkspaceNumber workspace, const ViewPosition& position);
  void fail(WorkspaceNumber workspace, const Fault& fault, bool behind);
  void markBehind(WorkspaceNumber workspace);
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

enum class TaskKind : std::uint8_t {
  apply,    // records for the live view
  rebuild,  // records for the view being rebuilt
  finish,   // the rebuilt view takes its place
};

struct ViewTask {
  TaskKind kind = TaskKind::apply;
  WorkspaceNumber workspace;
  std::vector<log::ValidRecord> records;
  std::size_t bytes = 0;
};

class ViewWorker {
 public:
  struct Options {
    ViewFileOptions files;
    std::size_t openMax = 0;    // views
    std::size_t memoryMax = 0;  // bytes of caches of rebuilt views
    bool keysComplete = false;  // the ring needs no keys of records the view has passed
    bool background = false;    // as ViewRunnerOptions has it
  };
  // `done` is called after each task with the bytes and records it held.
  ViewWorker(Options options, keys::KeyRing& ring, ViewBoard& board, std::function<void(std::size_t, std::size_t)> done);
  // Carries out what was pushed, then commits and ends.
  ~ViewWorker();
  void push(ViewTask task);
  // Blocks until everything pushed so far is done, and every live view is committed.
  void drain();
  // The same, at most so long. False: there is more.
  bool drainWithin(std::chrono::milliseconds limit);
  // Forgets what was pushed and not begun. Every view stays whole, at its own place.
  void abandon();
  // Closes every file. After drain().
  void closeAll();

 private:
  struct OpenView {
    WorkspaceNumber workspace;
    std::unique_ptr<ViewFile> file;
  };
  using OpenList = std::list<OpenView>;

  void work();
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

  const Options options_;
  keys::KeyRing& ring_;
  ViewBoard& board_;
  const std::function<void(std::size_t, std::size_t)> done_;
  OpenList open_;  // latest used first
  std::unordered_map<WorkspaceNumber, OpenList::iterator, WorkspaceNumberHash> byWorkspace_;
  std::set<WorkspaceNumber> rebuilding_;  // begun and not finished
  Arena arena_;
  keys::OpenedRecord opened_;
  std::uint64_t sinceMemory_ = 0;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::list<ViewTask> queue_;
  std::unordered_map<WorkspaceNumber, std::list<ViewTask>::iterator, WorkspaceNumberHash> lastOf_;  // of each workspace in the queue
  bool busy_ = false;
  bool closing_ = false;
  std::thread thread_;
};

}  // namespace counterfoil::views
