// Answers that every part gives alike.
#pragma once

#include <string>
#include <string_view>

#include "ledger/core/outcome.h"
#include "server/http/exchange.h"

namespace counterfoil::server {

// An error as problem details (RFC 9457), with Retry-After and WWW-Authenticate where they belong.
Response problem(const Fault& fault, std::string_view requestId);
Response json(int status, std::string body);

}  // namespace counterfoil::server
