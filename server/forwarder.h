// Passes requests on to the node that writes, and its answers back; or tells callers where it is.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>

#include "ledger/core/clock.h"
#include "server/http/exchange.h"
#include "server/http/listener.h"
#include "server/http/peer_connection.h"
#include "server/node_role.h"

namespace counterfoil::server {

class Metrics;

struct ForwardOptions {
  std::string nodeName;  // of this node, in X-Counterfoil-Node and X-Counterfoil-Forwarded-By
  // PEM files: what this node shows to the others, and whose certificates it believes of them, as a client and as a server. All or none;
  // without them only plain URLs of this machine are reached.
  std::string certificate, certificateKey, authorities;
  std::size_t requestsMax = 1'024;  // passed on at once, streams apart
  std::size_t streamsMax = 8'192;   // listeners passed on at once
  std::size_t idleMax = 64;         // connections kept by each event loop
  PeerLimits limits;
  std::chrono::milliseconds send{20'000};            // for a caller to take a piece of an answer
  std::chrono::milliseconds sendToListener{10'000};  // of a stream: who is slower is cut off
  std::chrono::milliseconds look{4'000};             // of streams, between looks at who writes and whether the server stops
};

// Thread safe; forward() on the loop of its exchange.
class Forwarder {
 public:
  // `loops`, `metrics` and `clock` outlive it. Throws as makePeerTls() does, and Fault(usage) if some of the three files are missing or
  // the name is none.
  Forwarder(EventLoops& loops, RoleOf role, ForwardOptions options, Metrics& metrics, const Clock& clock);
  ~Forwarder();

  // Who writes the partition, if it is not this node; nullopt: this one does.
  std::optional<NodeRole> elsewhere(PartitionId partition) const;

  // The answer of the node that writes, or 307 with its URL if the caller asked for that. `isStream`: the route's answer is an event
  // stream; it ends when another node begins to write, or the server to stop. Throws Fault:
  //   notReady       nobody is known to write, it is not reached, or a request that cannot have been recorded got no answer
  //   indeterminate  a request that may have been recorded got no whole answer; it is never sent twice
  //   intakeFull     as many are under way as there may be
  // and what reading the body throws. After the answer has begun a Fault breaks it off.
  asio::awaitable<Response> forward(Exchange& exchange, NodeRole role, bool isStream);

  // The files again, for new connections. Throws and keeps the old ones.
  void reloadCertificates();
  // Under way now.
  std::size_t open() const;
  // Closes every connection, also those whose request is under way, and keeps none from now on. Before the loops stop.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
