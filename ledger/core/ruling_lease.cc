// Rulings on one lease: request, issue, consume, renew, revoke (EVENTS: Leases).
#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/ruling_parts.h"

namespace counterfoil::ruling {
namespace {

std::string_view enumText(const StructValue& value, Field field) {
  const FieldTable* table = value.table->find(field);
  return table->enumeration->texts[value.number(field)];
}

// A refusal: `lease.denied` with whatever the command said that the kind has a field for.
Ruling deny(const WorkspaceState& state, const RedactedCommand& command, LeaseStep step, ReasonCode reason, std::string_view explanation,
            const Lease* lease = nullptr) {
  Ruling result;
  result.denied = true;
  result.reasonCode = reason;
  RedactedEvent event = entryOf(command, Kind::leaseDenied, 0, {});
  StructValue& body = event.body();
  Arena& arena = event.arena();
  copyShared(arena, command.body(), body);
  setEnum(body, Field::step, step);
  setEnum(body, Field::reasonCode, reason);
  body.setText(arena, Field::explanation, explanation.substr(0, limits::kScannedBytesMax));
  PrincipalValue grantee = principalOf(body, Field::grantee);
  if (lease != nullptr && grantee.kind == PrincipalKind::unspecified) {
    const LeaseTerms terms = unpackTerms(lease->terms);
    grantee = {terms.granteeKind, terms.grantee};
    setPrincipal(arena, body, Field::grantee, grantee);
  }
  body.setNumber(Field::outstanding, state.outstanding(grantee));
  if (step == LeaseStep::grant && state.policyVersion() != 0) {
    StructValue policy = makeStruct(arena, *body.table->find(Field::policy)->structure);
    policy.setText(arena, Field::name, state.policyName());
    policy.setNumber(Field::version, state.policyVersion());
    body.setStructure(arena, Field::policy, policy);
  }
  result.leaseId = body.text(Field::leaseId);
  result.entries.push_back(std::move(event));
  return result;
}

ReasonCode reasonOf(PolicyReason reason) {
  switch (reason) {
    case PolicyReason::ttlExceeded:
      return ReasonCode::ttlExceeded;
    case PolicyReason::scopeExceeded:
      return ReasonCode::scopeExceeded;
    case PolicyReason::approvalMissing:
      return ReasonCode::approvalMissing;
    default:
      return ReasonCode::policy;
  }
}

struct ApprovalCheck {
  bool present = false;  // good for exactly this request
  bool rejected = false;
};

ApprovalCheck checkApproval(const WorkspaceState& state, std::string_view id, const RulingContext& context) {
  const Approval* approval = id.empty() ? nullptr : state.findApproval(id);
  if (approval == nullptr || approval->usedUp || approval->requestDigest != context.requestBinding) return {};
  if (static_cast<Decision>(approval->decision) == Decision::rejected) return {false, true};
  const bool live = approval->expiresAt.nanoseconds == 0 || context.recordedAt < approval->expiresAt;
  return {live && static_cast<Decision>(approval->decision) == Decision::approved, false};
}

bool coveredBy(std::string_view granted, std::string_view wanted) {
  if (granted == wanted || granted == "*") return true;
  if (!granted.ends_with('*') || granted.size() < 2) return false;
  granted.remove_suffix(1);
  const char last = granted.back();
  return (last == '/' || last == ':' || last == '-') && wanted.size() > granted.size() && wanted.starts_with(granted) &&
         formOfResource(wanted) == PolicyForm::plain;
}

// Everything wanted lies within what the lease was granted for. A lease granted without such a list bounds nothing.
bool covered(const std::vector<std::string_view>& granted, std::span<const std::string_view> wanted) {
  if (granted.empty()) return true;
  return std::all_of(wanted.begin(), wanted.end(), [&](std::string_view one) {
    return std::any_of(granted.begin(), granted.end(), [&](std::string_view each) { return coveredBy(each, one); });
  });
}

std::string explain(ReasonCode reason) {
  switch (reason) {
    case ReasonCode::expired:
      return "the lease has expired";
    case ReasonCode::revoked:
      return "the lease was revoked";
    case ReasonCode::usedUp:
      return "the last allowed use of the lease was made";
    case ReasonCode::notActive:
      return "the lease is not active";
    case ReasonCode::unknownLease:
      return "no lease of this id was granted here";
    default:
      return "refused";
  }
}

struct ParentCheck {
  ReasonCode reason = ReasonCode::unspecified;
  std::string explanation;
};

ParentCheck checkParent(const WorkspaceState& state, const StructValue& body, Timestamp expiresAt, Timestamp renewableUntil,
                        const RulingContext& context) {
  const std::string_view parentId = body.text(Field::parentLease);
  if (parentId.empty()) return {};
  const Lease* parent = state.findLease(parentId);
  if (parent == nullptr || parent->reported) return {ReasonCode::unknownLease, "the parent lease was not granted here"};
  const LeaseStanding standing = standingOf(state, *parent, context.recordedAt);
  if (standing.standing != Standing::active) return {standing.reason, "the parent lease is not active"};
  if (parent->depth >= limits::kLeaseDepthMax) return {ReasonCode::scopeExceeded, "leases nest at most 8 deep"};
  if (expiresAt > parent->expiresAt) return {ReasonCode::ttlExceeded, "a lease does not outlive its parent"};
  const Timestamp parentEnd = std::max(parent->expiresAt, parent->renewableUntil);
  if (renewableUntil > parentEnd) return {ReasonCode::ttlExceeded, "a lease cannot be renewable beyond its parent"};
  const LeaseTerms terms = unpackTerms(parent->terms);
  if (!covered(terms.scope, body.texts(Field::scope)) || !covered(terms.resources, body.texts(Field::resources))) {
    return {ReasonCode::scopeExceeded, "a lease does not reach further than its parent"};
  }
  if (!terms.resources.empty() && body.texts(Field::resources).empty()) {
    return {ReasonCode::scopeExceeded, "the parent lease is bound to resources; name which of them"};
  }
  return {};
}

PolicyDecision evaluatePolicy(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context, bool approved) {
  if (state.policy() == nullptr) {
    PolicyDecision denied;
    denied.explanation = "the workspace has no policy, so every request is denied";
    return denied;
  }
  const StructValue& body = command.body();
  const PrincipalValue grantee = principalOf(body, Field::grantee);
  std::vector<std::string> scope(body.texts(Field::scope).begin(), body.texts(Field::scope).end());
  std::vector<std::string> resources(body.texts(Field::resources).begin(), body.texts(Field::resources).end());
  PolicyRequest request;
  request.credential = enumText(body, Field::credential);
  const StructValue principal = body.structure(Field::grantee);
  request.granteeKind = principal.table == nullptr ? std::string_view() : enumText(principal, Field::kind);
  request.granteeId = context.granteeId.empty() ? grantee.id : context.granteeId;
  request.host = command.common().text(Field::host);
  request.scope = scope;
  request.resources = resources;
  request.ttlSeconds = static_cast<std::int64_t>(body.number(Field::ttlSeconds));
  if (body.number(Field::maxUses) != 0) request.maxUses = body.number(Field::maxUses);
  request.renewableForSeconds = static_cast<std::int64_t>(body.number(Field::renewableForSeconds));
  request.approvalPresent = approved;
  return evaluate(*state.policy(), request);
}

Timestamp after(Timestamp from, std::uint64_t seconds) {
  return {from.nanoseconds + static_cast<std::int64_t>(seconds) * kNanosecondsPerSecond};
}

void checkDuration(const StructValue& body, Field field, bool required) {
  const std::uint64_t seconds = body.number(field);
  if (seconds > static_cast<std::uint64_t>(limits::kTtlSecondsMax) || (required && seconds == 0)) {
    const std::string name = body.table->find(field)->name;
    throw Fault(ErrorCode::invalidValue, name + " must be between 1 second and 366 days", "ask for a time the lease is really needed",
                "/" + name);
  }
}

}  // namespace

Ruling ruleLeaseRequest(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  checkDuration(body, Field::ttlSeconds, true);
  checkDuration(body, Field::renewableForSeconds, false);
  const std::string leaseId =
      body.text(Field::leaseId).empty() ? toUuid(derivedId(command.id(), "lease", 0)) : std::string(body.text(Field::leaseId));
  if (state.slotOf(leaseId) != kNoLease) {
    throw Fault(ErrorCode::alreadyExists, "a lease of this id exists", "leave leaseId out, or choose another", "/leaseId");
  }
  if (state.closed()) return deny(state, command, LeaseStep::grant, ReasonCode::workspaceClosed, "the workspace is closed");
  const ApprovalCheck approval = checkApproval(state, body.text(Field::approval), context);
  const PolicyDecision decision = evaluatePolicy(state, command, context, approval.present);
  if (!decision.allowed) {
    const bool rejected = approval.rejected && decision.reason == PolicyReason::approvalMissing;
    return deny(state, command, LeaseStep::grant, rejected ? ReasonCode::approvalRejected : reasonOf(decision.reason),
                decision.explanation);
  }
  const Timestamp expiresAt = after(context.recordedAt, body.number(Field::ttlSeconds));
  Timestamp renewableUntil;
  if (decision.renewableForSeconds > 0)
    renewableUntil = after(context.recordedAt, static_cast<std::uint64_t>(decision.renewableForSeconds));
  const ParentCheck parent = checkParent(state, body, expiresAt, renewableUntil, context);
  if (parent.reason != ReasonCode::unspecified) return deny(state, command, LeaseStep::grant, parent.reason, parent.explanation);

  Ruling result;
  result.leaseId = leaseId;
  RedactedEvent granted = entryOf(command, Kind::leaseGranted, 0, {});
  Arena& arena = granted.arena();
  StructValue& lease = granted.body();
  copyShared(arena, body, lease);
  lease.at(Field::secret) = {};  // belongs to lease.issued
  lease.at(Field::upstreamId) = {};
  lease.setText(arena, Field::leaseId, leaseId);
  lease.setTime(Field::issuedAt, context.recordedAt);
  lease.setTime(Field::expiresAt, expiresAt);
  lease.setTime(Field::renewableUntil, renewableUntil);
  lease.setNumber(Field::maxUses, decision.maxUses);
  if (!approval.present) lease.at(Field::approval) = {};
  StructValue policy = makeStruct(arena, *lease.table->find(Field::policy)->structure);
  policy.setText(arena, Field::name, state.policyName());
  policy.setNumber(Field::version, state.policyVersion());
  lease.setStructure(arena, Field::policy, policy);
  result.entries.push_back(std::move(granted));
  if (!body.text(Field::secret).empty()) {
    RedactedEvent issued = entryOf(command, Kind::leaseIssued, 1, leaseId);
    copyShared(issued.arena(), body, issued.body());
    issued.body().setText(issued.arena(), Field::leaseId, leaseId);
    setEnum(issued.body(), Field::outcome, Outcome::issued);
    result.entries.push_back(std::move(issued));
  }
  return result;
}

Ruling ruleLeaseIssue(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  const auto outcome = static_cast<Outcome>(body.number(Field::outcome));
  if (outcome != Outcome::unspecified && outcome != Outcome::issued && outcome != Outcome::failed) {
    throw Fault(ErrorCode::invalidValue, "outcome must be issued or failed", "", "/outcome");
  }
  const Lease* lease = state.findLease(body.text(Field::leaseId));
  if (lease == nullptr || lease->reported) {
    return deny(state, command, LeaseStep::issue, ReasonCode::unknownLease, explain(ReasonCode::unknownLease));
  }
  const LeaseStanding standing = standingOf(state, *lease, context.recordedAt);
  if (standing.standing == Standing::active) {
    return deny(state, command, LeaseStep::issue, ReasonCode::notActive, "the lease was issued before", lease);
  }
  if (standing.standing == Standing::ended) return deny(state, command, LeaseStep::issue, standing.reason, explain(standing.reason), lease);
  Ruling result;
  result.leaseId = lease->id;
  RedactedEvent event = entryOf(command, Kind::leaseIssued, 0, {});
  copyShared(event.arena(), body, event.body());
  setEnum(event.body(), Field::outcome, outcome == Outcome::failed ? Outcome::failed : Outcome::issued);
  event.body().setFlag(Field::terminal, outcome == Outcome::failed);
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleLeaseConsume(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  const auto outcome = static_cast<Outcome>(body.number(Field::outcome));
  if (outcome != Outcome::unspecified && outcome != Outcome::ok && outcome != Outcome::error && outcome != Outcome::partial) {
    throw Fault(ErrorCode::invalidValue, "outcome must be ok, error or partial", "", "/outcome");
  }
  const Lease* lease = state.findLease(body.text(Field::leaseId));
  const auto refuse = [&](ReasonCode reason, std::string_view why) { return deny(state, command, LeaseStep::consume, reason, why, lease); };
  if (lease == nullptr || lease->reported) {
    lease = nullptr;
    return refuse(ReasonCode::unknownLease, explain(ReasonCode::unknownLease));
  }
  if (state.closed()) return refuse(ReasonCode::workspaceClosed, "the workspace is closed");
  const LeaseStanding standing = standingOf(state, *lease, context.recordedAt);
  if (standing.standing != Standing::active) return refuse(standing.reason, explain(standing.reason));
  const LeaseTerms terms = unpackTerms(lease->terms);
  const std::string_view host = command.common().text(Field::host);
  if (!terms.host.empty() && !host.empty() && host != terms.host) {
    return refuse(ReasonCode::hostMismatch, "the lease was granted for another host");
  }
  if (!covered(terms.resources, body.texts(Field::resources)) || !covered(terms.scope, body.texts(Field::scope))) {
    return refuse(ReasonCode::scopeExceeded, "the use reaches beyond what the lease was granted for");
  }
  Ruling result;
  result.leaseId = lease->id;
  RedactedEvent event = entryOf(command, Kind::leaseConsumed, 0, {});
  copyShared(event.arena(), body, event.body());
  if (outcome == Outcome::unspecified) setEnum(event.body(), Field::outcome, Outcome::ok);
  event.body().setNumber(Field::uses, lease->uses + 1);
  event.body().setFlag(Field::terminal, lease->maxUses != 0 && lease->uses + 1 >= lease->maxUses);
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleLeaseRenew(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  checkDuration(body, Field::ttlSeconds, true);
  const Lease* lease = state.findLease(body.text(Field::leaseId));
  const auto refuse = [&](ReasonCode reason, std::string_view why) { return deny(state, command, LeaseStep::renew, reason, why, lease); };
  if (lease == nullptr || lease->reported) {
    lease = nullptr;
    return refuse(ReasonCode::unknownLease, explain(ReasonCode::unknownLease));
  }
  if (state.closed()) return refuse(ReasonCode::workspaceClosed, "the workspace is closed");
  const LeaseStanding standing = standingOf(state, *lease, context.recordedAt);
  if (standing.standing != Standing::active) return refuse(standing.reason, explain(standing.reason));
  // A renewal never shortens: children may rely on the end as it stands.
  const Timestamp expiresAt = std::max(lease->expiresAt, after(context.recordedAt, body.number(Field::ttlSeconds)));
  if (expiresAt > lease->renewableUntil) {
    return refuse(ReasonCode::ttlExceeded,
                  lease->renewableUntil.nanoseconds == 0 ? "the lease is not renewable" : "the renewal would pass renewableUntil");
  }
  if (lease->parent != kNoLease && expiresAt > state.lease(lease->parent).expiresAt) {
    return refuse(ReasonCode::ttlExceeded, "a lease does not outlive its parent");
  }
  Ruling result;
  result.leaseId = lease->id;
  RedactedEvent event = entryOf(command, Kind::leaseRenewed, 0, {});
  event.body().setText(event.arena(), Field::leaseId, lease->id);
  event.body().setTime(Field::previousExpiresAt, lease->expiresAt);
  event.body().setTime(Field::expiresAt, expiresAt);
  result.entries.push_back(std::move(event));
  return result;
}

Ruling ruleLeaseRevoke(const WorkspaceState& state, const RedactedCommand& command, const RulingContext& context) {
  const StructValue& body = command.body();
  const Lease* lease = state.findLease(body.text(Field::leaseId));
  if (lease == nullptr || lease->reported) {
    throw Fault(ErrorCode::noSuchItem, "no lease of this id was granted here", "`lease list` shows those that live", "/leaseId");
  }
  Ruling result;
  result.leaseId = lease->id;
  const LeaseStanding standing = standingOf(state, *lease, context.recordedAt);
  if (standing.standing == Standing::ended) return result;  // its first end stays its end
  RedactedEvent event = entryOf(command, Kind::leaseRevoked, 0, {});
  copyShared(event.arena(), body, event.body());
  setPrincipal(event.arena(), event.body(), Field::by, principalOf(command.common(), Field::actor));
  if (body.number(Field::reasonCode) == 0) setEnum(event.body(), Field::reasonCode, ReasonCode::operatorRequest);
  event.body().setFlag(Field::terminal, true);
  result.entries.push_back(std::move(event));
  return result;
}

}  // namespace counterfoil::ruling
