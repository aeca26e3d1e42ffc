// One HTTP/1.1 connection to another node, as its client: a request goes out in pieces while its answer comes in, each at its own pace.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ssl/context.hpp>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/crypto/wiping.h"
#include "server/http/deadlines.h"
#include "server/http/exchange.h"

namespace counterfoil::server {

struct PeerAddress {
  bool tls = false;
  std::string host;  // without the brackets of an IPv6 address
  std::string port;
  std::string authority;  // as the URL has it, for the Host header
};

// Of "https://node-1.example.com:8780" or "http://127.0.0.1:8780", without a path or with "/". nullopt for any other form, and for plain
// HTTP to anything but this machine: tokens would cross the network in clear.
std::optional<PeerAddress> peerAddressOf(std::string_view url);

struct PeerLimits {
  std::chrono::milliseconds connect{2'000};       // name, connection and handshake together
  std::chrono::milliseconds write{20'000};        // for the peer to take a piece
  std::chrono::milliseconds answer{30'000};       // from the request's last byte to the end of the answer's head; then for each piece
  std::chrono::milliseconds silence{60'000};      // of an event stream, which gives a sign of life every 15 s
  std::chrono::milliseconds idle{30'000};         // between requests; below the 75 s after which the peer itself would close
  std::size_t answerAhead = 64 * 1024;            // of an answer held at most while nobody takes it
  std::size_t answerAheadSending = 1'280 * 1024;  // the same while the request is still sent: a writer of results holds 1 MiB of them
};

// Owned by shared pointers; everything on the loop's own thread. Nothing throws: what fails closes the connection, see failed().
class PeerConnection {
 public:
  // `tls` null: plain. The loop and its deadlines outlive the connection, and its last owner lets go of it on that thread, or after the
  // loop's end.
  static std::shared_ptr<PeerConnection> make(asio::io_context& loop, std::shared_ptr<Deadlines> deadlines,
                                              std::shared_ptr<asio::ssl::context> tls, PeerAddress address, const PeerLimits& limits);
  virtual ~PeerConnection() = default;

  // Begins to connect; change() tells.
  virtual void open() = 0;
  virtual bool opened() const = 0;
  // Closed: the peer is not there, was too slow, sent what is no answer, or close() was called.
  virtual bool failed() const = 0;
  // After failed(): the peer does not believe this node's certificate. It has read nothing of what was sent.
  virtual bool refusedCertificate() const = 0;
  virtual void close() = 0;

  // Resumes when something happened here since, or after `most`. One waiter; it looks at everything again, right before it waits again.
  virtual asio::awaitable<void> change(std::chrono::milliseconds most) = 0;

  // ---- the request ----
  // Bytes of one request as they go over the wire; not while sending(). `last`: they end it. The first call begins a new exchange: `head`
  // says that it is a HEAD request, whose answer has no body. The bytes are wiped when they are sent.
  virtual void begin(crypto::WipingVector bytes, bool last, bool head) = 0;
  virtual void send(crypto::WipingVector bytes, bool last) = 0;
  virtual bool sending() const = 0;
  // The peer takes no more of the request. Its answer may still come: whoever refuses early reads no further.
  virtual bool refusesMore() const = 0;
  // The kernel has taken the whole request.
  virtual bool sentAll() const = 0;
  // Bytes of it that the kernel took.
  virtual std::size_t sentBytes() const = 0;
  // After failed() and not sending(): the bytes given last, to be sent elsewhere. Empty if they were taken whole.
  virtual crypto::WipingVector takeBack() = 0;

  // ---- the answer ----
  // Status and headers are there. Those that concern the connection itself are left out.
  virtual bool headArrived() const = 0;
  virtual const Response& head() const = 0;
  // What it announced; nullopt: chunked.
  virtual std::optional<std::uint64_t> contentLength() const = 0;
  // What has come of the body and was not taken yet. take() makes room for more.
  virtual std::size_t available() const = 0;
  virtual crypto::WipingVector take() = 0;
  // The whole answer has come; what is available() may still be taken.
  virtual bool answerDone() const = 0;

  // ---- between requests ----
  // Request and answer are whole, taken, and the peer keeps the connection. True: it rests from now on, watched for its end.
  virtual bool keep() = 0;
  // Back to work after keep(). False: it ended meanwhile.
  virtual bool resume() = 0;
};

}  // namespace counterfoil::server
