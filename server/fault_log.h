// What the operator must hear of and the caller must not: faults of the ledger's own disk, files and keys.
#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <string_view>

#include "ledger/core/clock.h"
#include "ledger/core/outcome.h"

namespace counterfoil::server {

// Thread safe.
class FaultLog {
 public:
  explicit FaultLog(const Clock& clock) : clock_(clock) {}
  // Of a fault with HTTP status 500 or above that names files or places: writes its detail into the log, at most once in 10 s for each
  // code (a full disk refuses thousands of requests a second; what was left out is counted in the next line), and gives what a caller may
  // read: no paths, no positions. Other faults come back as they are.
  Fault forCaller(const Fault& fault, std::string_view requestId);
  // What forCaller() gives; writes nothing.
  static Fault withoutPlaces(const Fault& fault);

 private:
  struct Told {
    std::int64_t at = 0;  // monotonic, nanoseconds
    std::uint64_t leftOut = 0;
  };
  const Clock& clock_;
  std::mutex mutex_;
  std::map<ErrorCode, Told> told_;
};

}  // namespace counterfoil::server
