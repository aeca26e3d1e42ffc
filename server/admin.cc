#include "server/admin.h"

#include "ledger/core/json.h"
#include "server/await.h"
#include "server/metrics.h"
#include "server/problem.h"

namespace counterfoil::server {

Response healthAnswer(int status, std::string_view state, const Fault* fault) {
  std::string out;
  JsonObject object(out);
  object.text("status", state);
  if (fault != nullptr) object.text("code", factsOf(fault->code()).text).text("detail", fault->detail());
  object.end();
  return json(status, std::move(out));
}

Admin::Admin(Service& service, const std::atomic<bool>& stopping) : service_(service), stopping_(stopping) {
  router_.add(
      {"GET", "/healthz", Action::open, [](Call&) -> asio::awaitable<Response> { co_return healthAnswer(200, "ok", nullptr); }, {}});
  router_.add({"GET",
               "/readyz",
               Action::open,
               [this](Call&) -> asio::awaitable<Response> {
                 const write::SequencerStatus status = service_.ledger.status();
                 if (stopping_) co_return healthAnswer(503, "stopping", nullptr);
                 if (status.fault) co_return healthAnswer(503, "not ready", &*status.fault);
                 const auto log = service_.logTrouble ? service_.logTrouble() : std::nullopt;
                 if (log) co_return healthAnswer(503, "the log stands still", &*log);
                 const auto views = service_.views.fault();
                 if (views) co_return healthAnswer(503, "the views stand still", &*views);
                 // Leases go on with the keys at hand; only what needs a new one is refused.
                 const auto trouble = service_.keyTrouble ? service_.keyTrouble() : std::nullopt;
                 if (status.ready && trouble) co_return healthAnswer(200, "ready, but for new keys", &*trouble);
                 const auto renewal = service_.ledger.renewalTrouble();
                 if (status.ready && renewal) co_return healthAnswer(200, "ready, but keys wait to be destroyed", &*renewal);
                 co_return healthAnswer(status.ready ? 200 : 503, status.ready ? "ready" : "not ready", nullptr);
               },
               {}});
  router_.add({"GET",
               "/metrics",
               Action::open,
               [this](Call&) -> asio::awaitable<Response> {
                 const auto scrape = [this] { return service_.metrics.scrape(); };
                 Response response;
                 response.body = co_await onPool(service_.blocking, scrape);
                 response.contentType = "text/plain; version=0.0.4; charset=utf-8";
                 co_return response;
               },
               {}});
}

asio::awaitable<Response> Admin::dispatch(Exchange& exchange) {
  std::optional<Fault> fault;
  std::string allowed;
  try {
    Router::Match match = router_.match(exchange.head().method, exchange.head().segments);
    if (match.route == nullptr) {
      allowed = match.allowed;
      if (allowed.empty()) throw Fault(ErrorCode::noSuchRoute, "there is no such route here", "/healthz, /readyz and /metrics are");
      throw Fault(ErrorCode::methodNotAllowed, "this route does not take the method", "see the Allow header");
    }
    const Caller nobody;
    Call call{exchange, nobody, std::move(match.variables)};
    co_return co_await match.route->handler(call);
  } catch (const Fault& refused) {
    fault = refused;
  }
  Response response = problem(*fault, exchange.head().requestId);
  if (!allowed.empty()) response.headers.emplace_back("Allow", allowed);
  co_return response;
}

}  // namespace counterfoil::server
