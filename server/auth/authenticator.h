// From a bearer token to a Caller: strict checks first, the signature next, revocation last; verified tokens are cached.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/outcome.h"
#include "server/auth/roles.h"
#include "server/auth/token_keys.h"

namespace counterfoil::server {

// Of tokens, from `iat` to `exp`.
inline constexpr std::int64_t kTokenSecondsMax = 3600;
inline constexpr std::int64_t kProducerTokenSecondsMax = 15 * 60;
constexpr std::int64_t tokenSecondsMax(Role role) {
  return role == Role::producer ? kProducerTokenSecondsMax : kTokenSecondsMax;
}

struct AuthenticatorOptions {
  std::string audience;             // the ledger's origin: `iss` and `aud` of every token
  std::size_t cachedMax = 100'000;  // verified tokens
  std::int64_t leewaySeconds = 5;   // of nbf and iat against this clock
  // A subject under the name that `_system` records it by ("human:p2:..."), or empty if there is none: see revokeRecordedSubject(). May be
  // called from any thread; unset: the subject's own text.
  std::function<std::string(const std::string& subject)> recordedName;
};

// Thread safe.
class Authenticator {
 public:
  Authenticator(const TokenKeys& keys, const Clock& clock, AuthenticatorOptions options);
  ~Authenticator();

  // The caller of a compact JWS (RFC 7515, RFC 7519). `certificate`: see RequestHead; a token bound to one (`cnf`, RFC 8705 3.1) needs it.
  // Throws Fault: noToken (empty), badToken (everything that does not verify: no reason is told), expiredToken (it verifies, but its time
  // is over). In this order: size, form, strict JSON of header and claims (strict_jwt.h), known `kid`, the signature, issuer, audience,
  // subject, role, workspace, `jti`, lifetime, times, certificate, revocation. Of a token seen before, known by its SHA-256, only what can
  // change is checked again: key, times, certificate, revocation. `cached`, if given, says which it was.
  Caller authenticate(std::string_view token, std::string_view certificate, bool* cached = nullptr);

  // From now on tokens with this jti, or of this subject and issued until then (whole seconds, that second included), are refused, also
  // those seen before. Idempotent. Kept until the last such token has expired.
  void revokeToken(std::string_view tokenId);
  void revokeSubject(std::string_view subject, Timestamp issuedUntil);
  // The same for a subject as `_system` records it: what a restart finds there.
  void revokeRecordedSubject(std::string_view recordedSubject, Timestamp issuedUntil);
  bool isRevoked(std::string_view tokenId, std::string_view subject, Timestamp issuedAt) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
