// What one worker has still to do, and when each task is due. A transaction costs as much as some dozen entries: while many views are busy,
// what comes for a view nobody looks at waits for more of it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <optional>
#include <unordered_map>
#include <vector>

#include "ledger/log/event_log.h"

namespace counterfoil::views {

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

// A view waits as long as `each` for every view that waits, at most `waitMax`: so at most one transaction begins in `each`, unless more
// views than waitMax / each are busy. Up to that many transactions a second nobody waits noticeably.
struct ViewPace {
  std::size_t recordsEnough = 256;                  // of one view: not worth more waiting
  std::size_t bytesEnough = 16 * 1024 * 1024;       // of all views: nothing waits any more
  std::int64_t eachNanoseconds = 10'000'000;        // 10 ms
  std::int64_t waitMaxNanoseconds = 5'000'000'000;  // 5 s
  std::int64_t wantedNanoseconds = 1'000'000'000;   // how long somebody who looked at a view is thought to look on
};

// Times are nanoseconds of a clock that only goes forward. One thread at a time.
class ViewQueue {
 public:
  // Without a pace everything is due at once.
  explicit ViewQueue(std::optional<ViewPace> pace) : pace_(pace) {}

  // Joins the task that waits for the same view, if there is one and both apply: the further behind, the fewer transactions. True: somebody
  // wants it now.
  bool push(ViewTask task, std::int64_t now);
  // Somebody looks at this view: what waits for it is due, and what comes within the next wantedNanoseconds too. True: something waited.
  bool want(WorkspaceNumber workspace, std::int64_t now);
  // The task to do next; nullopt: none is due. `everything`: whatever waits is due. Tasks of one workspace come in the order they were
  // pushed.
  std::optional<ViewTask> take(std::int64_t now, bool everything);
  // Nanoseconds until something is due, 0: now. nullopt: nothing waits. Less is known only when something is pushed or wanted.
  std::optional<std::int64_t> untilDue(std::int64_t now) const;
  // For how long the task that came first waits; 0: none does.
  std::int64_t age(std::int64_t now) const;
  // A task that somebody wants is there.
  bool wanted() const { return wantedTasks_ != 0; }
  bool empty() const { return ready_.empty() && waiting_.empty(); }
  // Takes everything.
  std::vector<ViewTask> clear();

 private:
  struct Place {
    ViewTask task;
    std::int64_t since = 0;
    bool ready = false;
    bool wanted = false;
  };
  using Places = std::list<Place>;
  // The newest task of a workspace, and how many it has.
  struct Last {
    Places::iterator place;
    std::size_t tasks = 0;
  };

  bool isWanted(WorkspaceNumber workspace, std::int64_t now) const;
  void makeReady(Places::iterator place);
  void makeWanted(const Last& last);
  std::int64_t delay() const;
  bool pressed() const { return pace_ && bytes_ >= pace_->bytesEnough; }

  const std::optional<ViewPace> pace_;
  Places ready_;    // wanted ones first, then in the order in which they became ready
  Places waiting_;  // in the order of `since`; a workspace with a task here has no other task
  std::unordered_map<WorkspaceNumber, Last, WorkspaceNumberHash> lastOf_;
  std::unordered_map<WorkspaceNumber, std::int64_t, WorkspaceNumberHash> wantedUntil_;
  std::size_t bytes_ = 0;
  std::size_t wantedTasks_ = 0;
};

}  // namespace counterfoil::views
