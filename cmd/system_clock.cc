#include "cmd/system_clock.h"

#include <sys/timex.h>
#include <time.h>

namespace counterfoil::cmd {
namespace {

std::int64_t read(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<std::int64_t>(time.tv_sec) * kNanosecondsPerSecond + time.tv_nsec;
}

}  // namespace

Timestamp SystemClock::wall() const {
  return {read(CLOCK_REALTIME)};
}

// CLOCK_BOOTTIME goes on while the machine sleeps: a laptop that wakes has seen time pass, not its clock jump.
std::int64_t SystemClock::monotonicNanoseconds() const {
  return read(CLOCK_BOOTTIME);
}

bool SystemClock::synchronised() const {
  timex state{};
  const int result = ::adjtimex(&state);
  return result >= 0 && result != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace counterfoil::cmd
