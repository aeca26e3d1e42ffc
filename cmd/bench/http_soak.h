// A server under a steady load for long: does what it holds stay bounded?
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "cmd/bench/measure.h"
#include "cmd/bench/scratch.h"

namespace counterfoil::cmd::bench {

struct SoakOptions {
  double minutes = 60;
  double perSecond = 2'000;  // entries of the full mix
};

// What one minute showed (a run of less than two minutes is told in parts).
struct SoakMinute {
  double at = 0;  // minutes since the beginning
  double residentMegabytes = 0;
  double descriptors = 0;
  double rate = 0;     // entries a second
  double p99 = 0;      // milliseconds from the time a request was due
  double viewLag = 0;  // milliseconds, p99: from the answer to the page that shows it
  double liveLeases = 0;
  double streams = 0;  // opened and closed so far
  double errors = 0;   // so far
};

struct SoakVerdict {
  std::vector<SoakMinute> minutes;
  double growthMegabytes = 0;  // of the least-squares line through resident memory over the second half
  double allowedMegabytes = 0;
  double descriptorsFirst = 0;  // most in the first half
  double descriptorsSecond = 0;
  double errors = 0;
  bool verified = false;
  // The rule: growth over the second half at most 5 % of its mean or 8 MB, whichever is more; no more descriptors than the first half's
  // most and 16; no errors; the ledger verifies.
  bool flat = false;
};

// The full mix with leases of 30 s; beside it pages, SQL, streams opened and closed; a SIGHUP and a new token each minute. `minute` is
// called after each. Throws the Faults of HttpRun.
SoakVerdict soak(const BenchOptions& options, const SoakOptions& soakOptions, const std::function<void(const SoakMinute&)>& minute);

}  // namespace counterfoil::cmd::bench
