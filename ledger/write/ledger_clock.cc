#include "ledger/write/ledger_clock.h"

#include <algorithm>
#include <cstdlib>

namespace counterfoil::write {

LedgerClock::LedgerClock(const Clock& clock, Timestamp lastRecordedAt, bool accepted)
    : clock_(clock), trusted_(clock.wall()), trustedMonotonic_(clock.monotonicNanoseconds()), stamped_(lastRecordedAt) {
  if (lastRecordedAt.nanoseconds == 0 || accepted) return;
  const std::int64_t ahead = trusted_.nanoseconds - lastRecordedAt.nanoseconds;
  if (ahead <= kClockStartAheadMax || clock.synchronised()) return;
  jump_ = Jump{lastRecordedAt, trusted_, true};
  paused_ = true;
  jumpSize_ = ahead;
  pausedOffset_ = ahead;
  stableSince_ = trustedMonotonic_;
  trusted_ = lastRecordedAt;
}

namespace {

// A process that stood still between the two readings would take that time for a step of the wall clock.
std::pair<Timestamp, std::int64_t> readTogether(const Clock& clock) {
  constexpr std::int64_t kTogether = kNanosecondsPerSecond;
  constexpr int kTriesMax = 3;
  for (int tries = 1;; ++tries) {
    const std::int64_t before = clock.monotonicNanoseconds();
    const Timestamp wall = clock.wall();
    const std::int64_t monotonic = clock.monotonicNanoseconds();
    if (monotonic - before < kTogether || tries == kTriesMax) return {wall, monotonic};
  }
}

}  // namespace

void LedgerClock::observe() {
  const auto [wall, monotonic] = readTogether(clock_);
  const Timestamp expected{trusted_.nanoseconds + (monotonic - trustedMonotonic_)};
  const std::int64_t offset = wall.nanoseconds - expected.nanoseconds;
  if (!paused_) {
    if (offset <= kClockStepMax) {
      // Small steps and slewing are followed; a step back is followed too, the record just waits for it.
      trusted_ = wall;
      trustedMonotonic_ = monotonic;
      return;
    }
    paused_ = true;
    jumpSize_ = offset;
    pausedOffset_ = offset;
    stableSince_ = monotonic;
    trusted_ = expected;
    trustedMonotonic_ = monotonic;
    jump_ = Jump{expected, wall, true};
    return;
  }
  if (std::llabs(offset - pausedOffset_) > kNanosecondsPerSecond) {  // moved again
    pausedOffset_ = offset;
    stableSince_ = monotonic;
    jumpSize_ = std::max(jumpSize_, offset);
    if (std::llabs(offset) <= kClockStepMax) jumpSize_ = std::llabs(offset);  // stepped back to where we are
  }
  if (jumpSize_ <= kClockSelfHealingStep && monotonic - stableSince_ >= kClockStableFor) accept();
}

std::optional<Timestamp> LedgerClock::now() {
  observe();
  const std::int64_t monotonic = clock_.monotonicNanoseconds();
  const Timestamp time = paused_ ? Timestamp{trusted_.nanoseconds + (monotonic - trustedMonotonic_)} : trusted_;
  if (time.nanoseconds + kClockBackMax < stamped_.nanoseconds) return std::nullopt;
  stamped_ = std::max(stamped_, time);
  return stamped_;
}

std::optional<LedgerClock::Jump> LedgerClock::takeJump() {
  std::optional<Jump> jump;
  jump.swap(jump_);
  return jump;
}

void LedgerClock::accept() {
  if (!paused_) return;
  jump_ = Jump{Timestamp{trusted_.nanoseconds + (clock_.monotonicNanoseconds() - trustedMonotonic_)}, clock_.wall(), false};
  paused_ = false;
  trusted_ = clock_.wall();
  trustedMonotonic_ = clock_.monotonicNanoseconds();
}

}  // namespace counterfoil::write
