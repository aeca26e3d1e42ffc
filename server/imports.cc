#include "server/imports.h"

#include <algorithm>
#include <array>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"

namespace counterfoil::server {
namespace {

constexpr std::array<std::string_view, 2> kSources = {"import/cloudtrail", "import/vault"};

// Of an import that nobody goes on with nothing is kept.
constexpr std::int64_t kForgottenSeconds = 600;

using Place = std::pair<std::uint64_t, std::string>;  // workspace, source

}  // namespace

bool isImportSource(std::string_view source) {
  return std::find(kSources.begin(), kSources.end(), source) != kSources.end();
}

struct ImportUse::Import {
  std::string id, source, subject;
  WorkspaceNumber workspace;
  Sequence since;
  bool busy = true;            // guarded by the table's mutex, as the next one
  std::int64_t lastUseAt = 0;  // monotonic

  std::mutex mutex;  // guards what follows
  // Facts given to the ledger; without a receipt while their answer is outstanding.
  std::unordered_map<EntryId, std::optional<write::Receipt>, IdHash<EntryId>> recent;
  std::deque<std::pair<std::uint64_t, EntryId>> bySeq;  // those with a receipt, nearly in order
  std::map<std::string, write::ImportCounts, std::less<>> producers;
};

struct ImportUse::Table {
  const Clock& clock;
  crypto::RandomSource& random;
  std::mutex mutex;
  std::map<Place, std::shared_ptr<Import>> imports;
};

// ---- ImportUse ----

ImportUse::ImportUse(std::shared_ptr<Table> table, std::shared_ptr<Import> import) : table_(std::move(table)), import_(std::move(import)) {}

ImportUse::~ImportUse() {
  const std::int64_t now = table_->clock.monotonicNanoseconds();
  const std::lock_guard lock(table_->mutex);
  import_->busy = false;
  import_->lastUseAt = now;
}

const std::string& ImportUse::id() const {
  return import_->id;
}

const std::string& ImportUse::source() const {
  return import_->source;
}

WorkspaceNumber ImportUse::workspace() const {
  return import_->workspace;
}

Sequence ImportUse::since() const {
  return import_->since;
}

std::optional<write::Receipt> ImportUse::recent(const EntryId& id) const {
  const std::lock_guard lock(import_->mutex);
  const auto found = import_->recent.find(id);
  return found == import_->recent.end() ? std::nullopt : found->second;
}

bool ImportUse::give(const EntryId& id) {
  const std::lock_guard lock(import_->mutex);
  return import_->recent.try_emplace(id).second;
}

void ImportUse::recorded(const write::Receipt& receipt, Kind kind, const std::string& producer, const write::ImportCounts& reached) {
  const std::lock_guard lock(import_->mutex);
  import_->recent[receipt.id] = receipt;
  import_->bySeq.emplace_back(receipt.seq.value, receipt.id);
  write::ImportCounts& counts = import_->producers[producer];
  ++counts.kinds[std::string(kindName(kind))];
  counts.lastOccurredAt = std::max(counts.lastOccurredAt, reached.lastOccurredAt);
  counts.lastProducerSeq = std::max(counts.lastProducerSeq, reached.lastProducerSeq);
}

void ImportUse::refused(const EntryId& id) {
  const std::lock_guard lock(import_->mutex);
  import_->recent.erase(id);
}

void ImportUse::forgetBelow(std::uint64_t viewSize) {
  const std::lock_guard lock(import_->mutex);
  while (!import_->bySeq.empty() && import_->bySeq.front().first < viewSize) {
    import_->recent.erase(import_->bySeq.front().second);
    import_->bySeq.pop_front();
  }
}

std::optional<std::uint64_t> ImportUse::sizeToWaitFor() const {
  const std::lock_guard lock(import_->mutex);
  if (import_->bySeq.size() < kImportRecentMax) return std::nullopt;
  return import_->bySeq[import_->bySeq.size() / 2].first + 1;
}

write::ImportCounts ImportUse::countsOf(const std::string& producer) const {
  const std::lock_guard lock(import_->mutex);
  const auto found = import_->producers.find(producer);
  return found == import_->producers.end() ? write::ImportCounts{} : found->second;
}

void ImportUse::end() {
  const std::lock_guard lock(table_->mutex);
  const auto found = table_->imports.find({import_->workspace.value, import_->source});
  if (found != table_->imports.end() && found->second == import_) table_->imports.erase(found);
}

// ---- Imports ----

Imports::Imports(const Clock& clock, crypto::RandomSource& random) : table_(new ImportUse::Table{clock, random, {}, {}}) {}

std::shared_ptr<ImportUse> Imports::begin(WorkspaceNumber workspace, std::string_view source, std::string_view subject, Sequence since) {
  const std::int64_t now = table_->clock.monotonicNanoseconds();
  const auto import = std::make_shared<ImportUse::Import>();
  import->id = toUuid(makeUuidV7(table_->clock.wall(), table_->random.bytes<10>()));
  import->source = source;
  import->subject = subject;
  import->workspace = workspace;
  import->since = since;
  const std::lock_guard lock(table_->mutex);
  std::erase_if(table_->imports, [&](const auto& item) {
    return !item.second->busy && now - item.second->lastUseAt > kForgottenSeconds * kNanosecondsPerSecond;
  });
  std::shared_ptr<ImportUse::Import>& place = table_->imports[{workspace.value, std::string(source)}];
  if (place != nullptr) {
    const std::int64_t idleSeconds = (now - place->lastUseAt) / kNanosecondsPerSecond;
    if (place->busy || idleSeconds < kImportIdleSeconds) {
      throw Fault(ErrorCode::importRunning, "another import of this source is under way in the workspace",
                  "one runs at a time; one that has sent nothing for " + std::to_string(kImportIdleSeconds) + " s gives way")
          .askAgainAfter(1);
    }
  }
  place = import;
  return std::shared_ptr<ImportUse>(new ImportUse(table_, import));
}

std::shared_ptr<ImportUse> Imports::use(std::string_view id, WorkspaceNumber workspace, std::string_view subject) {
  const std::lock_guard lock(table_->mutex);
  const auto found = std::find_if(table_->imports.begin(), table_->imports.end(), [&](const auto& item) {
    return item.second->id == id && item.second->workspace == workspace && item.second->subject == subject;
  });
  if (found == table_->imports.end()) {
    throw Fault(ErrorCode::noSuchItem, "there is no such import under way", "begin it anew: what is recorded stays, and is known again",
                "import");
  }
  if (found->second->busy) {
    throw Fault(ErrorCode::notReady, "another request of this import is still under way", "one at a time; ask again").askAgainAfter(1);
  }
  found->second->busy = true;
  return std::shared_ptr<ImportUse>(new ImportUse(table_, found->second));
}

}  // namespace counterfoil::server
