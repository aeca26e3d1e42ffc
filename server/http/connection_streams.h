// The two kinds of streams that connections run on, as far as they differ. Included by connection.cc only.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <string>

#include "server/http/connection.h"
#include "server/http/tls.h"

namespace counterfoil::server {

using PlainStream = asio::ip::tcp::socket;
using TlsStream = asio::ssl::stream<asio::ip::tcp::socket>;

// The peer is.
[[noreturn]] inline void gone(const boost::system::error_code& error) {
  throw boost::system::system_error(error);
}

inline asio::ip::tcp::socket& lowestLayer(PlainStream& stream) {
  return stream;
}

inline asio::ip::tcp::socket& lowestLayer(TlsStream& stream) {
  return stream.next_layer();
}

// Overloads instead of `if constexpr`: g++ 12 miscompiles a co_await in a branch that is not taken.
inline asio::awaitable<void> greet(PlainStream&, std::string&, std::string&) {
  co_return;
}

inline asio::awaitable<void> greet(TlsStream& stream, std::string& peerCertificate, std::string& nodeSubject) {
  co_await stream.async_handshake(asio::ssl::stream_base::server, asio::use_awaitable);
  peerCertificate = peerCertificateOf(stream);
  nodeSubject = nodeSubjectOf(stream);
}

// A client with a certificate of nobody we know may be a node of this ledger: its callers wait for it to be mended.
inline void tellUnbelieved(ConnectionContext& context) {
  constexpr std::int64_t kSeconds = 60;
  const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(std::chrono::steady_clock::now().time_since_epoch()).count();
  std::int64_t last = context.unbelievedToldAt;
  if (!context.warn || now < last + kSeconds || !context.unbelievedToldAt.compare_exchange_strong(last, now)) return;
  context.warn("certificate_not_believed: a client, or a node, showed a certificate that no authority given here vouches for");
}

inline asio::awaitable<void> farewell(PlainStream&) {
  co_return;
}

inline asio::awaitable<void> farewell(TlsStream& stream) {
  boost::system::error_code ignored;
  co_await stream.async_shutdown(asio::redirect_error(asio::use_awaitable, ignored));
}

// What only work needs goes back.
inline void rest(PlainStream&) {}

inline void rest(TlsStream& stream) {
  releaseBuffers(stream);
}

}  // namespace counterfoil::server
