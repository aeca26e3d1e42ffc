// Workspaces whose erasure `_system` orders, as far as this node has read it: their content may be missing.
#pragma once

#include <mutex>
#include <set>

#include "ledger/core/ids.h"

namespace counterfoil::write {

// Thread safe.
class ErasedWorkspaces {
 public:
  void add(WorkspaceNumber number) {
    const std::lock_guard guard(mutex_);
    numbers_.insert(number);
  }
  bool contains(WorkspaceNumber number) const {
    const std::lock_guard guard(mutex_);
    return numbers_.contains(number);
  }

 private:
  mutable std::mutex mutex_;
  std::set<WorkspaceNumber> numbers_;
};

}  // namespace counterfoil::write
