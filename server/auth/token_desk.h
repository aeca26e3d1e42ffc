// Issues, revokes, lists tokens and rotates their keys, for whoever the token socket lets in.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/random.h"
#include "server/auth/access_recorder.h"
#include "server/auth/authenticator.h"
#include "server/auth/revocations.h"
#include "server/auth/token_keys.h"

namespace counterfoil::server {

inline constexpr std::size_t kDeskOrderBytesMax = 16 * 1024;  // of a request

// All outlive the desk.
struct TokenDeskParts {
  TokenKeys& keys;
  Authenticator& authenticator;
  AccessRecorder& access;
  const Clock& clock;
  crypto::RandomSource& random;
  std::string origin;                                        // `iss` and `aud`
  std::function<bool(std::string_view id)> workspaceExists;  // thread safe
};

// A request is one JSON object; its member "request" says which:
//   {"request":"mint","role":R,"workspace"?:W,"subject"?:"human:alice","ttlSeconds"?:N,"certificate"?:"<sha256 hex>"}
//     -> {"token","tokenId","role","workspace","subject","expiresAt"}. Left out: the workspace is "*" (never for producers, who must name
//     one), the subject is who asks, the time the longest allowed (Authenticator). A workspace must exist.
//   {"request":"revoke","tokenId":J} or {"request":"revoke","subject":S}  -> {"revoked":"token"|"subject"}
//   {"request":"list"}    -> {"tokens":[{"tokenId","subject","role","workspace","issuedAt","expiresAt"}]}: alive, oldest first
//   {"request":"rotate"}  -> {"keyId"}
// and every one of them -> {"error":{"code","detail","hint"?,"field"?}}. Mints, revocations and rotations are in the record, durably,
// before they are answered; a revocation is in force even when it cannot be recorded. Thread safe. Blocks on the ledger.
class TokenDesk {
 public:
  // `issued`: what is known to be out (restoreTokens).
  TokenDesk(TokenDeskParts parts, std::vector<IssuedToken> issued);
  ~TokenDesk();
  // What is known to be out, anew.
  void restore(std::vector<IssuedToken> issued);
  // One more, which another node gave out; nothing if it is known.
  void know(IssuedToken token);
  // The answer as one line without its end. `by`: who asks, "operator:alice". Does not throw.
  std::string answer(std::string_view request, std::string_view by);
  // A token like one that was just authenticated, for as long again and from now on, recorded as given out by its own subject. Same answer
  // as to a mint. Throws the ledger's faults: then there is none. What revokes the subject revokes this one too.
  std::string refresh(const TokenClaims& of);
  // What it revokes, if it does, is in force here from now on: the request itself goes to the node that can record it. Does not throw.
  void enforce(std::string_view request);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// The answer to a request that was not served.
std::string deskRefusal(const Fault& fault);

}  // namespace counterfoil::server
