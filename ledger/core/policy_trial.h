// What a policy would say to a lease request that nobody makes: for trying documents before they are set. Pure.
#pragma once

#include <string>

#include "ledger/core/event.h"
#include "ledger/core/policy.h"

namespace counterfoil {

// `request`: a CommandKind::leaseRequest as parsed. An approval counts as given if the request names one.
PolicyDecision tryPolicy(const Policy& policy, const Command& request);
// {"outcome":"granted"|"denied","reasonCode"?,"rule"?,"explanation"}
std::string decisionJson(const PolicyDecision& decision);

}  // namespace counterfoil
