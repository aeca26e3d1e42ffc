// One partition of a running ledger: its state, the sequencer that writes or follows it, its snapshot, and the thread of the three.
#pragma once

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "ledger/write/sequencer.h"

namespace counterfoil::write {

struct LedgerPartitionOptions {
  SequencerOptions sequencer;
  std::filesystem::path snapshot;  // empty: none is read or written
  std::uint64_t snapshotEveryEntries = 0;
  bool follow = false;  // start() does not claim the partition
};

class LedgerPartition {
 public:
  // All must outlive the partition. `known` and `ring` are shared by the partitions of a ledger.
  LedgerPartition(log::EventLog& eventLog, PartitionId partition, keys::KeyRing& ring, KnownSecretStore& known, const Clock& clock,
                  crypto::RandomSource& random, LedgerPartitionOptions options);
  // Without stop() no snapshot is written.
  ~LedgerPartition();

  // As Sequencer::onWorkspaceCreated(). Set before start().
  void onWorkspaceCreated(std::function<void(const NewWorkspace&)> created) { created_ = std::move(created); }
  // Restores the state (snapshot and tail, or the whole partition) and starts the thread. The partition of `_system` comes first: its keys
  // open the others' snapshots. Throws what reading and claiming throw. `note` gets sentences for the operator.
  void start(const std::function<void(const std::string&)>& note);
  // To end: all of a ledger's partitions are told, then waited for, then closed, that of `_system` first, for it tells the others of new
  // workspaces until it is closed. Nothing is done if start() did not return. close() throws Fault if the snapshot cannot be written.
  void tellToStop();
  void waitUntilStopped();
  void close();

  // Any thread, also before start(): a workspace of this partition was allocated; its chain begins as soon as this node writes.
  void expect(const NewWorkspace& workspace);

  // ---- any thread, between start() and waitUntilStopped() ----
  Sequencer& sequencer() { return *sequencer_; }
  const Sequencer& sequencer() const { return *sequencer_; }
  bool running() const { return thread_.joinable(); }
  Timestamp lastRecordedAt() const { return state_->lastRecordedAt(); }
  void acceptClock();
  // As Ledger's.
  void inspect(const std::function<void(const PartitionState&)>& visit);
  void inspectDurable(const std::function<void(const PartitionState&)>& visit);
  void drain();

 private:
  void restore(const std::function<void(const std::string&)>& note);
  void run();

  log::EventLog& log_;
  const PartitionId partition_;
  keys::KeyRing& ring_;
  KnownSecretStore& known_;
  const Clock& clock_;
  crypto::RandomSource& random_;
  const LedgerPartitionOptions options_;
  std::function<void(const NewWorkspace&)> created_;
  std::unique_ptr<PartitionState> state_;
  std::mutex expectMutex_;  // of `early_`, and of `sequencer_` until start() has returned
  std::vector<NewWorkspace> early_;
  std::unique_ptr<Sequencer> sequencer_;
  std::thread thread_;
  bool started_ = false;
  std::atomic<bool> stopping_{false};
  std::atomic<bool> acceptClock_{false};
  std::mutex inspectMutex_;
  std::condition_variable inspected_;
  std::vector<std::function<void()>> inspections_;
};

}  // namespace counterfoil::write
