// What a Kafka log, its writers and its readers have in common, and what is told about them.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "ledger/core/ids.h"

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

struct Shared {
  explicit Shared(std::size_t partitions) : ends(partitions) {}
  Notice notice;
  // Of each partition: the end of what this node knows to be committed there. A reader of this node reads at least so far.
  std::vector<std::atomic<std::uint64_t>> ends;
  // Counted since the start.
  std::atomic<std::uint64_t> poisoned{0};      // writers that ended by a report that was not as expected
  std::atomic<std::uint64_t> term{0};          // of the last claim of this node that was valid
  std::atomic<std::uint64_t> claims{0};        // of this node that were valid
  std::atomic<std::uint64_t> claimsLost{0};    // another node's came first
  std::atomic<std::uint64_t> acknowledged{0};  // records

  void know(PartitionId partition, std::uint64_t end) {
    std::atomic<std::uint64_t>& entry = ends[partition.value];
    std::uint64_t known = entry;
    while (known < end && !entry.compare_exchange_weak(known, end)) {
    }
  }
};

}  // namespace counterfoil::log::kafka
