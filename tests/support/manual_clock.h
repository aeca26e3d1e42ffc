// A clock that tests move.
#pragma once

#include <atomic>

#include "ledger/core/clock.h"

namespace counterfoil::test {

class ManualClock final : public Clock {
 public:
  explicit ManualClock(Timestamp start = {1'767'225'600LL * kNanosecondsPerSecond}) : start_(start.nanoseconds - 1) {}
  Timestamp wall() const override { return {start_.load() + monotonic_.load()}; }
  std::int64_t monotonicNanoseconds() const override { return monotonic_.load(); }
  bool synchronised() const override { return synchronised_.load(); }

  // Time passes.
  void advance(std::int64_t nanoseconds) { monotonic_ += nanoseconds; }
  void advanceSeconds(std::int64_t seconds) { advance(seconds * kNanosecondsPerSecond); }
  // The wall clock is set; no time passes.
  void jump(std::int64_t nanoseconds) { start_ += nanoseconds; }
  void setSynchronised(bool synchronised) { synchronised_ = synchronised; }

 private:
  std::atomic<std::int64_t> start_;  // the wall clock when the monotonic one stood at zero
  std::atomic<std::int64_t> monotonic_{1};
  std::atomic<bool> synchronised_{true};
};

}  // namespace counterfoil::test
