// Which months of a workspace are to go.
#pragma once

#include "ledger/core/workspace_state.h"
#include "ledger/keys/key_ring.h"

namespace counterfoil::write {

// The keys of the months whose time is over at `now`, by the workspace's retention. None while any hold stands, while keys are still to be
// destroyed, or while ends of leases are owed. `now` is the ledger's clock.
MonthKeys monthsDue(const WorkspaceState& workspace, const keys::WorkspaceKeys& keys, Timestamp now);

}  // namespace counterfoil::write
