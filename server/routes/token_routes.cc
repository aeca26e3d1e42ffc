#include "server/routes/token_routes.h"

#include <optional>

#include "ledger/core/outcome.h"
#include "server/auth/access_recorder.h"
#include "server/auth/strict_jwt.h"
#include "server/auth/token_desk.h"
#include "server/await.h"
#include "server/problem.h"
#include "server/rate_limits.h"
#include "server/routes/commands.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kTokenBodyMax = 1024;

asio::awaitable<Response> refresh(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const std::string_view body = co_await call.exchange.body(kTokenBodyMax);
  if (!body.empty() && body != "{}") {
    throw Fault(ErrorCode::unknownField, "a token is renewed as it is", "send no body: for another one, mint it");
  }
  // Authenticated before this runs, with the certificate of this connection.
  const std::optional<ReadToken> token = readToken(call.exchange.bearerToken());
  if (!token || token->claims.certificate.empty()) {
    service.access.refused(ErrorCode::notAllowed, call.caller);
    throw Fault(ErrorCode::notAllowed,
                "only a token that is bound to a certificate is renewed: a stolen copy of any other could live for ever",
                "mint it with --cert, and show that certificate");
  }
  const std::int64_t later = service.limits.takeRefresh(call.caller.subject);
  if (later > 0) throw rateLimited("30 renewals a minute are allowed", later);
  // Named first: the compiler's coroutines are not to be trusted with temporaries in the call.
  auto work = [&service, &token] { return service.desk->refresh(token->claims); };
  std::string answer = co_await onPool(service.blocking, std::move(work));
  co_return json(201, std::move(answer));
}

}  // namespace

void addTokenRoutes(Router& router, Service& service) {
  if (service.desk == nullptr) return;
  RouteDocs docs;
  docs.summary = "Renew the token of this request, which is bound to the certificate of this connection";
  docs.answer = "IssuedToken";
  docs.statuses = {201};
  router.add(
      {"POST", "/v1/token/refresh", Action::refreshToken, [&service](Call& call) { return refresh(call, service); }, std::move(docs)});
}

}  // namespace counterfoil::server
