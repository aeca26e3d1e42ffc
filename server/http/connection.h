// One HTTP/1.1 connection (RFC 9110, 9112), plain or TLS: reads requests one after another, has each answered, keeps to limits and times.
#pragma once

#include <atomic>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "ledger/core/outcome.h"
#include "ledger/crypto/random.h"
#include "server/http/deadlines.h"
#include "server/http/exchange.h"

namespace counterfoil::server {

struct ConnectionLimits {
  std::size_t headerBytesMax = 16 * 1024;
  std::size_t targetBytesMax = 8 * 1024;
  std::chrono::milliseconds handshake{10'000};
  std::chrono::milliseconds idle{75'000};       // between requests
  std::chrono::milliseconds header{10'000};     // from a request's first byte to the end of its head
  std::chrono::milliseconds bodyPiece{20'000};  // for each piece of a body to arrive
  std::chrono::milliseconds bodyRate{1'000};    // beside that, time for each 4 KiB of a body: a trickle ends
  std::chrono::milliseconds write{20'000};      // for the peer to take an answer
};

// Answers one request. Must not throw but when the connection is of no use any more; an Exchange lives as long as the call.
using Dispatch = std::function<asio::awaitable<Response>(Exchange&)>;
// The answer to what never became a request (a broken head, one that is too large or too slow).
using Refuse = std::function<Response(const Fault&, const std::string& requestId)>;

// What all connections of a listener share. Outlives them.
struct ConnectionContext {
  ConnectionLimits limits;
  Dispatch dispatch;
  Refuse refuse;
  std::function<std::string()> newRequestId;
  std::vector<Parameter> headers;  // of every answer of this node's own
  // Told what the operator should know of the listener: a code, a colon, a sentence; at most once a minute, on a loop's thread. May be
  // empty.
  std::function<void(const std::string&)> warn;
  std::atomic<bool> stopping{false};
  std::atomic<std::int64_t> unbelievedToldAt{-1'000'000};  // seconds of the steady clock; of the connections
};

// A connection as its listener knows it. Methods are called on the connection's own thread.
class ConnectionHandle {
 public:
  virtual ~ConnectionHandle() = default;
  // Ends it now if it waits for a request; otherwise after the answer under way.
  virtual void finish() = 0;
  // Ends it now.
  virtual void abort() = 0;
};

// Serves `socket` until it ends, on its own loop, whose deadlines are given. `tls` may be null; it is kept alive by the connection.
// `started` is told the handle once.
asio::awaitable<void> serveConnection(asio::ip::tcp::socket socket, std::shared_ptr<asio::ssl::context> tls, ConnectionContext& context,
                                      std::shared_ptr<Deadlines> deadlines,
                                      const std::function<void(std::weak_ptr<ConnectionHandle>)>& started);

}  // namespace counterfoil::server
