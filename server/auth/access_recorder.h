// access.* entries in `_system`: tokens issued and revoked, and refusals, folded by reason and minute so that a flood of bad tokens makes few
// entries.
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
  // Durable on return. Throws the ledger's faults: then the token must not leave.
  void issued(const TokenClaims& claims, std::string_view by);
  void revoked(std::string_view tokenId, std::string_view subject, std::string_view by);
  // Counted; recorded by flush(). `caller` may be unauthenticated.
  void refused(ErrorCode reason, const Caller& caller);
  // Records what was counted, one entry a reason and principal. Called every minute and at the end; never blocks on the log.
  void flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
