// Everything the writer of one partition knows: its workspaces, timers, known secrets, idempotency window and place in the log. Changes are
// speculative until committed.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ledger/core/workspace_state.h"
#include "ledger/keys/key_ring.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/log/event_log.h"
#include "ledger/write/erased_workspaces.h"
#include "ledger/write/id_window.h"
#include "ledger/write/known_secrets.h"
#include "ledger/write/system_feed.h"
#include "ledger/write/timer_queue.h"

namespace counterfoil::write {

// A place between two batches, to commit to.
struct BatchMark {
  std::uint64_t window = 0;
  std::vector<std::pair<WorkspaceState*, std::uint64_t>> workspaces;
};

// Not thread safe: the sequencer's.
class PartitionState final : public StateObserver {
 public:
  PartitionState(keys::KeyRing& ring, KnownSecretStore& known, std::size_t windowEntriesMax);

  WorkspaceState& workspace(WorkspaceNumber number);
  // Null if nothing of it was seen.
  const WorkspaceState* findWorkspace(WorkspaceNumber number) const;
  std::vector<WorkspaceNumber> workspaces() const;
  IdWindow& window() { return window_; }
  const IdWindow& window() const { return window_; }
  TimerQueue& timers() { return timers_; }
  log::FoldState& durable() { return durable_; }
  const log::FoldState& durable() const { return durable_; }
  // The greatest recordedAt of all chains. Any thread.
  Timestamp lastRecordedAt() const { return {lastRecordedAt_.load(std::memory_order_relaxed)}; }

  // Who is told of entries of `_system` that are read; outlives this. Before the first record.
  void tellOfSystem(SystemFeed* feed) { systemFeed_ = feed; }

  // Asked for when a record does not open: applies the records of keys further on in the log to the ring, for the key-encryption key that
  // this one's were wrapped under may have been replaced. Before the first record.
  void onKeysMissing(std::function<void()> learn) { learnKeys_ = std::move(learn); }

  // Where erased workspaces are noted, and looked up; outlives this. Before the first record. Null: there are none.
  void noteErasedIn(ErasedWorkspaces* erased) { erased_ = erased; }

  // After a snapshot was read: keys that are gone, or still to be destroyed, are used no more.
  void forgetDoomed();

  // At the end of what there is to read. Throws Fault(keyMissing) if the content of a workspace was withheld, and nothing that was read since
  // says why: the writer would decide without knowing, and make new keys for a workspace that has some.
  void requireWhole();
  // False while something withheld is not explained, or a state is carried half-way: no snapshot may be made of it.
  bool isWhole() const;

  // Folds a record read from the log: at start, after a failed append, on a follower. Throws Fault(logDamaged) when content and header
  // disagree. Gives the id of the entry, if it could be read.
  std::optional<EntryId> applyRecord(const log::ValidRecord& record);

  // Folds an entry just chained and gives what it answers. `requestDigest` all-zero: not under the idempotency window.
  Answer applyEntry(const Entry& entry, const crypto::Digest& requestDigest);

  // Journaling of `state` starts here for the current batch.
  void touch(WorkspaceState& state);
  BatchMark endBatch();
  void commit(const BatchMark& mark);
  void rollback();
  // Workspaces changed since the last commit, for owed ends and reported leases.
  const std::unordered_set<WorkspaceState*>& touched() const { return touched_; }

  void armTimer(WorkspaceNumber workspace, LeaseSlot slot, std::uint32_t stamp, Timestamp time) override;
  void secretSeen(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) override;

 private:
  friend class SnapshotFile;
  keys::OpenOutcome open(const log::ValidRecord& record);
  void noteWithheld(const log::ValidRecord& record);
  void forgetErased(const EntryView& view);
  void forgetWorkspace(WorkspaceNumber number, Erasure erasure);
  Answer fold(WorkspaceState& state, const EntryView& view, const LeafHash& leaf, const crypto::Digest& requestDigest);

  SystemFeed* systemFeed_ = nullptr;
  ErasedWorkspaces* erased_ = nullptr;
  std::function<void()> learnKeys_;
  std::unordered_set<KeyId, IdHash<KeyId>> absent_;  // keys of months that were looked for further on, in vain
  std::set<WorkspaceNumber> withheld_;               // workspaces of which something was, and is not explained yet
  keys::KeyRing& ring_;
  KnownSecretStore& known_;
  IdWindow window_;
  TimerQueue timers_;
  log::FoldState durable_;
  std::atomic<std::int64_t> lastRecordedAt_{0};  // nanoseconds
  std::unordered_map<WorkspaceNumber, std::unique_ptr<WorkspaceState>, WorkspaceNumberHash> workspaces_;
  std::unordered_set<WorkspaceState*> batch_;    // touched by the batch being built
  std::unordered_set<WorkspaceState*> touched_;  // with changes that are not committed
  Arena arena_;
  keys::OpenedRecord opened_;
};

}  // namespace counterfoil::write
