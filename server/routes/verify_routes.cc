#include "server/routes/verify_routes.h"

#include "server/problem.h"
#include "server/routes/read_support.h"
#include "server/verify_jobs.h"

namespace counterfoil::server {

void addVerifyRoutes(Router& router, Service& service) {
  RouteDocs docs;
  docs.summary = "Whether the workspace's chain is whole: a background job; ask again until its state is done";
  docs.answer = "Verification";
  router.add({"GET", "/v1/workspaces/{workspace}/verify", Action::readProofs,
              [&service](Call& call) -> asio::awaitable<Response> {
                requireKnown(call.exchange.head().query, {});
                const WorkspaceNumber workspace = workspaceOf(service, call);
                co_return json(200, service.verifyJobs.look(workspace));
              },
              std::move(docs)});
}

}  // namespace counterfoil::server
