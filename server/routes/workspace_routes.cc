#include "server/routes/workspace_routes.h"

#include <array>
#include <boost/asio/steady_timer.hpp>
#include <chrono>

#include "ledger/core/limits.h"
#include "ledger/core/policy.h"
#include "ledger/core/policy_trial.h"
#include "server/problem.h"
#include "server/routes/commands.h"

namespace counterfoil::server {
namespace {

constexpr std::chrono::milliseconds kChainLook{5};
constexpr int kChainLooks = 1'000;

struct PolicyInForce {
  std::string name, document;
  std::uint64_t version = 0;
};

asio::awaitable<PolicyInForce> policyOf(Service& service, const Call& call) {
  const auto number = service.ledger.findWorkspace(call.variable("workspace"));
  const auto read = [&service, number] {
    PolicyInForce policy;
    if (!number) return policy;
    service.ledger.inspect(*number, [&](const write::PartitionState& state) {
      const WorkspaceState* workspace = state.findWorkspace(*number);
      if (workspace == nullptr) return;
      policy.name = workspace->policyName();
      policy.document = workspace->policyDocument();
      policy.version = workspace->policyVersion();
    });
    return policy;
  };
  PolicyInForce policy = co_await onPool(service.blocking, read);
  if (policy.version == 0) {
    throw Fault(ErrorCode::noSuchItem, "the workspace has no policy, so every request is denied", "set one with PUT .../policy");
  }
  co_return policy;
}

asio::awaitable<Response> setPolicy(Call& call, Service& service) {
  const std::string_view type = call.exchange.mediaType();
  if (!type.empty() && type != "text/toml" && type != "application/toml" && type != "text/plain") {
    throw Fault(ErrorCode::unsupportedMediaType, "a policy is text/toml", "set Content-Type: text/toml");
  }
  const std::string_view document = co_await call.exchange.body(limits::kPolicyBytesMax);
  // A forgotten file must not become the policy that denies everything; who means that sends a deny rule or a comment.
  if (document.empty()) throw Fault(ErrorCode::invalidValue, "the policy is empty", "send the TOML document as the body");
  static_cast<void>(Policy::parse(document));  // names line and key
  Command command = Command::make(CommandKind::policySet);
  command.body.setText(command.arena, Field::document, document);
  sign(command, call, false);
  co_return co_await runCommand(call, service, std::move(command), 200);
}

asio::awaitable<Response> showPolicy(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const PolicyInForce policy = co_await policyOf(service, call);
  std::string out;
  JsonObject object(out);
  object.text("name", policy.name).number("version", policy.version).text("document", policy.document);
  object.end();
  co_return json(200, std::move(out));
}

asio::awaitable<Response> testPolicy(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const PolicyInForce policy = co_await policyOf(service, call);
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  const Command request = parseCommand(CommandKind::leaseRequest, body);
  co_return json(200, decisionJson(tryPolicy(Policy::parse(policy.document), request)));
}

// Creation is two entries, and the second one may be another node's to make: its caller goes on at once with a workspace that takes
// requests. If it takes too long the workspace is made all the same.
asio::awaitable<void> waitForChain(Service& service, WorkspaceNumber number) {
  asio::steady_timer timer(co_await asio::this_coro::executor);
  const auto ask = [&service, number] {
    bool begun = false;
    service.ledger.inspect(number, [&](const write::PartitionState& state) {
      const WorkspaceState* workspace = state.findWorkspace(number);
      begun = workspace != nullptr && workspace->head().size() != 0;
    });
    return begun;
  };
  for (int look = 0; look < kChainLooks; ++look) {
    const bool begun = co_await onPool(service.blocking, ask);
    if (begun) co_return;
    timer.expires_after(kChainLook);
    co_await timer.async_wait(asio::use_awaitable);
  }
}

asio::awaitable<Response> createWorkspace(Call& call, Service& service) {
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  Command command = parseCommand(CommandKind::workspaceCreate, body);
  sign(command, call, false);
  const std::string id(command.body.text(Field::workspaceId));
  Response response = co_await runCommand(call, service, std::move(command), 201);
  const std::optional<WorkspaceNumber> number = service.ledger.findWorkspace(id);
  if (response.status / 100 == 2 && number && service.ledger.home(*number) != service.ledger.home(kSystemWorkspace)) {
    co_await waitForChain(service, *number);
  }
  co_return response;
}

asio::awaitable<Response> eraseWorkspace(Call& call, Service& service) {
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  Command command = parseCommand(CommandKind::workspaceErase, body);
  sign(command, call, false);
  const auto look = [&service, id = std::string(command.body.text(Field::workspaceId))] {
    service.ledger.refuseWhileHeld(id);
    return true;
  };
  co_await onPool(service.blocking, look);
  co_return co_await runCommand(call, service, std::move(command), 200);
}

}  // namespace

void addWorkspaceRoutes(Router& router, Service& service) {
  router.add({"POST", "/v1/workspaces", Action::manageWorkspaces,
              [&service](Call& call) -> asio::awaitable<Response> { co_return co_await createWorkspace(call, service); },
              docsOf("Create a workspace", "WorkspaceCreate", "Answer", {201, 202})});
  router.add({"POST", "/v1/workspaces/{workspace}/close", Action::manageWorkspaces,
              [&service](Call& call) -> asio::awaitable<Response> {
                co_return co_await runCommand(call, service, CommandKind::workspaceClose, {}, 200);
              },
              docsOf("Close a workspace: nothing more is granted or recorded in it", "WorkspaceClose", "Answer", {200, 202})});
  // The ledger's own, as making a workspace is: for tokens of all workspaces. Before the routes that have a variable in this place.
  router.add({"POST", "/v1/workspaces/_system/erasures", Action::erase,
              [&service](Call& call) -> asio::awaitable<Response> { co_return co_await eraseWorkspace(call, service); },
              docsOf("Erase a workspace: without `approval` one is asked for, which another admin or owner gives; with it every lease of it "
                     "ends and all its keys are destroyed",
                     "WorkspaceErase", "Answer", {200, 202})});
  router.add({"POST", "/v1/workspaces/_system/approvals/{approval}/decide", Action::decideApprovals,
              [&service](Call& call) -> asio::awaitable<Response> {
                const std::array<RouteField, 1> route = {RouteField{Field::approvalId, call.variable("approval")}};
                co_return co_await runCommand(call, service, CommandKind::approvalDecide, route, 200);
              },
              docsOf("Approve or refuse the erasure of a workspace", "ApprovalDecide", "Answer", {200, 202, 403})});
  RouteDocs set = docsOf("Make a document the workspace's policy: a new version, recorded", "Policy", "Answer", {200, 202});
  set.mediaType = "text/toml";
  router.add({"PUT", "/v1/workspaces/{workspace}/policy", Action::managePolicy,
              [&service](Call& call) -> asio::awaitable<Response> { co_return co_await setPolicy(call, service); }, std::move(set)});
  router.add({"GET", "/v1/workspaces/{workspace}/policy", Action::readPolicy,
              [&service](Call& call) -> asio::awaitable<Response> { co_return co_await showPolicy(call, service); },
              docsOf("The policy in force", "", "PolicyInForce", {200})});
  router.add({"POST", "/v1/workspaces/{workspace}/policy/test", Action::managePolicy,
              [&service](Call& call) -> asio::awaitable<Response> { co_return co_await testPolicy(call, service); },
              docsOf("What would be decided; nothing is recorded", "LeaseRequest", "PolicyDecision", {200})});
}

}  // namespace counterfoil::server
