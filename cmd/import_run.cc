#include "cmd/import_run.h"

#include "ledger/keys/record_cipher.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/write/import_support.h"

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
  const auto reader = session.log().read(session.log().partitionOf(workspace), log::FoldState{});
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
    session_.ledger().inspect(workspace_, [&](const write::PartitionState& state) {
      found = write::reportedLeaseOf(*state.findWorkspace(workspace_), texts, source_);
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
  write::ImportCounts& producer = producers_[std::string(event.common.text(Field::producer))];
  producer.reached(event.common);
  if (recordedIds_.contains(event.id)) {
    const std::lock_guard lock(mutex_);
    ++result_.duplicates;
    return;
  }
  ++producer.kinds[std::string(kindName(event.kind))];
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

bool ImportRun::finishProducers() {
  bool any = false;
  for (const auto& [id, producer] : producers_) {
    bool unfinished = false;
    session_.ledger().inspect(workspace_, [&, &name = id](const write::PartitionState& state) {
      unfinished = write::isUnfinished(*state.findWorkspace(workspace_), source_, name);
    });
    if (!unfinished) continue;
    session_.ledger().appendOwn(workspace_, write::importFinished(source_, id, producer, session_.ledger().freshId(workspace_)));
    any = true;
  }
  return any;
}

void ImportRun::countEntries(ImportResult& result, std::uint64_t from) {
  forEachEntry(session_, workspace_, from, [&](const EntryView& view) { ++result.byKind[kindName(view.kindNumber)]; });
}

ImportResult ImportRun::run(importers::Importer& importer) {
  std::uint64_t from = 0;
  session_.ledger().inspect(workspace_, [&](const write::PartitionState& state) { from = state.findWorkspace(workspace_)->head().size(); });
  importers::ImportedEvent event;
  while (importer.next(event)) submit(std::move(event));
  waitUntilBelow(0);
  ImportResult result;
  {
    const std::lock_guard lock(mutex_);
    result = result_;
  }
  // An import that broke off behind its last fact has recorded everything but the end: the next one does it.
  if (finishProducers()) {
    session_.ledger().drain();
    countEntries(result, from);
  }
  return result;
}

}  // namespace counterfoil::cmd
