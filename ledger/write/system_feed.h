// Entries of `_system` as they are read from the log: what another node recorded there, of tokens above all, counts here at once, however
// far behind this node's views are.
#pragma once

#include <functional>
#include <mutex>

#include "ledger/core/entry.h"

namespace counterfoil::write {

// Thread safe.
class SystemFeed {
 public:
  // From now on `tell` gets every entry of `_system` that is read, in order, on the thread of its partition's sequencer, and before this node
  // is seen to write what it read up to; null: nobody. Entries that this node records itself are not told, but may be when it reads them
  // again. Once this has returned, the function before is not called any more. It must not wait, and not throw.
  void set(std::function<void(const EntryView&)> tell) {
    const std::lock_guard guard(mutex_);
    tell_ = std::move(tell);
  }
  void tell(const EntryView& view) {
    const std::lock_guard guard(mutex_);
    if (tell_) tell_(view);
  }

 private:
  std::mutex mutex_;
  std::function<void(const EntryView&)> tell_;
};

}  // namespace counterfoil::write
