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
  double rememberedLeases = 0;
  double streams = 0;  // opened and closed so far
  double errors = 0;   // so far
};

struct SoakVerdict {
  std::vector<SoakMinute> minutes;
  // Of the least-squares line over the second half: of resident memory, and of that without what the leases of the last 24 h may take.
  double growthMegabytes = 0;
  double growthBesideLeases = 0;
  double allowedMegabytes = 0;
  double descriptorsFirst = 0;  // most in the first half
  double descriptorsSecond = 0;
  double errors = 0;
  bool verified = false;
  // The rule: growth of memory at most 5 % of the second half's mean or 8 MB, whichever is more; no more descriptors than the first half's
  // most and 16; no errors; the ledger verifies.
  bool flat = false;
};

// What a lease that ended in the last 24 h may take: those are kept by rule, and no run shorter than a day sees their number settle.
inline constexpr double kBytesOfRememberedLease = 512;

// The full mix with leases of 30 s, and a window of 100,000 requests for repeats, which is full within a minute; beside it pages, SQL,
// streams opened and closed; a SIGHUP and a new token each minute. `minute` is called after each. Throws the Faults of HttpRun.
SoakVerdict soak(const BenchOptions& options, const SoakOptions& soakOptions, const std::function<void(const SoakMinute&)>& minute);

}  // namespace counterfoil::cmd::bench
