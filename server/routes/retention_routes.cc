#include "server/routes/retention_routes.h"

#include "ledger/core/outcome.h"
#include "ledger/write/retention_json.h"
#include "server/await.h"
#include "server/problem.h"
#include "server/routes/commands.h"
#include "server/routes/read_support.h"

namespace counterfoil::server {
namespace {

asio::awaitable<Response> showRetention(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const WorkspaceNumber number = workspaceOf(service, call);
  const auto read = [&] {
    std::string body;
    service.ledger.inspectDurable(number, [&](const write::PartitionState& state) {
      const WorkspaceState* const workspace = state.findWorkspace(number);
      if (workspace == nullptr) throw Fault(ErrorCode::notReady, "the workspace is just being made", "ask again");
      body = write::retentionJson(*workspace, *service.ledger.keyRing().workspace(number), service.clock.wall());
    });
    return body;
  };
  std::string body = co_await onPool(service.blocking, read);
  co_return json(200, std::move(body));
}

}  // namespace

void addRetentionRoutes(Router& router, Service& service) {
  const std::string pattern = "/v1/workspaces/{workspace}/retention";
  router.add({"GET", pattern, Action::readPolicy, [&service](Call& call) { return showRetention(call, service); },
              docsOf("How long content is kept, and what became of each month", "", "Retention", {200})});
  router.add({"POST", pattern, Action::setRetention,
              [&service](Call& call) -> asio::awaitable<Response> {
                co_return co_await runCommand(call, service, CommandKind::retentionSet, {}, 200);
              },
              docsOf("Keep content for so many days after the end of its month; a shorter time than before is in force a day later",
                     "RetentionSet", "Answer", {200, 202})});
}

}  // namespace counterfoil::server
