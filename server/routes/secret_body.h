// The body of requests that ask about a secret.
#pragma once

#include <string_view>

#include "ledger/crypto/digest.h"

namespace counterfoil::server {

// SHA-256 of the secret in {"secret": {"value" | "sha256"}}; the caller wipes it. Throws Fault: what parseCommand() throws, unknownField
// for another member, tooLong, invalidValue.
crypto::Digest secretDigest(std::string_view body);

}  // namespace counterfoil::server
