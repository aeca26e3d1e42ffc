// What `_system` remembers of tokens: read at a start, and followed from then on, so that a revoked token stays revoked at every node and
// `token list` knows what is out.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/entry.h"
#include "ledger/keys/key_ring.h"
#include "projections/query/view_reader.h"
#include "server/auth/authenticator.h"

namespace counterfoil::server {

// A token as the record knows it; never the token itself.
struct IssuedToken {
  std::string tokenId;
  std::string subject;  // of a person after a restart: the pseudonym
  std::string role;
  std::string workspace;  // empty after a restart: the record does not say
  std::string keyId;      // that signed it; empty after a restart
  Timestamp issuedAt, expiresAt;
};

// The subject's name in entries of `_system`: a person's pseudonym ("human:p2:..."), others as they are; empty for a person without a key
// there, whom no entry can mean. For AuthenticatorOptions::recordedName. Thread safe.
std::string recordedSubject(keys::KeyRing& ring, std::string_view subject);

// Reads access.token_revoked and access.token_issued of the time in which a token can still be alive (1 h and a margin of 15 min before
// `now`); revokes the former and returns the latter that have not expired. The view must have caught up with the log, the ring must have
// read it, and nothing may be authenticated before. Throws the view's Faults: then no token may be accepted.
std::vector<IssuedToken> restoreTokens(query::ViewReader& system, Timestamp now, Authenticator& authenticator);

// The same from one entry of `_system` as it is read from the log, while another node records there: revokes, or gives a token that was given
// out and has not expired. nullopt for any other entry. Does not wait.
std::optional<IssuedToken> takeRecorded(const EntryView& entry, Timestamp now, Authenticator& authenticator);

}  // namespace counterfoil::server
