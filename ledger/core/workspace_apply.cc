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
constexpr std::string_view kFingerprintPrefix = "fp2:";

// A grant the ledger decided names the policy that allowed it; a reported one cannot.
bool isCommanded(const EntryView& view) { return view.body.structure(Field::policy).table != nullptr; }

bool parseFingerprintText(std::string_view text, std::uint32_t& generation, FingerprintTag& tag) {
  if (!text.starts_with(kFingerprintPrefix)) return false;
  text.remove_prefix(kFingerprintPrefix.size());
  std::uint64_t number = 0;
  std::size_t at = 0;
  for (; at < text.size() && text[at] >= '0' && text[at] <= '9' && at < 9; ++at) number = number * 10 + static_cast<std::uint64_t>(text[at] - '0');
  if (at == 0 || at >= text.size() || text[at] != ':') return false;
  const auto bytes = fromBase64Url(text.substr(at + 1));
  if (!bytes || bytes->size() != tag.size()) return false;
  std::copy(bytes->begin(), bytes->end(), tag.begin());
  generation = static_cast<std::uint32_t>(number);
  return true;
}

}  // namespace

void WorkspaceState::advanceHead(const LeafHash& leaf, Timestamp recordedAt) {
  if (journaling_ && !headSaved_) {
    undoable([this, before = head_] { head_ = before; });
    headSaved_ = true;
  }
  head_.tree.append(leaf);
  head_.last = leaf;
  head_.lastRecordedAt = std::max(head_.lastRecordedAt, recordedAt);
}

void WorkspaceState::applyWithheld(Sequence, const LeafHash& leaf) { advanceHead(leaf, head_.lastRecordedAt); }

void WorkspaceState::apply(const EntryView& view, const LeafHash& leaf) {
  prune(view.recordedAt);
  if (view.known) {
    applyProducer(view);
    applySecrets(view);
    switch (view.kind()) {
      case Kind::leaseGranted: applyGranted(view); break;
      case Kind::leaseIssued: applyIssued(view); break;
      case Kind::leaseConsumed: applyConsumed(view); break;
      case Kind::leaseRenewed: applyRenewed(view); break;
      case Kind::leaseRevoked: applyEnd(view, LeaseState::revoked); break;
      case Kind::leaseExpired: applyEnd(view, LeaseState::expired); break;
      case Kind::revocationOrdered: applyOrdered(view); break;
      case Kind::approvalRequested:
      case Kind::approvalDecided: applyApproval(view); break;
      case Kind::policySet: applyPolicy(view); break;
      case Kind::workspaceCreated:
      case Kind::workspaceClosed: applyWorkspace(view); break;
      default: break;
    }
  }
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
  lease.expiresAt = body.time(Field::expiresAt);
  lease.renewableUntil = body.time(Field::renewableUntil);
  lease.maxUses = body.number(Field::maxUses);
  lease.grantSeq = view.seq.value;
  lease.state = lease.reported ? LeaseState::active : LeaseState::granted;
  lease.issueBy = {lease.issuedAt.nanoseconds + limits::kIssueWithinSecondsDefault * kNanosecondsPerSecond};
  if (!lease.reported) {
    lease.parent = slotOf(body.text(Field::parentLease));
    if (lease.parent != kNoLease) lease.depth = static_cast<std::uint8_t>(leases_[lease.parent].depth + 1);
  }
  const LeaseSlot slot = addLease(std::move(lease));
  setTag(slot, body.text(Field::secret));
  const std::string_view approval = body.text(Field::approval);
  if (!leases_[slot].reported && !approval.empty() && approvals_.contains(approval)) changeIn(approvals_, std::string(approval)).usedUp = true;
}

void WorkspaceState::setTag(LeaseSlot slot, std::string_view fingerprint) {
  std::uint32_t generation = 0;
  FingerprintTag tag{};
  if (!parseFingerprintText(fingerprint, generation, tag)) return;
  Lease& lease = change(slot);
  lease.tag = tag;
  lease.tagGeneration = generation;
  if (lease.reported) changeIn(byFingerprint_, std::string(fingerprint)) = slot;
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
  LeaseSlot slot = slotOf(view.body.text(Field::leaseId));
  if (slot == kNoLease) slot = slotOfFingerprint(view.body.text(Field::fingerprint));
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
  const std::string_view value = view.body.text(Field::value);
  std::uint32_t cause = 0;
  const OwedCause why{std::string(view.body.text(Field::revocationId)), view.id, true, 0};
  std::vector<LeaseSlot> matched;
  forEachLive([&](LeaseSlot slot, const Lease& lease) {
    if (!lease.reported && lease.cause == 0 && selects(selector, value, lease)) matched.push_back(slot);
  });
  std::sort(matched.begin(), matched.end(), [&](LeaseSlot left, LeaseSlot right) { return leases_[left].grantSeq < leases_[right].grantSeq; });
  for (const LeaseSlot slot : matched) {
    if (leases_[slot].cause == 0) {
      if (cause == 0) cause = addCause(why);
      owe(slot, cause);
    }
    oweDescendants(slot, cause, why);
  }
}

bool selects(RevocationSelector selector, std::string_view value, const Lease& lease) {
  const LeaseTerms terms = unpackTerms(lease.terms);
  switch (selector) {
    case RevocationSelector::run: return terms.run == value;
    case RevocationSelector::host: return terms.host == value;
    case RevocationSelector::principal: return principalKey({terms.granteeKind, terms.grantee}) == value;
    case RevocationSelector::bundle: return terms.bundle == value;
    case RevocationSelector::credential: {
      std::uint32_t generation = 0;
      FingerprintTag tag{};
      return parseFingerprintText(value, generation, tag) && lease.tagGeneration == generation && lease.tag == tag;
    }
    case RevocationSelector::parent: return lease.id == value;
    case RevocationSelector::unspecified: return false;
  }
  return false;
}

void WorkspaceState::applyApproval(const EntryView& view) {
  const std::string id(view.body.text(Field::approvalId));
  if (view.kind() == Kind::approvalDecided) {
    if (approvals_.contains(id)) changeIn(approvals_, id).decision = static_cast<std::uint16_t>(view.body.number(Field::decision));
    return;
  }
  // Approvals whose time is long over are forgotten here, so that they cannot pile up.
  const Timestamp old{view.recordedAt.nanoseconds - limits::kEndedLeaseKeptSeconds * kNanosecondsPerSecond};
  while (!approvalsByAge_.empty() && approvalsByAge_.front().first < old) {
    const auto front = approvalsByAge_.front();
    const auto found = approvals_.find(front.second);
    if (found != approvals_.end()) {
      undoable([this, front, before = found->second] { approvals_[front.second] = before; });
      approvals_.erase(found);
    }
    undoable([this, front] { approvalsByAge_.push_front(front); });
    approvalsByAge_.pop_front();
  }
  Approval& approval = changeIn(approvals_, id);
  approval = Approval{};
  approval.requestDigest = view.body.text(Field::requestDigest);
  approval.requestedBy = principalKey(principalOf(view.entry, Field::actor));
  approval.onBehalfOf = principalKey(principalOf(view.body, Field::onBehalfOf));
  approval.expiresAt = view.body.time(Field::expiresAt);
  approvalsByAge_.emplace_back(approval.expiresAt, id);
  undoable([this] { approvalsByAge_.pop_back(); });
}

void WorkspaceState::applyPolicy(const EntryView& view) {
  changeValue(policyName_) = view.body.text(Field::name);
  changeValue(policyDocument_) = view.body.text(Field::document);
  changeValue(policyVersion_) = view.body.number(Field::version);
  auto& policy = changeValue(policy_);
  try {
    policy = Policy::parse(policyDocument_);
  } catch (const Fault&) {
    policy.reset();  // written by a newer ledger that knows more keys: denying everything is the safe reading
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
    changeIn(allocated_, id) = number;
    changeValue(nextNumber_) = std::max(nextNumber_, number + 1);
    return;
  }
  changeValue(id_) = id;
  changeValue(region_) = view.body.text(Field::region);
}

void WorkspaceState::applyProducer(const EntryView& view) {
  const bool finished = view.kind() == Kind::importFinished;
  const std::string_view source = finished ? view.body.text(Field::source) : view.entry.text(Field::source);
  const std::string_view producer = finished ? view.body.text(Field::producer) : view.entry.text(Field::producer);
  if (source == "ledger" || (source == "api" && producer.empty())) return;
  if (isLedgerDecided(view.kind()) && !finished) return;
  std::string key(source);
  key += '\n';
  key += producer;
  ProducerState& state = changeIn(producers_, key);
  state.finished = finished;
  if (finished) {
    // From now on the ledger's clock ends what is still live.
    const auto live = reportedByEnd_.find(key);
    if (live == reportedByEnd_.end()) return;
    for (const auto& [expiresAt, slot] : live->second) arm(slot);
    return;
  }
  state.greatestOccurredAt = std::max(state.greatestOccurredAt, view.occurredAt);
  const std::uint64_t seq = view.entry.number(Field::producerSeq);
  if (seq <= state.contiguousSeq) return;
  if (seq > state.contiguousSeq + 1) {
    if (state.ahead.size() < kProducerAheadMax) state.ahead.insert(seq);
    return;
  }
  state.contiguousSeq = seq;
  while (!state.ahead.empty() && *state.ahead.begin() == state.contiguousSeq + 1) {
    ++state.contiguousSeq;
    state.ahead.erase(state.ahead.begin());
  }
}

bool isLedgerDecided(Kind kind) { return !schemaTables().kinds[static_cast<std::size_t>(kind)].fact; }

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
