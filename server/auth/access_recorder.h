// access.* entries in `_system`: tokens issued and revoked, and refusals, folded by reason and minute so that a flood of bad tokens makes
// few entries.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "ledger/core/clock.h"
#include "ledger/core/outcome.h"
#include "ledger/write/ledger.h"
#include "server/auth/roles.h"
#include "server/auth/token_keys.h"

namespace counterfoil::server {

// Thread safe.
class AccessRecorder {
 public:
  AccessRecorder(write::Ledger& ledger, const Clock& clock);
  ~AccessRecorder();
  // Durable on return, so it blocks: not for threads that serve connections. `by`: "operator:alice", the actor. Throws the ledger's faults
  // (then the token must not leave) and those of redaction, secretInIdentifier among them.
  void issued(const TokenClaims& claims, std::string_view by);
  // One of `tokenId` (a jti) and `subject` is empty: a token alone, or everything the subject was given until now.
  void revoked(std::string_view tokenId, std::string_view subject, std::string_view by);
  // A new token key signs from now on.
  void keyRotated(std::string_view keyId, std::string_view by);
  // Counted; recorded by flush(). `caller` may be unauthenticated: nothing of it is recorded then.
  void refused(ErrorCode reason, const Caller& caller);
  // Records what was counted, one entry a reason and principal. Called every minute and at the end, before the ledger stops; never blocks
  // on the log. What the ledger does not take is counted on.
  void flush();

 private:
  struct State;
  std::shared_ptr<State> state_;  // the ledger's answers to flush() hold it as well
};

}  // namespace counterfoil::server
