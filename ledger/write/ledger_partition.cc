#include "ledger/write/ledger_partition.h"

#include <future>

#include "ledger/core/current_thread.h"
#include "ledger/write/snapshot.h"

namespace counterfoil::write {
namespace {

constexpr std::int64_t kLongestWait = 100 * kNanosecondsPerMillisecond;
constexpr std::int64_t kTellEvery = 5 * kNanosecondsPerSecond;  // while a long log is read

}  // namespace

LedgerPartition::LedgerPartition(log::EventLog& eventLog, PartitionId partition, keys::KeyRing& ring, KnownSecretStore& known,
                                 const Clock& clock, crypto::RandomSource& random, LedgerPartitionOptions options)
    : log_(eventLog), partition_(partition), ring_(ring), known_(known), clock_(clock), random_(random), options_(std::move(options)) {}

LedgerPartition::~LedgerPartition() {
  tellToStop();
  waitUntilStopped();
}

void LedgerPartition::restore(const std::function<void(const std::string&)>& note) {
  state_ = std::make_unique<PartitionState>(ring_, known_, options_.sequencer.windowEntriesMax);
  if (options_.snapshot.empty()) return;
  const SnapshotFile file(options_.snapshot);
  std::string why;
  bool restored = false;
  try {
    restored = file.read(*state_, known_, ring_, why);
  } catch (const Fault& fault) {
    // Keys that cannot be had now cannot be had for the log either.
    if (fault.code() == ErrorCode::notReady || fault.code() == ErrorCode::keyPermissions) throw;
    why = fault.detail();
  }
  if (restored) {
    state_->forgetDoomed();
    return;
  }
  if (!why.empty()) note("the snapshot " + options_.snapshot.string() + " is not used: " + why + "; reading the whole log instead");
  // What a half-read snapshot left in the key ring are real keys of this ledger; known secrets only make the scanner more careful.
  state_ = std::make_unique<PartitionState>(ring_, known_, options_.sequencer.windowEntriesMax);
}

void LedgerPartition::start(const std::function<void(const std::string&)>& note) {
  restore(note);
  auto sequencer = std::make_unique<Sequencer>(log_, partition_, *state_, ring_, clock_, random_, options_.sequencer);
  sequencer->onWorkspaceCreated(created_);
  {
    const std::lock_guard lock(expectMutex_);
    for (const NewWorkspace& workspace : early_) sequencer->expect(workspace);
    early_.clear();
    sequencer_ = std::move(sequencer);
  }
  std::int64_t tellAt = clock_.monotonicNanoseconds() + kTellEvery;
  sequencer_->onRead([&](std::uint64_t records) {
    const std::int64_t now = clock_.monotonicNanoseconds();
    if (now < tellAt) return;
    tellAt = now + kTellEvery;
    note("partition " + std::to_string(partition_.value) + " of the log: " + std::to_string(records) + " records read, and reading on");
  });
  if (options_.follow) {
    sequencer_->startFollowing();
  } else {
    sequencer_->start();
  }
  sequencer_->onRead({});
  started_ = true;
  thread_ = std::thread([this] {
    nameCurrentThread("sequencer");
    run();
  });
}

void LedgerPartition::run() {
  std::uint64_t snapshotAt = state_->durable().next.value + options_.snapshotEveryEntries;
  while (true) {
    if (acceptClock_.exchange(false)) sequencer_->acceptClock();
    std::vector<std::function<void()>> inspections;
    {
      const std::lock_guard lock(inspectMutex_);
      inspections.swap(inspections_);
    }
    for (const auto& inspection : inspections) inspection();
    const bool more = sequencer_->step();
    if (more) continue;
    if (stopping_ && (sequencer_->idle() || sequencer_->status().fault)) return;
    if (!options_.snapshot.empty() && state_->durable().next.value >= snapshotAt && sequencer_->idle()) {
      sequencer_->settleFollowing();
      snapshotAt = state_->durable().next.value + options_.snapshotEveryEntries;
      if (!state_->isWhole()) continue;
      try {
        SnapshotFile(options_.snapshot).write(*state_, known_, ring_, random_);
      } catch (const Fault&) {
        // The older snapshot stays; the next start reads more of the log.
      }
    }
    sequencer_->waitForWork(sequencer_->untilDue(kLongestWait));
  }
}

void LedgerPartition::tellToStop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  sequencer_->wake();
}

void LedgerPartition::waitUntilStopped() {
  if (thread_.joinable()) thread_.join();
}

void LedgerPartition::close() {
  if (!started_ || !sequencer_) return;
  // What was read before the log was cut is the only thing that will tell the next start of it.
  const auto fault = sequencer_->status().fault;
  const bool worthKeeping = !fault || fault->code() == ErrorCode::logTruncated;
  sequencer_.reset();
  if (!options_.snapshot.empty() && worthKeeping && state_->isWhole()) SnapshotFile(options_.snapshot).write(*state_, known_, ring_, random_);
}

void LedgerPartition::expect(const NewWorkspace& workspace) {
  const std::lock_guard lock(expectMutex_);
  if (sequencer_) {
    sequencer_->expect(workspace);
  } else {
    early_.push_back(workspace);
  }
}

void LedgerPartition::acceptClock() {
  acceptClock_ = true;
  sequencer_->wake();
}

void LedgerPartition::inspect(const std::function<void(const PartitionState&)>& visit) {
  bool done = false;
  {
    const std::lock_guard lock(inspectMutex_);
    inspections_.emplace_back([&] {
      visit(*state_);
      // Notified under the lock: the waiting frame must not go before this one is done with it.
      const std::lock_guard inner(inspectMutex_);
      done = true;
      inspected_.notify_all();
    });
  }
  sequencer_->wake();
  std::unique_lock lock(inspectMutex_);
  inspected_.wait(lock, [&] { return done; });
}

void LedgerPartition::inspectDurable(const std::function<void(const PartitionState&)>& visit) {
  for (;;) {
    // Shared: whoever waits may go on, and leave this frame, while the one who told it is not back from telling.
    const auto durable = std::make_shared<std::promise<bool>>();
    auto told = durable->get_future();
    inspect([&](const PartitionState& state) {
      visit(state);
      sequencer_->whenDurable([durable](const Answer*, const Fault* fault) { durable->set_value(fault == nullptr); });
    });
    if (told.get()) return;
    if (const auto fault = sequencer_->status().fault) throw *fault;
  }
}

void LedgerPartition::drain() {
  for (bool quiet = false; !quiet;) {
    inspect([&](const PartitionState&) { quiet = sequencer_->idle(); });
    if (const auto fault = sequencer_->status().fault) throw *fault;
  }
}

}  // namespace counterfoil::write
