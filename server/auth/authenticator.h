// From a bearer token to a Caller: strict checks first, the signature next, revocation last; verified tokens are cached.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/outcome.h"
#include "server/auth/roles.h"
#include "server/auth/token_keys.h"

namespace counterfoil::server {

struct AuthenticatorOptions {
  std::string audience;                  // the ledger's origin: `iss` and `aud` of every token
  std::size_t cachedMax = 100'000;       // verified tokens
  std::int64_t leewaySeconds = 5;        // of nbf against this clock
};

// Thread safe.
class Authenticator {
 public:
  Authenticator(const TokenKeys& keys, const Clock& clock, AuthenticatorOptions options);
  ~Authenticator();

  // The caller of a compact JWS (RFC 7515, RFC 7519). `certificate`: see RequestHead; a token bound to one (`cnf`, RFC 8705 3.1) needs it.
  // Throws Fault: noToken (empty), badToken (everything that does not verify: no reason is told), expiredToken.
  // In this order: size, form, strict JSON of header and claims (duplicates, unknown `crit`, other `alg`, unknown `kid`, no `jti`), the
  // signature, issuer, audience, times, lifetime (1 h for people, 15 min for producers), revocation.
  Caller authenticate(std::string_view token, std::string_view certificate);

  // From now on tokens with this jti, or of this subject and issued until now, are refused. Idempotent.
  void revokeToken(std::string_view tokenId);
  void revokeSubject(std::string_view subject, Timestamp issuedUntil);
  bool isRevoked(std::string_view tokenId, std::string_view subject, Timestamp issuedAt) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
