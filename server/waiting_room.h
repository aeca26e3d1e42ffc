// What answers at the server's addresses while there is no ledger yet: 503 and why. Nobody gets anything else from it.
#pragma once

#include <memory>
#include <string>

#include "ledger/core/clock.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/random.h"
#include "server/server.h"

namespace counterfoil::server {

class WaitingRoom {
 public:
  // Binds and answers at once. A socket that was passed in stays open for the server. `clock` and `random` must outlive this. Throws as
  // Server.
  WaitingRoom(const ServerOptions& options, const Clock& clock, crypto::RandomSource& random, const Fault& why);
  // The addresses are free again when it returns.
  ~WaitingRoom();
  // What is told from now on. Any thread.
  void tell(const Fault& why);
  // "https://127.0.0.1:8780"
  std::string url() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
