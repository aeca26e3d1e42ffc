#include "ledger/core/ruling.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/ruling_parts.h"

namespace counterfoil {
namespace ruling {

void copyShared(Arena& arena, const StructValue& from, StructValue& to) {
  if (from.table == nullptr) return;
  for (std::size_t index = 0; index < to.table->fields.size(); ++index) {
    const FieldTable& field = to.table->fields[index];
    const FieldTable* source = from.table->find(field.field);
    if (source == nullptr || source->type != field.type || !to.values[index].absent()) continue;
    const FieldValue& value = from.get(field.field);
    if (value.absent()) continue;
    switch (field.type) {
      case FieldType::text:
      case FieldType::data: {
        const SecretForm form = value.secretForm;
        to.values[index] = FieldValue::ofText(arena.copy(value.text()));
        to.values[index].secretForm = form;
        break;
      }
      case FieldType::textList:
        to.setTexts(arena, field.field, value.texts());
        break;
      case FieldType::structure:
        to.setStructure(arena, field.field, deepCopy(arena, from.structure(field.field)));
        break;
      case FieldType::structureList: {
        std::vector<StructValue> copies;
        for (const StructValue& item : value.structures()) copies.push_back(deepCopy(arena, item));
        to.setStructures(arena, field.field, copies);
        break;
      }
      default:
        to.values[index].number = value.number;
        break;
    }
  }
}

namespace {

// The first segment of an RFC 6901 pointer: the field's name.
std::string_view fieldOfPath(std::string_view path) {
  if (path.starts_with('/')) path.remove_prefix(1);
  return path.substr(0, path.find('/'));
}

}  // namespace

RedactedEvent entryOf(const RedactedCommand& command, Kind kind, unsigned number, std::string_view leaseId) {
  RedactedEvent event = RedactedEvent::ofLedger(kind, number == 0 ? command.id() : derivedId(command.id(), leaseId, number));
  Arena& arena = event.arena();
  event.common().at(Field::source) = {};
  event.common().at(Field::actor) = {};
  copyShared(arena, command.common(), event.common());
  if (event.common().text(Field::source).empty()) event.common().setText(arena, Field::source, "api");
  RedactionResult& redaction = event.redaction();
  redaction.keysUsed = command.redaction().keysUsed;
  redaction.fingerprintGeneration = command.redaction().fingerprintGeneration;
  if (number != 0) return event;
  redaction.requestDigest = command.redaction().requestDigest;
  redaction.secretFound = command.redaction().secretFound;
  const auto has = [&](std::string_view path) {
    const std::string_view field = fieldOfPath(path);
    return event.common().table->find(field) != nullptr || event.body().table->find(field) != nullptr;
  };
  redaction.commitments.reserve(command.redaction().commitments.size());
  for (const auto& item : command.redaction().commitments) {
    if (has(item.path)) redaction.commitments.push_back(item);
  }
  redaction.redactions.reserve(command.redaction().redactions.size());
  for (const auto& item : command.redaction().redactions) {
    if (has(item.path)) redaction.redactions.push_back(item);
  }
  redaction.disclosures.reserve(command.redaction().disclosures.size());
  for (const auto& item : command.redaction().disclosures) {
    if (has(item.path)) redaction.disclosures.push_back(item);
  }
  return event;
}

void setEnum(StructValue& value, Field field, std::uint16_t number) {
  value.setNumber(field, number);
}

LeaseStanding standingOf(const WorkspaceState& state, const Lease& lease, Timestamp recordedAt) {
  switch (lease.state) {
    case LeaseState::consumedOut:
      return {Standing::ended, ReasonCode::usedUp};
    case LeaseState::revoked:
      return {Standing::ended, ReasonCode::revoked};
    case LeaseState::expired:
      return {Standing::ended, ReasonCode::expired};
    case LeaseState::failed:
      return {Standing::ended, ReasonCode::notActive};
    case LeaseState::granted:
    case LeaseState::active:
      break;
  }
  if (lease.cause != 0) return {Standing::ended, state.causeOf(lease).revoked ? ReasonCode::revoked : ReasonCode::expired};
  if (recordedAt >= lease.expiresAt && lease.expiresAt.nanoseconds != 0) return {Standing::ended, ReasonCode::expired};
  if (lease.state == LeaseState::active) return {Standing::active, ReasonCode::unspecified};
  if (recordedAt >= lease.issueBy) return {Standing::ended, ReasonCode::expired};
  return {Standing::waiting, ReasonCode::notActive};
}

}  // namespace ruling

EntryId derivedId(const EntryId& cause, std::string_view leaseId, unsigned number) {
  std::string text = toUuid(cause);
  text += '\n';
  text += leaseId;
  text += '\n';
  text += std::to_string(number);
  return makeUuidV8(text);
}

Ruling rule(const WorkspaceState& state, RedactedCommand command, const RulingContext& context) {
  switch (command.kind()) {
    case CommandKind::leaseRequest:
      return ruling::ruleLeaseRequest(state, command, context);
    case CommandKind::leaseIssue:
      return ruling::ruleLeaseIssue(state, command, context);
    case CommandKind::leaseConsume:
      return ruling::ruleLeaseConsume(state, command, context);
    case CommandKind::leaseRenew:
      return ruling::ruleLeaseRenew(state, command, context);
    case CommandKind::leaseRevoke:
      return ruling::ruleLeaseRevoke(state, command, context);
    case CommandKind::revokeAll:
      return ruling::ruleRevokeAll(state, command, context);
    case CommandKind::approvalRequest:
      return ruling::ruleApprovalRequest(state, command, context);
    case CommandKind::approvalDecide:
      return ruling::ruleApprovalDecide(state, command, context);
    case CommandKind::policySet:
      return ruling::rulePolicySet(state, command, context);
    case CommandKind::workspaceClose:
      return ruling::ruleWorkspaceClose(state, command, context);
    case CommandKind::holdPlace:
      return ruling::ruleHoldPlace(state, command, context);
    case CommandKind::holdRelease:
      return ruling::ruleHoldRelease(state, command, context);
    case CommandKind::subjectErase:
      return ruling::ruleSubjectErase(state, command, context);
    case CommandKind::workspaceErase:
      return ruling::ruleWorkspaceErase(state, command, context);
    case CommandKind::retentionSet:
      return ruling::ruleRetentionSet(state, command, context);
    case CommandKind::keyRotate:
      return ruling::ruleKeyRotate(state, command, context);
    case CommandKind::workspaceCreate:  // touches two chains: the sequencer's own
    case CommandKind::none:
      break;
  }
  throw Fault(ErrorCode::internal, "a command without a ruling");
}

RedactedEvent completeFact(const WorkspaceState& state, RedactedEvent fact, Timestamp) {
  if (state.closed()) {
    throw Fault(ErrorCode::workspaceClosed, "the workspace is closed and takes no facts", "revocations and ends of leases still go on");
  }
  const std::string_view leaseId = fact.body().text(Field::leaseId);
  LeaseSlot slot = state.slotOf(leaseId);
  const bool aboutLease = kindName(fact.kind()).starts_with("lease.");
  if (aboutLease && slot != kNoLease && !state.lease(slot).reported && fact.kind() != Kind::leaseRevocationReported) {
    throw Fault(ErrorCode::commandedLease, "the fact is about a lease that this ledger granted itself",
                "use the lease commands for it; facts are for leases that another system grants", "/leaseId");
  }
  if (!aboutLease || fact.kind() == Kind::leaseGranted || fact.kind() == Kind::leaseRevocationReported) return fact;
  if (leaseId.empty()) slot = state.slotOfFingerprint(fact.body().text(Field::fingerprint));
  if (slot == kNoLease || !state.lease(slot).reported) return fact;
  const Lease& lease = state.lease(slot);
  const bool ended = isEnded(lease.state);
  if (ended && fact.body().has(Field::late)) fact.body().setFlag(Field::late, true);
  if (fact.kind() == Kind::leaseConsumed) {
    fact.body().setNumber(Field::uses, lease.uses + 1);
    if (leaseId.empty()) fact.body().setText(fact.arena(), Field::leaseId, lease.id);
  }
  const bool ends = fact.kind() == Kind::leaseRevoked || fact.kind() == Kind::leaseExpired ||
                    (fact.kind() == Kind::leaseIssued && static_cast<Outcome>(fact.body().number(Field::outcome)) == Outcome::failed);
  if (ends && !ended) fact.body().setFlag(Field::terminal, true);
  if (fact.kind() == Kind::leaseExpired) fact.body().setNumber(Field::uses, lease.uses);
  return fact;
}

RedactedEvent owedEnd(const WorkspaceState& state) {
  const Lease& lease = state.lease(state.nextOwed());
  const OwedCause& cause = state.causeOf(lease);
  RedactedEvent event =
      RedactedEvent::ofLedger(cause.revoked ? Kind::leaseRevoked : Kind::leaseExpired, derivedId(cause.entry, lease.id, 1));
  StructValue& body = event.body();
  body.setText(event.arena(), Field::leaseId, lease.id);
  body.setText(event.arena(), Field::cascadeOf, cause.cascadeOf);
  body.setFlag(Field::terminal, true);
  if (cause.revoked) {
    ruling::setEnum(body, Field::reasonCode, ReasonCode::cascade);
  } else {
    ruling::setEnum(body, Field::reasonCode, ReasonCode::parent);
    body.setTime(Field::expiresAt, lease.expiresAt);
    body.setNumber(Field::uses, lease.uses);
  }
  return event;
}

std::optional<RedactedEvent> dueEnd(const WorkspaceState& state, LeaseSlot slot, Timestamp recordedAt) {
  const Lease& lease = state.lease(slot);
  if (!lease.occupied || isEnded(lease.state) || lease.cause != 0) return std::nullopt;
  const bool unissued = !lease.reported && lease.state == LeaseState::granted && lease.issueBy < lease.expiresAt;
  const Timestamp due = unissued ? lease.issueBy : lease.expiresAt;
  if (due.nanoseconds == 0 || (lease.reported ? state.watermark(lease, recordedAt) : recordedAt) < due) return std::nullopt;
  RedactedEvent event = RedactedEvent::ofLedger(Kind::leaseExpired, derivedId(lease.grantEntry, lease.id, 2));
  StructValue& body = event.body();
  body.setText(event.arena(), Field::leaseId, lease.id);
  body.setTime(Field::expiresAt, lease.expiresAt);
  body.setNumber(Field::uses, lease.uses);
  body.setFlag(Field::terminal, true);
  ruling::setEnum(body, Field::reasonCode, unissued ? ReasonCode::notIssued : ReasonCode::ttl);
  if (lease.reported) {
    event.common().setTime(Field::occurredAt, lease.expiresAt);
  } else {
    body.setNumber(Field::lateByMs, static_cast<std::uint64_t>((recordedAt.nanoseconds - due.nanoseconds) / kNanosecondsPerMillisecond));
  }
  return event;
}

}  // namespace counterfoil
