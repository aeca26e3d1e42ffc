#include "server/auth/roles.h"

#include <algorithm>
#include <array>

#include "ledger/core/limits.h"
#include "ledger/core/schema_tables.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kSystemWorkspaceId = "_system";

constexpr std::array<std::string_view, 6> kRoleNames = {"owner", "admin", "member", "reader", "auditor", "producer"};

constexpr std::uint32_t bit(Action action) {
  return 1U << static_cast<unsigned>(action);
}

template <class... Actions>
constexpr std::uint32_t actions(Actions... some) {
  return (bit(some) | ...);
}

// What each role may beside `open`, which needs none.
constexpr std::uint32_t kEverybody = actions(Action::refreshToken);
constexpr std::uint32_t kReader =
    kEverybody | actions(Action::readRecord, Action::readProducer, Action::readPolicy, Action::listWorkspaces, Action::readProofs);
constexpr std::uint32_t kMember =
    kReader | actions(Action::useLeases, Action::revokeLease, Action::revoke, Action::reportFacts, Action::decideApprovals);
constexpr std::uint32_t kAdmin =
    kMember | actions(Action::discloseRecord, Action::managePolicy, Action::lookUpSecrets, Action::resolvePersons, Action::manageWorkspaces,
                      Action::manageTokens, Action::importFacts, Action::manageHolds);
constexpr std::uint32_t kOwner = kAdmin | actions(Action::erase, Action::manageKeys, Action::setRetention);
constexpr std::uint32_t kAuditor = kEverybody | actions(Action::listWorkspaces, Action::readProofs);
constexpr std::uint32_t kProducer = kEverybody | actions(Action::useLeases, Action::revokeLease, Action::reportFacts, Action::readProducer);

constexpr std::uint32_t kOfSystem =
    actions(Action::readRecord, Action::discloseRecord, Action::resolvePersons, Action::listWorkspaces, Action::readProofs);

constexpr std::array<std::uint32_t, 6> kPermitted = {kOwner, kAdmin, kMember, kReader, kAuditor, kProducer};

constexpr bool isAlphanumeric(char byte) {
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9');
}

}  // namespace

std::string_view roleName(Role role) {
  return kRoleNames.at(static_cast<std::size_t>(role));
}

std::optional<Role> roleOf(std::string_view name) {
  const auto found = std::find(kRoleNames.begin(), kRoleNames.end(), name);
  if (found == kRoleNames.end()) return std::nullopt;
  return static_cast<Role>(found - kRoleNames.begin());
}

bool permits(Role role, Action action) {
  return action == Action::open || (kPermitted.at(static_cast<std::size_t>(role)) & bit(action)) != 0;
}

std::optional<PrincipalValue> parseSubject(std::string_view subject) {
  const std::size_t colon = subject.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto number = schemaTables().principal->find(Field::kind)->enumeration->find(subject.substr(0, colon));
  if (!number) return std::nullopt;
  const auto kind = static_cast<PrincipalKind>(*number);
  const std::string_view id = subject.substr(colon + 1);
  if (kind == PrincipalKind::unspecified || kind == PrincipalKind::ledger || !isRecordId(id)) return std::nullopt;
  return PrincipalValue{kind, id};
}

bool isRecordId(std::string_view id) {
  constexpr std::string_view kOthers = "._:@/+-";
  return !id.empty() && id.size() <= limits::kIdBytesMax && isAlphanumeric(id.front()) &&
         std::all_of(id.begin(), id.end(), [&](char byte) { return isAlphanumeric(byte) || kOthers.find(byte) != std::string_view::npos; });
}

bool isTokenWorkspace(std::string_view workspace) {
  return workspace == "*" || isRecordId(workspace);
}

bool Caller::may(Action action, std::string_view workspaceId) const {
  if (action == Action::open) return true;
  if (!authenticated || !permits(role, action)) return false;
  if (workspaceId == kSystemWorkspaceId) {
    const bool proofs = role == Role::auditor && action == Action::readProofs;
    const bool record = (role == Role::owner || role == Role::admin) && (kOfSystem & bit(action)) != 0;
    return allWorkspaces() && (proofs || record);
  }
  // The list of workspaces has those the token reaches; and a token is the caller's own, whatever it is for.
  if ((action == Action::listWorkspaces || action == Action::refreshToken) && workspaceId.empty()) return true;
  return allWorkspaces() || (!workspaceId.empty() && workspaceId == workspace);
}

bool Caller::mayManageTokensOf(Role ofRole, std::string_view ofSubject) const {
  if (!authenticated || !permits(role, Action::manageTokens)) return false;
  return role == Role::owner || (ofRole != Role::owner && ofRole != Role::admin) || (ofRole == Role::admin && ofSubject == subject);
}

}  // namespace counterfoil::server
