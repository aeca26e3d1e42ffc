// One node's word to the node that writes: this order for the token desk came in over my own token socket, from this person.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/core/clock.h"
#include "ledger/crypto/random.h"
#include "server/auth/token_keys.h"

namespace counterfoil::server {

// Long enough for two clocks that differ by some seconds.
inline constexpr std::int64_t kDeskOrderSeconds = 30;

// A JWT of the keys that all nodes of a ledger have: whoever could make one without being a node could as well make any token. Good for
// these very bytes of an order alone (their SHA-256 stands in its audience), and for no route of the API. `by`: "operator:alice", whom the
// node's own socket let in. Throws what TokenKeys::sign() throws.
std::string signDeskOrder(const TokenKeys& keys, const Clock& clock, crypto::RandomSource& random, std::string_view origin,
                          std::string_view order, std::string_view by);

// Who gave the order, by a JWT as above. Throws Fault: noToken (empty), badToken (anything else; no reason is told), expiredToken.
std::string whoOrdered(const TokenKeys& keys, const Clock& clock, std::string_view origin, std::string_view order, std::string_view token);

}  // namespace counterfoil::server
