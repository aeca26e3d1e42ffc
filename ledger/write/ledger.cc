#include "ledger/write/ledger.h"

#include <algorithm>
#include <future>

#include "ledger/core/current_thread.h"
#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/write/request_binding.h"
#include "ledger/write/snapshot.h"

namespace counterfoil::write {
namespace {

// A request in the queue: its values, and what the queue itself needs.
constexpr std::size_t kRequestOverhead = 512;
constexpr std::int64_t kLongestWait = 100 * kNanosecondsPerMillisecond;

// Turns a completion into a value to wait for.
class Waiter {
 public:
  Completion completion() {
    return [this](const Answer* answer, const Fault* fault) {
      if (fault != nullptr) {
        promise_.set_exception(std::make_exception_ptr(*fault));
      } else {
        promise_.set_value(*answer);
      }
    };
  }
  Answer wait() { return promise_.get_future().get(); }

 private:
  std::promise<Answer> promise_;
};

std::size_t sizeOf(const RedactionResult& redaction) {
  std::size_t bytes = kRequestOverhead;
  for (const SealedDisclosure& disclosure : redaction.disclosures) bytes += disclosure.sealed.size() + disclosure.path.size() + 64;
  return bytes;
}

}  // namespace

struct Ledger::Desk {
  std::shared_ptr<keys::WorkspaceKeys> keys;
  redact::Redactor redactor;
  Desk(std::shared_ptr<keys::WorkspaceKeys> workspaceKeys, const KnownSecrets& known, crypto::RandomSource& random)
      : keys(std::move(workspaceKeys)), redactor(*keys, &known, random) {}
  // Whatever new key the record will need is wrapped here, on the caller's thread: the sequencer must not wait for a key service.
  void prepare(const RedactionResult& redaction, Timestamp now) {
    std::vector<KeyId> used = redaction.keysUsed;
    used.push_back(keys->logKey(now)->id);
    keys->prepare(used);
  }
};

Ledger::Ledger(log::EventLog& eventLog, keys::KeyProvider& provider, const Clock& clock, crypto::RandomSource& random,
               const LedgerOptions& options)
    : log_(eventLog), clock_(clock), random_(random), options_(options), provider_(provider), ring_(provider, random) {
  numbers_["_system"] = kSystemWorkspace;
}

Ledger::~Ledger() {
  if (!thread_.joinable()) return;
  try {
    stop();
  } catch (const Fault&) {
    // A snapshot that cannot be written costs the next start some time; whoever wants to know calls stop().
  }
}

void Ledger::restore(const std::function<void(const std::string&)>& note) {
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
  if (restored) return;
  if (!why.empty()) note("the snapshot " + options_.snapshot.string() + " is not used: " + why + "; reading the whole log instead");
  // What a half-read snapshot left in the key ring are real keys of this ledger; known secrets only make the scanner more careful.
  state_ = std::make_unique<PartitionState>(ring_, known_, options_.sequencer.windowEntriesMax);
}

void Ledger::start(const std::function<void(const std::string&)>& note) {
  restore(note);
  sequencer_ = std::make_unique<Sequencer>(log_, PartitionId{0}, *state_, ring_, clock_, random_, options_.sequencer);
  sequencer_->onWorkspaceCreated([this](const std::string& id, WorkspaceNumber number) { remember(id, number); });
  if (options_.follow) {
    sequencer_->startFollowing();
  } else {
    sequencer_->start();
  }
  thread_ = std::thread([this] {
    nameCurrentThread("sequencer");
    run();
  });
}

void Ledger::remember(const std::string& id, WorkspaceNumber number) {
  const std::unique_lock lock(mutex_);
  numbers_[id] = number;
}

void Ledger::run() {
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
      try {
        SnapshotFile(options_.snapshot).write(*state_, known_, ring_, random_);
      } catch (const Fault&) {
        // The older snapshot stays; the next start reads more of the log.
      }
    }
    sequencer_->waitForWork(sequencer_->untilDue(kLongestWait));
  }
}

void Ledger::stop() {
  if (!thread_.joinable()) return;
  stopping_ = true;
  sequencer_->wake();
  thread_.join();
  // What was read before the log was cut is the only thing that will tell the next start of it.
  const auto fault = sequencer_->status().fault;
  const bool worthKeeping = !fault || fault->code() == ErrorCode::logTruncated;
  sequencer_.reset();
  if (!options_.snapshot.empty() && worthKeeping) SnapshotFile(options_.snapshot).write(*state_, known_, ring_, random_);
}

Ledger::Desk& Ledger::deskOf(WorkspaceNumber number) {
  {
    const std::shared_lock lock(mutex_);
    const auto found = desks_.find(number);
    if (found != desks_.end()) return *found->second;
  }
  auto desk = std::make_unique<Desk>(ring_.workspace(number), known_, random_);
  const std::unique_lock lock(mutex_);
  return *desks_.try_emplace(number, std::move(desk)).first->second;
}

std::optional<WorkspaceNumber> Ledger::findWorkspace(std::string_view id) const {
  const std::shared_lock lock(mutex_);
  const auto found = numbers_.find(id);
  if (found == numbers_.end()) return std::nullopt;
  return found->second;
}

WorkspaceNumber Ledger::resolve(std::string_view id) const {
  const auto number = findWorkspace(id);
  if (!number)
    throw Fault(ErrorCode::noSuchItem, "there is no such workspace",
                "`counterfoil workspace list` shows them; `workspace create` makes one");
  return *number;
}

std::vector<std::pair<std::string, WorkspaceNumber>> Ledger::workspaces() const {
  std::vector<std::pair<std::string, WorkspaceNumber>> result;
  {
    const std::shared_lock lock(mutex_);
    result.assign(numbers_.begin(), numbers_.end());
  }
  std::sort(result.begin(), result.end(), [](const auto& left, const auto& right) { return left.second < right.second; });
  return result;
}

EntryId Ledger::freshId() {
  return makeUuidV7(sequencer_->approximateTime(), random_.bytes<10>());
}

// What stops a request before the sequencer has it is told like what stops it later.
template <class Prepare>
void Ledger::prepared(Completion done, const Prepare& prepare) {
  Request request;
  request.done = std::move(done);
  try {
    prepare(request);
  } catch (const Fault& fault) {
    request.done(nullptr, &fault);
    return;
  }
  sequencer_->submit(std::move(request));
}

void Ledger::redactInto(Request& request, Event fact) {
  Desk& desk = deskOf(request.workspace);
  request.keyRemovals = desk.keys->removals();
  request.event.emplace(desk.redactor.redact(std::move(fact)));
  desk.prepare(request.event->redaction(), clock_.wall());
  request.bytes = sizeOf(request.event->redaction());
}

void Ledger::execute(std::string_view workspaceId, Command command, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = command.kind == CommandKind::workspaceCreate ? kSystemWorkspace : resolve(workspaceId);
    if (command.id == EntryId{}) command.id = freshId();
    if (!isUuidV7(command.id))
      throw Fault(ErrorCode::invalidValue, "the id of a request must be a UUIDv7", "leave it out, or make one with the time inside", "/id");
    Desk& desk = deskOf(request.workspace);
    request.kind = RequestKind::command;
    request.keyRemovals = desk.keys->removals();
    request.command.emplace(desk.redactor.redact(std::move(command)));
    request.requestBinding = requestBinding(*request.command, *desk.keys);
    desk.prepare(request.command->redaction(), clock_.wall());
    request.bytes = sizeOf(request.command->redaction());
  });
}

void Ledger::append(std::string_view workspaceId, Event fact, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = resolve(workspaceId);
    if (fact.id == EntryId{}) fact.id = freshId();
    if (!isUuidV7(fact.id))
      throw Fault(ErrorCode::invalidValue, "the id of a fact must be a UUIDv7", "leave it out, or make one with the time inside", "/id");
    request.kind = RequestKind::fact;
    redactInto(request, std::move(fact));
    if (request.event->common().text(Field::source).empty()) request.event->common().setText(request.event->arena(), Field::source, "api");
  });
}

void Ledger::appendImported(std::string_view workspaceId, Event fact, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = resolve(workspaceId);
    request.kind = RequestKind::importedFact;
    redactInto(request, std::move(fact));
  });
}

void Ledger::appendOwn(WorkspaceNumber workspace, RedactedEvent event, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = workspace;
    request.kind = RequestKind::ledgerEvent;
    request.event.emplace(std::move(event));
    request.bytes = kRequestOverhead;
  });
}

void Ledger::appendOwn(WorkspaceNumber workspace, Event event, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    if (event.id == EntryId{}) event.id = freshId();
    request.workspace = workspace;
    request.kind = RequestKind::ledgerEvent;
    redactInto(request, std::move(event));
  });
}

Answer Ledger::execute(std::string_view workspaceId, Command command) {
  Waiter waiter;
  execute(workspaceId, std::move(command), waiter.completion());
  return waiter.wait();
}

Answer Ledger::append(std::string_view workspaceId, Event fact) {
  Waiter waiter;
  append(workspaceId, std::move(fact), waiter.completion());
  return waiter.wait();
}

Answer Ledger::appendOwn(WorkspaceNumber workspace, RedactedEvent event) {
  Waiter waiter;
  appendOwn(workspace, std::move(event), waiter.completion());
  return waiter.wait();
}

void Ledger::acceptClock() {
  acceptClock_ = true;
  sequencer_->wake();
}

void Ledger::inspect(const std::function<void(const PartitionState&)>& visit) {
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

void Ledger::inspectDurable(const std::function<void(const PartitionState&)>& visit) {
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

void Ledger::drain() {
  for (bool quiet = false; !quiet;) {
    inspect([&](const PartitionState&) { quiet = sequencer_->idle(); });
    if (sequencer_->status().fault) throw *sequencer_->status().fault;
  }
}

}  // namespace counterfoil::write
