// The fold: what each kind of entry changes in the writer's state. Runs for new entries and at recovery alike.
#include <algorithm>

#include "ledger/core/bytes.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil {
namespace {

constexpr std::size_t kProducerAheadMax = 1'024;
constexpr std::size_t kApprovalsForgottenPerEntry = 64;
constexpr std::string_view kFingerprintPrefix = "fp2:";
constexpr std::string_view kLedgerSource = "ledger";
constexpr std::string_view kCommandSource = "api";

// A grant the ledger decided names the policy that allowed it; a reported one cannot.
bool isCommanded(const EntryView& view) {
  return view.body.structure(Field::policy).table != nullptr;
}

bool isErasure(std::string_view operation) {
  return operation == kEraseOperation || operation == kEraseWorkspaceOperation;
}

bool parseFingerprintText(std::string_view text, std::uint32_t& generation, FingerprintTag& tag) {
  if (!text.starts_with(kFingerprintPrefix)) return false;
  text.remove_prefix(kFingerprintPrefix.size());
  std::uint64_t number = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && at < 9; ++at)
    number = number * 10 + static_cast<std::uint64_t>(text[at] - '0');
  // Generations count from 1; 0 stands for "no secret known".
  if (number == 0 || text[0] == '0' || at >= text.size() || text[at] != ':') return false;
  const auto bytes = fromBase64Url(text.substr(at + 1));
  if (!bytes || bytes->size() != tag.size()) return false;
  std::copy(bytes->begin(), bytes->end(), tag.begin());
  generation = static_cast<std::uint32_t>(number);
  return true;
}

void noteNumber(ProducerState& state, std::uint64_t seq) {
  auto& ahead = state.ahead;
  if (seq <= state.contiguousSeq) return;
  if (seq == state.contiguousSeq + 1) {
    state.contiguousSeq = seq;
    if (ahead.empty() || ahead.front().first != seq + 1) return;
    state.contiguousSeq = ahead.front().last;
    ahead.erase(ahead.begin());
    return;
  }
  const auto next =
      std::upper_bound(ahead.begin(), ahead.end(), seq, [](std::uint64_t value, const auto& range) { return value < range.first; });
  const bool afterOne = next != ahead.begin() && seq <= std::prev(next)->last + 1;
  const bool beforeOne = next != ahead.end() && next->first == seq + 1;
  if (afterOne) {
    const auto previous = std::prev(next);
    if (seq <= previous->last) return;
    previous->last = beforeOne ? next->last : seq;
    if (beforeOne) ahead.erase(next);
  } else if (beforeOne) {
    next->first = seq;
  } else if (ahead.size() < kProducerAheadMax) {
    ahead.insert(next, {seq, seq});
  }
}

}  // namespace

LeaseSlot WorkspaceState::slotOfFingerprint(std::string_view fingerprint) const {
  SecretKey key;
  if (!parseFingerprintText(fingerprint, key.first, key.second)) return kNoLease;
  const auto found = byFingerprint_.find(key);
  return found == byFingerprint_.end() ? kNoLease : found->second;
}

void WorkspaceState::advanceHead(const LeafHash& leaf, Timestamp recordedAt) {
  if (journaling_ && !headSaved_) {
    undoable([this, before = head_] { head_ = before; });
    headSaved_ = true;
  }
  head_.tree.append(leaf);
  head_.last = leaf;
  head_.lastRecordedAt = std::max(head_.lastRecordedAt, recordedAt);
}

void WorkspaceState::applyWithheld(Sequence, const LeafHash& leaf, const KeyId& key) {
  withheldUnder_.insert(key);
  lacksState_ = true;
  advanceHead(leaf, head_.lastRecordedAt);
}

void WorkspaceState::apply(const EntryView& view, const LeafHash& leaf) {
  if (view.known) {
    applyProducer(view);
    applySecrets(view);
    switch (view.kind()) {
      case Kind::leaseGranted:
        applyGranted(view);
        break;
      case Kind::leaseIssued:
        applyIssued(view);
        break;
      case Kind::leaseConsumed:
        applyConsumed(view);
        break;
      case Kind::leaseRenewed:
        applyRenewed(view);
        break;
      case Kind::leaseRevoked:
        applyEnd(view, LeaseState::revoked);
        break;
      case Kind::leaseExpired:
        applyEnd(view, LeaseState::expired);
        break;
      case Kind::revocationOrdered:
        applyOrdered(view);
        break;
      case Kind::approvalRequested:
      case Kind::approvalDecided:
        applyApproval(view);
        break;
      case Kind::policySet:
        applyPolicy(view);
        break;
      case Kind::workspaceCreated:
      case Kind::workspaceClosed:
        applyWorkspace(view);
        break;
      case Kind::workspaceErased:
        applyWorkspaceErased(view);
        break;
      case Kind::holdPlaced:
      case Kind::holdReleased:
        applyHold(view);
        break;
      case Kind::retentionSet:
        applyRetention(view);
        break;
      case Kind::stateCarried:
        applyCarried(view);
        break;
      case Kind::subjectErased:
        applyErasure(view);
        break;
      case Kind::keyRotated:
      case Kind::keyDestroyed:
        applyKey(view);
        break;
      default:
        break;
    }
  }
  // Last, so that the entry meets the state it was decided on.
  prune(view);
  advanceHead(leaf, view.recordedAt);
}

void WorkspaceState::applyGranted(const EntryView& view) {
  const StructValue& body = view.body;
  const std::string_view id = body.text(Field::leaseId);
  if (slotOf(id) != kNoLease) return;  // a source that reports a grant twice: the first one counts
  Lease lease;
  lease.id = id;
  lease.reported = !isCommanded(view);
  LeaseTerms terms;
  const PrincipalValue grantee = principalOf(body, Field::grantee);
  terms.granteeKind = grantee.kind;
  terms.grantee = grantee.id;
  terms.run = view.entry.text(Field::run);
  terms.host = view.entry.text(Field::host);
  terms.bundle = body.text(Field::bundleId);
  if (lease.reported) {
    terms.source = view.entry.text(Field::source);
    terms.producer = view.entry.text(Field::producer);
  }
  for (std::string_view text : body.texts(Field::scope)) terms.scope.push_back(text);
  for (std::string_view text : body.texts(Field::resources)) terms.resources.push_back(text);
  lease.terms = packTerms(terms);
  lease.grantEntry = view.id;
  lease.issuedAt = body.time(Field::issuedAt);
  // A report need not say it: then it is when it happened, as views have it.
  if (lease.issuedAt.nanoseconds == 0) lease.issuedAt = view.occurredAt;
  lease.expiresAt = body.time(Field::expiresAt);
  lease.renewableUntil = body.time(Field::renewableUntil);
  lease.maxUses = body.number(Field::maxUses);
  lease.grantSeq = view.seq.value;
  lease.state = lease.reported ? LeaseState::active : LeaseState::granted;
  if (!lease.reported) {
    lease.issueBy = {lease.issuedAt.nanoseconds + limits::kIssueWithinSecondsDefault * kNanosecondsPerSecond};
    const LeaseSlot parent = slotOf(body.text(Field::parentLease));
    if (parent != kNoLease && !leases_[parent].reported && leases_[parent].depth < limits::kLeaseDepthMax) {
      lease.parent = parent;
      lease.depth = static_cast<std::uint8_t>(leases_[parent].depth + 1);
    }
  }
  const LeaseSlot slot = addLease(std::move(lease));
  setTag(slot, body.text(Field::secret));
  const std::string_view approval = body.text(Field::approval);
  if (!leases_[slot].reported && !approval.empty() && approvals_.contains(approval))
    changeIn(approvals_, std::string(approval)).usedUp = true;
}

void WorkspaceState::setTag(LeaseSlot slot, std::string_view fingerprint) {
  SecretKey key;
  if (!parseFingerprintText(fingerprint, key.first, key.second)) return;
  dropTag(slot);  // of two secrets reported for one lease the newer one counts
  Lease& lease = change(slot);
  lease.tagGeneration = key.first;
  lease.tag = key.second;
  if (lease.reported) changeIn(byFingerprint_, key) = slot;
}

void WorkspaceState::dropTag(LeaseSlot slot) {
  const Lease& lease = leases_[slot];
  if (!lease.reported || lease.tagGeneration == 0) return;
  const auto found = byFingerprint_.find({lease.tagGeneration, lease.tag});
  if (found == byFingerprint_.end() || found->second != slot) return;  // a newer lease has the same secret
  undoable([this, key = found->first, slot] { byFingerprint_[key] = slot; });
  byFingerprint_.erase(found);
}

void WorkspaceState::applyIssued(const EntryView& view) {
  const LeaseSlot slot = slotOf(view.body.text(Field::leaseId));
  if (slot == kNoLease) return;
  setTag(slot, view.body.text(Field::secret));
  if (isEnded(leases_[slot].state)) return;
  if (static_cast<Outcome>(view.body.number(Field::outcome)) == Outcome::failed) {
    end(slot, LeaseState::failed, view, true);
    return;
  }
  if (leases_[slot].state == LeaseState::granted) {
    change(slot).state = LeaseState::active;
    arm(slot);
  }
}

void WorkspaceState::applyConsumed(const EntryView& view) {
  const std::string_view id = view.body.text(Field::leaseId);
  const LeaseSlot slot = id.empty() ? slotOfFingerprint(view.body.text(Field::fingerprint)) : slotOf(id);
  if (slot == kNoLease) return;
  change(slot).uses = view.body.number(Field::uses);
  if (view.body.flag(Field::terminal) && !isEnded(leases_[slot].state)) end(slot, LeaseState::consumedOut, view, false);
}

void WorkspaceState::applyRenewed(const EntryView& view) {
  const LeaseSlot slot = slotOf(view.body.text(Field::leaseId));
  if (slot == kNoLease || isEnded(leases_[slot].state)) return;
  index(leases_[slot], slot, false);
  undoable([this, slot] { index(leases_[slot], slot, true); });
  change(slot).expiresAt = view.body.time(Field::expiresAt);
  index(leases_[slot], slot, true);
  undoable([this, slot] { index(leases_[slot], slot, false); });
  arm(slot);
}

void WorkspaceState::applyEnd(const EntryView& view, LeaseState state) {
  const LeaseSlot slot = slotOf(view.body.text(Field::leaseId));
  if (slot == kNoLease || isEnded(leases_[slot].state)) return;
  end(slot, state, view, state == LeaseState::revoked);
}

void WorkspaceState::applyOrdered(const EntryView& view) {
  const auto selector = static_cast<RevocationSelector>(view.body.number(Field::selector));
  owe(selected(selector, view.body.text(Field::value)), {std::string(view.body.text(Field::revocationId)), view.id, true, 0});
}

bool selects(RevocationSelector selector, std::string_view value, const Lease& lease) {
  const LeaseTerms terms = unpackOwner(lease.terms);
  switch (selector) {
    case RevocationSelector::run:
      return terms.run == value;
    case RevocationSelector::host:
      return terms.host == value;
    case RevocationSelector::principal:
      return principalKey({terms.granteeKind, terms.grantee}) == value;
    case RevocationSelector::bundle:
      return terms.bundle == value;
    case RevocationSelector::credential: {
      std::uint32_t generation = 0;
      FingerprintTag tag{};
      return parseFingerprintText(value, generation, tag) && lease.tagGeneration == generation && lease.tag == tag;
    }
    case RevocationSelector::parent:
      return lease.id == value;
    case RevocationSelector::unspecified:
      return false;
  }
  return false;
}

void WorkspaceState::applyApproval(const EntryView& view) {
  const std::string id(view.body.text(Field::approvalId));
  if (view.kind() == Kind::approvalDecided) {
    if (!approvals_.contains(id)) return;
    const PrincipalValue decider = principalOf(view.body, Field::decidedBy);
    Approval& decided = changeIn(approvals_, id);
    decided.decision = static_cast<std::uint16_t>(view.body.number(Field::decision));
    decided.decidedByKind = decider.kind;
    decided.decidedBy = decider.id;
    return;
  }
  // Approvals whose time is long over are forgotten here, so that they cannot pile up.
  const Timestamp old{view.recordedAt.nanoseconds - limits::kEndedLeaseKeptSeconds * kNanosecondsPerSecond};
  for (std::size_t left = kApprovalsForgottenPerEntry; left > 0 && !approvalsByAge_.empty() && approvalsByAge_.begin()->first < old;
       --left) {
    undoable([this, first = *approvalsByAge_.begin()] { approvalsByAge_.insert(first); });
    const auto found = approvals_.find(approvalsByAge_.begin()->second);
    undoable([this, before = *found] { approvals_.insert(before); });
    approvals_.erase(found);
    approvalsByAge_.erase(approvalsByAge_.begin());
  }
  if (approvals_.contains(id)) return;  // never decided twice
  Approval& approval = changeIn(approvals_, id);
  approval.requestDigest = view.body.text(Field::requestDigest);
  approval.requestedBy = principalKey(principalOf(view.entry, Field::actor));
  approval.onBehalfOf = principalKey(principalOf(view.body, Field::onBehalfOf));
  approval.expiresAt = view.body.time(Field::expiresAt);
  approval.byAdministrator = isErasure(view.body.text(Field::operation));
  const std::pair byAge(approval.expiresAt, id);
  approvalsByAge_.insert(byAge);
  undoable([this, byAge] { approvalsByAge_.erase(byAge); });
}

void WorkspaceState::applyPolicy(const EntryView& view) {
  changeValue(policyName_) = view.body.text(Field::name);
  changeValue(policyDocument_) = view.body.text(Field::document);
  changeValue(policyVersion_) = view.body.number(Field::version);
  changeValue(policy_);
  setPolicy();
}

void WorkspaceState::setPolicy() {
  try {
    policy_ = Policy::parse(policyDocument_);
  } catch (const Fault&) {
    policy_.reset();  // written by a newer ledger that knows more keys: denying everything is the safe reading
  }
}

void WorkspaceState::applyWorkspace(const EntryView& view) {
  const std::string id(view.body.text(Field::workspaceId));
  if (view.kind() == Kind::workspaceClosed) {
    changeValue(closed_) = true;
    return;
  }
  if (number_ == kSystemWorkspace) {
    const std::uint64_t number = view.body.number(Field::number);
    changeIn(allocated_, id) = {number, view.body.number(Field::partition), std::string(view.body.text(Field::region)), Erasure::none};
    changeValue(nextNumber_) = std::max(nextNumber_, number + 1);
    return;
  }
  changeValue(id_) = id;
  changeValue(region_) = view.body.text(Field::region);
}

// Is the entry another system's word? Entries that a command led to come from `api` too, and tell nothing of how far a source has come.
bool WorkspaceState::isFact(const EntryView& view) const {
  if (view.entry.text(Field::source) != kCommandSource) return true;
  switch (view.kind()) {
    case Kind::leaseGranted:
      return !isCommanded(view);
    case Kind::leaseDenied:
      return static_cast<ReasonCode>(view.body.number(Field::reasonCode)) == ReasonCode::upstreamRefused;
    case Kind::leaseIssued:
    case Kind::leaseConsumed:
    case Kind::leaseRenewed:
    case Kind::leaseRevoked: {
      const Lease* lease = findLease(view.body.text(Field::leaseId));
      return lease == nullptr || lease->reported;
    }
    default:
      return true;
  }
}

void WorkspaceState::applyProducer(const EntryView& view) {
  const bool finished = view.kind() == Kind::importFinished;
  if (!finished && (isLedgerDecided(view.kind()) || view.entry.text(Field::source) == kLedgerSource)) return;
  const StructValue& from = finished ? view.body : view.entry;
  std::string key(from.text(Field::source));
  key += '\n';
  key += from.text(Field::producer);
  if (finished) {
    changeIn(producers_, key).finished = true;
    // From now on the ledger's clock ends what is still live.
    const auto leases = reported_.find(key);
    if (leases == reported_.end()) return;
    for (const auto& [expiresAt, grantSeq, slot] : leases->second.byEnd) arm(slot);
    return;
  }
  const bool fact = isFact(view);
  const std::uint64_t seq = view.entry.number(Field::producerSeq);
  if (!fact && seq == 0) return;
  ProducerState& state = changeIn(producers_, key);
  if (fact) {
    state.finished = false;
    state.greatestOccurredAt = std::max(state.greatestOccurredAt, view.occurredAt);
  }
  if (seq != 0) noteNumber(state, seq);
}

bool isLedgerDecided(Kind kind) {
  return !schemaTables().kinds[static_cast<std::size_t>(kind)].fact;
}

void WorkspaceState::applySecrets(const EntryView& view) {
  if (view.body.table == nullptr) return;
  for (const FieldTable& field : view.body.table->fields) {
    if (field.redaction != RedactionClass::secret) continue;
    std::uint32_t generation = 0;
    FingerprintTag tag{};
    if (parseFingerprintText(view.body.text(field.field), generation, tag)) observer_.secretSeen(number_, generation, tag);
  }
}

}  // namespace counterfoil
