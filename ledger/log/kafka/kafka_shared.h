// What a Kafka log, its writers and its readers have in common, and what is told about them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/ids.h"
#include "ledger/core/outcome.h"

namespace counterfoil::log::kafka {

// Whom to tell about new records. Thread safe; once set() has returned the function before is not called any more.
class Notice {
 public:
  void set(std::function<void()> notify) {
    const std::lock_guard guard(mutex_);
    notify_ = std::move(notify);
  }
  void raise() {
    const std::lock_guard guard(mutex_);
    if (notify_) notify_();
  }

 private:
  std::mutex mutex_;
  std::function<void()> notify_;
};

// Why the log is not the one it was, once that is certain: from then on nothing is read from it or written to it. Thread safe.
class Verdict {
 public:
  // The first one stays.
  void set(const Fault& fault) {
    const std::lock_guard guard(mutex_);
    if (!fault_) fault_ = fault;
    given_ = true;
  }
  std::optional<Fault> get() const {
    if (!given_) return std::nullopt;
    const std::lock_guard guard(mutex_);
    return fault_;
  }
  void throwIfGiven() const {
    if (const auto fault = get()) throw Fault(*fault);
  }

 private:
  std::atomic<bool> given_{false};
  mutable std::mutex mutex_;
  std::optional<Fault> fault_;
};

// Whom to tell how long acknowledgements took, in seconds. As Notice is.
class AckTimes {
 public:
  void set(std::function<void(double)> tell) {
    const std::lock_guard guard(mutex_);
    tell_ = std::move(tell);
  }
  void tell(double seconds) {
    const std::lock_guard guard(mutex_);
    if (tell_) tell_(seconds);
  }

 private:
  std::mutex mutex_;
  std::function<void(double)> tell_;
};

struct Shared {
  explicit Shared(std::size_t partitions) : ends(partitions), unanswered(partitions) {}
  Notice notice;
  Verdict broken;
  // Of each partition: the end of what this node knows to be committed there. A reader of this node reads at least so far.
  std::vector<std::atomic<std::uint64_t>> ends;
  // Set once somebody watches; null: nothing is measured. Outlives this.
  std::atomic<const Clock*> clock{nullptr};
  AckTimes ackTimes;
  // Of each partition: when the oldest append that has no answer was made, in the clock's monotonic nanoseconds; 0: there is none.
  std::vector<std::atomic<std::int64_t>> unanswered;
  // Counted since the start.
  std::atomic<std::uint64_t> poisoned{0};      // writers that ended by a report that was not as expected
  std::atomic<std::uint64_t> term{0};          // of the last claim of this node that was valid
  std::atomic<std::uint64_t> claims{0};        // of this node that were valid
  std::atomic<std::uint64_t> claimsLost{0};    // another node's came first
  std::atomic<std::uint64_t> acknowledged{0};  // records

  // 0 without a clock.
  std::int64_t now() const {
    const Clock* const given = clock;
    return given == nullptr ? 0 : given->monotonicNanoseconds();
  }
  void know(PartitionId partition, std::uint64_t end) {
    std::atomic<std::uint64_t>& entry = ends[partition.value];
    std::uint64_t known = entry;
    while (known < end && !entry.compare_exchange_weak(known, end)) {
    }
  }
};

}  // namespace counterfoil::log::kafka
