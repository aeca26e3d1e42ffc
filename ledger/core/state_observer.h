// What a workspace's state tells others.
#pragma once

#include <cstdint>

#include "ledger/core/ids.h"
#include "ledger/core/lease.h"

namespace counterfoil {

// Who wants to hear of what changes beyond this workspace's own state. Calls come from apply(), rollback() and load().
class StateObserver {
 public:
  virtual ~StateObserver() = default;
  // The lease in `slot` falls due at `time`, unless its timer stamp has moved on by then.
  virtual void armTimer(WorkspaceNumber workspace, LeaseSlot slot, std::uint32_t stamp, Timestamp time) = 0;
  // A secret was fingerprinted (it may be known already).
  virtual void secretSeen(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) = 0;
};

// For a state that nobody acts on.
class NobodyElse final : public StateObserver {
 public:
  void armTimer(WorkspaceNumber, LeaseSlot, std::uint32_t, Timestamp) override {}
  void secretSeen(WorkspaceNumber, std::uint32_t, const FingerprintTag&) override {}
};

}  // namespace counterfoil
