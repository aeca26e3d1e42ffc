// The one writer of a partition: decides, chains, seals, appends, applies and answers, in batches.
//
// The order of effects is the design (what a crash after each leaves, and who repairs it):
//   1. decide, chain and apply to the speculative state      - a crash loses nothing: nothing was promised
//   2. seal, hand the batch to the log                       - what landed is found and folded by takeOver() at the next start
//   3. the log reports the batch durable                     - the same; a repeat of a request gets the answer from the window
//   4. answer the callers, commit the state, settle new keys - nothing is left to repair
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/crypto/random.h"
#include "ledger/write/intake.h"
#include "ledger/write/ledger_clock.h"
#include "ledger/write/partition_state.h"
#include "ledger/write/sequencer_status.h"

namespace counterfoil::write {

struct SequencerOptions {
  std::size_t intakeBytesMax = 64 * 1024 * 1024;
  std::size_t batchRequestsMax = 1'000;
  std::size_t batchBytesMax = 4 * 1024 * 1024;
  std::size_t duePerBatchMax = 5'000;
  // With so many batches in flight the next one waits for one of them, or until this many requests are there: the log commits together what
  // lies ready, and a batch for every request costs each of them three changes of threads.
  std::size_t batchesAhead = 2;
  std::size_t requestsWorthABatch = 16;
  std::size_t windowEntriesMax = 1'000'000;
  bool clockAccepted = false;
  // The greatest recordedAt of another partition of the ledger, which counts as well when this one's clock starts. Empty: there is none.
  std::function<Timestamp()> recordedElsewhere;
  // Who is told of entries of `_system` that are read; outlives the sequencer. Null: nobody.
  SystemFeed* systemFeed = nullptr;
  ErasedWorkspaces* erased = nullptr;  // PartitionState::noteErasedIn()
};

// A workspace that `_system` allocated.
struct NewWorkspace {
  std::string id;
  WorkspaceNumber number;
  std::string region;
};

class Sequencer {
 public:
  // All must outlive the sequencer. Restores nothing itself: `state` may come from a snapshot.
  Sequencer(log::EventLog& eventLog, PartitionId partition, PartitionState& state, keys::KeyRing& ring, const Clock& clock,
            crypto::RandomSource& random, const SequencerOptions& options);
  // Waits for what is in flight; pending requests are answered with not_ready.
  ~Sequencer();

  // Any thread. Takes the request over; `done` is called once, later or at once (intake_full, not_ready).
  void submit(Request request);

  // ---- the owner's thread ----
  // `progress` is called now and then with the number of records read since; for the two below. Null: nobody wants to know.
  void onRead(std::function<void(std::uint64_t)> progress) {
    progress_ = std::move(progress);
    readForProgress_ = 0;
  }
  // Becomes the writer: reads what is new and claims the partition. Throws what EventLog::takeOver throws.
  void start();
  // Instead: reads to the end without claiming, and follows. Throws what EventLog::read and its reader throw.
  void startFollowing();
  // Any thread. Whether this node is meant to write. Takes effect at the next step(): then what is in flight is waited for and the
  // partition is left to others, or it is claimed.
  void lead(bool meant);
  // While following: brings state().durable() up to what was read; for a snapshot.
  void settleFollowing();
  // Handles results, due leases and waiting requests once. True if there may be more to do right away.
  bool step();
  // Nothing is queued, in flight or due.
  bool idle();
  // Nanoseconds until the next lease falls due, at most `most`.
  std::int64_t untilDue(std::int64_t most);
  // Waits for work, at most so long (real time).
  void waitForWork(std::int64_t nanoseconds);
  // Wakes waitForWork().
  void wake();
  void acceptClock();
  // Any thread. Of the other partitions: the workspace was allocated in `_system`. Its chain begins as soon as this node writes, and before
  // any request for it that is submitted later.
  void expect(const NewWorkspace& workspace);
  // `done` is called once everything recorded so far is durable (with an answer that says nothing), or with the fault if it will not be. At
  // once if nothing is in flight, else on the log's thread or this one.
  void whenDurable(Completion done);
  SequencerStatus status() const;
  std::size_t intakeBytes() const { return intake_.bytes(); }
  // The ledger's time as of the last batch, or the wall clock before that; for ids of callers that give none. Any thread.
  Timestamp approximateTime() const;
  PartitionState& state() { return state_; }
  // Of the partition that holds `_system`: called with each workspace that was allocated, on the log's thread, once that is durable and
  // before its creator is answered. Set before start(). A workspace of this partition has its chain by then; one of another partition must
  // be expected there.
  void onWorkspaceCreated(std::function<void(const NewWorkspace&)> created) { created_ = std::move(created); }

 private:
  // A caller to be answered when the batch is durable.
  struct Waiting {
    Completion done;
    Answer answer;
    EntryId id;  // of the entry that answers; zero if none was needed
    bool recorded = false;
  };
  struct Batch {
    std::vector<log::NewRecord> records;
    std::vector<Waiting> waiting;
    std::vector<std::pair<std::shared_ptr<keys::WorkspaceKeys>, std::vector<KeyId>>> keys;
    std::vector<NewWorkspace> created;
    std::vector<std::pair<WorkspaceNumber, KeyId>> erased;  // forgotten once this is durable
    std::vector<WorkspaceNumber> gone;                      // with all their keys
    BatchMark mark;
    std::vector<log::RecordHeader> headers;  // as far as this side knows them
    std::size_t bytes = 0;
  };
  // What the status has counted of a workspace.
  struct LeaseCounts {
    std::uint64_t live = 0;
    std::uint64_t remembered = 0;
    std::uint64_t owed = 0;
    bool renewal = false;
  };
  struct Result {
    std::unique_ptr<Batch> batch;
    log::AppendResult outcome;
  };

  // As much in flight as is of use.
  bool enoughInFlight() const;
  // True if the next batch had better wait. A result wakes the thread then, or a request that makes it worth while.
  bool ahead();
  void takeResults();
  void handleResults();
  void settle(Batch& batch);
  void recover(std::vector<std::unique_ptr<Batch>> failed, const log::AppendResult& why);
  void startClock();
  // For the status, and for ids that are made here.
  void tellClock(Timestamp now);
  void takeOver(std::vector<EntryId>* landed);
  void tryAgain();
  // Gives back the pen: from now on this node follows.
  void stepDown();
  // One round of following.
  void follow();
  // Applies what was added since, and collects the ids of its entries. Throws what the reader throws.
  // True at the end of what is there.
  bool readOn(std::vector<EntryId>* landed, std::uint64_t recordsMax);
  void applyRead(const log::ValidRecord& record, std::vector<EntryId>* landed);
  void fail(const Fault& fault);
  // For the status: how far reading has come.
  void tellRead(const log::FoldState& state);
  // What was read is durable: nothing of it is ever undone.
  void adopt(const std::vector<WorkspaceNumber>& workspaces);
  void buildBatch(Timestamp now);
  // Whether an entry of this workspace could be sealed now. Asks the provider of keys only when a month's first key is to be made.
  bool keysReady(WorkspaceState& workspace, Timestamp now);
  void addDue(Batch& batch, Timestamp now);
  void addRequest(Batch& batch, Request request, Timestamp now);
  // Throws Fault(logUnavailable) if a key that the request was redacted under is gone.
  void checkKeys(const Request& request);
  bool answerRepeat(Batch& batch, Request& request, Timestamp now);
  void createWorkspace(Batch& batch, Request& request, Timestamp now);
  void addKeys(Batch& batch, Request& request);
  // Records the state of the workspace once more if a month of it is to go; the answer says nothing.
  void addCarried(Batch& batch, Request& request, Timestamp now);
  // Some more of the end of a workspace that is erased; nothing while a hold stands.
  void addEnd(Batch& batch, Request& request, Timestamp now);
  // The new generation that a key.rotated entry is to bring, if it is one of fingerprints; its record carries the key.
  static std::optional<KeyId> newFingerprint(RedactedEvent& event, keys::WorkspaceKeys& workspaceKeys);
  // Keys further on in the log, for a record that does not open. Throws Fault(logDamaged) and the log's and provider's own.
  void learnKeys();
  void finishCreations(Batch& batch, Timestamp now);
  // The state of the workspace a request is for. Throws Fault(noSuchItem | notReady) if it has no chain.
  WorkspaceState& workspaceFor(Batch& batch, const Request& request, Timestamp now);
  bool holdsSystem() const { return log_.partitionOf(kSystemWorkspace) == partition_; }
  bool isHere(WorkspaceNumber number) const { return log_.partitionOf(number) == partition_; }
  void takeExpected();
  // Throws Fault(logDamaged) if the map of workspaces names another partition than this version deals them to.
  void tellAllocated();
  void beginChain(Batch& batch, const NewWorkspace& workspace, Timestamp now);
  void recordJump(Batch& batch, Timestamp now);
  void recordOverloads(Batch& batch, Timestamp now);
  // Chains and applies the events of one request; the first one's answer. All or, by Fault, none.
  Answer record(Batch& batch, WorkspaceState& workspace, std::vector<RedactedEvent> events, Timestamp now, bool underWindow);
  // The same for an entry that nobody asked for. False: its keys are not to be had now, and nothing has changed.
  bool recordOwn(Batch& batch, WorkspaceState& workspace, RedactedEvent event, Timestamp now);
  void append(std::unique_ptr<Batch> batch);
  void failAll(const Fault& fault);
  // Brings the counts of the status up to date with these workspaces, as they are now.
  void count(const std::vector<WorkspaceNumber>& workspaces);

  log::EventLog& log_;
  PartitionId partition_;
  PartitionState& state_;
  keys::KeyRing& ring_;
  const Clock& clock_;
  crypto::RandomSource& random_;
  SequencerOptions options_;
  Intake intake_;
  std::optional<LedgerClock> ledgerClock_;
  std::unique_ptr<log::PartitionWriter> writer_;
  std::atomic<bool> meant_{true};                 // to be the writer
  bool wrote_ = false;                            // the last claim this node saw was its own
  std::unique_ptr<log::PartitionReader> reader_;  // while following
  std::uint64_t sinceSettled_ = 0;                // records
  std::optional<log::ValidRecord> unapplied_;     // read, but its key was not at hand yet
  std::unique_ptr<log::PartitionReader> learner_;  // looks for records of keys ahead, while much is read
  std::size_t outstanding_ = 0;
  std::atomic<bool> ahead_{false};        // requests do not wake the thread
  std::int64_t retryAt_ = 0;              // monotonic
  bool unfinished_ = true;                // after start and recovery: look again
  std::set<WorkspaceNumber> attention_;   // workspaces in which something may be owed or due
  std::vector<WorkspaceNumber> changed_;  // in the batch being built
  std::deque<Overload> overloads_;        // not recorded yet
  bool keysLacking_ = false;              // something due had to wait for the provider of keys
  std::unordered_map<WorkspaceNumber, LeaseCounts, WorkspaceNumberHash> counted_;
  std::function<void(std::uint64_t)> progress_;
  std::uint64_t readForProgress_ = 0;
  std::function<void(const NewWorkspace&)> created_;
  std::unordered_set<WorkspaceNumber, WorkspaceNumberHash> known_;  // told to created_
  // Workspaces of this partition that `_system` in another one allocated, and those of them whose chain is not known to have begun.
  std::unordered_map<WorkspaceNumber, NewWorkspace, WorkspaceNumberHash> allocatedElsewhere_;
  std::unordered_set<WorkspaceNumber, WorkspaceNumberHash> notBegun_;

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable work_;
  bool woken_ = false;
  std::vector<Result> results_;
  std::vector<NewWorkspace> expected_;
  SequencerStatus status_;
  Timestamp lastTime_;  // zero unless the clock is paused
};

}  // namespace counterfoil::write
