// The ledger's own time: what recordedAt is, and when it may be trusted to end leases (DESIGN decision 16).
#pragma once

#include <cstdint>
#include <optional>

#include "ledger/core/clock.h"

namespace counterfoil::write {

// Wall time may be behind what was recorded by at most this much; recordedAt then stays.
inline constexpr std::int64_t kClockBackMax = 5 * kNanosecondsPerSecond;
// A step of wall against monotonic time beyond this is a jump.
inline constexpr std::int64_t kClockStepMax = 30 * kNanosecondsPerSecond;
// A jump up to this resumes by itself after the time below without another.
inline constexpr std::int64_t kClockSelfHealingStep = 600 * kNanosecondsPerSecond;
inline constexpr std::int64_t kClockStableFor = 60 * kNanosecondsPerSecond;
// At start: how far the wall may be ahead of the last entry if the kernel does not vouch for it.
inline constexpr std::int64_t kClockStartAheadMax = 24 * 3600 * kNanosecondsPerSecond;

// Not thread safe: the sequencer's.
class LedgerClock {
 public:
  // `lastRecordedAt`: the greatest recordedAt of the ledger, zero if it is empty. `accepted`: an operator vouches for the wall clock.
  LedgerClock(const Clock& clock, Timestamp lastRecordedAt, bool accepted);

  struct Jump {
    Timestamp from;  // what was expected
    Timestamp to;    // what the wall says
    bool paused = false;
  };
  // What to stamp an entry with now. nullopt: the wall is behind the record by more than kClockBackMax (Fault clock_behind).
  std::optional<Timestamp> now();
  // Nothing may expire: time is the last trusted one plus what passed since.
  bool paused() const { return paused_; }
  // A jump seen since the last call, to be recorded.
  std::optional<Jump> takeJump();
  // An operator vouches for the wall clock: resume at once.
  void accept();

 private:
  void observe();

  const Clock& clock_;
  Timestamp trusted_;  // at trustedMonotonic_
  std::int64_t trustedMonotonic_;
  Timestamp stamped_;  // greatest time given out
  bool paused_ = false;
  std::int64_t jumpSize_ = 0;
  std::int64_t stableSince_ = 0;   // monotonic, while paused
  std::int64_t pausedOffset_ = 0;  // wall - trusted line, as last seen while paused
  std::optional<Jump> jump_;
};

}  // namespace counterfoil::write
