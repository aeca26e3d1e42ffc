// Which months of a workspace are to go.
#pragma once

#include "ledger/core/workspace_state.h"
#include "ledger/keys/key_ring.h"

namespace counterfoil::write {

// Whether a hold forbids to destroy anything: one of any person, too, for nobody can say whose entries a month has.
bool isHeld(const WorkspaceState& workspace, Timestamp now);

// When the time of a month is over. retention.days is not 0.
Timestamp keptUntil(const Retention& retention, std::uint64_t month);

// The keys of the months whose time is over at `now`, by the workspace's retention. None while any hold stands, while keys are still to be
// destroyed, or while ends of leases are owed. `now` is the ledger's clock.
MonthKeys monthsDue(const WorkspaceState& workspace, const keys::WorkspaceKeys& keys, Timestamp now);

}  // namespace counterfoil::write
