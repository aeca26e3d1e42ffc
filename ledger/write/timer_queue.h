// When leases fall due, earliest first. Timers are never taken out early: whether one still counts is asked when its time has come.
#pragma once

#include <queue>
#include <vector>

#include "ledger/core/lease.h"

namespace counterfoil::write {

struct Timer {
  Timestamp time;
  WorkspaceNumber workspace;
  LeaseSlot slot = kNoLease;
  std::uint32_t stamp = 0;
};

// Not thread safe.
class TimerQueue {
 public:
  void arm(const Timer& timer) { timers_.push(timer); }
  bool empty() const { return timers_.empty(); }
  const Timer& next() const { return timers_.top(); }
  Timer pop() {
    const Timer timer = timers_.top();
    timers_.pop();
    return timer;
  }
  std::size_t size() const { return timers_.size(); }

 private:
  struct Later {
    bool operator()(const Timer& left, const Timer& right) const { return left.time > right.time; }
  };
  std::priority_queue<Timer, std::vector<Timer>, Later> timers_;
};

}  // namespace counterfoil::write
