// Time as an input. Real clocks are made in cmd only; tests advance a manual one.
#pragma once

#include "ledger/core/ids.h"

namespace counterfoil {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall clock, UTC. May jump. Thread safe.
  virtual Timestamp wall() const = 0;
  // Nanoseconds that only ever pass; its zero means nothing. Thread safe.
  virtual std::int64_t monotonicNanoseconds() const = 0;
  // True if the kernel reports that the wall clock is disciplined by a time source (adjtimex(2) without STA_UNSYNC).
  virtual bool synchronised() const = 0;
};

}  // namespace counterfoil
