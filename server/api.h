// From a request to its handler and back: route, token, workspace, and every fault as problem details (RFC 9457).
#pragma once

#include <atomic>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/exchange.h"
#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

class Forwarder;

// Thread safe.
class Api {
 public:
  // `service` outlives the Api, and so does `forwarder`; null: a single node. `nodeSubjects`: whose word of a caller's certificate counts.
  explicit Api(Service& service, Forwarder* forwarder = nullptr, std::vector<std::string> nodeSubjects = {});
  // The routes, for the document and its test.
  const Router& router() const { return router_; }
  // Answers one request. Throws only when the connection is of no use any more.
  asio::awaitable<Response> dispatch(Exchange& exchange);
  Response refuse(const Fault& fault, const std::string& requestId);

 private:
  asio::awaitable<Response> serve(Exchange& exchange, const Route*& route);
  // The partition whose writer answers. A workspace that another node says it knows is waited for a little.
  asio::awaitable<PartitionId> partitionOf(const Router::Match& match, bool passedOn);
  // Why the caller may not; nothing is recorded of it yet.
  std::optional<Fault> refusalOf(const Route& route, Caller& caller, const Router::Match& match, Exchange& exchange,
                                 std::string_view certificate);
  // For the operator, once a minute: a node that is believed nothing may be one whose name is missing here.
  void refuseErased(const Route& route, const Router::Match& match) const;
  void tellOfNode(const RequestHead& head);

  Service& service_;
  Forwarder* const forwarder_;
  const std::vector<std::string> nodeSubjects_;
  std::atomic<std::int64_t> tellOfNodeAgain_{0};  // monotonic nanoseconds
  Router router_;
};

}  // namespace counterfoil::server
