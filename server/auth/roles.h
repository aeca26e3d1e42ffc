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
  open,            // no token needed
  readRecord,      // entries, lists, views, streams, query
  discloseRecord,  // the same with personal values; recorded
  useLeases,       // request, issue, consume, renew
  revokeLease,     // one, by its id
  revoke,          // bulk: by run, host, principal, ...
  reportFacts,
  readProducer,     // a producer's own position
  decideApprovals,  // request and decide
  managePolicy,     // set, test
  readPolicy,
  lookUpSecrets,
  resolvePersons,
  manageWorkspaces,  // create, close
  listWorkspaces,
  readProofs,  // heads, proofs, verify
  manageTokens,
  importFacts,   // other systems' records, under the names of their producers
  refreshToken,  // the caller's own, for one like it
  manageHolds,   // place, release
  erase,  // persons, and whole workspaces
  manageKeys,  // list, rotate
  setRetention,
};

std::string_view roleName(Role role);
std::optional<Role> roleOf(std::string_view name);
bool permits(Role role, Action action);

// "human:alice" taken apart: a kind that may hold tokens (human, agent, service, operator) and an id of the record's form (EVENTS: class
// id); nullopt for anything else. The result points into `subject`.
std::optional<PrincipalValue> parseSubject(std::string_view subject);
// An id of the record's form.
bool isRecordId(std::string_view id);
// A token's workspace: "*" or an id of the record's form.
bool isTokenWorkspace(std::string_view workspace);

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
  // The role permits the action, in this workspace (empty: an action of no workspace, for tokens of all workspaces only). Says the same of
  // a workspace of others and of one that does not exist. `_system` holds the record of the ledger itself: owners and admins read it,
  // auditors its proofs; nobody reports or commands there.
  bool may(Action action, std::string_view workspaceId) const;
  // Of tokens with this role and subject: an owner any; an admin those of lesser roles, and its own. `manageTokens` comes first.
  bool mayManageTokensOf(Role ofRole, std::string_view ofSubject) const;
};

}  // namespace counterfoil::server
