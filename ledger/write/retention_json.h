// What may be told of a workspace's retention: `retention show`, GET .../retention.
#pragma once

#include <string>

#include "ledger/core/workspace_state.h"
#include "ledger/keys/key_ring.h"

namespace counterfoil::write {

// {"days","inForceFrom","held","months":[{"month","state","keptUntil"}]}: days 0 is for ever, and `inForceFrom` is left out with it. Months in
// order; state is kept, due (its key is to be destroyed) or destroyed; keptUntil of kept ones that are not kept for ever. `now`: the
// ledger's clock.
std::string retentionJson(const WorkspaceState& workspace, const keys::WorkspaceKeys& keys, Timestamp now);

}  // namespace counterfoil::write
