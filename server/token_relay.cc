#include "server/token_relay.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <chrono>
#include <memory>

#include "ledger/core/outcome.h"
#include "ledger/crypto/wiping.h"
#include "server/auth/desk_order.h"
#include "server/auth/token_desk.h"
#include "server/forwarded.h"
#include "server/http/peer_connection.h"
#include "server/http/tls.h"

namespace counterfoil::server {
namespace {

constexpr std::chrono::milliseconds kLook{1'000};
// Less than who waits at the socket does, so that he hears of it.
constexpr std::chrono::milliseconds kAnswer{20'000};

struct ClosedAtEnd {
  PeerConnection& connection;
  ~ClosedAtEnd() { connection.close(); }
};

Fault unreached(const NodeRole& writer, const std::string& why) {
  return Fault(ErrorCode::notReady, "tokens are recorded by node " + writer.ownerName + " at " + writer.ownerUrl + ": " + why,
               "nothing was given out; ask again, or ask there");
}

crypto::WipingVector requestOf(const PeerAddress& address, std::string_view node, std::string_view token, std::string_view order) {
  crypto::WipingVector bytes;
  bytes.reserve(order.size() + token.size() + 1024);
  const auto add = [&](std::string_view text) { bytes.insert(bytes.end(), text.begin(), text.end()); };
  add("POST ");
  add(kTokenDeskPath);
  add(" HTTP/1.1\r\nHost: ");
  add(address.authority);
  add("\r\nAuthorization: Bearer ");
  add(token);
  add("\r\nContent-Type: application/json\r\n");
  add(kForwardedBy);
  add(": ");
  add(node);
  add("\r\nContent-Length: ");
  add(std::to_string(order.size()));
  add("\r\n\r\n");
  add(order);
  return bytes;
}

// What the other node said, as the desk says it.
Fault faultOf(const crypto::WipingVector& body) {
  boost::json::error_code error;
  const boost::json::value json = boost::json::parse({reinterpret_cast<const char*>(body.data()), body.size()}, error);
  const boost::json::object* const problem = error ? nullptr : json.if_object();
  const auto textOf = [&](std::string_view name) {
    const boost::json::value* const value = problem == nullptr ? nullptr : problem->if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  if (const auto code = errorCodeOf(textOf("code"))) return Fault(*code, textOf("detail"), textOf("hint"));
  return Fault(ErrorCode::notReady, "the node that writes is of a version that takes no orders for tokens of other nodes",
               "run the same version on all nodes, or ask there");
}

}  // namespace

TokenRelay::TokenRelay(EventLoops::Loop& loop, ForwardOptions options, const TokenKeys& keys, const Clock& clock,
                       crypto::RandomSource& random, std::string origin)
    : loop_(loop), options_(std::move(options)), keys_(keys), clock_(clock), random_(random), origin_(std::move(origin)) {}

asio::awaitable<std::string> TokenRelay::ask(NodeRole writer, std::string_view order, std::string_view by) {
  try {
    co_return co_await answerOf(writer, order, by);
  } catch (const Fault& fault) {
    co_return deskRefusal(fault);
  }
}

asio::awaitable<std::string> TokenRelay::answerOf(const NodeRole& writer, std::string_view order, std::string_view by) {
  const std::optional<PeerAddress> address = peerAddressOf(writer.ownerUrl);
  if (!address) throw unreached(writer, "its URL is none, or is plain HTTP to another machine");
  std::shared_ptr<asio::ssl::context> tls;
  if (address->tls && options_.certificate.empty()) throw unreached(writer, "this node has no certificate to show (peer_cert)");
  if (address->tls) tls = makePeerTls(options_.certificate, options_.certificateKey, options_.authorities);
  std::string token = signDeskOrder(keys_, clock_, random_, origin_, order, by);
  crypto::WipingVector request = requestOf(*address, options_.nodeName, token, order);
  crypto::wipe(token.data(), token.size());

  PeerLimits limits = options_.limits;
  limits.answer = std::min(limits.answer, kAnswer);
  const std::shared_ptr<PeerConnection> connection = PeerConnection::make(loop_.context, loop_.deadlines, tls, *address, limits);
  const ClosedAtEnd closed{*connection};
  connection->open();
  while (!connection->opened() && !connection->failed()) co_await connection->change(kLook);
  if (connection->failed()) throw unreached(writer, "no connection: refused, too slow, or its certificate is not believed");
  connection->begin(std::move(request), true, false);
  crypto::WipingVector body;
  while (!connection->answerDone() && !connection->failed()) {
    co_await connection->change(kLook);
    if (!connection->headArrived()) continue;
    const crypto::WipingVector piece = connection->take();
    body.insert(body.end(), piece.begin(), piece.end());
  }
  if (connection->refusedCertificate())
    throw unreached(writer, "it does not believe this node's certificate (peer_cert here, peer_ca there)");
  if (!connection->answerDone() && !connection->sentAll()) throw unreached(writer, "the connection ended");
  if (!connection->answerDone()) {
    throw Fault(ErrorCode::indeterminate, "node " + writer.ownerName + " gave no answer: what was asked for may be recorded",
                "ask again; a token that nobody got expires by itself");
  }
  const crypto::WipingVector rest = connection->take();
  body.insert(body.end(), rest.begin(), rest.end());
  if (connection->head().status != 200) throw faultOf(body);
  co_return std::string(body.begin(), body.end());
}

}  // namespace counterfoil::server
