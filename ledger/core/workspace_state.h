// What the writer of a workspace knows: the fold of its entries, as far as decisions need it. Pure: no I/O, no clock, no threads.
//
// The same apply() runs after chaining, at recovery and in tests. Changes since the last commitTo() can be rolled back, because a batch
// that the log refuses never happened.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ledger/core/entry.h"
#include "ledger/core/lease.h"
#include "ledger/core/policy.h"
#include "ledger/core/state_observer.h"
#include "ledger/core/workspace_parts.h"

namespace counterfoil {

class ByteReader;
class ByteWriter;

// The text a principal is compared by: "agent:fixer", "human:p2:..."; empty for none.
std::string principalKey(const PrincipalValue& principal);

// Does a bulk revocation with this selector and value hit the lease itself (its descendants aside)?
bool selects(RevocationSelector selector, std::string_view value, const Lease& lease);
// Kinds that only the ledger's own decisions lead to.
bool isLedgerDecided(Kind kind);

class WorkspaceState {
 public:
  WorkspaceState(WorkspaceNumber number, StateObserver& observer) : number_(number), observer_(observer) {}
  WorkspaceState(const WorkspaceState&) = delete;
  WorkspaceState& operator=(const WorkspaceState&) = delete;

  // ---- what it knows ----
  WorkspaceNumber number() const { return number_; }
  const std::string& id() const { return id_; }
  const std::string& region() const { return region_; }
  bool closed() const { return closed_; }
  // Nothing is ever recorded here again: it was erased, and this was its last entry.
  bool erased() const { return erased_; }
  const ChainHead& head() const { return head_; }
  const Policy* policy() const { return policy_ ? &*policy_ : nullptr; }
  const std::string& policyName() const { return policyName_; }
  std::uint64_t policyVersion() const { return policyVersion_; }
  const std::string& policyDocument() const { return policyDocument_; }
  LeaseSlot slotOf(std::string_view leaseId) const;
  const Lease* findLease(std::string_view leaseId) const;
  const Lease& lease(LeaseSlot slot) const { return leases_[slot]; }
  // The newest reported lease of a secret, by one of its fingerprint texts.
  LeaseSlot slotOfFingerprint(std::string_view fingerprint) const;
  std::uint64_t liveLeases() const { return live_; }
  // The live ones and those that ended in the last 24 h.
  std::uint64_t rememberedLeases() const { return byId_.size(); }
  std::uint64_t outstanding(const PrincipalValue& grantee) const;
  const Approval* findApproval(std::string_view approvalId) const;
  const ProducerState* findProducer(std::string_view source, std::string_view producer) const;
  // By id; those whose time is over are left out of nothing but decisions.
  const std::map<std::string, Hold, std::less<>>& holds() const { return holds_; }
  // Keys of erased persons (ids in hex) whose destruction is not on the record yet.
  const std::set<std::string>& doomedKeys() const { return doomedKeys_; }
  // The key-encryption key must be replaced, and what came before it destroyed: for an erasure or because it was asked for.
  bool owesKeyRenewal() const { return !erased_ && (renewalAsked_ || !doomedKeys_.empty() || !retention_.doomed.empty()); }
  const Retention& retention() const { return retention_; }
  // False: content was withheld, and no later `state.carried` says that its key was to go and gave back what it held.
  bool isWhole() const;
  // Some parts of a `state.carried` were applied, and not the last one.
  bool isCarrying() const { return carrying_.parts != 0; }
  // What the entries `state.carried` hold, all parts together, for the keys of months that are to go: this state, as it is when they are
  // recorded. `recordedAt` is theirs.
  std::vector<std::uint8_t> carriedState(const MonthKeys& doomed, Timestamp recordedAt) const;
  void forEachLive(const std::function<void(LeaseSlot, const Lease&)>& visit) const;
  void forEachLease(const std::function<void(LeaseSlot, const Lease&)>& visit) const;
  // What a bulk revocation hits: commanded leases that live and are not owed an end, and their descendants; in the order of their ends.
  std::vector<LeaseSlot> selected(RevocationSelector selector, std::string_view value) const;
  // By id; only in `_system`.
  const std::unordered_map<std::string, Allocation>& allocated() const { return allocated_; }
  std::uint64_t nextNumber() const { return nextNumber_; }
  // Workspaces whose erasure is ordered and not at its end; only in `_system`.
  const std::set<std::uint64_t>& erasing() const { return erasing_; }

  // ---- what is due ----
  bool hasOwed() const { return !owed_.empty(); }
  std::uint64_t owedLeases() const { return owed_.size(); }
  LeaseSlot nextOwed() const { return owed_.front(); }
  const OwedCause& causeOf(const Lease& lease) const { return causes_.at(lease.cause); }
  // Up to where the producer of a reported lease has told everything.
  Timestamp watermark(const Lease& reported, Timestamp recordedAt) const;
  // Reported leases whose producer's watermark has passed their end, appended until `due` has `limit`.
  void collectReportedDue(Timestamp recordedAt, std::size_t limit, std::vector<LeaseSlot>& due) const;
  // Is the timer that fell due still the one that counts?
  bool timerCounts(LeaseSlot slot, std::uint32_t stamp) const;

  // ---- change ----
  // Folds one entry of this workspace and advances the head. Forgets a bounded number of leases whose 24 h after the end are over, so
  // that no single entry pays for a day's worth.
  void apply(const EntryView& view, const LeafHash& leaf);
  // An entry whose content is gone: counts for chain and tree only. `key` is that of its month.
  void applyWithheld(Sequence seq, const LeafHash& leaf, const KeyId& key);

  // It was erased, and that is durable: all that stays is its place and its tree.
  void markErased();

  // ---- speculation ----
  // From the first mark on, changes are remembered until they are committed. A mark is a place between two changes; one from before a
  // rollback commits nothing.
  std::uint64_t mark();
  void commitTo(std::uint64_t mark);
  // Undoes everything that is not committed.
  void rollback();

  // ---- snapshot ----
  void save(std::vector<std::uint8_t>& out) const;
  // Into a fresh state. False if the bytes are not what save() writes; the state is then unusable.
  bool load(crypto::Bytes bytes);

 private:
  using Undo = std::function<void()>;
  struct ReportedLeases {                                                // of one producer
    std::set<std::tuple<std::int64_t, std::uint64_t, LeaseSlot>> byEnd;  // expiresAt, grantSeq; live ones whose end is known
    std::deque<LeaseSlot> ended;                                         // in the order of their ends' entries
  };
  using SecretKey = std::pair<std::uint32_t, FingerprintTag>;  // generation first

  template <class Function>
  void undoable(Function&& undo) {
    if (journaling_) journal_.emplace_back(std::forward<Function>(undo));
  }
  // The lease for changing; how it was is remembered.
  Lease& change(LeaseSlot slot);
  template <class Map, class Key>
  typename Map::mapped_type& changeIn(Map& map, const Key& key);
  template <class Value>
  Value& changeValue(Value& value) {
    undoable([&value, before = value] { value = before; });
    return value;
  }

  LeaseSlot addLease(Lease lease);
  void removeLease(LeaseSlot slot);
  void link(LeaseSlot slot);
  void unlink(LeaseSlot slot);
  void end(LeaseSlot slot, LeaseState state, const EntryView& view, bool cascadeRevoked);
  // Each of `slots` is owed an end because of `why`.
  void owe(const std::vector<LeaseSlot>& slots, const OwedCause& why);
  void settleOwed(LeaseSlot slot);
  void arm(LeaseSlot slot);
  void index(const Lease& lease, LeaseSlot slot, bool present);
  void setTag(LeaseSlot slot, std::string_view fingerprint);
  void dropTag(LeaseSlot slot);
  void dropIfEmpty(const std::string& producerKey);
  void pruneReported(const std::string& producerKey, Timestamp recordedAt, std::size_t& left);
  void prune(const EntryView& view);
  void forgetEnded(Timestamp recordedAt, std::size_t most);
  void forgetAllEnded(Timestamp recordedAt);
  void collectBelow(LeaseSlot slot, std::vector<LeaseSlot>& found) const;
  void setPolicy();
  std::deque<LeaseSlot>& endedOfProducer(const Lease& lease);
  void saveLeases(ByteWriter& writer) const;
  bool loadLeases(ByteReader& reader);
  bool isConsistent() const;
  void indexLoaded();

  void applyGranted(const EntryView& view);
  void applyIssued(const EntryView& view);
  void applyConsumed(const EntryView& view);
  void applyRenewed(const EntryView& view);
  void applyEnd(const EntryView& view, LeaseState state);
  void applyOrdered(const EntryView& view);
  void applyApproval(const EntryView& view);
  void applyPolicy(const EntryView& view);
  void applyWorkspace(const EntryView& view);
  void applyWorkspaceErased(const EntryView& view);
  void noteErasure(const std::string& id, Erasure erasure);
  void applyHold(const EntryView& view);
  void forgetPastHolds(Timestamp now);
  void applyErasure(const EntryView& view);
  void applyKey(const EntryView& view);
  void applyRetention(const EntryView& view);
  void applyCarried(const EntryView& view);
  bool restoreCarried();
  void saveAll(std::vector<std::uint8_t>& out, bool erased) const;
  void clear();
  void saveSettings(ByteWriter& writer) const;
  bool loadSettings(ByteReader& reader);
  bool isFact(const EntryView& view) const;
  void applyProducer(const EntryView& view);
  void applySecrets(const EntryView& view);
  void advanceHead(const LeafHash& leaf, Timestamp recordedAt);

  WorkspaceNumber number_;
  StateObserver& observer_;
  std::string id_;
  std::string region_;
  bool closed_ = false;
  bool erased_ = false;
  ChainHead head_;
  std::optional<Policy> policy_;
  std::string policyName_;
  std::string policyDocument_;
  std::uint64_t policyVersion_ = 0;

  std::deque<Lease> leases_;  // addresses stay: byId_ points into it
  std::vector<LeaseSlot> freeSlots_;
  std::unordered_map<std::string_view, LeaseSlot> byId_;
  std::map<SecretKey, LeaseSlot> byFingerprint_;                  // reported leases
  std::unordered_map<std::string, std::uint64_t> liveByGrantee_;  // principalKey
  std::map<std::string, ReportedLeases> reported_;                // source "\n" producer
  std::uint64_t live_ = 0;
  std::deque<LeaseSlot> owed_;
  std::unordered_map<std::uint32_t, OwedCause> causes_;
  std::uint32_t nextCause_ = 1;
  std::deque<LeaseSlot> ended_;  // commanded leases, in the order of their ends
  std::map<std::string, Approval, std::less<>> approvals_;
  std::set<std::pair<Timestamp, std::string>> approvalsByAge_;   // expiresAt, id
  std::map<std::string, ProducerState, std::less<>> producers_;  // source "\n" producer
  std::unordered_map<std::string, Allocation> allocated_;
  std::uint64_t nextNumber_ = 1;
  std::set<std::uint64_t> erasing_;
  std::map<std::string, Hold, std::less<>> holds_;
  std::set<std::string> doomedKeys_;
  bool renewalAsked_ = false;
  Retention retention_;
  Carrying carrying_;

  // ---- of a reader that met content it cannot open; in no snapshot ----
  std::set<KeyId> withheldUnder_;
  bool lacksState_ = false;  // since the last `state.carried`, if there was one
  std::vector<std::uint8_t> carriedBytes_;

  bool journaling_ = false;
  bool headSaved_ = false;  // since the last mark
  std::uint64_t journalStart_ = 0;
  std::deque<Undo> journal_;
};

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

}  // namespace counterfoil
