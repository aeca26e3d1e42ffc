#include "cmd/import_run.h"

#include "ledger/core/encoding.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/redact/fingerprint.h"

namespace counterfoil::cmd {
namespace {

constexpr std::size_t kOutstandingMax = 4'000;

}  // namespace

ImportRun::ImportRun(Session& session, std::string source) : session_(session), source_(std::move(source)) {
  const auto number = session_.ledger().findWorkspace(session_.common().workspace);
  if (!number) {
    throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "make it first: `counterfoil workspace create ID`");
  }
  workspace_ = *number;
  loadRecordedIds();
}

// Visits the workspace's entries from `from` on, as they stand in the log.
template <class Visit>
static void forEachEntry(Session& session, WorkspaceNumber workspace, std::uint64_t from, const Visit& visit) {
  const auto reader = session.log().read(PartitionId{0}, log::FoldState{});
  const auto workspaceKeys = session.keyRing().workspace(workspace);
  log::ValidRecord record;
  keys::OpenedRecord opened;
  Arena arena;
  while (reader->next(record)) {
    if (record.kind != log::RecordKind::entry || record.workspace != workspace || record.seq.value < from) continue;
    if (keys::openRecord(*workspaceKeys, record.seq, record.leaf, record.value, opened) != keys::OpenOutcome::opened) continue;
    EntryView view;
    arena.reset();
    if (readEntry(opened.entry, Strictness::lenient, arena, view) == nullptr) visit(view);
  }
}

void ImportRun::loadRecordedIds() {
  // Ids of importers are unique in the workspace for good, so what is there already is asked of the record itself.
  forEachEntry(session_, workspace_, 0, [&](const EntryView& view) {
    if (view.entry.text(Field::source) == source_) recordedIds_.insert(view.id);
  });
}

importers::KnownLease ImportRun::knownLease() {
  return [this](const crypto::Digest& credential) -> std::optional<std::string> {
    const auto workspaceKeys = session_.keyRing().workspace(workspace_);
    const auto texts = redact::fingerprintTexts(*workspaceKeys, credential);
    std::optional<std::string> found;
    session_.ledger().inspect([&](const write::PartitionState& state) {
      const WorkspaceState* workspace = state.findWorkspace(workspace_);
      for (const std::string& text : texts) {
        const LeaseSlot slot = workspace->slotOfFingerprint(text);
        if (slot == kNoLease || unpackTerms(workspace->lease(slot).terms).source != source_) continue;
        found = workspace->lease(slot).id;
        return;
      }
    });
    return found;
  };
}

void ImportRun::waitUntilBelow(std::size_t outstanding) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return outstanding_ <= outstanding; });
}

void ImportRun::submit(importers::ImportedEvent imported) {
  Event& event = imported.event;
  if (recordedIds_.contains(event.id)) {
    const std::lock_guard lock(mutex_);
    ++result_.duplicates;
    return;
  }
  ProducerCount& producer = producers_[std::string(event.common.text(Field::producer))];
  ++producer.kinds[std::string(kindName(event.kind))];
  producer.lastOccurredAt = std::max(producer.lastOccurredAt, event.common.time(Field::occurredAt));
  producer.lastProducerSeq = std::max(producer.lastProducerSeq, event.common.number(Field::producerSeq));
  waitUntilBelow(kOutstandingMax);
  {
    const std::lock_guard lock(mutex_);
    ++outstanding_;
  }
  session_.ledger().appendImported(session_.common().workspace, std::move(event), [this](const write::Answer*, const Fault* fault) {
    const std::lock_guard lock(mutex_);
    --outstanding_;
    if (fault == nullptr) {
      ++result_.recorded;
    } else {
      ++result_.failed;
      ++result_.refusals[std::string(factsOf(fault->code()).text)];
    }
    changed_.notify_one();
  });
}

void ImportRun::finishProducers() {
  for (const auto& [id, producer] : producers_) {
    RedactedEvent event = RedactedEvent::ofLedger(Kind::importFinished, session_.ledger().freshId());
    Arena& arena = event.arena();
    StructValue& body = event.body();
    body.setText(arena, Field::producer, id);
    body.setText(arena, Field::source, source_);
    std::vector<StructValue> counts;
    const StructTable& table = *body.table->find(Field::counts)->structure;
    for (const auto& [kind, count] : producer.kinds) {
      StructValue item = makeStruct(arena, table);
      item.setText(arena, Field::name, kind);
      item.setNumber(Field::count, count);
      counts.push_back(item);
    }
    body.setStructures(arena, Field::counts, counts);
    body.setTime(Field::lastOccurredAt, producer.lastOccurredAt);
    body.setNumber(Field::lastProducerSeq, producer.lastProducerSeq);
    session_.ledger().appendOwn(workspace_, std::move(event));
  }
}

void ImportRun::countEntries(ImportResult& result, std::uint64_t from) {
  forEachEntry(session_, workspace_, from, [&](const EntryView& view) { ++result.byKind[kindName(view.kindNumber)]; });
}

ImportResult ImportRun::run(importers::Importer& importer) {
  std::uint64_t from = 0;
  session_.ledger().inspect([&](const write::PartitionState& state) { from = state.findWorkspace(workspace_)->head().size(); });
  importers::ImportedEvent event;
  while (importer.next(event)) submit(std::move(event));
  waitUntilBelow(0);
  ImportResult result;
  {
    const std::lock_guard lock(mutex_);
    result = result_;
  }
  if (result.recorded > 0) {
    finishProducers();
    session_.ledger().drain();
    countEntries(result, from);
  }
  return result;
}

}  // namespace counterfoil::cmd
