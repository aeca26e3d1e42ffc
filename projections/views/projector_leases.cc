// Leases: the same rules of state as the writer's own fold (ledger/core/workspace_apply.cc), but never forgetting an ended one.
#include <algorithm>
#include <bit>

#include "ledger/core/lease.h"
#include "ledger/core/limits.h"
#include "projections/views/projector_step.h"

namespace counterfoil::views {
namespace {

constexpr std::int64_t kEndedKept = limits::kEndedLeaseKeptSeconds * kNanosecondsPerSecond;
constexpr std::int64_t kWatermarkLag = limits::kWatermarkLagSeconds * kNanosecondsPerSecond;

bool ended(const Row& lease) { return !lease.isNull(leaseColumns().ended_seq); }

// a - b for times that a hostile producer may have chosen.
std::int64_t minus(std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  if (!__builtin_sub_overflow(a, b, &result)) return result;
  return a < 0 ? INT64_MIN : INT64_MAX;
}

// The class of an interval's length: its seconds, rounded up, are below 2^span.
std::int64_t spanOf(std::int64_t from, std::int64_t to) {
  const std::int64_t length = minus(to, from);
  if (length <= 0) return 0;
  const auto seconds = static_cast<std::uint64_t>(length / kNanosecondsPerSecond) + 1;
  return std::bit_width(seconds);
}

}  // namespace

Row* Projector::latestLease(NameId name, std::unordered_map<NameId, std::int64_t>& known, LazyStatement& statement) {
  const auto found = known.find(name);
  if (found != known.end()) return lease_.find({found->second});
  if (leasesComplete_) return nullptr;
  statement->bindNumber(1, name);
  std::int64_t seq = -1;
  if (statement->step()) {
    if (!statement->isNull(0)) seq = statement->number(0);
    statement->reset();
  }
  if (seq < 0) return nullptr;
  known.emplace(name, seq);
  return lease_.find({seq});
}

Row* Projector::findLease(std::string_view leaseId) {
  if (leaseId.empty()) return nullptr;
  const auto name = names_.find(leaseId);
  return name ? latestLease(*name, leaseByNameCache_, leaseByName_) : nullptr;
}

Row* Projector::findByFingerprint(std::string_view fingerprint) {
  if (fingerprint.empty()) return nullptr;
  const auto name = names_.find(fingerprint);
  return name ? latestLease(*name, leaseByFingerprintCache_, leaseByFingerprint_) : nullptr;
}

// The writer forgets a lease some time after its end; from then on the same id names a new one.
bool Projector::forgotten(const Step& step, const Row& lease) {
  const LeaseColumns& at = leaseColumns();
  if (!ended(lease)) return false;
  std::int64_t now = step.recordedAt;
  if (lease.number(at.reported) != 0) {
    const auto id = [&](std::size_t column) { return lease.isNull(column) ? names_.intern("") : lease.number(column); };
    const Row* producer = producer_.find({id(at.source), id(at.producer)});
    if (producer != nullptr) now = minus(producer->number(producerColumns().greatest_occurred_at), kWatermarkLag);
  }
  return minus(now, lease.number(at.ended_at)) >= kEndedKept;
}

void Projector::foldLease(Step& step) {
  const LeaseColumns& at = leaseColumns();
  const EntryFields& fields = step.fields;
  const Kind kind = step.kind();
  if (kind == Kind::leaseGranted) return grant(step);
  if (kind == Kind::leaseDenied) return foldDenial(step);
  if (kind == Kind::revocationOrdered) return foldRevocation(step);
  if (kind != Kind::leaseIssued && kind != Kind::leaseConsumed && kind != Kind::leaseRenewed && kind != Kind::leaseRevoked &&
      kind != Kind::leaseExpired && kind != Kind::leaseRevocationReported) {
    return;
  }
  Row* lease = findLease(fields.text(Field::leaseId));
  if (lease == nullptr && kind == Kind::leaseConsumed) lease = findByFingerprint(fields.text(Field::fingerprint));
  if (kind == Kind::leaseRevoked && !fields.text(Field::cascadeOf).empty()) {
    const auto cause = names_.find(fields.text(Field::cascadeOf));
    Row* revocation = cause ? revocation_.find({*cause}) : nullptr;
    if (revocation != nullptr) {
      revocation->increase(revocation_.table().column("ended"));
      revocation->set(revocation_.table().column("last_seq"), step.seq);
    }
  }
  if (lease == nullptr) return;
  lease->set(at.last_seq, step.seq);
  switch (kind) {
    case Kind::leaseIssued:
      setName(*lease, at.upstream, fields.text(Field::upstreamId));
      if (const std::string_view secret = fields.text(Field::secret); !secret.empty()) {
        setName(*lease, at.fingerprint, secret);
        if (lease->number(at.reported) != 0) leaseByFingerprintCache_[lease->number(at.fingerprint)] = lease->number(at.granted_seq);
      }
      if (ended(*lease)) break;
      if (static_cast<Outcome>(fields.number(Field::outcome)) == Outcome::failed) {
        endLease(step, *lease, leaseStateName(LeaseState::failed));
      } else {
        lease->setOnce(at.issued_seq, step.seq);
        changeState(step, *lease, leaseStateName(LeaseState::active));
      }
      break;
    case Kind::leaseConsumed:
      lease->set(at.uses, std::max(lease->number(at.uses), static_cast<std::int64_t>(fields.number(Field::uses))));
      if (fields.body().flag(Field::terminal) && !ended(*lease)) endLease(step, *lease, leaseStateName(LeaseState::consumedOut));
      break;
    case Kind::leaseRenewed:
      if (ended(*lease)) break;
      lease->set(at.expires_at, fields.time(Field::expiresAt));
      lease->increase(at.renewals);
      setReach(*lease);
      break;
    case Kind::leaseRevoked:
      if (!ended(*lease)) endLease(step, *lease, leaseStateName(LeaseState::revoked));
      break;
    case Kind::leaseExpired:
      if (!ended(*lease)) endLease(step, *lease, leaseStateName(LeaseState::expired));
      break;
    default:
      setName(*lease, at.upstream_outcome, fields.text(Field::outcome));
      lease->set(at.upstream_attempts, static_cast<std::int64_t>(fields.number(Field::attempts)));
      break;
  }
  noteState(step, *lease);
}

void Projector::noteState(Step& step, const Row& lease) {
  const LeaseColumns& at = leaseColumns();
  step.lease = lease.number(at.lease);
  step.state = lease.number(at.state);
  step.uses = lease.number(at.uses);
  step.expiresAt = lease.number(at.expires_at);
}

void Projector::setReach(Row& lease) {
  const LeaseColumns& at = leaseColumns();
  const bool known = !lease.isNull(at.expires_at) || ended(lease);
  if (known) {
    std::int64_t to = lease.isNull(at.expires_at) ? lease.number(at.ended_at) : lease.number(at.expires_at);
    if (ended(lease)) to = std::min(to, lease.number(at.ended_at));
    lease.set(at.valid_to, to);
  }
  // What it once was known to reach stays: as of an earlier seq it still does.
  const bool once = !lease.isNull(at.span);
  if (once && lease.number(at.span) == kOpenSpan) return;
  if (!known) {
    lease.set(at.span, kOpenSpan);
    return;
  }
  const std::int64_t reach = once ? std::max(lease.number(at.reach_to), lease.number(at.valid_to)) : lease.number(at.valid_to);
  lease.set(at.reach_to, reach);
  lease.set(at.span, spanOf(lease.number(at.valid_from), reach));
}

void Projector::grant(Step& step) {
  const LeaseColumns& at = leaseColumns();
  const EntryFields& fields = step.fields;
  const std::string_view id = fields.text(Field::leaseId);
  if (id.empty()) return;
  const NameId name = names_.intern(id);
  step.lease = name;
  if (const Row* known = findLease(id); known != nullptr && !forgotten(step, *known)) return;  // reported twice: the first one counts
  const bool reported = fields.body().structure(Field::policy).table == nullptr;
  Row& lease = lease_.get({step.seq}).first;
  leaseByNameCache_[name] = step.seq;
  lease.set(at.lease, name);
  fillGrant(step, lease, reported);
  if (const std::string_view secret = fields.text(Field::secret); reported && !secret.empty()) {
    leaseByFingerprintCache_[lease.number(at.fingerprint)] = step.seq;
  }
  changeState(step, lease, leaseStateName(reported ? LeaseState::active : LeaseState::granted));
  setReach(lease);
  if (!lease.isNull(at.grantee)) {
    Row& grantee = touchPrincipal(names_.text(lease.number(at.grantee)), step.place());
    grantee.increase(principalColumns().grants);
    grantee.increase(principalColumns().live);
  }
  noteState(step, lease);
}

void Projector::fillGrant(Step& step, Row& lease, bool reported) {
  const LeaseColumns& at = leaseColumns();
  const EntryFields& fields = step.fields;
  lease.set(at.reported, reported ? 1 : 0);
  const auto name = [&](std::size_t column, std::string_view text) { setName(lease, column, text); };
  name(at.credential, fields.text(Field::credential));
  name(at.credential_name, fields.text(Field::credentialName));
  name(at.grantee, fields.principal(Field::grantee));
  name(at.run, step.common(Field::run));
  name(at.host, step.common(Field::host));
  name(at.sandbox, step.common(Field::sandbox));
  name(at.source, step.common(Field::source));
  name(at.producer, step.common(Field::producer));
  name(at.parent, fields.text(Field::parentLease));
  name(at.bundle, fields.text(Field::bundleId));
  name(at.approval, fields.text(Field::approval));
  name(at.issuer, fields.text(Field::issuer));
  name(at.fingerprint, fields.text(Field::secret));
  name(at.upstream, fields.text(Field::upstreamId));
  name(at.address, fields.text(Field::sourceAddressPseudonym));
  if (!reported) {
    const StructValue policy = fields.body().structure(Field::policy);
    setName(lease, at.policy, policy.text(Field::name));
    lease.set(at.policy_version, static_cast<std::int64_t>(policy.number(Field::version)));
  }
  const std::int64_t issuedAt = fields.time(Field::issuedAt);
  lease.set(at.valid_from, issuedAt == 0 ? step.occurredAt : issuedAt);
  noteTime(step.place(), lease.number(at.valid_from));
  lease.set(at.granted_recorded_at, step.recordedAt);
  setTime(lease, at.expires_at, fields.time(Field::expiresAt));
  setTime(lease, at.renewable_until, fields.time(Field::renewableUntil));
  if (fields.number(Field::maxUses) != 0) lease.set(at.max_uses, static_cast<std::int64_t>(fields.number(Field::maxUses)));
  lease.set(at.uses, 0);
  lease.set(at.renewals, 0);
  lease.set(at.last_seq, step.seq);
}

void Projector::changeState(Step& step, Row& lease, std::string_view state) {
  const LeaseColumns& at = leaseColumns();
  const NameId id = names_.intern(state);
  if (!lease.isNull(at.state)) {
    if (lease.number(at.state) == id) return;
    count("leases " + std::string(names_.text(lease.number(at.state))), step.place(), -1);
  }
  lease.set(at.state, id);
  count("leases " + std::string(state), step.place());
}

void Projector::endLease(Step& step, Row& lease, std::string_view state) {
  const LeaseColumns& at = leaseColumns();
  changeState(step, lease, state);
  lease.set(at.ended_seq, step.seq);
  lease.set(at.ended_recorded_at, step.recordedAt);
  lease.set(at.ended_at, lease.number(at.reported) != 0 ? step.occurredAt : step.recordedAt);
  setName(lease, at.end_reason, step.fields.text(Field::reasonCode));
  setName(lease, at.cascade_of, step.fields.text(Field::cascadeOf));
  if (step.kind() == Kind::leaseExpired) {
    lease.set(at.uses, std::max(lease.number(at.uses), static_cast<std::int64_t>(step.fields.number(Field::uses))));
  }
  setReach(lease);
  if (!lease.isNull(at.grantee)) principal_.get({lease.number(at.grantee)}).first.increase(principalColumns().live, -1);
}

void Projector::foldDenial(Step& step) {
  const EntryFields& fields = step.fields;
  const std::string grantee = fields.principal(Field::grantee);
  const StructValue policy = fields.body().structure(Field::policy);
  const std::string_view explanation = fields.text(Field::explanation);
  const auto number = [](std::uint64_t value) { return value == 0 ? Cell{} : Cell::of(static_cast<std::int64_t>(value)); };
  denial_.insert({Cell::of(step.seq), nameCell(fields.text(Field::step)), nameCell(fields.text(Field::leaseId)),
                  nameCell(fields.text(Field::reasonCode)), nameCell(grantee), nameCell(fields.text(Field::credential)),
                  nameCell(fields.text(Field::operation)), number(fields.number(Field::ttlSeconds)), nameCell(policy.text(Field::name)),
                  number(policy.number(Field::version)), nameCell(fields.text(Field::fingerprint)), number(fields.number(Field::outstanding)),
                  explanation.empty() ? Cell{} : Cell::of(explanation), nameCell(fields.text(Field::errorCode))});
  count("denials " + std::string(fields.text(Field::reasonCode)), step.place());
  const std::string& who = grantee.empty() ? step.actor : grantee;
  if (!who.empty()) touchPrincipal(who, step.place()).increase(principalColumns().denials);
}

void Projector::foldRevocation(Step& step) {
  const EntryFields& fields = step.fields;
  const std::string_view id = fields.text(Field::revocationId);
  if (id.empty()) return;
  const Table& table = revocation_.table();
  const auto [row, fresh] = revocation_.get({names_.intern(id)});
  if (fresh) row.set(table.column("ended"), 0);
  row.set(table.column("ordered_seq"), step.seq);
  setName(row, table.column("selector"), fields.text(Field::selector));
  setName(row, table.column("value"), fields.text(Field::value));
  setName(row, table.column("by"), fields.principal(Field::by));
  setName(row, table.column("reason"), fields.text(Field::reasonCode));
  row.set(table.column("matched"), static_cast<std::int64_t>(fields.number(Field::matched)));
  row.set(table.column("last_seq"), step.seq);
}

}  // namespace counterfoil::views
