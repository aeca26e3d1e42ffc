// The write side as one object: takes parsed commands and facts from any thread, redacts them, has them sequenced, and answers when they
// are durable. Owns a sequencer, and its thread, for each partition of the log.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/event.h"
#include "ledger/keys/key_ring.h"
#include "ledger/log/event_log.h"
#include "ledger/redact/redactor.h"
#include "ledger/write/answer.h"
#include "ledger/write/ledger_partition.h"
#include "ledger/write/snapshot.h"

namespace counterfoil::write {

class KeyRenewals;

struct LedgerOptions {
  SequencerOptions sequencer;
  // The folder of the partitions' snapshots (snapshotPath()), which is there. Empty: none is read or written.
  std::filesystem::path snapshots;
  std::uint64_t snapshotEveryEntries = 2'000'000;
  bool follow = false;  // start() does not claim the log: this node follows until lead(partition, true)
};

class Ledger {
 public:
  // All must outlive the ledger.
  Ledger(log::EventLog& eventLog, keys::KeyProvider& provider, const Clock& clock, crypto::RandomSource& random,
         const LedgerOptions& options);
  // stop(), if it was not called.
  ~Ledger();

  // Restores the state (snapshot and tail, or the whole log) and starts the thread. Throws what reading and claiming throw. `note` gets
  // sentences for the operator, such as why a snapshot was not used.
  void start(const std::function<void(const std::string&)>& note);
  // Finishes what is queued, writes a snapshot, ends the thread. Throws Fault if the snapshot cannot be written.
  void stop();

  // ---- any thread, between start() and stop() ----
  std::uint32_t partitions() const { return static_cast<std::uint32_t>(partitions_.size()); }
  // The partition that holds a workspace's chain.
  PartitionId home(WorkspaceNumber workspace) const { return log_.partitionOf(workspace); }
  // Whether this node is meant to be the partition's writer from now on. Returns at once; status(partition).leading tells.
  void lead(PartitionId which, bool meant) { partition(which).sequencer().lead(meant); }
  // `done` is called once, from this thread or the ledger's. Faults of redaction come the same way.
  void execute(std::string_view workspaceId, Command command, Completion done);
  void append(std::string_view workspaceId, Event fact, Completion done);
  // An importer's fact: the importer vouches for the id's uniqueness.
  void appendImported(std::string_view workspaceId, Event fact, Completion done);
  // The ledger's own event (import.finished, audit.*, ledger.*), made of values that are not a caller's.
  void appendOwn(WorkspaceNumber workspace, RedactedEvent event, Completion done);
  // The same with a caller's values in it (who read what), which are redacted like a fact's. An absent id is made here.
  void appendOwn(WorkspaceNumber workspace, Event event, Completion done);

  // Before the erasure of a whole workspace is ordered, which `_system` records without looking into it. Blocks. Throws Fault(holdInForce);
  // an unknown workspace is no fault. A hold that is placed later makes the erasure wait.
  void refuseWhileHeld(std::string_view workspaceId);

  // Wrapped keys of one workspace, in a record of their own. Refused (logUnavailable) if a key of it was dropped since
  // WorkspaceKeys::drops() was `drops`.
  void appendKeys(WorkspaceNumber workspace, std::vector<keys::WrappedKey> wrapped, std::uint64_t drops, Completion done);

  // Records the state of a workspace once more if a month of it is to go (monthsDue()); the keys of those months are owed their destruction
  // from then on. The answer says nothing.
  void carryState(WorkspaceNumber workspace, Completion done);
  // Records some more of the end of a workspace whose erasure is ordered, where its chain is. The answer says nothing; nothing is recorded
  // while a hold stands.
  void endWorkspace(WorkspaceNumber workspace, Completion done);

  // The same, waiting for the answer; throws the Fault.
  Answer execute(std::string_view workspaceId, Command command);
  Answer append(std::string_view workspaceId, Event fact);
  Answer appendOwn(WorkspaceNumber workspace, RedactedEvent event);
  void appendKeys(WorkspaceNumber workspace, std::vector<keys::WrappedKey> wrapped, std::uint64_t drops);
  void carryState(WorkspaceNumber workspace);
  void endWorkspace(WorkspaceNumber workspace);

  // Nothing is queued, in flight, owed or due any more, keys that are to be destroyed included.
  void drain();
  std::optional<WorkspaceNumber> findWorkspace(std::string_view id) const;
  // Ids and numbers of all workspaces, `_system` included, by number.
  std::vector<std::pair<std::string, WorkspaceNumber>> workspaces() const;
  keys::KeyRing& keyRing() { return ring_; }
  // Erasures that are ordered, as far as this node has read.
  ErasedWorkspaces& erasedWorkspaces() { return erased_; }
  const KnownSecrets& knownSecrets() const { return known_; }
  SequencerStatus status(PartitionId which) const { return partition(which).sequencer().status(); }
  // Of all partitions together: ready and leading if all are; the gravest fault; sums; who writes `_system`.
  SequencerStatus status() const;
  // Why keys that are to be destroyed are not: the last try's fault.
  std::optional<Fault> renewalTrouble() const;
  // Requests that wait to be recorded.
  std::size_t intakeBytes() const;
  // An operator vouches for the wall clock.
  void acceptClock();
  // Runs `visit` on the sequencer's thread between two batches, with the state of the partition that holds `workspace` as it is; for
  // policy tests and listings.
  void inspect(WorkspaceNumber workspace, const std::function<void(const PartitionState&)>& visit) { inspect(home(workspace), visit); }
  void inspect(PartitionId which, const std::function<void(const PartitionState&)>& visit);
  // The same for what is told to others: returns once everything that `visit` saw is durable. If the log refuses some of it, `visit` is
  // called again, with the state as it is then. Throws the partition's fault if it has stopped.
  void inspectDurable(WorkspaceNumber workspace, const std::function<void(const PartitionState&)>& visit) {
    inspectDurable(home(workspace), visit);
  }
  void inspectDurable(PartitionId which, const std::function<void(const PartitionState&)>& visit);
  // An id for a caller that gave none, of the time that counts where this workspace is recorded.
  EntryId freshId(WorkspaceNumber workspace = kSystemWorkspace);

 private:
  struct Desk;  // what one workspace's requests need before they are sequenced
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const noexcept { return std::hash<std::string_view>()(text); }
  };

  Desk& deskOf(WorkspaceNumber number);
  WorkspaceNumber resolve(std::string_view id) const;
  template <class Prepare>
  void prepared(Completion done, const Prepare& prepare);
  void redactInto(Request& request, Event fact);
  void findPerson(Command& command, Desk& desk) const;
  LedgerPartition& partition(PartitionId id) const;
  LedgerPartition& partitionOf(WorkspaceNumber number) const;
  std::vector<LedgerPartition*> systemFirst() const;
  void remember(const NewWorkspace& workspace);

  log::EventLog& log_;
  const Clock& clock_;
  crypto::RandomSource& random_;
  keys::KeyRing ring_;
  KnownSecretStore known_;
  ErasedWorkspaces erased_;
  mutable std::shared_mutex mutex_;  // guards the two maps
  std::unordered_map<std::string, WorkspaceNumber, TextHash, std::equal_to<>> numbers_;
  std::unordered_map<WorkspaceNumber, std::unique_ptr<Desk>, WorkspaceNumberHash> desks_;
  std::vector<std::unique_ptr<LedgerPartition>> partitions_;  // by number; behind the members above, which their threads use
  std::unique_ptr<KeyRenewals> renewals_;                     // between start() and stop()
};

}  // namespace counterfoil::write
