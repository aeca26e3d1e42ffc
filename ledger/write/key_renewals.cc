#include "ledger/write/key_renewals.h"

#include <algorithm>
#include <chrono>

#include "ledger/core/current_thread.h"
#include "ledger/write/ledger.h"
#include "ledger/write/retention.h"

namespace counterfoil::write {
namespace {

constexpr std::chrono::milliseconds kLookEvery{500};
// Erasures that come together share one renewal: each wraps every key of the workspace anew.
constexpr std::int64_t kBetweenRenewals = 20 * kNanosecondsPerSecond;
// After a failure, doubled each time: every try makes a version of the key-encryption key.
constexpr std::int64_t kAfterFailure = 2 * kNanosecondsPerSecond;
constexpr std::int64_t kAfterFailures = 60 * kNanosecondsPerSecond;
constexpr std::int64_t kAfterFailedErasure = 5 * kNanosecondsPerSecond;
// Months are long.
constexpr std::int64_t kBetweenLooksForMonths = 60 * kNanosecondsPerSecond;
// Of some 150 bytes each, far below what a record may have.
constexpr std::size_t kKeysARecord = 1'000;

RedactedEvent destroyed(std::string_view purpose, std::string_view keyId, std::uint64_t generation, const EntryId& id) {
  RedactedEvent event = RedactedEvent::ofLedger(Kind::keyDestroyed, id);
  event.body().setText(event.arena(), Field::purpose, purpose);
  event.body().setText(event.arena(), Field::keyId, keyId);
  event.body().setNumber(Field::generation, generation);
  return event;
}

}  // namespace

KeyRenewals::KeyRenewals(Ledger& ledger, const Clock& clock) : ledger_(ledger), clock_(clock) {
  thread_ = std::thread([this] {
    nameCurrentThread("key-renewals");
    run();
  });
}

KeyRenewals::~KeyRenewals() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  thread_.join();
}

void KeyRenewals::run() {
  for (;;) {
    {
      std::unique_lock lock(mutex_);
      if (wake_.wait_for(lock, kLookEvery, [&] { return stopping_; })) return;
    }
    round(false);
  }
}

void KeyRenewals::finish() {
  // Each goes a step further with what is owed; a hold may keep it owed.
  constexpr int kRoundsMax = 100;
  constexpr int kFailuresMax = 3;  // what fails for one must not keep the others from going on
  int failures = 0;
  for (int rounds = 0; rounds < kRoundsMax && failures < kFailuresMax; ++rounds) {
    if (!round(true)) ++failures;
    if (rounds > 0 && ledger_.status().owedRenewals == 0) return;
  }
}

std::optional<Fault> KeyRenewals::trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

std::vector<KeyRenewals::Owed> KeyRenewals::collect() const {
  std::vector<Owed> owed;
  for (std::uint32_t index = 0; index < ledger_.partitions(); ++index) {
    const PartitionId partition{index};
    const SequencerStatus status = ledger_.status(partition);
    if (!status.leading || status.fault || status.owedRenewals == 0) continue;
    std::vector<Owed> here;
    // Durable: what is destroyed for an entry that the log then refuses would be lost.
    ledger_.inspectDurable(partition, [&](const PartitionState& state) {
      here.clear();
      for (const WorkspaceNumber number : state.workspaces()) {
        const WorkspaceState& workspace = *state.findWorkspace(number);
        if (!workspace.owesKeyRenewal()) continue;
        Owed& owes = here.emplace_back();
        owes.workspace = number;
        for (const std::string& id : workspace.doomedKeys()) owes.keys.push_back({id, kSubjectPurpose, 1});
        for (const auto& [id, month] : workspace.retention().doomed) owes.keys.push_back({id, kLogPurpose, month});
      }
    });
    std::move(here.begin(), here.end(), std::back_inserter(owed));
  }
  return owed;
}

template <class Work>
std::optional<Fault> KeyRenewals::attempt(const Work& work) {
  try {
    work();
    return std::nullopt;
  } catch (const Fault& fault) {
    return fault;
  } catch (const std::exception&) {
    // What libraries throw may quote what they were given.
    return Fault(ErrorCode::internal, "something unexpected failed when keys were to be destroyed");
  }
}

std::vector<WorkspaceNumber> KeyRenewals::collectDue() const {
  std::vector<WorkspaceNumber> due;
  for (std::uint32_t index = 0; index < ledger_.partitions(); ++index) {
    const PartitionId partition{index};
    const SequencerStatus status = ledger_.status(partition);
    if (!status.leading || status.fault || status.clockPaused) continue;
    ledger_.inspect(partition, [&](const PartitionState& state) {
      for (const WorkspaceNumber number : state.workspaces()) {
        const WorkspaceState& workspace = *state.findWorkspace(number);
        if (workspace.retention().days == 0) continue;
        const Timestamp now = std::max(clock_.wall(), workspace.head().lastRecordedAt);
        if (!monthsDue(workspace, *ledger_.keyRing().workspace(number), now).empty()) due.push_back(number);
      }
    });
  }
  return due;
}

std::optional<Fault> KeyRenewals::carryDue() {
  std::optional<Fault> trouble;
  for (const WorkspaceNumber number : collectDue()) {
    if (auto fault = attempt([&] { ledger_.carryState(number); })) trouble = std::move(fault);
  }
  return trouble;
}

std::vector<WorkspaceNumber> KeyRenewals::collectErasing() const {
  const PartitionId partition = ledger_.home(kSystemWorkspace);
  std::vector<WorkspaceNumber> erasing;
  const SequencerStatus status = ledger_.status(partition);
  if (status.fault || status.owedRenewals == 0) return erasing;
  // Durable: nothing ends for an order that the log then refuses.
  ledger_.inspectDurable(partition, [&](const PartitionState& state) {
    erasing.clear();
    const WorkspaceState* system = state.findWorkspace(kSystemWorkspace);
    if (system == nullptr) return;
    for (const std::uint64_t number : system->erasing()) erasing.push_back({number});
  });
  // Whoever records an order does not read it; and the last word of a workspace may be read here when its keys are gone.
  for (const WorkspaceNumber number : erasing) ledger_.erasedWorkspaces().add(number);
  return erasing;
}

std::optional<Fault> KeyRenewals::eraseWorkspaces() {
  std::optional<Fault> trouble;
  for (const WorkspaceNumber number : collectErasing()) {
    if (auto fault = attempt([&] { eraseWorkspace(number); })) trouble = std::move(fault);
  }
  return trouble;
}

void KeyRenewals::eraseWorkspace(WorkspaceNumber number) {
  const PartitionId home = ledger_.home(number);
  if (ledger_.status(home).leading) ledger_.endWorkspace(number);
  if (!ledger_.status(ledger_.home(kSystemWorkspace)).leading) return;
  bool ended = false;
  ledger_.inspectDurable(home, [&](const PartitionState& state) {
    const WorkspaceState* workspace = state.findWorkspace(number);
    ended = workspace != nullptr && workspace->erased();
  });
  if (!ended) return;
  const std::uint32_t newest = ledger_.keyRing().workspace(number)->destroyAll();
  const EntryId id = ledger_.freshId(kSystemWorkspace);
  ledger_.appendOwn(kSystemWorkspace, destroyed(kKeyEncryptionPurpose, lastKeyName(number), newest, id));
}

bool KeyRenewals::round(bool now) {
  const std::lock_guard one(working_);
  std::map<WorkspaceNumber, Progress> progress;  // of those that still owe something
  std::optional<Fault> trouble;
  try {
    const std::int64_t lookAt = clock_.monotonicNanoseconds();
    if (now || lookAt >= lookForMonthsAt_) {
      lookForMonthsAt_ = lookAt + kBetweenLooksForMonths;
      monthsTrouble_ = carryDue();
    }
    trouble = monthsTrouble_;
    if (now || lookAt >= eraseAt_) {
      erasureTrouble_ = eraseWorkspaces();
      if (erasureTrouble_) eraseAt_ = lookAt + kAfterFailedErasure;
    }
    if (erasureTrouble_) trouble = erasureTrouble_;
    for (const Owed& owed : collect()) {
      const auto before = progress_.find(owed.workspace);
      Progress& mine = progress[owed.workspace];
      if (before != progress_.end()) mine = before->second;
      const std::int64_t time = clock_.monotonicNanoseconds();
      if (now || time >= mine.notBefore) {
        mine.fault = attempt([&] { renew(owed); });
        mine.failures = mine.fault ? mine.failures + 1 : 0;
        const std::int64_t wait = std::min(kAfterFailures, kAfterFailure << std::min<unsigned>(mine.failures, 5));
        mine.notBefore = time + (mine.fault ? wait : kBetweenRenewals);
      }
      if (mine.fault) trouble = mine.fault;
    }
    // Who owes nothing any more still waits between two renewals.
    for (const auto& [workspace, last] : progress_) {
      if (!last.fault && clock_.monotonicNanoseconds() < last.notBefore) progress.try_emplace(workspace, last);
    }
    progress_ = std::move(progress);
  } catch (const Fault& fault) {
    trouble = fault;  // the partition stopped meanwhile
  }
  const std::lock_guard lock(mutex_);
  trouble_ = trouble;
  return !trouble;
}

bool KeyRenewals::stopping() const {
  const std::lock_guard lock(mutex_);
  return stopping_;
}

void KeyRenewals::renew(const Owed& owed) {
  const auto keys = ledger_.keyRing().workspace(owed.workspace);
  std::vector<std::string_view> doomed;
  for (const DoomedKey& key : owed.keys) doomed.push_back(key.id);
  for (const KeyId& id : keyIdsIn(doomed)) keys->forget(id);
  const keys::Renewal renewal = keys->renew();
  for (std::size_t from = 0; from < renewal.keys.size(); from += kKeysARecord) {
    const auto first = renewal.keys.begin() + static_cast<std::ptrdiff_t>(from);
    const std::size_t count = std::min(kKeysARecord, renewal.keys.size() - from);
    if (stopping()) throw Fault(ErrorCode::notReady, "the ledger is stopping", "it is done at the next start");
    ledger_.appendKeys(owed.workspace, {first, first + static_cast<std::ptrdiff_t>(count)}, renewal.drops);
  }
  // What a snapshot holds from now on; every key is known, so nobody is asked.
  static_cast<void>(keys->applyWrapped(renewal.keys));
  keys->destroyBefore(renewal.version);
  for (const DoomedKey& key : owed.keys) {
    ledger_.appendOwn(owed.workspace, destroyed(key.purpose, key.id, key.generation, ledger_.freshId(owed.workspace)));
  }
  ledger_.appendOwn(owed.workspace, destroyed(kKeyEncryptionPurpose, {}, renewal.version - 1, ledger_.freshId(owed.workspace)));
}

}  // namespace counterfoil::write
