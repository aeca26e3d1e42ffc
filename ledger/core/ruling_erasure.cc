// Rulings on holds, on the erasure of persons, and on the rotation of keys.
#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/ruling_parts.h"

namespace counterfoil::ruling {
namespace {

// Long enough to reach another administrator, short enough that a forgotten one erases nobody months later.
constexpr std::int64_t kErasureApprovalSeconds = 7 * 24 * 3600;

void refuseWhileHeld(const WorkspaceState& state, std::string_view person, Timestamp now) {
  for (const auto& [id, hold] : state.holds()) {
    if (!hold.standsAt(now) || (hold.scope != kWholeWorkspace && hold.scope != person)) continue;
    throw Fault(ErrorCode::holdInForce, "the hold " + id + " forbids to erase this",
                "`hold list` shows who placed it and until when it stands");
  }
}

Ruling askForApproval(const RedactedCommand& command, const RulingContext& context, std::string_view operation, std::string_view target) {
  Ruling result;
  result.approvalId = toUuid(derivedId(command.id(), "approval", 0));
  RedactedEvent event = entryOf(command, Kind::approvalRequested, 0, {});
  StructValue& asked = event.body();
  asked.setText(event.arena(), Field::approvalId, result.approvalId);
  asked.setText(event.arena(), Field::operation, operation);
  asked.setTexts(event.arena(), Field::resources, {&target, 1});
  asked.setText(event.arena(), Field::requestDigest, context.requestBinding);
  asked.setTime(Field::expiresAt, {context.recordedAt.nanoseconds + kErasureApprovalSeconds * kNanosecondsPerSecond});
  result.entries.push_back(std::move(event));
  return result;
}

// The approval, if it is one of another administrator for exactly this. It counts once by itself: it binds the pseudonym, and that goes
// with the key.
const Approval& approvalFor(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  constexpr const char* kField = "/approval";
  const Approval* approval = state.findApproval(command.body().text(Field::approval));
  if (approval == nullptr || !approval->byAdministrator) {
    throw Fault(ErrorCode::noSuchItem, "no approval of this id was asked for by an erasure", "leave approval out: it is asked for then",
                kField);
  }
  if (approval->requestDigest != context.requestBinding) {
    throw Fault(ErrorCode::notAllowed, "the approval is for another erasure", "ask for one of this", kField);
  }
  const auto decision = static_cast<Decision>(approval->decision);
  if (decision == Decision::rejected) throw Fault(ErrorCode::notAllowed, "the erasure was refused", "", kField);
  if (decision != Decision::approved) {
    throw Fault(ErrorCode::notAllowed, "nobody has approved the erasure yet", "another admin decides: `approval decide`", kField);
  }
  if (context.recordedAt >= approval->expiresAt)
    throw Fault(ErrorCode::notAllowed, "the approval has expired", "ask for a new one", kField);
  const PrincipalValue decider{approval->decidedByKind, approval->decidedBy};
  if (principalKey(decider) == principalKey(principalOf(command.common(), Field::actor))) {
    throw Fault(ErrorCode::notAllowed, "who approved an erasure cannot order it", "two persons are needed", kField);
  }
  return *approval;
}

// An order for an erasure, with who is behind it.
Ruling ordered(RedactedEvent event, const RedactedCommand& command, const Approval& approval) {
  Arena& arena = event.arena();
  const StructValue& body = command.body();
  setPrincipal(arena, event.body(), Field::requestedBy, principalOf(command.common(), Field::actor));
  setPrincipal(arena, event.body(), Field::approvedBy, {approval.decidedByKind, approval.decidedBy});
  event.body().setText(arena, Field::basis, body.text(Field::basis));
  // The kind has no field for it, and its form is fixed.
  if (event.common().text(Field::correlation).empty()) event.common().setText(arena, Field::correlation, body.text(Field::approval));
  Ruling result;
  result.approvalId = body.text(Field::approval);
  result.entries.push_back(std::move(event));
  return result;
}

}  // namespace

Ruling ruleHoldPlace(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  if (body.number(Field::days) > limits::kHoldDaysMax) throw Fault(ErrorCode::invalidValue, "days is more than 36500", "", "/days");
  const auto stands = [&](const auto& one) { return one.second.standsAt(context.recordedAt); };
  if (static_cast<std::size_t>(std::count_if(state.holds().begin(), state.holds().end(), stands)) >= limits::kHoldsMax) {
    throw Fault(ErrorCode::invalidValue, "1000 holds stand in this workspace", "release those that are not needed any more");
  }
  Ruling result;
  result.holdId = body.text(Field::holdId).empty() ? toUuid(derivedId(command.id(), "hold", 0)) : std::string(body.text(Field::holdId));
  if (const auto other = state.holds().find(result.holdId); other != state.holds().end() && stands(*other)) {
    throw Fault(ErrorCode::alreadyExists, "a hold of this id stands", "leave holdId out, or choose another", "/holdId");
  }
  RedactedEvent event = entryOf(command, Kind::holdPlaced, 0, {});
  StructValue& placed = event.body();
  copyShared(event.arena(), body, placed);
  placed.setText(event.arena(), Field::holdId, result.holdId);
  const std::string_view target = body.text(Field::pseudonym);
  placed.setText(event.arena(), Field::scope, target.empty() ? kWholeWorkspace : target);
  setPrincipal(event.arena(), placed, Field::by, principalOf(command.common(), Field::actor));
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleHoldRelease(const WorkspaceState& state, const RedactedCommand& command, const RulingContext&) {
  const StructValue& body = command.body();
  Ruling result;
  result.holdId = body.text(Field::holdId);
  const auto hold = state.holds().find(result.holdId);
  if (hold == state.holds().end()) throw Fault(ErrorCode::noSuchItem, "no hold of this id stands", "`hold list` shows them", "/holdId");
  RedactedEvent event = entryOf(command, Kind::holdReleased, 0, {});
  StructValue& released = event.body();
  copyShared(event.arena(), body, released);
  released.setText(event.arena(), Field::scope, hold->second.scope);
  setPrincipal(event.arena(), released, Field::by, principalOf(command.common(), Field::actor));
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleSubjectErase(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  if (body.text(Field::keyId).empty() || state.doomedKeys().contains(std::string(body.text(Field::keyId)))) {
    throw Fault(ErrorCode::noSuchItem, "no key of this person is known here",
                "nothing was ever recorded of the person in this workspace, or it was erased before");
  }
  refuseWhileHeld(state, body.text(Field::pseudonym), context.recordedAt);
  if (body.text(Field::approval).empty()) return askForApproval(command, context, kEraseOperation, body.text(Field::pseudonym));
  const Approval& approval = approvalFor(state, command, context);
  RedactedEvent event = entryOf(command, Kind::subjectErased, 0, {});
  Arena& arena = event.arena();
  StructValue& erased = event.body();
  erased.setText(arena, Field::scope, body.text(Field::pseudonym));
  const std::string_view keyId = body.text(Field::keyId);
  erased.setTexts(arena, Field::keyIds, {&keyId, 1});
  return ordered(std::move(event), command, approval);
}

Ruling ruleWorkspaceErase(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  const auto found = state.allocated().find(std::string(body.text(Field::workspaceId)));
  if (found == state.allocated().end()) {
    throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`workspace list` shows them", "/workspaceId");
  }
  if (found->second.erasure != Erasure::none) throw Fault(ErrorCode::workspaceClosed, "the workspace's erasure was ordered before");
  if (body.text(Field::approval).empty()) return askForApproval(command, context, kEraseWorkspaceOperation, found->first);
  const Approval& approval = approvalFor(state, command, context);
  RedactedEvent event = entryOf(command, Kind::workspaceErased, 0, {});
  event.body().setText(event.arena(), Field::scope, found->first);
  event.body().setNumber(Field::number, found->second.number);
  return ordered(std::move(event), command, approval);
}

Ruling ruleKeyRotate(const WorkspaceState&, const RedactedCommand& command, const RulingContext&) {
  const std::string_view purpose = command.body().text(Field::purpose);
  if (purpose != kFingerprintPurpose && purpose != kKeyEncryptionPurpose) {
    throw Fault(ErrorCode::invalidValue, "purpose is neither fingerprint nor key_encryption", "", "/purpose");
  }
  RedactedEvent event = entryOf(command, Kind::keyRotated, 0, {});
  event.body().setText(event.arena(), Field::purpose, purpose);
  Ruling result;
  result.entries.push_back(std::move(event));
  return result;
}

}  // namespace counterfoil::ruling

namespace counterfoil {

std::vector<RedactedEvent> endOfWorkspace(const WorkspaceState& state, std::size_t leasesMax, const EntryId& id) {
  std::vector<RedactedEvent> events;
  const auto add = [&](Kind kind) -> RedactedEvent& {
    const auto number = static_cast<unsigned>(events.size());
    return events.emplace_back(RedactedEvent::ofLedger(kind, number == 0 ? id : derivedId(id, {}, number)));
  };
  const auto named = [&](Kind kind, Field name) {
    RedactedEvent& event = add(kind);
    event.body().setText(event.arena(), name, state.id());
    event.body().setNumber(Field::number, state.number().value);
  };
  if (!state.closed()) named(Kind::workspaceClosed, Field::workspaceId);
  bool lives = false;
  state.forEachLive([&](LeaseSlot, const Lease& lease) {
    if (lease.reported) return;  // another system's to end
    lives = true;
    if (lease.cause != 0 || events.size() >= leasesMax) return;
    RedactedEvent& event = add(Kind::leaseRevoked);
    event.body().setText(event.arena(), Field::leaseId, lease.id);
    event.body().setFlag(Field::terminal, true);
    ruling::setEnum(event.body(), Field::reasonCode, ReasonCode::bulk);
  });
  if (!lives && !state.hasOwed()) named(Kind::workspaceErased, Field::scope);
  return events;
}

}  // namespace counterfoil
