// One HTTP request and its answer, as a route's handler sees them. Nothing here knows the ledger, and no handler knows sockets.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/crypto/wiping.h"

namespace counterfoil::server {

namespace asio = boost::asio;

using Parameter = std::pair<std::string, std::string>;  // name, value

// The head of a request, checked and taken apart (RFC 9112). Texts are percent-decoded, valid UTF-8 and without NUL or control characters.
struct RequestHead {
  std::string method;                 // "GET"
  std::string target;                 // as it came: "/v1/workspaces?limit=2"
  std::vector<std::string> segments;  // of the path, decoded one by one: an id may hold an encoded '/'
  std::vector<Parameter> query;       // in order; doubles are the handler's business
  std::vector<Parameter> headers;     // names in lower case; the bearer token is not among them
  std::string requestId;              // a UUIDv7; goes back as X-Request-Id and into logs
  std::string traceparent;            // W3C Trace Context, if the caller sent a valid one
  std::string remoteAddress;
  std::string peerCertificate;  // lower-case hex SHA-256 of the client's certificate (DER) if TLS verified one, else empty
  std::string nodeSubject;      // RFC 2253 name in that certificate, if an authority of nodes vouches for it, else empty

  // Empty if there is none. The first if there are several.
  std::string_view header(std::string_view lowerCaseName) const;
};

struct Response {
  int status = 200;
  std::string contentType = "application/json";
  std::string body;
  std::vector<Parameter> headers;  // beside those every answer has
  bool relayed = false;            // from another node: it brings those of its own
};

// What a handler can do with the connection. Lives on the connection's strand; not thread safe. Everything ends with a Fault when the peer
// is too slow (tooSlow) or sends what it must not, and with boost::system::system_error when it is gone.
class Exchange {
 public:
  virtual ~Exchange() = default;
  virtual const RequestHead& head() const = 0;
  // The bearer token of the Authorization header, or empty. Wiped with the exchange.
  virtual std::string_view bearerToken() const = 0;
  // "application/json" of "Application/JSON; charset=utf-8"; empty without a body type.
  virtual std::string_view mediaType() const = 0;

  // The whole body. Throws Fault(tooLarge) past `bytesMax`. The memory is the exchange's and wiped with it.
  virtual asio::awaitable<std::string_view> body(std::size_t bytesMax) = 0;
  // The next line of the body without its line end, nullopt at its end; an unfinished last line counts. A line longer than `lineMax` is
  // skipped to its end and comes as tooLong. Throws Fault(tooLarge) past `bytesMax` in all. `text` is valid until the next call.
  struct Line {
    std::string_view text;
    bool tooLong = false;
  };
  virtual asio::awaitable<std::optional<Line>> line(std::size_t lineMax, std::size_t bytesMax) = 0;

  // The next bytes of the body as they arrive, empty at its end; not beside body() and line(). Throws Fault(tooLarge) past `bytesMax` in
  // all. Valid until the next call; the memory is wiped with the exchange.
  virtual asio::awaitable<std::string_view> piece(std::size_t bytesMax) = 0;

  // Begins an answer whose length nobody knows; its body is sent first. After this the handler's own Response is not sent: a status below
  // 400 ends the stream, any other breaks the connection off, so that the peer does not take for whole what was cut. Goes out chunked, to
  // HTTP/1.0 as it is until the connection's end. A body of the request that was not begun with line() or piece() cannot be read any more,
  // and a body that is not read to its end makes the connection end with the stream.
  virtual asio::awaitable<void> beginStream(Response head) = 0;
  // Sends more. Waits for the peer to take it, at most `milliseconds`: then Fault(tooSlow), and the connection ends.
  virtual asio::awaitable<void> send(std::string_view chunk, std::int64_t milliseconds) = 0;
  // True once the server is stopping; streams end then. That the peer has gone is seen by the next send().
  virtual bool ending() const = 0;
};

}  // namespace counterfoil::server
