#include "server/api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "server/auth/access_recorder.h"
#include "server/fault_log.h"
#include "server/forwarded.h"
#include "server/forwarder.h"
#include "server/http/head.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/routes/fact_routes.h"
#include "server/routes/import_routes.h"
#include "server/routes/lease_routes.h"
#include "server/routes/open_routes.h"
#include "server/routes/query_routes.h"
#include "server/routes/read_routes.h"
#include "server/routes/stream_routes.h"
#include "server/routes/verify_routes.h"
#include "server/routes/workspace_routes.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kJson = "application/json";

// Where a token must never stand: URLs end in logs, histories and referrers.
bool namesToken(std::string_view parameter) {
  constexpr std::array<std::string_view, 5> kNames = {"token", "access_token", "authorization", "bearer", "api_key"};
  return std::find(kNames.begin(), kNames.end(), parameter) != kNames.end();
}

Fault notAllowed() {
  return Fault(ErrorCode::notAllowed, "the token does not allow this, or the workspace does not exist",
               "ask for a token with the role and workspace that this needs");
}

// What only the node that writes answers: reading is recorded too. Also what this node does not know: the other one may be newer.
bool isOfTheWriter(const RequestHead& head, const Route* route) {
  constexpr std::array<std::string_view, 6> kMethods = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
  if (head.segments.front() != "v1" || std::find(kMethods.begin(), kMethods.end(), head.method) == kMethods.end()) return false;
  return route == nullptr || route->action != Action::open;
}

}  // namespace

Api::Api(Service& service, Forwarder* forwarder, std::vector<std::string> nodeSubjects)
    : service_(service), forwarder_(forwarder), nodeSubjects_(std::move(nodeSubjects)) {
  addOpenRoutes(router_, service_);
  addWorkspaceRoutes(router_, service_);
  addLeaseRoutes(router_, service_);
  addFactRoutes(router_, service_);
  addImportRoutes(router_, service_);
  addReadRoutes(router_, service_);
  addQueryRoutes(router_, service_);
  addStreamRoutes(router_, service_);
  addVerifyRoutes(router_, service_);
}

asio::awaitable<Response> Api::dispatch(Exchange& exchange) {
  const std::int64_t started = service_.clock.monotonicNanoseconds();
  const Route* route = nullptr;
  Response response;
  std::optional<Fault> fault;
  try {
    response = co_await serve(exchange, route);
  } catch (const Fault& refused) {
    fault = refused;
  } catch (const boost::system::system_error&) {
    throw;  // the connection
  } catch (const std::exception& unexpected) {
    // What other libraries throw may quote values: neither the answer nor the log gets the text.
    spdlog::error("request {} failed: an unexpected exception of type {}", exchange.head().requestId, typeid(unexpected).name());
    fault = Fault(ErrorCode::internal, "something unexpected failed", "tell the operator the requestId");
  }
  if (fault) {
    service_.metrics.refused(factsOf(fault->code()).text);
    const std::string parameter = fault->field();
    response = problem(service_.faults.forCaller(*fault, exchange.head().requestId), exchange.head().requestId);
    if (fault->code() == ErrorCode::methodNotAllowed) response.headers.emplace_back("Allow", parameter);
  }
  const double seconds = static_cast<double>(service_.clock.monotonicNanoseconds() - started) * 1e-9;
  service_.metrics.answered(route != nullptr ? std::string_view(route->pattern) : std::string_view("none"), response.status, seconds);
  co_return response;
}

Response Api::refuse(const Fault& fault, const std::string& requestId) {
  service_.metrics.refused(factsOf(fault.code()).text);
  return problem(fault, requestId);
}

asio::awaitable<Response> Api::serve(Exchange& exchange, const Route*& route) {
  const RequestHead& head = exchange.head();
  for (const auto& [name, value] : head.query) {
    if (namesToken(name)) {
      throw Fault(ErrorCode::tokenInUrl, "a token stands in the URL, where logs keep it: it must be considered known",
                  "revoke it, and send tokens in the Authorization header");
    }
  }
  const Forwarded passed = forwardedOf(head, nodeSubjects_);
  Router::Match match = router_.match(head.method, head.segments);
  if (forwarder_ != nullptr && isOfTheWriter(head, match.route)) {
    route = match.route;
    std::optional<NodeRole> role = forwarder_->elsewhere();
    // Never twice: two nodes that each take the other for the writer would pass it on for ever.
    if (role && passed.passedOn) throw Fault(ErrorCode::notReady, "the request was passed on to a node that does not write", "ask again");
    const bool isStream = route != nullptr && route->docs.answerType == "text/event-stream";
    if (role) co_return co_await forwarder_->forward(exchange, std::move(*role), isStream);
  }
  if (match.route == nullptr) {
    if (match.allowed.empty()) throw Fault(ErrorCode::noSuchRoute, "there is no such route", "see /openapi.json");
    throw Fault(ErrorCode::methodNotAllowed, "this route does not take the method", "see the Allow header", match.allowed);
  }
  route = match.route;
  Caller caller;
  if (route->action != Action::open) admit(*route, caller, match, exchange, passed.clientCertificate);
  Call call{exchange, caller, std::move(match.variables)};
  co_return co_await route->handler(call);
}

void Api::admit(const Route& route, Caller& caller, const Router::Match& match, Exchange& exchange, std::string_view certificate) {
  try {
    bool cached = false;
    caller = service_.authenticator.authenticate(exchange.bearerToken(), certificate, &cached);
    service_.metrics.tokenChecked(cached);
    std::string_view workspace;
    for (const auto& [name, value] : match.variables) {
      if (name == "workspace") workspace = value;
    }
    const bool permitted = caller.may(route.action, workspace);
    const bool exists = workspace.empty() || service_.ledger.findWorkspace(workspace).has_value();
    if (!permitted || !exists) throw notAllowed();
  } catch (const Fault& fault) {
    service_.access.refused(fault.code(), caller);
    throw;
  }
  const std::string_view accept = exchange.head().header("accept");
  const std::string_view gives = route.docs.answerType;
  if (!accepts(accept, gives) && !accepts(accept, kJson)) {
    throw Fault(ErrorCode::notAcceptable, "the Accept header takes nothing this route gives", "accept application/json");
  }
}

}  // namespace counterfoil::server
