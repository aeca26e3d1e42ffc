// Rulings on bulk revocations, approvals, policies and the workspace itself.
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/ruling_parts.h"

namespace counterfoil::ruling {
namespace {

constexpr std::uint64_t kApprovalSecondsDefault = 3600;

struct Selection {
  RevocationSelector selector = RevocationSelector::unspecified;
  std::string value;  // as the entry says it: an id, a pseudonym or a fingerprint
};

Selection selectionOf(const RedactedCommand& command) {
  const StructValue& body = command.body();
  Selection result;
  unsigned given = 0;
  const auto take = [&](RevocationSelector selector, std::string_view value) {
    if (value.empty()) return;
    ++given;
    result = {selector, std::string(value)};
  };
  take(RevocationSelector::run, command.common().text(Field::run));
  take(RevocationSelector::host, command.common().text(Field::host));
  take(RevocationSelector::bundle, body.text(Field::bundle));
  take(RevocationSelector::credential, body.text(Field::credential));
  take(RevocationSelector::parent, body.text(Field::lease));
  const PrincipalValue principal = principalOf(body, Field::principal);
  if (principal.kind != PrincipalKind::unspecified) {
    ++given;
    result = {RevocationSelector::principal, principalKey(principal)};
  }
  if (given != 1) {
    throw Fault(ErrorCode::invalidValue, "a bulk revocation needs exactly one of run, host, principal, bundle, credential, lease",
                "name what every lease to be revoked has in common");
  }
  return result;
}

}  // namespace

Ruling ruleRevokeAll(const WorkspaceState& state, const RedactedCommand& command, const RulingContext&) {
  const StructValue& body = command.body();
  const Selection selection = selectionOf(command);
  Ruling result;
  result.revocationId = body.text(Field::revocationId).empty() ? toUuid(derivedId(command.id(), "revocation", 0))
                                                               : std::string(body.text(Field::revocationId));
  result.matched = state.selected(selection.selector, selection.value).size();
  RedactedEvent event = entryOf(command, Kind::revocationOrdered, 0, {});
  StructValue& order = event.body();
  copyShared(event.arena(), body, order);
  order.setText(event.arena(), Field::revocationId, result.revocationId);
  setEnum(order, Field::selector, selection.selector);
  order.setText(event.arena(), Field::value, selection.value);
  setPrincipal(event.arena(), order, Field::by, principalOf(command.common(), Field::actor));
  if (body.number(Field::reasonCode) == 0) setEnum(order, Field::reasonCode, ReasonCode::bulk);
  order.setNumber(Field::matched, result.matched);
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleApprovalRequest(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  if (state.closed()) throw Fault(ErrorCode::workspaceClosed, "the workspace is closed");
  const StructValue& body = command.body();
  Ruling result;
  result.approvalId =
      body.text(Field::approvalId).empty() ? toUuid(derivedId(command.id(), "approval", 0)) : std::string(body.text(Field::approvalId));
  if (state.findApproval(result.approvalId) != nullptr) {
    throw Fault(ErrorCode::alreadyExists, "an approval of this id exists", "leave approvalId out, or choose another", "/approvalId");
  }
  RedactedEvent event = entryOf(command, Kind::approvalRequested, 0, {});
  StructValue& asked = event.body();
  copyShared(event.arena(), body, asked);
  asked.setText(event.arena(), Field::approvalId, result.approvalId);
  asked.setText(event.arena(), Field::requestDigest, context.requestBinding);
  const std::uint64_t seconds = body.number(Field::expiresInSeconds) == 0 ? kApprovalSecondsDefault : body.number(Field::expiresInSeconds);
  if (seconds > static_cast<std::uint64_t>(limits::kTtlSecondsMax)) {
    throw Fault(ErrorCode::invalidValue, "expiresInSeconds is more than 366 days", "", "/expiresInSeconds");
  }
  asked.setTime(Field::expiresAt, {context.recordedAt.nanoseconds + static_cast<std::int64_t>(seconds) * kNanosecondsPerSecond});
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleApprovalDecide(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  const Approval* approval = state.findApproval(body.text(Field::approvalId));
  // A person can still be erased when nothing is granted any more.
  if (state.closed() && (approval == nullptr || !approval->byAdministrator)) {
    throw Fault(ErrorCode::workspaceClosed, "the workspace is closed");
  }
  if (approval == nullptr)
    throw Fault(ErrorCode::noSuchItem, "no approval of this id was asked for", "`approval list` shows them", "/approvalId");
  const auto decision = static_cast<Decision>(body.number(Field::decision));
  if (decision != Decision::approved && decision != Decision::rejected) {
    throw Fault(ErrorCode::invalidValue, "decision must be approved or rejected", "", "/decision");
  }
  if (approval->decision != 0) throw Fault(ErrorCode::alreadyExists, "the approval was decided before", "ask for a new one", "/approvalId");
  if (approval->expiresAt.nanoseconds != 0 && context.recordedAt >= approval->expiresAt) {
    throw Fault(ErrorCode::notAllowed, "the approval has expired", "ask for a new one", "/approvalId");
  }
  if (approval->byAdministrator && !body.flag(Field::asAdministrator)) {
    throw Fault(ErrorCode::notAllowed, "the approval is for an erasure, which only an admin or owner may approve or refuse");
  }
  const PrincipalValue decider = principalOf(command.common(), Field::actor);
  const std::string deciderKey = principalKey(decider);
  if (decision == Decision::approved && (deciderKey == approval->requestedBy || deciderKey == approval->onBehalfOf)) {
    throw Fault(ErrorCode::notAllowed, "who asked for an approval cannot give it", "another person must decide");
  }
  Ruling result;
  result.approvalId = body.text(Field::approvalId);
  RedactedEvent event = entryOf(command, Kind::approvalDecided, 0, {});
  copyShared(event.arena(), body, event.body());
  event.body().setText(event.arena(), Field::requestDigest, approval->requestDigest);
  setPrincipal(event.arena(), event.body(), Field::decidedBy, decider);
  result.entries.push_back(std::move(event));
  return result;
}

Ruling rulePolicySet(const WorkspaceState& state, const RedactedCommand& command, const RulingContext&) {
  if (state.closed()) throw Fault(ErrorCode::workspaceClosed, "the workspace is closed");
  const std::string_view document = command.body().text(Field::document);
  const Policy policy = Policy::parse(document);
  Ruling result;
  result.policyVersion = state.policyVersion() + 1;
  RedactedEvent event = entryOf(command, Kind::policySet, 0, {});
  StructValue& set = event.body();
  copyShared(event.arena(), command.body(), set);
  set.setText(event.arena(), Field::name, policy.name().empty() ? "policy" : policy.name());
  set.setNumber(Field::version, result.policyVersion);
  const crypto::Digest digest = crypto::sha256({reinterpret_cast<const std::uint8_t*>(document.data()), document.size()});
  set.setData(event.arena(), Field::documentDigest, digest);
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleWorkspaceClose(const WorkspaceState& state, const RedactedCommand& command, const RulingContext&) {
  if (state.number() == kSystemWorkspace) throw Fault(ErrorCode::notAllowed, "the ledger's own workspace cannot be closed");
  if (state.closed()) throw Fault(ErrorCode::workspaceClosed, "the workspace is closed already");
  RedactedEvent event = entryOf(command, Kind::workspaceClosed, 0, {});
  event.body().setText(event.arena(), Field::workspaceId, state.id());
  event.body().setNumber(Field::number, state.number().value);
  Ruling result;
  result.entries.push_back(std::move(event));
  return result;
}

}  // namespace counterfoil::ruling
