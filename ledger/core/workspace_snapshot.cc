// The writer's state as bytes and back. Written in an order that depends on the entries alone, so that a state restored from a snapshot plus
// the tail saves the same bytes as one folded from zero.
#include <algorithm>

#include "ledger/core/bytes.h"
#include "ledger/core/outcome.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil {
namespace {

constexpr std::uint64_t kStateFormat = 1;

void saveLease(ByteWriter& writer, const Lease& lease, std::uint64_t parent) {
  writer.text(lease.id);
  writer.text(lease.terms);
  writer.fixed(lease.grantEntry.bytes);
  for (const Timestamp time : {lease.issuedAt, lease.renewableUntil, lease.expiresAt, lease.issueBy, lease.endedAt}) writer.integer(time.nanoseconds);
  for (const std::uint64_t number : {lease.maxUses, lease.grantSeq, lease.uses, lease.endSeq}) writer.number(number);
  writer.number(parent);
  writer.number(lease.cause);
  writer.number(lease.tagGeneration);
  if (lease.tagGeneration != 0) writer.fixed(lease.tag);
  writer.number(static_cast<std::uint64_t>(lease.state));
  writer.number(lease.depth);
  writer.number(lease.reported ? 1 : 0);
}

std::uint64_t loadLease(ByteReader& reader, Lease& lease) {
  lease.id = reader.text();
  lease.terms = reader.text();
  reader.fixed(lease.grantEntry.bytes);
  for (Timestamp* time : {&lease.issuedAt, &lease.renewableUntil, &lease.expiresAt, &lease.issueBy, &lease.endedAt}) time->nanoseconds = reader.integer();
  for (std::uint64_t* number : {&lease.maxUses, &lease.grantSeq, &lease.uses, &lease.endSeq}) *number = reader.number();
  const std::uint64_t parent = reader.number();
  lease.cause = static_cast<std::uint32_t>(reader.number());
  lease.tagGeneration = static_cast<std::uint32_t>(reader.number());
  if (lease.tagGeneration != 0) reader.fixed(lease.tag);
  lease.state = static_cast<LeaseState>(reader.number());
  lease.depth = static_cast<std::uint8_t>(reader.number());
  lease.reported = reader.number() != 0;
  return parent;
}

}  // namespace

void WorkspaceState::save(std::vector<std::uint8_t>& out) const {
  ByteWriter writer(out);
  writer.number(kStateFormat);
  writer.number(number_.value);
  writer.text(id_);
  writer.text(region_);
  writer.number(closed_ ? 1 : 0);
  writer.number(head_.tree.size());
  for (const TreeHash& hash : head_.tree.hashes()) writer.fixed(hash);
  writer.fixed(head_.last.bytes);
  writer.integer(head_.lastRecordedAt.nanoseconds);
  writer.text(policyName_);
  writer.text(policyDocument_);
  writer.number(policyVersion_);

  std::vector<LeaseSlot> slots;
  forEachLease([&](LeaseSlot slot, const Lease&) { slots.push_back(slot); });
  std::sort(slots.begin(), slots.end(), [&](LeaseSlot left, LeaseSlot right) { return leases_[left].grantSeq < leases_[right].grantSeq; });
  std::unordered_map<LeaseSlot, std::uint64_t> placeOf;
  placeOf.reserve(slots.size());
  writer.number(slots.size());
  for (const LeaseSlot slot : slots) {
    const Lease& lease = leases_[slot];
    const auto parent = placeOf.find(lease.parent);
    saveLease(writer, lease, parent == placeOf.end() ? 0 : parent->second + 1);
    placeOf.emplace(slot, placeOf.size());
  }
  writer.number(owed_.size());
  for (const LeaseSlot slot : owed_) writer.number(placeOf.at(slot));
  std::map<std::uint32_t, const OwedCause*> causes;
  for (const auto& [number, cause] : causes_) causes[number] = &cause;
  writer.number(nextCause_);
  writer.number(causes.size());
  for (const auto& [number, cause] : causes) {
    writer.number(number);
    writer.text(cause->cascadeOf);
    writer.fixed(cause->entry.bytes);
    writer.number(cause->revoked ? 1 : 0);
    writer.number(cause->remaining);
  }
  for (const auto* order : {&ended_, &endedReported_}) {
    std::vector<std::uint64_t> places;
    for (const auto& [slot, seq] : *order) {
      if (leases_[slot].occupied && leases_[slot].endSeq == seq && isEnded(leases_[slot].state)) places.push_back(placeOf.at(slot));
    }
    writer.number(places.size());
    for (const std::uint64_t place : places) writer.number(place);
  }
  std::map<std::string, std::uint64_t> fingerprints;
  for (const auto& [text, slot] : byFingerprint_) fingerprints[text] = placeOf.at(slot);
  writer.number(fingerprints.size());
  for (const auto& [text, place] : fingerprints) {
    writer.text(text);
    writer.number(place);
  }
  writer.number(approvals_.size());
  for (const auto& [id, approval] : approvals_) {
    writer.text(id);
    writer.text(approval.requestDigest);
    writer.text(approval.requestedBy);
    writer.text(approval.onBehalfOf);
    writer.integer(approval.expiresAt.nanoseconds);
    writer.number(approval.decision);
    writer.number(approval.usedUp ? 1 : 0);
  }
  writer.number(approvalsByAge_.size());
  for (const auto& [expiresAt, id] : approvalsByAge_) {
    writer.integer(expiresAt.nanoseconds);
    writer.text(id);
  }
  writer.number(producers_.size());
  for (const auto& [key, producer] : producers_) {
    writer.text(key);
    writer.integer(producer.greatestOccurredAt.nanoseconds);
    writer.number(producer.contiguousSeq);
    writer.number(producer.ahead.size());
    for (const std::uint64_t seq : producer.ahead) writer.number(seq);
    writer.number(producer.finished ? 1 : 0);
  }
  std::map<std::string, std::uint64_t> allocated(allocated_.begin(), allocated_.end());
  writer.number(nextNumber_);
  writer.number(allocated.size());
  for (const auto& [id, number] : allocated) {
    writer.text(id);
    writer.number(number);
  }
}

bool WorkspaceState::load(crypto::Bytes bytes) {
  ByteReader reader(bytes);
  if (reader.number() != kStateFormat || reader.number() != number_.value) return false;
  id_ = reader.text();
  region_ = reader.text();
  closed_ = reader.number() != 0;
  const std::uint64_t size = reader.number();
  std::vector<TreeHash> hashes(static_cast<std::size_t>(__builtin_popcountll(size)));
  for (TreeHash& hash : hashes) reader.fixed(hash);
  reader.fixed(head_.last.bytes);
  head_.lastRecordedAt.nanoseconds = reader.integer();
  policyName_ = reader.text();
  policyDocument_ = reader.text();
  policyVersion_ = reader.number();
  if (reader.failed()) return false;
  head_.tree = TreeFrontier(size, std::move(hashes));
  if (policyVersion_ != 0) {
    try {
      policy_ = Policy::parse(policyDocument_);
    } catch (const Fault&) {
      policy_.reset();
    }
  }
  const std::uint64_t count = reader.count(40);
  byId_.reserve(count);
  std::vector<LeaseSlot> slots;
  slots.reserve(count);
  for (std::uint64_t place = 0; place < count; ++place) {
    Lease lease;
    const std::uint64_t parent = loadLease(reader, lease);
    if (reader.failed() || parent > slots.size() || byId_.contains(lease.id)) return false;
    const auto slot = static_cast<LeaseSlot>(leases_.size());
    lease.occupied = true;
    lease.parent = parent == 0 ? kNoLease : slots[parent - 1];
    leases_.push_back(std::move(lease));
    slots.push_back(slot);
    Lease& added = leases_.back();
    byId_[added.id] = slot;
    if (added.parent != kNoLease) {
      added.nextSibling = leases_[added.parent].firstChild;
      leases_[added.parent].firstChild = slot;
    }
    if (isEnded(added.state)) continue;
    index(added, slot, true);
    arm(slot);
  }
  const auto slotAt = [&](std::uint64_t place) { return place < slots.size() ? slots[place] : kNoLease; };
  for (std::uint64_t left = reader.count(1); left > 0; --left) {
    const LeaseSlot slot = slotAt(reader.number());
    if (slot == kNoLease) return false;
    owed_.push_back(slot);
  }
  nextCause_ = static_cast<std::uint32_t>(reader.number());
  for (std::uint64_t left = reader.count(20); left > 0; --left) {
    OwedCause& cause = causes_[static_cast<std::uint32_t>(reader.number())];
    cause.cascadeOf = reader.text();
    reader.fixed(cause.entry.bytes);
    cause.revoked = reader.number() != 0;
    cause.remaining = reader.number();
  }
  for (auto* order : {&ended_, &endedReported_}) {
    for (std::uint64_t left = reader.count(1); left > 0; --left) {
      const LeaseSlot slot = slotAt(reader.number());
      if (slot == kNoLease) return false;
      order->emplace_back(slot, leases_[slot].endSeq);
    }
  }
  for (std::uint64_t left = reader.count(2); left > 0; --left) {
    const std::string text(reader.text());
    const LeaseSlot slot = slotAt(reader.number());
    if (slot == kNoLease) return false;
    byFingerprint_[text] = slot;
  }
  for (std::uint64_t left = reader.count(6); left > 0; --left) {
    Approval& approval = approvals_[std::string(reader.text())];
    approval.requestDigest = reader.text();
    approval.requestedBy = reader.text();
    approval.onBehalfOf = reader.text();
    approval.expiresAt.nanoseconds = reader.integer();
    approval.decision = static_cast<std::uint16_t>(reader.number());
    approval.usedUp = reader.number() != 0;
  }
  for (std::uint64_t left = reader.count(2); left > 0; --left) {
    const Timestamp expiresAt{reader.integer()};
    approvalsByAge_.emplace_back(expiresAt, std::string(reader.text()));
  }
  for (std::uint64_t left = reader.count(5); left > 0; --left) {
    ProducerState& producer = producers_[std::string(reader.text())];
    producer.greatestOccurredAt.nanoseconds = reader.integer();
    producer.contiguousSeq = reader.number();
    for (std::uint64_t ahead = reader.count(1); ahead > 0; --ahead) producer.ahead.insert(reader.number());
    producer.finished = reader.number() != 0;
  }
  nextNumber_ = reader.number();
  for (std::uint64_t left = reader.count(2); left > 0; --left) {
    const std::string id(reader.text());
    allocated_[id] = reader.number();
  }
  return reader.complete();
}

}  // namespace counterfoil
