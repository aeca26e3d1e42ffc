#include "ledger/core/workspace_state.h"

#include <algorithm>
#include <array>

#include "ledger/core/limits.h"

namespace counterfoil {
namespace {

constexpr std::int64_t kEndedKept = limits::kEndedLeaseKeptSeconds * kNanosecondsPerSecond;
constexpr std::int64_t kWatermarkLag = limits::kWatermarkLagSeconds * kNanosecondsPerSecond;
// An entry ends at most one lease, so forgetting a few at each keeps up; a burst of a day ago is spread over what follows.
constexpr std::size_t kForgottenPerEntry = 64;
// Producers that say nothing any more are looked at this often, by seq.
constexpr std::uint64_t kSweepEvery = 1'024;
constexpr std::size_t kForgottenPerSweep = 4 * kSweepEvery;

Timestamp watermarkOf(const ProducerState& producer, Timestamp recordedAt) {
  if (producer.finished) return recordedAt;
  return std::min(Timestamp{producer.greatestOccurredAt.nanoseconds - kWatermarkLag}, recordedAt);
}

std::string producerKey(std::string_view source, std::string_view producer) {
  std::string key(source);
  key += '\n';
  key += producer;
  return key;
}

std::string keyOf(const Lease& reported) {
  const LeaseTerms terms = unpackOwner(reported.terms);
  return producerKey(terms.source, terms.producer);
}

}  // namespace

std::string principalKey(const PrincipalValue& principal) {
  static constexpr std::array<std::string_view, 6> kNames = {"", "human", "agent", "service", "operator", "ledger"};
  if (principal.kind == PrincipalKind::unspecified || static_cast<std::size_t>(principal.kind) >= kNames.size()) return {};
  std::string key(kNames[static_cast<std::size_t>(principal.kind)]);
  key += ':';
  key += principal.id;
  return key;
}

// ---- what it knows ----

LeaseSlot WorkspaceState::slotOf(std::string_view leaseId) const {
  const auto found = byId_.find(leaseId);
  return found == byId_.end() ? kNoLease : found->second;
}

const Lease* WorkspaceState::findLease(std::string_view leaseId) const {
  const LeaseSlot slot = slotOf(leaseId);
  return slot == kNoLease ? nullptr : &leases_[slot];
}

std::uint64_t WorkspaceState::outstanding(const PrincipalValue& grantee) const {
  const auto found = liveByGrantee_.find(principalKey(grantee));
  return found == liveByGrantee_.end() ? 0 : found->second;
}

const Approval* WorkspaceState::findApproval(std::string_view approvalId) const {
  const auto found = approvals_.find(approvalId);
  return found == approvals_.end() ? nullptr : &found->second;
}

const ProducerState* WorkspaceState::findProducer(std::string_view source, std::string_view producer) const {
  const auto found = producers_.find(producerKey(source, producer));
  return found == producers_.end() ? nullptr : &found->second;
}

void WorkspaceState::forEachLease(const std::function<void(LeaseSlot, const Lease&)>& visit) const {
  for (LeaseSlot slot = 0; slot < leases_.size(); ++slot) {
    if (leases_[slot].occupied) visit(slot, leases_[slot]);
  }
}

void WorkspaceState::forEachLive(const std::function<void(LeaseSlot, const Lease&)>& visit) const {
  forEachLease([&](LeaseSlot slot, const Lease& lease) {
    if (!isEnded(lease.state)) visit(slot, lease);
  });
}

bool WorkspaceState::timerCounts(LeaseSlot slot, std::uint32_t stamp) const {
  return !erased_ && slot < leases_.size() && leases_[slot].occupied && leases_[slot].timer == stamp && !isEnded(leases_[slot].state);
}

Timestamp WorkspaceState::watermark(const Lease& reported, Timestamp recordedAt) const {
  const auto producer = producers_.find(keyOf(reported));
  return producer == producers_.end() ? Timestamp{} : watermarkOf(producer->second, recordedAt);
}

void WorkspaceState::collectReportedDue(Timestamp recordedAt, std::size_t limit, std::vector<LeaseSlot>& due) const {
  if (erased_) return;
  for (const auto& [key, leases] : reported_) {
    if (leases.byEnd.empty()) continue;
    const auto producer = producers_.find(key);
    if (producer == producers_.end()) continue;
    const Timestamp watermark = watermarkOf(producer->second, recordedAt);
    for (const auto& [expiresAt, grantSeq, slot] : leases.byEnd) {
      if (expiresAt > watermark.nanoseconds) break;
      if (due.size() >= limit) return;
      due.push_back(slot);
    }
  }
}

void WorkspaceState::collectBelow(LeaseSlot slot, std::vector<LeaseSlot>& found) const {
  for (LeaseSlot child = leases_[slot].firstChild; child != kNoLease; child = leases_[child].nextSibling) {
    if (!isEnded(leases_[child].state) && leases_[child].cause == 0) found.push_back(child);
    collectBelow(child, found);
  }
}

std::vector<LeaseSlot> WorkspaceState::selected(RevocationSelector selector, std::string_view value) const {
  std::vector<LeaseSlot> roots;
  const auto take = [&](LeaseSlot slot, const Lease& lease) {
    if (!lease.reported && !isEnded(lease.state) && lease.cause == 0 && selects(selector, value, lease)) roots.push_back(slot);
  };
  if (selector == RevocationSelector::parent) {
    const LeaseSlot slot = slotOf(value);
    if (slot != kNoLease) take(slot, leases_[slot]);
  } else {
    forEachLive(take);
  }
  std::sort(roots.begin(), roots.end(), [&](LeaseSlot left, LeaseSlot right) { return leases_[left].grantSeq < leases_[right].grantSeq; });
  std::vector<LeaseSlot> found;
  std::vector<bool> seen(leases_.size());
  std::vector<LeaseSlot> tree;
  for (const LeaseSlot root : roots) {
    tree.assign(1, root);
    collectBelow(root, tree);
    for (const LeaseSlot slot : tree) {
      // What lies below one that matched may have matched itself.
      if (!seen[slot]) found.push_back(slot);
      seen[slot] = true;
    }
  }
  return found;
}

// ---- change, with how to undo it ----

Lease& WorkspaceState::change(LeaseSlot slot) {
  Lease& lease = leases_[slot];
  undoable([this, slot, before = static_cast<const LeaseProgress&>(lease)] {
    const std::uint32_t timer = leases_[slot].timer;  // never taken back: an old stamp must not count again
    static_cast<LeaseProgress&>(leases_[slot]) = before;
    leases_[slot].timer = timer;
    if (!isEnded(before.state)) arm(slot);
  });
  return lease;
}

void WorkspaceState::index(const Lease& lease, LeaseSlot slot, bool present) {
  const LeaseTerms terms = unpackOwner(lease.terms);
  const std::string grantee = principalKey({terms.granteeKind, terms.grantee});
  if (present) {
    ++live_;
    ++liveByGrantee_[grantee];
  } else {
    --live_;
    const auto found = liveByGrantee_.find(grantee);
    if (--found->second == 0) liveByGrantee_.erase(found);
  }
  if (!lease.reported || lease.expiresAt.nanoseconds == 0) return;
  const std::string key = producerKey(terms.source, terms.producer);
  if (present) {
    reported_[key].byEnd.insert({lease.expiresAt.nanoseconds, lease.grantSeq, slot});
  } else {
    reported_[key].byEnd.erase({lease.expiresAt.nanoseconds, lease.grantSeq, slot});
    dropIfEmpty(key);
  }
}

std::deque<LeaseSlot>& WorkspaceState::endedOfProducer(const Lease& lease) {
  return reported_[keyOf(lease)].ended;
}

void WorkspaceState::dropIfEmpty(const std::string& producerKey) {
  const auto found = reported_.find(producerKey);
  if (found != reported_.end() && found->second.byEnd.empty() && found->second.ended.empty()) reported_.erase(found);
}

// A lease taken out keeps its neighbours' slots, so that link's inverse can put it back where it was.
void WorkspaceState::unlink(LeaseSlot slot) {
  const Lease& lease = leases_[slot];
  if (lease.previousSibling != kNoLease) {
    leases_[lease.previousSibling].nextSibling = lease.nextSibling;
  } else {
    leases_[lease.parent].firstChild = lease.nextSibling;
  }
  if (lease.nextSibling != kNoLease) leases_[lease.nextSibling].previousSibling = lease.previousSibling;
}

void WorkspaceState::link(LeaseSlot slot) {
  const Lease& lease = leases_[slot];
  if (lease.previousSibling != kNoLease) {
    leases_[lease.previousSibling].nextSibling = slot;
  } else {
    leases_[lease.parent].firstChild = slot;
  }
  if (lease.nextSibling != kNoLease) leases_[lease.nextSibling].previousSibling = slot;
}

LeaseSlot WorkspaceState::addLease(Lease lease) {
  LeaseSlot slot = kNoLease;
  if (freeSlots_.empty()) {
    slot = static_cast<LeaseSlot>(leases_.size());
    leases_.emplace_back();
  } else {
    slot = freeSlots_.back();
    freeSlots_.pop_back();
  }
  lease.occupied = true;
  lease.timer = leases_[slot].timer + 1;  // a timer of the slot's former lease must not fit
  leases_[slot] = std::move(lease);
  Lease& added = leases_[slot];
  byId_[added.id] = slot;
  index(added, slot, true);
  undoable([this, slot] {
    Lease& undone = leases_[slot];
    index(undone, slot, false);
    byId_.erase(undone.id);
    const std::uint32_t timer = undone.timer;
    undone = Lease{};
    undone.timer = timer;
    freeSlots_.push_back(slot);
  });
  if (added.parent != kNoLease) {
    added.nextSibling = leases_[added.parent].firstChild;
    link(slot);
    undoable([this, slot] { unlink(slot); });
  }
  arm(slot);
  return slot;
}

void WorkspaceState::removeLease(LeaseSlot slot) {
  Lease& lease = leases_[slot];
  dropTag(slot);
  if (lease.parent != kNoLease) {
    unlink(slot);
    undoable([this, slot] { link(slot); });
  }
  // Children left behind lose their way up, which an ended lease no longer needs.
  for (LeaseSlot child = lease.firstChild; child != kNoLease; child = leases_[child].nextSibling) {
    undoable([this, child, slot] { leases_[child].parent = slot; });
    leases_[child].parent = kNoLease;
  }
  undoable([this, slot, before = lease] {
    // The free list is a stack, and changes are undone in reverse: the slot lies on top again.
    freeSlots_.pop_back();
    const std::uint32_t stamp = std::max(leases_[slot].timer, before.timer);
    leases_[slot] = before;
    leases_[slot].timer = stamp;
    byId_[leases_[slot].id] = slot;
  });
  byId_.erase(lease.id);
  const std::uint32_t timer = lease.timer;
  lease = Lease{};
  lease.timer = timer;
  freeSlots_.push_back(slot);
}

void WorkspaceState::arm(LeaseSlot slot) {
  Lease& lease = leases_[slot];
  ++lease.timer;
  if (isEnded(lease.state) || lease.cause != 0) return;
  if (lease.reported) {
    if (lease.expiresAt.nanoseconds == 0) return;
    observer_.armTimer(number_, slot, lease.timer, lease.expiresAt);
    return;
  }
  const Timestamp due = lease.state == LeaseState::granted ? std::min(lease.issueBy, lease.expiresAt) : lease.expiresAt;
  observer_.armTimer(number_, slot, lease.timer, due);
}

void WorkspaceState::owe(const std::vector<LeaseSlot>& slots, const OwedCause& why) {
  if (slots.empty()) return;
  const std::uint32_t number = nextCause_++;
  OwedCause& cause = causes_[number];
  cause = why;
  cause.remaining = slots.size();
  undoable([this, number] {
    causes_.erase(number);
    nextCause_ = number;
  });
  for (const LeaseSlot slot : slots) {
    change(slot).cause = number;
    owed_.push_back(slot);
    undoable([this] { owed_.pop_back(); });
  }
}

void WorkspaceState::settleOwed(LeaseSlot slot) {
  const std::uint32_t cause = leases_[slot].cause;
  if (cause == 0) return;
  change(slot).cause = 0;
  auto& why = changeIn(causes_, cause);
  if (--why.remaining == 0) {
    undoable([this, cause, before = why] { causes_[cause] = before; });
    causes_.erase(cause);
  }
  // Owed ends are written in order, so the lease is the first; a fact or revocation in between may have taken another.
  const auto found = std::find(owed_.begin(), owed_.end(), slot);
  if (found == owed_.end()) return;
  const auto place = found - owed_.begin();
  owed_.erase(found);
  undoable([this, place, slot] { owed_.insert(owed_.begin() + place, slot); });
}

void WorkspaceState::end(LeaseSlot slot, LeaseState state, const EntryView& view, bool cascadeRevoked) {
  settleOwed(slot);
  {
    const Lease& lease = leases_[slot];
    index(lease, slot, false);
    undoable([this, slot] { index(leases_[slot], slot, true); });
  }
  // The undo of change() runs before the one above (reverse order), so that index() there sees the lease as it was.
  Lease& lease = change(slot);
  lease.state = state;
  lease.endedAt = lease.reported ? std::min(view.occurredAt, view.recordedAt) : view.recordedAt;
  lease.endSeq = view.seq.value;
  if (lease.reported) {
    endedOfProducer(lease).push_back(slot);
    undoable([this, slot] {
      endedOfProducer(leases_[slot]).pop_back();
      dropIfEmpty(keyOf(leases_[slot]));
    });
    return;
  }
  ended_.push_back(slot);
  undoable([this] { ended_.pop_back(); });
  std::vector<LeaseSlot> below;
  collectBelow(slot, below);
  owe(below, {lease.id, view.id, cascadeRevoked, 0});
}

void WorkspaceState::pruneReported(const std::string& producerKey, Timestamp recordedAt, std::size_t& left) {
  const auto found = reported_.find(producerKey);
  const auto producer = producers_.find(producerKey);
  if (found == reported_.end() || producer == producers_.end()) return;
  // Event time: how far the producer itself has come, so that an import of old history keeps what its next part may speak of.
  const std::int64_t now = watermarkOf(producer->second, recordedAt).nanoseconds;
  auto& ended = found->second.ended;
  for (; left > 0 && !ended.empty(); --left) {
    const LeaseSlot front = ended.front();
    if (leases_[front].endedAt.nanoseconds + kEndedKept > now) break;
    removeLease(front);
    ended.pop_front();
    undoable([this, producerKey, front] { reported_[producerKey].ended.push_front(front); });
  }
  dropIfEmpty(producerKey);
}

void WorkspaceState::forgetEnded(Timestamp recordedAt, std::size_t most) {
  for (std::size_t left = most; left > 0 && !ended_.empty(); --left) {
    const LeaseSlot front = ended_.front();
    if (leases_[front].endedAt.nanoseconds + kEndedKept > recordedAt.nanoseconds) break;
    removeLease(front);
    ended_.pop_front();
    undoable([this, front] { ended_.push_front(front); });
  }
}

void WorkspaceState::forgetAllEnded(Timestamp recordedAt) {
  std::size_t left = SIZE_MAX;
  forgetEnded(recordedAt, left);
  std::vector<std::string> keys;
  for (const auto& [key, leases] : reported_) keys.push_back(key);
  for (const std::string& key : keys) pruneReported(key, recordedAt, left);
}

void WorkspaceState::prune(const EntryView& view) {
  forgetEnded(view.recordedAt, kForgottenPerEntry);
  if (reported_.empty()) return;
  if (view.seq.value % kSweepEvery != 0) {
    std::size_t left = kForgottenPerEntry;
    pruneReported(producerKey(view.entry.text(Field::source), view.entry.text(Field::producer)), view.recordedAt, left);
    return;
  }
  std::size_t left = kForgottenPerSweep;
  std::vector<std::string> keys;
  for (const auto& [key, leases] : reported_) {
    if (!leases.ended.empty()) keys.push_back(key);
  }
  for (const std::string& key : keys) pruneReported(key, view.recordedAt, left);
}

// ---- speculation ----

std::uint64_t WorkspaceState::mark() {
  journaling_ = true;
  headSaved_ = false;
  return journalStart_ + journal_.size();
}

void WorkspaceState::commitTo(std::uint64_t mark) {
  while (journalStart_ < mark && !journal_.empty()) {
    journal_.pop_front();
    ++journalStart_;
  }
}

void WorkspaceState::rollback() {
  journaling_ = false;
  journalStart_ += journal_.size();
  while (!journal_.empty()) {
    const Undo undo = std::move(journal_.back());
    journal_.pop_back();
    undo();
  }
  journaling_ = true;
  headSaved_ = false;
}

}  // namespace counterfoil
