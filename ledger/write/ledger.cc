#include "ledger/write/ledger.h"

#include <algorithm>
#include <future>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/redact/scanner.h"
#include "ledger/write/key_renewals.h"
#include "ledger/write/request_binding.h"
#include "ledger/write/retention.h"

namespace counterfoil::write {
namespace {

// A request in the queue: its values, and what the queue itself needs.
constexpr std::size_t kRequestOverhead = 512;
constexpr std::size_t kWrappedKeyBytes = 256;  // of which some 150 go into the log

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

// Of each partition, however many there are: room for the largest request.
constexpr std::size_t kPartitionIntakeBytesMin = 2 * limits::kRecordBytesMax;

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
    : log_(eventLog), clock_(clock), random_(random), ring_(provider, random) {
  numbers_["_system"] = kSystemWorkspace;
  const std::uint32_t count = log_.partitions();
  LedgerPartitionOptions each;
  each.sequencer = options.sequencer;
  each.sequencer.erased = &erased_;
  each.sequencer.intakeBytesMax = std::max(options.sequencer.intakeBytesMax / count, kPartitionIntakeBytesMin);
  each.snapshotEveryEntries = options.snapshotEveryEntries;
  each.follow = options.follow;
  const PartitionId ofSystem = log_.partitionOf(kSystemWorkspace);
  for (std::uint32_t index = 0; index < count; ++index) {
    const PartitionId partition{index};
    if (!options.snapshots.empty()) each.snapshot = snapshotPath(options.snapshots, partition);
    each.sequencer.recordedElsewhere = nullptr;
    if (partition != ofSystem) each.sequencer.recordedElsewhere = [this] { return partitionOf(kSystemWorkspace).lastRecordedAt(); };
    partitions_.push_back(std::make_unique<LedgerPartition>(log_, partition, ring_, known_, clock_, random_, each));
  }
  partition(ofSystem).onWorkspaceCreated([this](const NewWorkspace& workspace) { remember(workspace); });
}

Ledger::~Ledger() {
  try {
    stop();
  } catch (const Fault&) {
    // A snapshot that cannot be written costs the next start some time; whoever wants to know calls stop().
  }
}

LedgerPartition& Ledger::partition(PartitionId id) const {
  return *partitions_[id.value];
}

LedgerPartition& Ledger::partitionOf(WorkspaceNumber number) const {
  return partition(log_.partitionOf(number));
}

// That of `_system` first: its keys open the others' snapshots, and it knows their workspaces.
std::vector<LedgerPartition*> Ledger::systemFirst() const {
  std::vector<LedgerPartition*> all{&partitionOf(kSystemWorkspace)};
  for (const auto& each : partitions_) {
    if (each.get() != all.front()) all.push_back(each.get());
  }
  return all;
}

void Ledger::start(const std::function<void(const std::string&)>& note) {
  for (LedgerPartition* each : systemFirst()) each->start(note);
  renewals_ = std::make_unique<KeyRenewals>(*this, clock_);
}

void Ledger::remember(const NewWorkspace& workspace) {
  const std::unique_lock lock(mutex_);
  if (numbers_.contains(workspace.id)) return;
  // Before anybody can ask for it: its chain must begin before the first request.
  LedgerPartition& home = partitionOf(workspace.number);
  if (&home != &partitionOf(kSystemWorkspace)) home.expect(workspace);
  numbers_[workspace.id] = workspace.number;
}

void Ledger::stop() {
  renewals_.reset();
  const std::vector<LedgerPartition*> all = systemFirst();
  for (LedgerPartition* each : all) each->tellToStop();
  for (LedgerPartition* each : all) each->waitUntilStopped();
  std::optional<Fault> first;
  for (LedgerPartition* each : all) {
    try {
      each->close();
    } catch (const Fault& fault) {
      if (!first) first = fault;
    }
  }
  if (first) throw Fault(*first);
}

SequencerStatus Ledger::status() const {
  SequencerStatus all = partitionOf(kSystemWorkspace).sequencer().status();
  for (const auto& each : partitions_) {
    if (each.get() == &partitionOf(kSystemWorkspace)) continue;
    const SequencerStatus one = each->sequencer().status();
    all.ready = all.ready && one.ready;
    all.leading = all.leading && one.leading;
    all.clockPaused = all.clockPaused || one.clockPaused;
    all.takeOvers += one.takeOvers;
    all.liveLeases += one.liveLeases;
    all.rememberedLeases += one.rememberedLeases;
    all.owedTerminals += one.owedTerminals;
    all.owedRenewals += one.owedRenewals;
    if (one.fault && (!all.fault || (one.fatal && !all.fatal))) {
      all.fault = one.fault;
      all.fatal = one.fatal;
    }
  }
  return all;
}

std::optional<Fault> Ledger::renewalTrouble() const {
  return renewals_ ? renewals_->trouble() : std::nullopt;
}

std::size_t Ledger::intakeBytes() const {
  std::size_t bytes = 0;
  for (const auto& each : partitions_) bytes += each->sequencer().intakeBytes();
  return bytes;
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

EntryId Ledger::freshId(WorkspaceNumber workspace) {
  return makeUuidV7(partitionOf(workspace).sequencer().approximateTime(), random_.bytes<10>());
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
  Sequencer& sequencer = partitionOf(request.workspace).sequencer();
  sequencer.submit(std::move(request));
}

void Ledger::redactInto(Request& request, Event fact) {
  Desk& desk = deskOf(request.workspace);
  request.keyRemovals = desk.keys->removals();
  request.event.emplace(desk.redactor.redact(std::move(fact)));
  desk.prepare(request.event->redaction(), clock_.wall());
  request.bytes = sizeOf(request.event->redaction());
}

// Of a command about a person: the pseudonym takes the place of the person's own id, so that nothing new is kept of it, and the key is
// named. Only keys that are on the record count: one that a refused request left behind may be gone tomorrow.
void Ledger::findPerson(Command& command, Desk& desk) const {
  if (!command.body.has(Field::keyId)) return;
  const PrincipalValue subject = principalOf(command.body, Field::subject);
  const bool bySubject = subject.kind != PrincipalKind::unspecified;
  const std::string_view pseudonym = command.body.text(Field::pseudonym);
  if (bySubject && !pseudonym.empty()) {
    throw Fault(ErrorCode::invalidValue, "subject and pseudonym are two names of one person", "send one of them", "/pseudonym");
  }
  if (!bySubject && pseudonym.empty()) {
    if (command.kind == CommandKind::holdPlace) return;  // of the whole workspace
    throw Fault(ErrorCode::invalidValue, "nobody is named", "send subject, or the pseudonym that entries show", "/subject");
  }
  // As redaction has it.
  if (bySubject && subject.kind != PrincipalKind::human && !redact::looksLikeEmail(subject.id)) {
    throw Fault(ErrorCode::invalidValue, "the subject is no person: machines have no keys of their own", "persons are of kind human",
                "/subject");
  }
  auto key = bySubject ? desk.keys->findSubject(PrincipalKind::human, subject.id) : desk.keys->findSubjectByPseudonym(pseudonym);
  if (key != nullptr && !desk.keys->isCarried(key->id())) key = nullptr;
  if (key != nullptr) {
    command.body.setText(command.arena, Field::pseudonym, redact::pseudonymOf(*key));
    command.body.setText(command.arena, Field::keyId, toHex(key->id().bytes));
  } else if (command.kind == CommandKind::holdPlace) {
    throw Fault(ErrorCode::noSuchItem, "no key of this person is known here",
                "nothing was ever recorded of the person in this workspace, or it was erased");
  }
  command.body.at(Field::subject) = {};
}

void Ledger::execute(std::string_view workspaceId, Command command, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    const bool ofSystem = command.kind == CommandKind::workspaceCreate || command.kind == CommandKind::workspaceErase;
    request.workspace = ofSystem ? kSystemWorkspace : resolve(workspaceId);
    if (command.id == EntryId{}) command.id = freshId(request.workspace);
    if (!isUuidV7(command.id))
      throw Fault(ErrorCode::invalidValue, "the id of a request must be a UUIDv7", "leave it out, or make one with the time inside", "/id");
    Desk& desk = deskOf(request.workspace);
    request.kind = RequestKind::command;
    // Before any key is looked up: one that goes after this is noticed.
    request.keyRemovals = desk.keys->removals();
    findPerson(command, desk);
    request.command.emplace(desk.redactor.redact(std::move(command)));
    request.requestBinding = requestBinding(*request.command, *desk.keys);
    desk.prepare(request.command->redaction(), clock_.wall());
    request.bytes = sizeOf(request.command->redaction());
  });
}

void Ledger::append(std::string_view workspaceId, Event fact, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = resolve(workspaceId);
    if (fact.id == EntryId{}) fact.id = freshId(request.workspace);
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
    if (event.id == EntryId{}) event.id = freshId(workspace);
    request.workspace = workspace;
    request.kind = RequestKind::ledgerEvent;
    redactInto(request, std::move(event));
  });
}

void Ledger::appendKeys(WorkspaceNumber workspace, std::vector<keys::WrappedKey> wrapped, std::uint64_t drops, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = workspace;
    request.kind = RequestKind::keys;
    request.keyDrops = drops;
    request.bytes = kRequestOverhead + wrapped.size() * kWrappedKeyBytes;
    request.wrapped = std::move(wrapped);
  });
}

void Ledger::carryState(WorkspaceNumber workspace, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = workspace;
    request.kind = RequestKind::carry;
    request.bytes = kRequestOverhead;
  });
}

void Ledger::endWorkspace(WorkspaceNumber workspace, Completion done) {
  prepared(std::move(done), [&](Request& request) {
    request.workspace = workspace;
    request.kind = RequestKind::end;
    request.bytes = kRequestOverhead;
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

void Ledger::appendKeys(WorkspaceNumber workspace, std::vector<keys::WrappedKey> wrapped, std::uint64_t drops) {
  Waiter waiter;
  appendKeys(workspace, std::move(wrapped), drops, waiter.completion());
  static_cast<void>(waiter.wait());
}

void Ledger::carryState(WorkspaceNumber workspace) {
  Waiter waiter;
  carryState(workspace, waiter.completion());
  static_cast<void>(waiter.wait());
}

void Ledger::endWorkspace(WorkspaceNumber workspace) {
  Waiter waiter;
  endWorkspace(workspace, waiter.completion());
  static_cast<void>(waiter.wait());
}

void Ledger::refuseWhileHeld(std::string_view workspaceId) {
  const auto number = findWorkspace(workspaceId);
  if (!number) return;
  bool held = false;
  inspect(*number, [&](const PartitionState& state) {
    const WorkspaceState* workspace = state.findWorkspace(*number);
    held = workspace != nullptr && isHeld(*workspace, std::max(clock_.wall(), workspace->head().lastRecordedAt));
  });
  if (held) throw Fault(ErrorCode::holdInForce, "a hold forbids to erase this workspace", "`hold list` shows who placed it and until when");
}

void Ledger::acceptClock() {
  for (const auto& each : partitions_) each->acceptClock();
}

void Ledger::inspect(PartitionId which, const std::function<void(const PartitionState&)>& visit) {
  partition(which).inspect(visit);
}

void Ledger::inspectDurable(PartitionId which, const std::function<void(const PartitionState&)>& visit) {
  partition(which).inspectDurable(visit);
}

void Ledger::drain() {
  // What one partition records may give another something to do: a new workspace its chain.
  for (LedgerPartition* each : systemFirst()) each->drain();
  renewals_->finish();
  for (LedgerPartition* each : systemFirst()) each->drain();
}

}  // namespace counterfoil::write
