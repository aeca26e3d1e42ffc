#include "server/routes/key_routes.h"

#include <string_view>

#include "ledger/core/json.h"
#include "ledger/write/keys_json.h"
#include "server/auth/access_recorder.h"
#include "server/auth/token_keys.h"
#include "server/await.h"
#include "server/problem.h"
#include "server/routes/commands.h"
#include "server/routes/read_support.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kKeyBodyMax = 1024;

asio::awaitable<Response> listWorkspaceKeys(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const WorkspaceNumber workspace = workspaceOf(service, call);
  const auto read = [&] { return write::keysJson(*service.ledger.keyRing().workspace(workspace)); };
  std::string body = co_await onPool(service.blocking, read);
  co_return json(200, std::move(body));
}

std::string signingKeysJson(const TokenKeys& keys) {
  std::string items = "[";
  for (const std::string& id : keys.keyIds()) {
    const bool first = items.size() == 1;
    if (!first) items += ',';
    JsonObject(items).text("keyId", id).text("purpose", "token").text("state", first ? "signs" : "verifies").end();
  }
  std::string out;
  JsonObject(out).raw("items", items + "]").end();
  return out;
}

asio::awaitable<Response> listSigningKeys(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  co_return json(200, signingKeysJson(service.tokenKeys));
}

asio::awaitable<Response> rotateSigningKey(Call& call, Service& service) {
  checkParameters(call.exchange.head(), {});
  const std::string_view body = co_await jsonBody(call.exchange, kKeyBodyMax);
  if (onlyText(body, "purpose") != "token") {
    throw Fault(ErrorCode::invalidValue, "/purpose is not `token`", "keys of a workspace are rotated at .../workspaces/{workspace}/keys",
                "/purpose");
  }
  const auto rotate = [&] {
    service.tokenKeys.rotate();
    service.access.keyRotated(service.tokenKeys.keyIds().front(), call.caller.subject);
    return signingKeysJson(service.tokenKeys);
  };
  std::string answer = co_await onPool(service.blocking, rotate);
  co_return json(200, std::move(answer));
}

}  // namespace

void addKeyRoutes(Router& router, Service& service) {
  router.add({"GET", "/v1/keys", Action::manageKeys, [&service](Call& call) { return listSigningKeys(call, service); },
              docsOf("The keys that sign and verify tokens", "", "SigningKeys", {200})});
  router.add({"POST", "/v1/keys", Action::manageKeys, [&service](Call& call) { return rotateSigningKey(call, service); },
              docsOf("Sign tokens with a new key; those of the last one stay valid; recorded", "SigningKeyRotate", "SigningKeys", {200})});
  const std::string ofWorkspace = "/v1/workspaces/{workspace}/keys";
  router.add({"GET", ofWorkspace, Action::manageKeys, [&service](Call& call) { return listWorkspaceKeys(call, service); },
              docsOf("The workspace's keys by purpose and generation, and how many persons have one", "", "WorkspaceKeys", {200})});
  router.add({"POST", ofWorkspace, Action::manageKeys,
              [&service](Call& call) -> asio::awaitable<Response> {
                co_return co_await runCommand(call, service, CommandKind::keyRotate, {}, 200);
              },
              docsOf("A new generation of the key for fingerprints, or a new key-encryption key: the one before is destroyed", "KeyRotate",
                     "Answer", {200, 202})});
}

}  // namespace counterfoil::server
