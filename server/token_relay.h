// Takes what the token socket is asked to the node that writes `_system`: only that one can record what was given out.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <string>
#include <string_view>

#include "ledger/core/clock.h"
#include "ledger/crypto/random.h"
#include "server/auth/token_keys.h"
#include "server/forwarder.h"
#include "server/http/listener.h"
#include "server/node_role.h"

namespace counterfoil::server {

// Where a node takes the orders of others (routes/node_routes.h).
inline constexpr std::string_view kTokenDeskPath = "/node/token-desk";

// On the thread of its loop. All parts outlive it.
class TokenRelay {
 public:
  TokenRelay(EventLoops::Loop& loop, ForwardOptions options, const TokenKeys& keys, const Clock& clock, crypto::RandomSource& random,
             std::string origin);
  // The answer of the desk at `writer`, as TokenDesk::answer() gives it; an error in the same form if it is not reached, does not believe
  // this node or gives none: notReady, indeterminate (a token nobody got may have been recorded), badToken. A connection of its own each
  // time: tokens are minted rarely, and so renewed certificates are shown at once. `order` and `by` live until the answer is there. The
  // caller wipes it. Does not throw but for want of memory.
  asio::awaitable<std::string> ask(NodeRole writer, std::string_view order, std::string_view by);

 private:
  asio::awaitable<std::string> answerOf(const NodeRole& writer, std::string_view order, std::string_view by);

  EventLoops::Loop& loop_;
  const ForwardOptions options_;
  const TokenKeys& keys_;
  const Clock& clock_;
  crypto::RandomSource& random_;
  const std::string origin_;
};

}  // namespace counterfoil::server
