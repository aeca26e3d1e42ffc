#include "server/routes/lease_routes.h"

#include <array>

#include "server/routes/commands.h"

namespace counterfoil::server {
namespace {

struct LeaseVerb {
  const char* path;
  CommandKind kind;
  Action action;
  const char* summary;
  const char* body;
};

constexpr std::array<LeaseVerb, 4> kLeaseVerbs = {{
    {"issued", CommandKind::leaseIssue, Action::useLeases, "Report that the credential was minted, or could not be", "LeaseIssue"},
    {"consume", CommandKind::leaseConsume, Action::useLeases, "Use a lease once", "LeaseConsume"},
    {"renew", CommandKind::leaseRenew, Action::useLeases, "Extend a lease, never past what it was granted with", "LeaseRenew"},
    {"revoke", CommandKind::leaseRevoke, Action::revokeLease, "End a lease and everything that hangs on it", "LeaseRevoke"},
}};

RouteDocs leaseDocs(const char* summary, const char* body, std::vector<int> statuses) {
  RouteDocs docs;
  docs.summary = summary;
  docs.body = body;
  docs.answer = "Answer";
  docs.statuses = std::move(statuses);
  docs.parameters = {"ack"};
  return docs;
}

}  // namespace

void addLeaseRoutes(Router& router, Service& service) {
  router.add({"POST", "/v1/workspaces/{workspace}/leases", Action::useLeases,
              [&service](Call& call) -> asio::awaitable<Response> {
                co_return co_await runCommand(call, service, CommandKind::leaseRequest, {}, 201);
              },
              leaseDocs("Ask for a lease: granted or denied by the workspace's policy", "LeaseRequest", {201, 202, 403})});
  for (const LeaseVerb& verb : kLeaseVerbs) {
    router.add({"POST", std::string("/v1/workspaces/{workspace}/leases/{lease}/") + verb.path, verb.action,
                [&service, kind = verb.kind](Call& call) -> asio::awaitable<Response> {
                  const std::array<RouteField, 1> route = {RouteField{Field::leaseId, call.variable("lease")}};
                  co_return co_await runCommand(call, service, kind, route, 200);
                },
                leaseDocs(verb.summary, verb.body, {200, 202, 403})});
  }
  router.add({"POST", "/v1/workspaces/{workspace}/revocations", Action::revoke,
              [&service](Call& call) -> asio::awaitable<Response> {
                co_return co_await runCommand(call, service, CommandKind::revokeAll, {}, 200);
              },
              leaseDocs("End every lease of a run, host, principal, bundle, credential or parent lease", "RevokeAll", {200, 202})});
  router.add({"POST", "/v1/workspaces/{workspace}/approvals", Action::decideApprovals,
              [&service](Call& call) -> asio::awaitable<Response> {
                co_return co_await runCommand(call, service, CommandKind::approvalRequest, {}, 201);
              },
              leaseDocs("Ask for an approval of one lease request", "ApprovalRequest", {201, 202})});
  router.add({"POST", "/v1/workspaces/{workspace}/approvals/{approval}/decide", Action::decideApprovals,
              [&service](Call& call) -> asio::awaitable<Response> {
                const std::array<RouteField, 1> route = {RouteField{Field::approvalId, call.variable("approval")}};
                co_return co_await runCommand(call, service, CommandKind::approvalDecide, route, 200);
              },
              leaseDocs("Approve or refuse; decided by the token's subject", "ApprovalDecide", {200, 202, 403})});
}

}  // namespace counterfoil::server
