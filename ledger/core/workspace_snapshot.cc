// The writer's state as bytes and back. Written in an order that depends on the entries alone, so that a state restored from a snapshot
// plus the tail saves the same bytes as one folded from zero.
#include <algorithm>
#include <limits>

#include "ledger/core/bytes.h"
#include "ledger/core/limits.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil {
namespace {

// Not only of snapshots, which a later version may pass over: `state.carried` entries hold this form for good. Who makes a new one reads 5 as
// well.
constexpr std::uint64_t kStateFormat = 5;

constexpr std::uint64_t k32BitMax = std::numeric_limits<std::uint32_t>::max();

void saveLease(ByteWriter& writer, const Lease& lease, std::uint64_t parent) {
  writer.text(lease.id);
  writer.text(lease.terms);
  writer.fixed(lease.grantEntry.bytes);
  for (const Timestamp time : {lease.issuedAt, lease.renewableUntil, lease.expiresAt, lease.issueBy, lease.endedAt})
    writer.integer(time.nanoseconds);
  for (const std::uint64_t number : {lease.maxUses, lease.grantSeq, lease.uses, lease.endSeq}) writer.number(number);
  writer.number(parent);
  writer.number(lease.cause);
  writer.number(lease.tagGeneration);
  if (lease.tagGeneration != 0) writer.fixed(lease.tag);
  writer.number(static_cast<std::uint64_t>(lease.state));
  writer.flag(lease.reported);
}

std::uint64_t loadLease(ByteReader& reader, Lease& lease) {
  lease.id = reader.text();
  lease.terms = reader.text();
  reader.fixed(lease.grantEntry.bytes);
  for (Timestamp* time : {&lease.issuedAt, &lease.renewableUntil, &lease.expiresAt, &lease.issueBy, &lease.endedAt})
    time->nanoseconds = reader.integer();
  for (std::uint64_t* number : {&lease.maxUses, &lease.grantSeq, &lease.uses, &lease.endSeq}) *number = reader.number();
  const std::uint64_t parent = reader.number();
  lease.cause = static_cast<std::uint32_t>(reader.numberUpTo(k32BitMax));
  lease.tagGeneration = static_cast<std::uint32_t>(reader.numberUpTo(k32BitMax));
  if (lease.tagGeneration != 0) reader.fixed(lease.tag);
  lease.state = static_cast<LeaseState>(reader.numberUpTo(static_cast<std::uint64_t>(LeaseState::failed)));
  lease.reported = reader.flag();
  return parent;
}

void saveApproval(ByteWriter& writer, const Approval& approval) {
  writer.text(approval.requestDigest);
  writer.text(approval.requestedBy);
  writer.text(approval.onBehalfOf);
  writer.integer(approval.expiresAt.nanoseconds);
  writer.number(approval.decision);
  writer.number(static_cast<std::uint64_t>(approval.decidedByKind));
  writer.text(approval.decidedBy);
  writer.flag(approval.byAdministrator);
  writer.flag(approval.usedUp);
}

void loadApproval(ByteReader& reader, Approval& approval) {
  approval.requestDigest = reader.text();
  approval.requestedBy = reader.text();
  approval.onBehalfOf = reader.text();
  approval.expiresAt.nanoseconds = reader.integer();
  approval.decision = static_cast<std::uint16_t>(reader.numberUpTo(std::numeric_limits<std::uint16_t>::max()));
  approval.decidedByKind = static_cast<PrincipalKind>(reader.numberUpTo(static_cast<std::uint64_t>(PrincipalKind::ledger)));
  approval.decidedBy = reader.text();
  approval.byAdministrator = reader.flag();
  approval.usedUp = reader.flag();
}

void saveProducer(ByteWriter& writer, const ProducerState& producer) {
  writer.integer(producer.greatestOccurredAt.nanoseconds);
  writer.number(producer.contiguousSeq);
  writer.number(producer.ahead.size());
  for (const ProducerState::Range& range : producer.ahead) {
    writer.number(range.first);
    writer.number(range.last);
  }
  writer.flag(producer.finished);
}

void loadProducer(ByteReader& reader, ProducerState& producer) {
  producer.greatestOccurredAt.nanoseconds = reader.integer();
  producer.contiguousSeq = reader.number();
  for (std::uint64_t left = reader.count(2); left > 0; --left) {
    const std::uint64_t first = reader.number();
    producer.ahead.push_back({first, reader.number()});
  }
  producer.finished = reader.flag();
}

// Items by key as save() writes them: each key greater than the one before. False if not.
template <class Map, class ReadKey, class ReadValue>
bool loadMap(ByteReader& reader, std::size_t bytesEach, Map& map, ReadKey&& readKey, ReadValue&& readValue) {
  for (std::uint64_t left = reader.count(bytesEach); left > 0; --left) {
    typename Map::key_type key = readKey();
    if (reader.failed() || (!map.empty() && !(map.rbegin()->first < key))) return false;
    readValue(map.emplace_hint(map.end(), std::move(key), typename Map::mapped_type{})->second);
  }
  return !reader.failed();
}

}  // namespace

void WorkspaceState::save(std::vector<std::uint8_t>& out) const {
  if (!erased_) return saveAll(out, false);
  // Only what is clear in the log anyway: who comes later knows no more.
  NobodyElse nobody;
  WorkspaceState rest(number_, nobody);
  rest.head_ = head_;
  rest.head_.lastRecordedAt = {};
  rest.closed_ = true;
  rest.saveAll(out, true);
}

void WorkspaceState::saveAll(std::vector<std::uint8_t>& out, bool erased) const {
  ByteWriter writer(out);
  writer.number(kStateFormat);
  writer.number(number_.value);
  writer.text(id_);
  writer.text(region_);
  writer.flag(closed_);
  writer.flag(erased);
  writer.number(head_.tree.size());
  for (const TreeHash& hash : head_.tree.hashes()) writer.fixed(hash);
  writer.fixed(head_.last.bytes);
  writer.integer(head_.lastRecordedAt.nanoseconds);
  writer.text(policyName_);
  writer.text(policyDocument_);
  writer.number(policyVersion_);
  saveLeases(writer);
  writer.number(approvals_.size());
  for (const auto& [id, approval] : approvals_) {
    writer.text(id);
    saveApproval(writer, approval);
  }
  writer.number(producers_.size());
  for (const auto& [key, producer] : producers_) {
    writer.text(key);
    saveProducer(writer, producer);
  }
  const std::map<std::string, Allocation> allocated(allocated_.begin(), allocated_.end());
  writer.number(nextNumber_);
  writer.number(allocated.size());
  for (const auto& [id, allocation] : allocated) {
    writer.text(id);
    writer.number(allocation.number);
    writer.number(allocation.partition);
    writer.text(allocation.region);
    writer.number(static_cast<std::uint64_t>(allocation.erasure));
  }
  saveSettings(writer);
}

// Leases are named by their place in the order of their grants: slots differ between states that are equal.
void WorkspaceState::saveLeases(ByteWriter& writer) const {
  std::vector<LeaseSlot> slots;
  forEachLease([&](LeaseSlot slot, const Lease&) { slots.push_back(slot); });
  std::sort(slots.begin(), slots.end(), [&](LeaseSlot left, LeaseSlot right) { return leases_[left].grantSeq < leases_[right].grantSeq; });
  std::vector<std::uint32_t> placeOf(leases_.size());
  writer.number(slots.size());
  for (std::uint32_t place = 0; place < slots.size(); ++place) {
    const Lease& lease = leases_[slots[place]];
    placeOf[slots[place]] = place;
    saveLease(writer, lease, lease.parent == kNoLease ? 0 : placeOf[lease.parent] + std::uint64_t{1});
  }
  writer.number(owed_.size());
  for (const LeaseSlot slot : owed_) writer.number(placeOf[slot]);
  const std::map<std::uint32_t, OwedCause> causes(causes_.begin(), causes_.end());
  writer.number(nextCause_);
  writer.number(causes.size());
  for (const auto& [number, cause] : causes) {
    writer.number(number);
    writer.text(cause.cascadeOf);
    writer.fixed(cause.entry.bytes);
    writer.flag(cause.revoked);
    writer.number(cause.remaining);
  }
  writer.number(byFingerprint_.size());
  for (const auto& [secret, slot] : byFingerprint_) {
    writer.number(secret.first);
    writer.fixed(secret.second);
    writer.number(placeOf[slot]);
  }
}

bool WorkspaceState::load(crypto::Bytes bytes) {
  ByteReader reader(bytes);
  if (reader.number() != kStateFormat || reader.number() != number_.value) return false;
  id_ = reader.text();
  region_ = reader.text();
  closed_ = reader.flag();
  erased_ = reader.flag();
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
  if (policyVersion_ != 0) setPolicy();
  if (!loadLeases(reader)) return false;
  const auto readText = [&] { return std::string(reader.text()); };
  if (!loadMap(reader, 10, approvals_, readText, [&](Approval& approval) { loadApproval(reader, approval); })) return false;
  for (const auto& [id, approval] : approvals_) approvalsByAge_.emplace(approval.expiresAt, id);
  if (!loadMap(reader, 5, producers_, readText, [&](ProducerState& producer) { loadProducer(reader, producer); })) return false;
  nextNumber_ = reader.number();
  std::map<std::string, Allocation> allocated;
  const auto readAllocation = [&](Allocation& allocation) {
    allocation.number = reader.number();
    allocation.partition = reader.number();
    allocation.region = reader.text();
    allocation.erasure = static_cast<Erasure>(reader.numberUpTo(static_cast<std::uint64_t>(Erasure::done)));
    if (allocation.erasure == Erasure::ordered) erasing_.insert(allocation.number);
  };
  if (!loadMap(reader, 5, allocated, readText, readAllocation)) return false;
  allocated_.insert(allocated.begin(), allocated.end());
  if (!loadSettings(reader) || !reader.complete()) return false;
  if (!erased_) return true;
  // There is nothing beside its place and tree.
  std::vector<std::uint8_t> saved;
  save(saved);
  return std::equal(saved.begin(), saved.end(), bytes.begin(), bytes.end());
}

bool WorkspaceState::loadLeases(ByteReader& reader) {
  const std::uint64_t count = reader.count(40);
  byId_.reserve(count);
  for (std::uint64_t place = 0; place < count; ++place) {
    Lease lease;
    const std::uint64_t parent = loadLease(reader, lease);
    if (reader.failed() || parent > place || byId_.contains(lease.id) || !areTerms(lease.terms)) return false;
    if (place > 0 && lease.grantSeq <= leases_.back().grantSeq) return false;
    const auto slot = static_cast<LeaseSlot>(place);
    lease.occupied = true;
    if (parent != 0) {
      lease.parent = static_cast<LeaseSlot>(parent - 1);
      lease.depth = static_cast<std::uint8_t>(leases_[lease.parent].depth + 1);
      lease.nextSibling = leases_[lease.parent].firstChild;
    }
    leases_.push_back(std::move(lease));
    Lease& added = leases_.back();
    byId_[added.id] = slot;
    if (parent != 0) link(slot);
  }
  const auto readSlot = [&] { return static_cast<LeaseSlot>(count == 0 ? reader.numberUpTo(0) : reader.numberUpTo(count - 1)); };
  for (std::uint64_t left = reader.count(1); left > 0; --left) owed_.push_back(readSlot());
  nextCause_ = static_cast<std::uint32_t>(reader.numberUpTo(k32BitMax));
  std::map<std::uint32_t, OwedCause> causes;
  const bool causesRead = loadMap(
      reader, 20, causes, [&] { return static_cast<std::uint32_t>(reader.numberUpTo(k32BitMax)); },
      [&](OwedCause& cause) {
        cause.cascadeOf = reader.text();
        reader.fixed(cause.entry.bytes);
        cause.revoked = reader.flag();
        cause.remaining = reader.number();
      });
  causes_.insert(causes.begin(), causes.end());
  const auto readSecret = [&] {
    SecretKey key;
    key.first = static_cast<std::uint32_t>(reader.numberUpTo(k32BitMax));
    reader.fixed(key.second);
    return key;
  };
  if (!causesRead || !loadMap(reader, 18, byFingerprint_, readSecret, [&](LeaseSlot& slot) { slot = readSlot(); })) return false;
  if (!isConsistent()) return false;
  indexLoaded();
  return true;
}

// What nothing but a defect could break; read from zero rather than build on it.
bool WorkspaceState::isConsistent() const {
  std::unordered_map<std::uint32_t, std::uint64_t> waiting;
  std::uint64_t owing = 0;
  for (const Lease& lease : leases_) {
    const bool ended = isEnded(lease.state);
    if (lease.id.empty() || lease.depth > limits::kLeaseDepthMax) return false;
    if (lease.parent != kNoLease && (lease.reported || leases_[lease.parent].reported)) return false;
    if (lease.reported && lease.state == LeaseState::granted) return false;
    if (ended ? lease.endSeq <= lease.grantSeq : lease.endSeq != 0 || lease.endedAt.nanoseconds != 0) return false;
    if (lease.cause == 0) continue;
    if (ended || lease.reported || lease.cause >= nextCause_) return false;
    ++waiting[lease.cause];
    ++owing;
  }
  std::vector<bool> seen(leases_.size());
  for (const LeaseSlot slot : owed_) {
    if (leases_[slot].cause == 0 || seen[slot]) return false;
    seen[slot] = true;
  }
  if (owing != owed_.size() || waiting.size() != causes_.size()) return false;
  for (const auto& [number, cause] : causes_) {
    const auto found = waiting.find(number);
    if (found == waiting.end() || found->second != cause.remaining) return false;
  }
  return std::all_of(byFingerprint_.begin(), byFingerprint_.end(), [&](const auto& secret) {
    const Lease& lease = leases_[secret.second];
    return lease.reported && lease.tagGeneration == secret.first.first && lease.tag == secret.first.second;
  });
}

// What follows from the leases themselves.
void WorkspaceState::indexLoaded() {
  std::vector<LeaseSlot> ended;
  for (LeaseSlot slot = 0; slot < leases_.size(); ++slot) {
    const Lease& lease = leases_[slot];
    if (isEnded(lease.state)) {
      ended.push_back(slot);
      continue;
    }
    index(lease, slot, true);
    arm(slot);
  }
  std::sort(ended.begin(), ended.end(), [&](LeaseSlot left, LeaseSlot right) { return leases_[left].endSeq < leases_[right].endSeq; });
  for (const LeaseSlot slot : ended) {
    if (leases_[slot].reported) {
      endedOfProducer(leases_[slot]).push_back(slot);
    } else {
      ended_.push_back(slot);
    }
  }
}

}  // namespace counterfoil
