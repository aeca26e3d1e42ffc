// Who may do what (INTERFACE: Roles). One table; everything not in it is refused.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/core/ids.h"
#include "ledger/core/value.h"

namespace counterfoil::server {

enum class Role : std::uint8_t { owner, admin, member, reader, auditor, producer };

// What routes ask for.
enum class Action : std::uint8_t {
  open,             // no token needed
  readRecord,       // entries, lists, views, streams, query
  discloseRecord,   // the same with personal values; recorded
  useLeases,        // request, issue, consume, renew
  revoke,           // leases, bulk
  reportFacts,
  readProducer,     // a producer's own position
  decideApprovals,  // request and decide
  managePolicy,     // set, test
  readPolicy,
  lookUpSecrets,
  resolvePersons,
  manageWorkspaces, // create, close
  listWorkspaces,
  readProofs,       // heads, proofs, verify
  manageTokens,
};

std::string_view roleName(Role role);
std::optional<Role> roleOf(std::string_view name);
bool permits(Role role, Action action);

// Who is asking, as proved by a token.
struct Caller {
  bool authenticated = false;
  Role role = Role::reader;
  PrincipalKind kind = PrincipalKind::unspecified;  // of the subject: "human:alice" -> human
  std::string subject;                              // "human:alice", "service:broker"
  std::string subjectId;                            // "alice"
  std::string workspace;                            // its id, or "*"
  std::string tokenId;                              // jti
  Timestamp expiresAt;
  bool allWorkspaces() const { return workspace == "*"; }
  // The role permits the action, in this workspace (empty: an action of no workspace, for tokens of all workspaces only).
  bool may(Action action, std::string_view workspaceId) const;
};

}  // namespace counterfoil::server
