// Pieces that the rulings on leases, approvals and workspaces share.
#pragma once

#include "ledger/core/ruling.h"

namespace counterfoil::ruling {

// Fields of the same name and type, copied deeply from `from` into `to` where `to` has none yet.
void copyShared(Arena& arena, const StructValue& from, StructValue& to);

// An entry that follows from a command: the command's common fields, source `api`, and the command's redaction as far as the kind has
// the fields. Entry 0 of a command has the command's id and carries the personal values; `number` > 0 gets a derived id and none.
RedactedEvent entryOf(const RedactedCommand& command, Kind kind, unsigned number, std::string_view leaseId);

void setEnum(StructValue& value, Field field, std::uint16_t number);
template <class Enum>
void setEnum(StructValue& value, Field field, Enum number) {
  setEnum(value, field, static_cast<std::uint16_t>(number));
}

// The state of a lease at a time, with ends that follow but are not written yet.
enum class Standing : std::uint8_t { waiting, active, ended };
struct LeaseStanding {
  Standing standing = Standing::ended;
  ReasonCode reason = ReasonCode::unspecified;  // why it is not active
};
LeaseStanding standingOf(const WorkspaceState& state, const Lease& lease, Timestamp recordedAt);

Ruling ruleLeaseRequest(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleLeaseIssue(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleLeaseConsume(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleLeaseRenew(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleLeaseRevoke(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleRevokeAll(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleApprovalRequest(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleApprovalDecide(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling rulePolicySet(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleWorkspaceClose(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleHoldPlace(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleHoldRelease(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleSubjectErase(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleWorkspaceErase(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleRetentionSet(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);
Ruling ruleKeyRotate(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context);

}  // namespace counterfoil::ruling
