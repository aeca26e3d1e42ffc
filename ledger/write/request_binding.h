// What an approval binds (EVENTS: approvals): the grantee, credential, scope, resources and ttl of a lease request, as one keyed digest.
#pragma once

#include <string>

#include "ledger/core/event.h"
#include "ledger/core/redaction_keys.h"

namespace counterfoil::write {

// Hex HMAC under K_digest for a lease request or an approval request; the same if they speak of the same lease. Empty for other commands.
// Adds the key to `usedKeys`.
std::string requestBinding(const RedactedCommand& command, RedactionKeys& keys);

}  // namespace counterfoil::write
