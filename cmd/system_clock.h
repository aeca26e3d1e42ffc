// The real clocks; the only place that makes them.
#pragma once

#include "ledger/core/clock.h"

namespace counterfoil::cmd {

class SystemClock final : public Clock {
 public:
  Timestamp wall() const override;
  std::int64_t monotonicNanoseconds() const override;
  bool synchronised() const override;
};

}  // namespace counterfoil::cmd
