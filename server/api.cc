#include "server/api.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>

#include "server/auth/access_recorder.h"
#include "server/fault_log.h"
#include "server/forwarded.h"
#include "server/forwarder.h"
#include "server/http/head.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/routes/fact_routes.h"
#include "server/routes/import_routes.h"
#include "server/routes/key_routes.h"
#include "server/routes/lease_routes.h"
#include "server/routes/node_routes.h"
#include "server/routes/open_routes.h"
#include "server/routes/person_routes.h"
#include "server/routes/query_routes.h"
#include "server/routes/read_routes.h"
#include "server/routes/retention_routes.h"
#include "server/routes/stream_routes.h"
#include "server/routes/token_routes.h"
#include "server/routes/verify_routes.h"
#include "server/routes/workspace_routes.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kJson = "application/json";
// A request that was passed on may be here before what this node reads of the log.
constexpr std::chrono::milliseconds kWorkspaceLook{10};
constexpr int kWorkspaceLooks = 200;

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

// Reading with personal values takes another right than reading.
Action actionOf(const Route& route, const RequestHead& head) {
  const auto& names = route.docs.parameters;
  const bool mayDisclose = std::find(names.begin(), names.end(), "disclose") != names.end();
  const bool asked =
      std::any_of(head.query.begin(), head.query.end(), [](const auto& one) { return one.first == "disclose" && one.second == "true"; });
  return mayDisclose && asked ? Action::discloseRecord : route.action;
}

std::string_view workspaceIn(const Router::Match& match) {
  for (const auto& [name, value] : match.variables) {
    if (name == "workspace") return value;
  }
  return {};
}

Fault passedOnInVain() {
  return Fault(ErrorCode::notReady, "the request was passed on to a node that does not write", "ask again");
}

void checkAccepted(const Route& route, const RequestHead& head) {
  const std::string_view accept = head.header("accept");
  if (!accepts(accept, route.docs.answerType) && !accepts(accept, kJson)) {
    throw Fault(ErrorCode::notAcceptable, "the Accept header takes nothing this route gives", "accept application/json");
  }
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
  addTokenRoutes(router_, service_);
  addPersonRoutes(router_, service_);
  addRetentionRoutes(router_, service_);
  addKeyRoutes(router_, service_);
  if (forwarder_ != nullptr) addNodeRoutes(router_, service_, *forwarder_);
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
  Forwarded passed;
  try {
    passed = forwardedOf(head, nodeSubjects_);
  } catch (const Fault& fault) {
    if (fault.code() == ErrorCode::notReady) tellOfNode(head);
    throw;
  }
  Router::Match match = router_.match(head.method, head.segments);
  const bool forwards = forwarder_ != nullptr && isOfTheWriter(head, match.route);
  const bool isStream = match.route != nullptr && match.route->docs.answerType == "text/event-stream";
  const PartitionId system = service_.ledger.home(kSystemWorkspace);
  std::optional<NodeRole> elsewhere;
  if (forwards) {
    route = match.route;
    const PartitionId partition = co_await partitionOf(match, passed.passedOn);
    elsewhere = forwarder_->elsewhere(partition);
    if (elsewhere && partition == system) {
      // Never twice: two nodes that each take the other for the writer would pass it on for ever.
      if (passed.passedOn) throw passedOnInVain();
      co_return co_await forwarder_->forward(exchange, std::move(*elsewhere), isStream);
    }
  }
  if (match.route == nullptr) {
    if (match.allowed.empty()) throw Fault(ErrorCode::noSuchRoute, "there is no such route", "see /openapi.json");
    throw Fault(ErrorCode::methodNotAllowed, "this route does not take the method", "see the Allow header", match.allowed);
  }
  route = match.route;
  Caller caller;
  std::optional<Fault> refusal;
  if (route->action != Action::open) refusal = refusalOf(*route, caller, match, exchange, passed.clientCertificate);
  if (refusal) {
    // Refusals are recorded in `_system`; and whoever writes that knows a workspace or a token that this node may not have heard of yet.
    std::optional<NodeRole> recorder;
    if (forwards && !passed.passedOn) recorder = forwarder_->elsewhere(system);
    if (recorder && !recorder->ownerUrl.empty()) co_return co_await forwarder_->forward(exchange, std::move(*recorder), isStream);
    service_.access.refused(refusal->code(), caller);
    throw Fault(*refusal);
  }
  if (elsewhere) {
    if (passed.passedOn) throw passedOnInVain();
    co_return co_await forwarder_->forward(exchange, std::move(*elsewhere), isStream);
  }
  if (route->action != Action::open) checkAccepted(*route, head);
  refuseErased(*route, match);
  Call call{exchange, caller, std::move(match.variables)};
  co_return co_await route->handler(call);
}

// Of an erased workspace only its place and its tree are told.
void Api::refuseErased(const Route& route, const Router::Match& match) const {
  const std::string_view id = workspaceIn(match);
  if (id.empty() || route.action == Action::listWorkspaces || route.action == Action::readProofs) return;
  const auto number = service_.ledger.findWorkspace(id);
  if (number && service_.ledger.keyRing().workspace(*number)->gone()) {
    throw Fault(ErrorCode::workspaceClosed, "the workspace was erased", "its number and head are all that is left of it");
  }
}

void Api::tellOfNode(const RequestHead& head) {
  const std::int64_t now = service_.clock.monotonicNanoseconds();
  std::int64_t next = tellOfNodeAgain_;
  if (now < next || !tellOfNodeAgain_.compare_exchange_strong(next, now + 60 * kNanosecondsPerSecond)) return;
  // The name is one that an authority of nodes vouches for, not the caller's word.
  spdlog::warn("node_not_believed: a request was passed on for a caller with a certificate, by a connection whose own certificate {}",
               head.nodeSubject.empty() ? "peer_ca does not vouch for" : "names " + head.nodeSubject + ", which peer_subjects does not");
}

asio::awaitable<PartitionId> Api::partitionOf(const Router::Match& match, bool passedOn) {
  const PartitionId system = service_.ledger.home(kSystemWorkspace);
  const std::string_view id = workspaceIn(match);
  if (id.empty()) co_return system;
  std::optional<WorkspaceNumber> number = service_.ledger.findWorkspace(id);
  if (!number && passedOn && forwarder_->elsewhere(system)) {
    asio::steady_timer timer(co_await asio::this_coro::executor);
    for (int look = 0; look < kWorkspaceLooks && !number; ++look) {
      timer.expires_after(kWorkspaceLook);
      co_await timer.async_wait(asio::use_awaitable);
      number = service_.ledger.findWorkspace(id);
    }
  }
  co_return number ? service_.ledger.home(*number) : system;
}

std::optional<Fault> Api::refusalOf(const Route& route, Caller& caller, const Router::Match& match, Exchange& exchange,
                                    std::string_view certificate) {
  try {
    bool cached = false;
    caller = service_.authenticator.authenticate(exchange.bearerToken(), certificate, &cached);
    service_.metrics.tokenChecked(cached);
    const std::string_view workspace = workspaceIn(match);
    const bool permitted = caller.may(actionOf(route, exchange.head()), workspace);
    const bool exists = workspace.empty() || service_.ledger.findWorkspace(workspace).has_value();
    if (!permitted || !exists) return notAllowed();
  } catch (const Fault& fault) {
    return fault;
  }
  return std::nullopt;
}

}  // namespace counterfoil::server
