#include "server/routes/node_routes.h"

#include <optional>

#include "ledger/core/outcome.h"
#include "server/auth/access_recorder.h"
#include "server/auth/desk_order.h"
#include "server/auth/token_desk.h"
#include "server/await.h"
#include "server/forwarder.h"
#include "server/problem.h"
#include "server/token_relay.h"

namespace counterfoil::server {
namespace {

asio::awaitable<Response> atTheDesk(Service& service, const Forwarder& forwarder, Exchange& exchange) {
  const std::string_view order = co_await exchange.body(kDeskOrderBytesMax);
  std::string by;
  try {
    by = whoOrdered(service.tokenKeys, service.clock, service.origin, order, exchange.bearerToken());
  } catch (const Fault& fault) {
    service.access.refused(fault.code(), Caller{});
    throw;
  }
  if (forwarder.elsewhere(service.ledger.home(kSystemWorkspace))) {
    throw Fault(ErrorCode::notReady, "the order was passed on to a node that does not write", "ask again");
  }
  // Named first: the compiler's coroutines are not to be trusted with temporaries in the call.
  auto work = [&service, order, &by] { return service.desk->answer(order, by); };
  std::string answer = co_await onPool(service.blocking, std::move(work));
  co_return json(200, std::move(answer));
}

}  // namespace

void addNodeRoutes(Router& router, Service& service, const Forwarder& forwarder) {
  if (service.desk == nullptr) return;
  RouteDocs docs;
  docs.summary = "An order for the token desk that came in at another node";
  docs.published = false;
  router.add({"POST", std::string(kTokenDeskPath), Action::open,
              [&service, &forwarder](Call& call) { return atTheDesk(service, forwarder, call.exchange); }, std::move(docs)});
}

}  // namespace counterfoil::server
