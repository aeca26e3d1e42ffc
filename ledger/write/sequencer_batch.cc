// Building one batch: what is due, then what was asked.
#include <algorithm>

#include "ledger/core/check.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/ruling.h"
#include "ledger/keys/newest_forms.h"
#include "ledger/write/retention.h"
#include "ledger/write/sequencer.h"

namespace counterfoil::write {
namespace {

// An id for entries that only time or the ledger itself causes.
EntryId freshId(Timestamp now, crypto::RandomSource& random) {
  return makeUuidV7(now, random.bytes<10>());
}

// What a record of this entry needs: the keys it was redacted with, and the one it is sealed under.
std::vector<KeyId> keysOf(const Entry& entry, keys::WorkspaceKeys& workspaceKeys) {
  std::vector<KeyId> used = entry.redaction().keysUsed;
  used.push_back(workspaceKeys.logKey(entry.recordedAt())->id);
  // The key of snapshots must be in the log before a snapshot is sealed with it.
  if (entry.seq().value == 0) used.push_back(workspaceKeys.stateKey()->id);
  return used;
}

}  // namespace

void Sequencer::buildBatch(Timestamp now) {
  auto batch = std::make_unique<Batch>();
  keysLacking_ = false;
  recordJump(*batch, now);
  recordOverloads(*batch, now);
  finishCreations(*batch, now);
  addDue(*batch, now);
  for (Request& request : intake_.take(options_.batchRequestsMax, options_.batchBytesMax)) addRequest(*batch, std::move(request), now);
  batch->mark = state_.endBatch();
  count(changed_);
  changed_.clear();
  if (!batch->records.empty()) {
    append(std::move(batch));
    return;
  }
  // Repeats and first ends only: they are durable as soon as everything before them is.
  if (batch->waiting.empty()) return;
  if (outstanding_ == 0) {
    for (Waiting& waiting : batch->waiting) waiting.done(&waiting.answer, nullptr);
    return;
  }
  append(std::move(batch));
}

void Sequencer::whenDurable(Completion done) {
  const Answer nothing;
  if (outstanding_ == 0) {
    done(&nothing, nullptr);
    return;
  }
  auto batch = std::make_unique<Batch>();
  batch->mark = state_.endBatch();
  batch->waiting.push_back({std::move(done), nothing, EntryId{}, false});
  append(std::move(batch));
}

void Sequencer::append(std::unique_ptr<Batch> batch) {
  ++outstanding_;
  std::vector<log::NewRecord> records;
  records.swap(batch->records);
  auto shared = std::make_shared<std::unique_ptr<Batch>>(std::move(batch));
  writer_->append(std::move(records), [this, shared](const log::AppendResult& outcome) {
    if (outcome.outcome == log::AppendOutcome::appended) {
      // Before the callers know: their next request may be for the new workspace.
      for (const NewWorkspace& workspace : (*shared)->created) {
        if (created_) created_(workspace);
      }
      for (const auto& [number, id] : (*shared)->erased) ring_.workspace(number)->forget(id);
      for (const WorkspaceNumber number : (*shared)->gone) ring_.workspace(number)->forgetAll();
      for (Waiting& waiting : (*shared)->waiting) waiting.done(&waiting.answer, nullptr);
    }
    {
      const std::lock_guard lock(mutex_);
      results_.push_back({std::move(*shared), outcome});
    }
    work_.notify_one();
  });
}

Answer Sequencer::record(Batch& batch, WorkspaceState& workspace, std::vector<RedactedEvent> events, Timestamp now, bool underWindow) {
  const auto workspaceKeys = ring_.workspace(workspace.number());
  ChainHead head = workspace.head();
  std::vector<Entry> entries;
  entries.reserve(events.size());
  for (RedactedEvent& event : events) entries.push_back(chain(std::move(event), workspace.number(), now, random_.bytes<16>(), head));
  std::vector<KeyId> allUsed;
  for (const Entry& entry : entries) {
    const std::vector<KeyId> used = keysOf(entry, *workspaceKeys);
    allUsed.insert(allUsed.end(), used.begin(), used.end());
  }
  // The first record brings what all of them need: either every new key is carried or, by Fault, none.
  std::vector<keys::WrappedKey> newKeys = workspaceKeys->carry(allUsed);
  if (!newKeys.empty()) {
    std::vector<KeyId> ids;
    for (const keys::WrappedKey& key : newKeys) ids.push_back(key.keyId);
    batch.keys.emplace_back(workspaceKeys, std::move(ids));
  }
  // Nothing has changed so far; from here on nothing may fail but for defects: the provider of keys is not asked again.
  state_.touch(workspace);
  attention_.insert(workspace.number());
  if (changed_.empty() || changed_.back() != workspace.number()) changed_.push_back(workspace.number());
  Answer answer;
  for (std::size_t index = 0; index < entries.size(); ++index) {
    const Entry& entry = entries[index];
    const Answer each = state_.applyEntry(entry, underWindow && index == 0 ? entry.redaction().requestDigest : crypto::Digest{});
    if (index == 0) {
      answer = each;
    } else if (each.lease) {
      answer.lease = each.lease;
    }
    if (entry.view().kind() == Kind::subjectErased) {
      for (const KeyId& id : erasedKeys(entry.view().body)) batch.erased.emplace_back(workspace.number(), id);
    }
    if (isLastWord(entry.view())) batch.gone.push_back(workspace.number());
    if (entry.view().kind() == Kind::stateCarried) {
      for (const KeyId& id : keyIdsOf(workspace.retention().doomed)) batch.erased.emplace_back(workspace.number(), id);
    }
    const auto logKey = workspaceKeys->logKey(entry.recordedAt());
    log::NewRecord record;
    record.kind = log::RecordKind::entry;
    record.workspace = entry.workspace();
    record.seq = entry.seq();
    record.previous = entry.previous();
    record.leaf = entry.leaf();
    record.value = keys::sealRecord(entry, *logKey, newKeys, random_.bytes<crypto::kAeadNonceSize>());
    newKeys.clear();
    batch.bytes += record.value.size();
    log::RecordHeader header;
    header.kind = record.kind;
    header.workspace = record.workspace;
    header.seq = record.seq;
    header.previous = record.previous;
    header.leaf = record.leaf;
    batch.headers.push_back(header);
    batch.records.push_back(std::move(record));
  }
  return answer;
}

bool Sequencer::recordOwn(Batch& batch, WorkspaceState& workspace, RedactedEvent event, Timestamp now) {
  std::vector<RedactedEvent> events;
  events.push_back(std::move(event));
  try {
    record(batch, workspace, std::move(events), now, false);
    return true;
  } catch (const Fault&) {
    // A key that was ready had to be wrapped anew, for the key-encryption key was replaced in between, and that could not be done.
    keysLacking_ = true;
    return false;
  }
}

// ---- what is due ----

bool Sequencer::keysReady(WorkspaceState& workspace, Timestamp now) {
  try {
    const auto workspaceKeys = ring_.workspace(workspace.number());
    const KeyId logKey = workspaceKeys->logKey(std::max(now, workspace.head().lastRecordedAt))->id;
    workspaceKeys->prepare({&logKey, 1});
    return true;
  } catch (const Fault&) {
    // Whoever asked for something is told by its own request; what only time asks for waits.
    keysLacking_ = true;
    return false;
  }
}

void Sequencer::addDue(Batch& batch, Timestamp now) {
  std::size_t left = options_.duePerBatchMax;
  const auto recordOwed = [&](WorkspaceState& workspace) {
    while (left > 0 && workspace.hasOwed() && keysReady(workspace, now) && recordOwn(batch, workspace, owedEnd(workspace), now)) --left;
  };
  // False: it is due, and the keys for it are not to be had.
  const auto recordDue = [&](WorkspaceState& workspace, LeaseSlot slot) {
    auto event = dueEnd(workspace, slot, now);
    if (!event) return true;
    if (!keysReady(workspace, now) || !recordOwn(batch, workspace, std::move(*event), now)) return false;
    --left;
    return true;
  };
  // Only what changed since the last look can owe something new; what a batch had no room for stays on the list.
  std::vector<WorkspaceNumber> look(attention_.begin(), attention_.end());
  for (const WorkspaceNumber number : look) recordOwed(state_.workspace(number));
  if (ledgerClock_->paused()) return;
  while (left > 0 && !state_.timers().empty() && state_.timers().next().time <= now) {
    const Timer timer = state_.timers().pop();
    WorkspaceState& workspace = state_.workspace(timer.workspace);
    if (!workspace.timerCounts(timer.slot, timer.stamp)) continue;
    if (workspace.lease(timer.slot).reported) {
      attention_.insert(timer.workspace);  // ends by its producer's watermark, below
      continue;
    }
    if (!recordDue(workspace, timer.slot)) {
      state_.timers().arm({{now.nanoseconds + kNanosecondsPerSecond}, timer.workspace, timer.slot, timer.stamp});
      continue;
    }
    recordOwed(workspace);
  }
  std::vector<LeaseSlot> due;
  look.assign(attention_.begin(), attention_.end());
  for (const WorkspaceNumber number : look) {
    if (left == 0) return;
    WorkspaceState& workspace = state_.workspace(number);
    due.clear();
    workspace.collectReportedDue(now, left, due);
    if (!std::all_of(due.begin(), due.end(), [&](LeaseSlot slot) { return recordDue(workspace, slot); })) continue;
    if (left > 0 && !workspace.hasOwed()) attention_.erase(number);
  }
}

void Sequencer::recordJump(Batch& batch, Timestamp now) {
  // Only where `_system` is can its entry be made. Each partition's clock sees the same jump; that of `_system` tells of it.
  if (!holdsSystem()) ledgerClock_->takeJump();
  const auto jump = holdsSystem() && keysReady(state_.workspace(kSystemWorkspace), now) ? ledgerClock_->takeJump() : std::nullopt;
  if (jump) {
    RedactedEvent event = RedactedEvent::ofLedger(Kind::clockJumped, freshId(now, random_));
    event.body().setTime(Field::from, jump->from);
    event.body().setTime(Field::to, jump->to);
    event.body().setFlag(Field::paused, jump->paused);
    event.body().setFlag(Field::accepted, !jump->paused);
    recordOwn(batch, state_.workspace(kSystemWorkspace), std::move(event), now);  // nothing replaces the keys of `_system`
  }
  tellClock(now);
}

void Sequencer::recordOverloads(Batch& batch, Timestamp now) {
  for (Overload& overload : intake_.takeOverloads()) {
    if (!state_.workspace(overload.workspace).erased()) overloads_.push_back(std::move(overload));
  }
  while (!overloads_.empty() && keysReady(state_.workspace(overloads_.front().workspace), now)) {
    const Overload& overload = overloads_.front();
    RedactedEvent event = RedactedEvent::ofLedger(Kind::intakeOverloaded, freshId(now, random_));
    Arena& arena = event.arena();
    event.body().setTime(Field::from, overload.from);
    event.body().setTime(Field::to, overload.to);
    std::vector<StructValue> counts;
    const StructTable& table = *event.body().table->find(Field::refused)->structure;
    for (const auto& [name, count] : overload.refused) {
      StructValue item = makeStruct(arena, table);
      item.setText(arena, Field::name, name);
      item.setNumber(Field::count, count);
      counts.push_back(item);
    }
    event.body().setStructures(arena, Field::refused, counts);
    if (!recordOwn(batch, state_.workspace(overload.workspace), std::move(event), now)) return;
    overloads_.pop_front();
  }
}

// ---- what was asked ----

namespace {

// A command whose person was erased compares as the same: nobody can tell any more who was meant. What it repeats was an erasure, too.
bool isOfErased(const Request& request, const Answer& first) {
  return request.command && request.command->kind() == CommandKind::subjectErase &&
         request.command->body().text(Field::pseudonym).empty() &&
         (first.kind == Kind::subjectErased || first.kind == Kind::approvalRequested);
}

}  // namespace

bool Sequencer::answerRepeat(Batch& batch, Request& request, Timestamp now) {
  if (const std::optional<WindowEntry> first = state_.window().find(request.id())) {
    const bool same = first->requestDigest == request.redaction().requestDigest || isOfErased(request, first->answer);
    if (first->workspace != request.workspace || !same) {
      throw Fault(ErrorCode::idempotencyConflict, "another request had this id",
                  "use a fresh UUIDv7 for each request, and the same one for its repeats", "/id");
    }
    Waiting waiting{std::move(request.done), first->answer, request.id(), true};
    waiting.answer.replayed = true;
    batch.waiting.push_back(std::move(waiting));
    return true;
  }
  const Timestamp time = uuidV7Time(request.id());
  if (time <= state_.window().floor(now)) {
    throw Fault(ErrorCode::idTooOld, "the time inside the id is older than repeats are remembered for",
                "make a fresh UUIDv7; if this repeats an old request, look the entry up by its id first", "/id");
  }
  if (time.nanoseconds > now.nanoseconds + limits::kIdAheadSeconds * kNanosecondsPerSecond) {
    throw Fault(ErrorCode::invalidValue, "the time inside the id is more than 60 seconds ahead of the ledger's clock",
                "check the caller's clock", "/id");
  }
  return false;
}

void Sequencer::checkKeys(const Request& request) {
  const auto workspaceKeys = ring_.workspace(request.workspace);
  if (workspaceKeys->removals() == request.keyRemovals) return;
  if (request.command && request.command->body().has(Field::keyId)) {
    const std::string_view person = request.command->body().text(Field::keyId);
    for (const KeyId& id : keyIdsIn({&person, 1})) {
      if (!workspaceKeys->usable(id)) throw Fault(ErrorCode::noSuchItem, "the person was erased meanwhile");
    }
  }
  const std::vector<KeyId>& used = request.redaction().keysUsed;
  if (std::all_of(used.begin(), used.end(), [&](const KeyId& id) { return workspaceKeys->usable(id); })) return;
  throw Fault(ErrorCode::logUnavailable,
              "a key that this entry was redacted with is gone: the log refused an earlier entry, or a person was erased",
              "ask again with the same id");
}

void Sequencer::addRequest(Batch& batch, Request request, Timestamp now) {
  std::optional<KeyId> newKey;
  try {
    if (request.kind == RequestKind::keys) return addKeys(batch, request);
    if (request.kind == RequestKind::carry) return addCarried(batch, request, now);
    if (request.kind == RequestKind::end) return addEnd(batch, request, now);
    const bool underWindow = request.kind == RequestKind::command || request.kind == RequestKind::fact;
    if (underWindow && answerRepeat(batch, request, now)) return;
    checkKeys(request);
    if (request.command && request.command->kind() == CommandKind::workspaceCreate) {
      createWorkspace(batch, request, now);
      return;
    }
    WorkspaceState& workspace = workspaceFor(batch, request, now);
    const EntryId id = request.id();
    std::vector<RedactedEvent> events;
    Ruling ruling;
    if (request.command) {
      const std::string grantee(request.command->granteeForPolicy());
      RulingContext context;
      context.recordedAt = std::max(now, workspace.head().lastRecordedAt);
      context.granteeId = grantee;
      context.requestBinding = request.requestBinding;
      ruling = rule(workspace, std::move(*request.command), context);
      events = std::move(ruling.entries);
      if (!events.empty() && events.front().kind() == Kind::keyRotated) {
        newKey = newFingerprint(events.front(), *ring_.workspace(workspace.number()));
      }
    } else if (request.kind == RequestKind::ledgerEvent) {
      events.push_back(std::move(*request.event));
    } else {
      events.push_back(completeFact(workspace, std::move(*request.event), now));
    }
    Answer answer;
    const bool recorded = !events.empty();
    if (recorded) {
      answer = record(batch, workspace, std::move(events), now, underWindow);
    } else {
      const Lease* lease = workspace.findLease(ruling.leaseId);
      if (lease != nullptr) answer.lease = summaryOf(*lease);
    }
    batch.waiting.push_back({std::move(request.done), std::move(answer), id, recorded});
  } catch (const Fault& fault) {
    // Or the next secret would bring a generation that nobody asked for.
    if (newKey) ring_.workspace(request.workspace)->forget(*newKey);
    request.done(nullptr, &fault);
  }
}

// What one record of keys holds stays far below what the log takes for one.
void Sequencer::addKeys(Batch& batch, Request& request) {
  const auto workspaceKeys = ring_.workspace(request.workspace);
  // One that was dropped since must not come to life again by this record, while another took its place.
  if (workspaceKeys->drops() != request.keyDrops) {
    throw Fault(ErrorCode::logUnavailable, "keys were dropped while they were wrapped anew", "collect them again");
  }
  log::NewRecord record;
  record.kind = log::RecordKind::keys;
  record.workspace = request.workspace;
  record.value = keys::keysRecord(request.wrapped);
  COUNTERFOIL_CHECK(record.value.size() <= limits::kRecordBytesMax);
  batch.bytes += record.value.size();
  log::RecordHeader header;
  header.kind = record.kind;
  header.workspace = record.workspace;
  batch.headers.push_back(header);
  batch.records.push_back(std::move(record));
  batch.waiting.push_back({std::move(request.done), Answer{}, EntryId{}, false});
}

void Sequencer::addCarried(Batch& batch, Request& request, Timestamp now) {
  WorkspaceState& workspace = workspaceFor(batch, request, now);
  const Timestamp recordedAt = std::max(now, workspace.head().lastRecordedAt);
  // By the ledger's clock: one that leapt destroys nothing.
  const MonthKeys due = monthsDue(workspace, *ring_.workspace(workspace.number()), recordedAt);
  if (due.empty()) {
    batch.waiting.push_back({std::move(request.done), Answer{}, EntryId{}, false});
    return;
  }
  // Before anything is done for it: other workspaces wait.
  if (workspace.rememberedLeases() > limits::kCarriedLeasesMax) {
    throw Fault(ErrorCode::tooLarge, "a workspace has too many leases for a month of it to be destroyed now",
                "it is tried again until fewer than 250,000 live or ended in the last 24 hours");
  }
  std::vector<RedactedEvent> events = carriedEvents(workspace.carriedState(due, recordedAt), freshId(now, random_));
  Answer answer = record(batch, workspace, std::move(events), now, false);
  batch.waiting.push_back({std::move(request.done), std::move(answer), EntryId{}, false});
}

void Sequencer::addEnd(Batch& batch, Request& request, Timestamp now) {
  constexpr std::size_t kEndsAtOnce = 1'000;
  WorkspaceState& workspace = state_.workspace(request.workspace);
  if (!workspace.erased() && workspace.head().size() != 0 && !isHeld(workspace, now)) {
    std::vector<RedactedEvent> events = endOfWorkspace(workspace, kEndsAtOnce, freshId(now, random_));
    for (RedactedEvent& event : events) {
      const LeaseSlot slot = workspace.slotOf(event.body().text(Field::leaseId));
      // One that an earlier end of these brought with it has its own.
      if (slot != kNoLease && (workspace.lease(slot).cause != 0 || isEnded(workspace.lease(slot).state))) continue;
      if (!recordOwn(batch, workspace, std::move(event), now)) break;
    }
  }
  batch.waiting.push_back({std::move(request.done), Answer{}, EntryId{}, false});
}

std::optional<KeyId> Sequencer::newFingerprint(RedactedEvent& event, keys::WorkspaceKeys& workspaceKeys) {
  if (event.body().text(Field::purpose) != kFingerprintPurpose) return std::nullopt;
  const auto key = workspaceKeys.nextFingerprint();
  event.body().setNumber(Field::generation, key->generation());
  event.body().setText(event.arena(), Field::keyId, toHex(key->id().bytes));
  event.redaction().keysUsed.push_back(key->id());
  return key->id();
}

void Sequencer::learnKeys() {
  // What was read stays known; asked for again while the same log is read, only what was added since is looked at.
  std::unique_ptr<log::PartitionReader> learner = std::move(learner_);
  if (learner == nullptr) learner = log_.read(partition_, state_.durable());
  keys::NewestForms forms;
  log::ValidRecord record;
  while (learner->next(record)) {
    if (record.kind == log::RecordKind::keys) forms.add(record.workspace, record.value);
  }
  forms.applyTo(ring_);
  learner_ = std::move(learner);
}

void Sequencer::createWorkspace(Batch& batch, Request& request, Timestamp now) {
  WorkspaceState& system = state_.workspace(kSystemWorkspace);
  const std::string id(request.command->body().text(Field::workspaceId));
  const std::string region(request.command->body().text(Field::region));
  if (id == "_system" || system.allocated().contains(id)) {
    throw Fault(ErrorCode::alreadyExists, "a workspace of this id exists", "choose another id; ids are never given twice", "/id");
  }
  const EntryId entryId = request.id();
  const std::uint64_t number = system.nextNumber();
  if (isHere({number})) {
    // The chain's first keys before its number is given away: without them it could not begin.
    const auto firstKeys = ring_.workspace({number});
    firstKeys->prepare(std::vector<KeyId>{firstKeys->logKey(now)->id, firstKeys->stateKey()->id});
  }
  RedactedEvent event = RedactedEvent::ofLedger(Kind::workspaceCreated, entryId);
  Arena& arena = event.arena();
  event.common().setText(arena, Field::source, "api");
  setPrincipal(arena, event.common(), Field::actor, principalOf(request.command->common(), Field::actor));
  event.body().setText(arena, Field::workspaceId, id);
  event.body().setNumber(Field::number, number);
  event.body().setNumber(Field::partition, log_.partitionOf({number}).value);
  event.body().setText(arena, Field::region, region);
  event.redaction() = request.command->redaction();
  std::vector<RedactedEvent> events;
  events.push_back(std::move(event));
  Answer answer = record(batch, system, std::move(events), now, true);
  // In another partition the chain is begun by whoever writes there, once this entry is durable.
  NewWorkspace created{id, {number}, region};
  if (isHere(created.number)) beginChain(batch, created, now);
  batch.created.push_back(std::move(created));
  answer.workspaceNumber = number;
  batch.waiting.push_back({std::move(request.done), std::move(answer), entryId, true});
}

WorkspaceState& Sequencer::workspaceFor(Batch& batch, const Request& request, Timestamp now) {
  WorkspaceState& workspace = state_.workspace(request.workspace);
  if (workspace.erased()) {
    throw Fault(ErrorCode::workspaceClosed, "the workspace was erased", "its number and head are all that is left of it");
  }
  if (workspace.head().size() != 0 || workspace.number() == kSystemWorkspace) return workspace;
  // Allocated since this batch was begun, perhaps.
  finishCreations(batch, now);
  if (workspace.head().size() != 0) return workspace;
  if (notBegun_.contains(workspace.number())) {
    throw Fault(ErrorCode::notReady, "the workspace's chain could not be begun yet", "ask again with the same id");
  }
  throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`workspace list` shows them");
}

void Sequencer::finishCreations(Batch& batch, Timestamp now) {
  // Creation is two entries, and a crash may have come between them, or the second one belongs to another partition: numbers that were
  // allocated but whose chain has no seq 0 yet.
  takeExpected();
  if (!unfinished_) return;
  unfinished_ = false;
  const auto begin = [&](const NewWorkspace& workspace) {
    try {
      beginChain(batch, workspace, now);
      return true;
    } catch (const Fault&) {
      unfinished_ = true;  // its keys cannot be had now; nothing has changed
      return false;
    }
  };
  const auto hasChain = [&](WorkspaceNumber number) {
    const WorkspaceState* workspace = state_.findWorkspace(number);
    return workspace != nullptr && workspace->head().size() != 0;
  };
  std::erase_if(notBegun_, [&](WorkspaceNumber number) { return hasChain(number) || begin(allocatedElsewhere_.at(number)); });
  if (!holdsSystem()) return;
  for (const auto& [id, allocation] : state_.workspace(kSystemWorkspace).allocated()) {
    NewWorkspace workspace{id, {allocation.number}, allocation.region};
    if (isHere(workspace.number) && !hasChain(workspace.number) && begin(workspace)) batch.created.push_back(std::move(workspace));
  }
}

void Sequencer::beginChain(Batch& batch, const NewWorkspace& workspace, Timestamp now) {
  RedactedEvent event = RedactedEvent::ofLedger(Kind::workspaceCreated, derivedId(EntryId{}, workspace.id, 1));
  event.body().setText(event.arena(), Field::workspaceId, workspace.id);
  event.body().setNumber(Field::number, workspace.number.value);
  event.body().setText(event.arena(), Field::region, workspace.region);
  std::vector<RedactedEvent> events;
  events.push_back(std::move(event));
  record(batch, state_.workspace(workspace.number), std::move(events), now, false);
}

}  // namespace counterfoil::write
