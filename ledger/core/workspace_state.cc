#include "ledger/core/workspace_state.h"

#include <algorithm>
#include <array>

#include "ledger/core/limits.h"

namespace counterfoil {
namespace {

constexpr std::int64_t kEndedKept = limits::kEndedLeaseKeptSeconds * kNanosecondsPerSecond;
constexpr std::int64_t kWatermarkLag = limits::kWatermarkLagSeconds * kNanosecondsPerSecond;

std::string producerKey(std::string_view source, std::string_view producer) {
  std::string key(source);
  key += '\n';
  key += producer;
  return key;
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

LeaseSlot WorkspaceState::slotOfFingerprint(std::string_view fingerprint) const {
  const auto found = byFingerprint_.find(std::string(fingerprint));
  return found == byFingerprint_.end() ? kNoLease : found->second;
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
  return slot < leases_.size() && leases_[slot].occupied && leases_[slot].timer == stamp && !isEnded(leases_[slot].state);
}

Timestamp WorkspaceState::watermarkOf(const ProducerState& producer, Timestamp recordedAt) const {
  if (producer.finished) return recordedAt;
  return std::min(Timestamp{producer.greatestOccurredAt.nanoseconds - kWatermarkLag}, recordedAt);
}

void WorkspaceState::collectReportedDue(Timestamp recordedAt, std::size_t limit, std::vector<LeaseSlot>& due) const {
  for (const auto& [key, byEnd] : reportedByEnd_) {
    const auto producer = producers_.find(key);
    if (producer == producers_.end()) continue;
    const Timestamp watermark = watermarkOf(producer->second, recordedAt);
    for (const auto& [expiresAt, slot] : byEnd) {
      if (expiresAt > watermark.nanoseconds) break;
      if (due.size() == limit) return;
      due.push_back(slot);
    }
  }
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

template <class Map, class Key>
typename Map::mapped_type& WorkspaceState::changeIn(Map& map, const Key& key) {
  const auto found = map.find(key);
  if (found == map.end()) {
    undoable([&map, key] { map.erase(map.find(key)); });
    return map[key];
  }
  undoable([&map, key, before = found->second] { map[key] = before; });
  return found->second;
}

void WorkspaceState::index(const Lease& lease, LeaseSlot slot, bool present) {
  const LeaseTerms terms = unpackTerms(lease.terms);
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
    reportedByEnd_[key].insert({lease.expiresAt.nanoseconds, slot});
  } else {
    auto& byEnd = reportedByEnd_[key];
    byEnd.erase({lease.expiresAt.nanoseconds, slot});
    if (byEnd.empty()) reportedByEnd_.erase(key);
  }
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
    change(added.parent).firstChild = slot;
  }
  arm(slot);
  return slot;
}

void WorkspaceState::removeLease(LeaseSlot slot) {
  Lease& lease = leases_[slot];
  // Unlink from a parent that is still there; children left behind lose their way up, which an ended lease no longer needs.
  if (lease.parent != kNoLease && leases_[lease.parent].occupied) {
    LeaseSlot child = leases_[lease.parent].firstChild;
    if (child == slot) {
      change(lease.parent).firstChild = lease.nextSibling;
    } else {
      while (child != kNoLease && leases_[child].nextSibling != slot) child = leases_[child].nextSibling;
      if (child != kNoLease) change(child).nextSibling = lease.nextSibling;
    }
  }
  for (LeaseSlot child = lease.firstChild; child != kNoLease; child = leases_[child].nextSibling) {
    undoable([this, child, slot] { leases_[child].parent = slot; });
    leases_[child].parent = kNoLease;
  }
  if (lease.tagGeneration != 0) {
    for (auto entry = byFingerprint_.begin(); lease.reported && entry != byFingerprint_.end(); ++entry) {
      if (entry->second != slot) continue;
      undoable([this, key = entry->first, slot] { byFingerprint_[key] = slot; });
      byFingerprint_.erase(entry);
      break;
    }
  }
  undoable([this, slot, before = lease] {
    // The free list is a stack, and changes are undone in reverse: the slot lies on top again.
    freeSlots_.pop_back();
    leases_[slot] = before;
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

std::uint32_t WorkspaceState::addCause(const OwedCause& cause) {
  const std::uint32_t number = nextCause_++;
  causes_[number] = cause;
  undoable([this, number] {
    causes_.erase(number);
    nextCause_ = number;
  });
  return number;
}

void WorkspaceState::owe(LeaseSlot slot, std::uint32_t cause) {
  change(slot).cause = cause;
  ++changeIn(causes_, cause).remaining;
  owed_.push_back(slot);
  undoable([this] { owed_.pop_back(); });
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

void WorkspaceState::oweDescendants(LeaseSlot slot, std::uint32_t& cause, const OwedCause& why) {
  for (LeaseSlot child = leases_[slot].firstChild; child != kNoLease; child = leases_[child].nextSibling) {
    if (!isEnded(leases_[child].state) && leases_[child].cause == 0) {
      if (cause == 0) cause = addCause(why);
      owe(child, cause);
    }
    oweDescendants(child, cause, why);
  }
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
  lease.endedAt = lease.reported ? view.occurredAt : view.recordedAt;
  lease.endSeq = view.seq.value;
  auto& order = lease.reported ? endedReported_ : ended_;
  order.emplace_back(slot, view.seq.value);
  undoable([&order] { order.pop_back(); });
  if (lease.reported) return;
  std::uint32_t cause = 0;
  oweDescendants(slot, cause, {lease.id, view.id, cascadeRevoked, 0});
}

void WorkspaceState::prune(Timestamp recordedAt) {
  const auto drop = [this](auto& order, const auto& old) {
    while (!order.empty()) {
      const auto [slot, seq] = order.front();
      const Lease& lease = leases_[slot];
      if (lease.occupied && lease.endSeq == seq && isEnded(lease.state)) {
        if (!old(lease)) return;
        removeLease(slot);
      }
      order.pop_front();
      undoable([&order, front = std::pair(slot, seq)] { order.push_front(front); });
    }
  };
  drop(ended_, [&](const Lease& lease) { return lease.endedAt.nanoseconds + kEndedKept <= recordedAt.nanoseconds; });
  drop(endedReported_, [&](const Lease& lease) {
    const LeaseTerms terms = unpackTerms(lease.terms);
    const ProducerState* producer = findProducer(terms.source, terms.producer);
    // Event time: how far the producer itself has come, so that an import of old history keeps what its next part may speak of.
    const std::int64_t now = producer == nullptr ? recordedAt.nanoseconds : producer->greatestOccurredAt.nanoseconds - kWatermarkLag;
    return lease.endedAt.nanoseconds + kEndedKept <= now;
  });
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
  while (!journal_.empty()) {
    const Undo undo = std::move(journal_.back());
    journal_.pop_back();
    undo();
  }
  journaling_ = true;
}

}  // namespace counterfoil
