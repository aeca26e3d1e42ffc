// Requests as the JSON that the server's routes read.
#pragma once

#include "clients/cpp/types.h"

namespace counterfoil::client {

// Each gives one JSON object. Throws Error(usage) for a SecretOf with a value and a digest.
WipingString jsonOf(const GrantRequest& request);
WipingString jsonOf(const IssuedReport& report);
WipingString jsonOf(const ConsumeRequest& request);
WipingString jsonOf(const RenewRequest& request);
WipingString jsonOf(const RevokeRequest& request);
WipingString jsonOf(const RevokeAllRequest& request);

// The fact with its id, as one line. Throws Error(usage) if it is no object, or has line ends outside of its texts.
WipingString lineOf(const Fact& fact, std::string_view id);

}  // namespace counterfoil::client
