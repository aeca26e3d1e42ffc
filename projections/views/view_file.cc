#include "projections/views/view_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ledger/core/check.h"
#include "ledger/core/workspace_parts.h"
#include "projections/views/sql/indexes.h"
#include "projections/views/sql/tables.h"
#include "projections/views/view_check.h"

namespace counterfoil::views {
namespace {

namespace fs = std::filesystem;

// The write-ahead log: 4 MiB and what one transaction adds. A checkpoint waits for the disk twice, so it is not done more often;
// and the logs of a thousand views are a thousand times as large as this says.
constexpr const char* kLivePragmas =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA wal_autocheckpoint = 1000;"
    "PRAGMA journal_size_limit = 4194304;"
    "PRAGMA cache_size = -512; PRAGMA temp_store = MEMORY;";
// Temporary files: what is sorted for an index is then kept in blocks as long as it fits in the cache, and goes to a file beyond; with
// temp_store = MEMORY each row of it is an allocation, without any bound.
constexpr const char* kRebuildPragmas =
    "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; PRAGMA cache_size = -16384;"
    "PRAGMA temp_store = FILE;";
// Each transaction adds a segment to the text index. Merged when eight are there and not four, as FTS5 would by itself: with ten entries a
// transaction that halves what an entry of the text index costs; looking into eight segments instead of four is not felt.
constexpr const char* kTextLive = "INSERT INTO entry_text(entry_text, rank) VALUES('automerge', 8);";
// Text index while rebuilding: large parts in memory, merged once at the end.
constexpr const char* kTextBulk =
    "INSERT INTO entry_text(entry_text, rank) VALUES('automerge', 0);"
    "INSERT INTO entry_text(entry_text, rank) VALUES('crisismerge', 1999);"
    "INSERT INTO entry_text(entry_text, rank) VALUES('hashsize', 4194304);";
constexpr const char* kTextReady =
    "INSERT INTO entry_text(entry_text) VALUES('optimize');"
    "INSERT INTO entry_text(entry_text, rank) VALUES('automerge', 8);"
    "INSERT INTO entry_text(entry_text, rank) VALUES('crisismerge', 16);"
    "INSERT INTO entry_text(entry_text, rank) VALUES('hashsize', 1048576);";
constexpr std::string_view kCacheTag =
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Views of a Counterfoil ledger: made from its log, to be left out of backups, rebuilt by `counterfoil rebuild`.\n";

const ProjectorLimits kLiveLimits{64 * 1024, 48, 256};
const ProjectorLimits kRebuildLimits{16 * 1024 * 1024, 20'000, 40'000};

fs::path rebuildPath(const fs::path& folder, WorkspaceNumber workspace) {
  return viewPath(folder, workspace).concat(".new");
}

void removeDatabase(const fs::path& path) {
  std::error_code ignored;
  for (const char* suffix : {"", "-wal", "-shm", "-journal"}) fs::remove(fs::path(path).concat(suffix), ignored);
}

[[noreturn]] void failed(const fs::path& path, const char* doing) {
  throw databaseFault(errno == ENOSPC || errno == EDQUOT ? SQLITE_FULL : SQLITE_IOERR, path.filename().string(), doing);
}

void syncPath(const fs::path& path, int flags) {
  const int file = ::open(path.c_str(), flags | O_CLOEXEC);
  if (file < 0) failed(path, "opening");
  const int result = ::fsync(file);
  ::close(file);
  if (result != 0) failed(path, "writing");
}

}  // namespace

void makeViewFolder(const fs::path& folder) {
  std::error_code problem;
  fs::create_directories(folder, problem);
  if (problem || ::chmod(folder.c_str(), 0700) != 0) failed(folder, "making");
  const fs::path tag = folder / "CACHEDIR.TAG";
  if (fs::exists(tag)) return;
  const int file = ::open(tag.c_str(), O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0600);
  if (file < 0) failed(tag, "making");
  const bool whole = ::write(file, kCacheTag.data(), kCacheTag.size()) == static_cast<ssize_t>(kCacheTag.size());
  ::close(file);
  if (!whole) failed(tag, "writing");
}

void removeView(const fs::path& folder, WorkspaceNumber workspace) {
  removeDatabase(viewPath(folder, workspace));
  removeRebuild(folder, workspace);
}

void removeRebuild(const fs::path& folder, WorkspaceNumber workspace) {
  removeDatabase(rebuildPath(folder, workspace));
}

bool removeOutdated(const ViewFileOptions& options, WorkspaceNumber workspace) {
  try {
    Database database = Database::openReadOnly(viewPath(options.folder, workspace), options.vfs);
    const auto format = database.ask("SELECT format FROM position");
    if (!format || *format == std::to_string(kViewFormat)) return false;
  } catch (const Fault&) {
    return false;
  }
  removeView(options.folder, workspace);
  return true;
}

std::unique_ptr<ViewFile> ViewFile::open(const ViewFileOptions& options, WorkspaceNumber workspace) {
  return std::unique_ptr<ViewFile>(new ViewFile(options, workspace, false, false));
}

std::unique_ptr<ViewFile> ViewFile::rebuild(const ViewFileOptions& options, WorkspaceNumber workspace, bool again) {
  return std::unique_ptr<ViewFile>(new ViewFile(options, workspace, true, again));
}

ViewFile::ViewFile(const ViewFileOptions& options, WorkspaceNumber workspace, bool rebuilding, bool again)
    : options_(options),
      workspace_(workspace),
      rebuilding_(rebuilding),
      path_(rebuilding ? rebuildPath(options.folder, workspace) : viewPath(options.folder, workspace)) {
  if (rebuilding && !again) removeDatabase(path_);
  database_.emplace(Database::create(path_, options.vfs));
  if (options.pagesMax != 0) database_->execute("PRAGMA max_page_count = " + std::to_string(options.pagesMax));
  database_->execute(rebuilding ? kRebuildPragmas : kLivePragmas);
  const bool fresh = !database_->ask("SELECT 1 FROM sqlite_schema LIMIT 1").has_value();
  if (fresh) makeTables();
  savePosition_.emplace(database_->prepare("INSERT OR REPLACE INTO position VALUES(1, ?, ?, ?, ?, ?, ?, ?)"));
  projector_.emplace(*database_, rebuilding ? kRebuildLimits : kLiveLimits);
  if (fresh) {
    projector_->start({});
    begin();
    commit();
  } else {
    if (rebuilding) database_->execute(kNameIndex);  // what the cache knew is gone
    loadPosition();
  }
}

// Tables, indexes and the first position are one transaction (but in a rebuild, which counts as a whole only).
void ViewFile::makeTables() {
  begin();
  database_->execute(kTables);
  database_->execute(kWorkingIndexes);
  if (rebuilding_) {
    database_->execute(kTextBulk);
  } else {
    database_->execute(kNameIndex);
    database_->execute(kReadingIndexes);
    database_->execute(kTextLive);
  }
  database_->execute(friendlyViews());
}

void ViewFile::loadPosition() {
  const StoredPosition stored = readPosition(*database_);
  if (stored.workspace != workspace_) {
    throw Fault(ErrorCode::viewDamaged, "a view file is that of another workspace", "run `counterfoil rebuild`");
  }
  position_ = stored.position;
  projector_->start(stored.sums);
  if (position_.size != 0 && !holds(Sequence{position_.size - 1}, position_.leaf)) {
    throw Fault(ErrorCode::viewDamaged, "a view's last entry is not the one its position names", "run `counterfoil rebuild`");
  }
}

void ViewFile::begin() {
  if (inTransaction_) return;
  database_->execute("BEGIN IMMEDIATE");
  inTransaction_ = true;
}

void ViewFile::advance(Sequence seq, const LeafHash& previous, const LeafHash& leaf, Position log) {
  if (seq.value != position_.size || previous != position_.leaf) {
    throw Fault(ErrorCode::logDamaged, "an entry does not follow the one before it in its workspace", "run `counterfoil verify`");
  }
  position_.size = seq.value + 1;
  position_.leaf = leaf;
  position_.log = log;
  ++uncommitted_;
}

void ViewFile::apply(const EntryView& view, const LeafHash& leaf, crypto::Bytes bytes, Position log) {
  if (view.workspace != workspace_ || view.recordedAt < position_.recordedAt) {
    throw Fault(ErrorCode::logDamaged, "an entry contradicts the chain it stands in", "run `counterfoil verify`");
  }
  begin();
  advance(view.seq, view.previous, leaf, log);
  projector_->apply(view, leaf, bytes, log);
  showsAnything_ = true;
  position_.recordedAt = view.recordedAt;
}

void ViewFile::applyWithheld(Sequence seq, const LeafHash& previous, const LeafHash& leaf, Position log) {
  begin();
  advance(seq, previous, leaf, log);
  projector_->applyWithheld(seq, leaf);
}

void ViewFile::commit() {
  if (!inTransaction_) return;
  projector_->flush();
  std::vector<std::uint8_t> sums;
  for (const TableSum& table : projector_->sums()) {
    const crypto::Digest bytes = table.sum.bytes();
    sums.insert(sums.end(), bytes.begin(), bytes.end());
  }
  Statement& save = *savePosition_;
  save.bindNumber(1, kViewFormat);
  save.bindNumber(2, static_cast<std::int64_t>(workspace_.value));
  save.bindNumber(3, static_cast<std::int64_t>(position_.size));
  save.bindBlob(4, position_.leaf.bytes);
  save.bindNumber(5, position_.recordedAt.nanoseconds);
  save.bindNumber(6, static_cast<std::int64_t>(position_.log.value));
  save.bindBlob(7, sums);
  save.run();
  database_->execute("COMMIT");
  inTransaction_ = false;
  uncommitted_ = 0;
  projector_->trim();
}

void ViewFile::cool() {
  if (!rebuilding_ && !inTransaction_) sqlite3_db_release_memory(database_->get());
}

void ViewFile::finish() {
  COUNTERFOIL_CHECK(rebuilding_);
  commit();
  database_->execute("PRAGMA cache_size = -65536");
  database_->execute(kNameIndex);
  database_->execute(kTextReady);
  database_->execute(kReadingIndexes);
  projector_.reset();
  savePosition_.reset();
  leafOf_.reset();
  database_.reset();
  putInPlace();
}

// The old main file goes first: beside a new one its write-ahead log would be taken for the new one's. A crash in between leaves no view,
// which is made anew.
void ViewFile::putInPlace() {
  syncPath(path_, O_RDONLY);
  const fs::path target = viewPath(options_.folder, workspace_);
  removeDatabase(target);
  if (::rename(path_.c_str(), target.c_str()) != 0) failed(target, "putting in place");
  syncPath(options_.folder, O_RDONLY | O_DIRECTORY);
}

bool ViewFile::showsMonth(std::uint64_t month) {
  commit();
  Statement any = database_->prepare("SELECT 1 FROM entry WHERE recorded_at >= ? AND recorded_at < ? LIMIT 1");
  any.bindNumber(1, endOfMonth(month - 1).nanoseconds);
  any.bindNumber(2, endOfMonth(month).nanoseconds);
  return any.step();
}

bool ViewFile::showsAnything() {
  if (!showsAnything_) showsAnything_ = database_->ask("SELECT 1 FROM content LIMIT 1").has_value();
  return *showsAnything_;
}

bool ViewFile::holds(Sequence seq, const LeafHash& leaf) {
  if (!leafOf_) leafOf_.emplace(database_->prepare("SELECT leaf FROM entry WHERE seq = ?"));
  Statement& entry = *leafOf_;
  entry.reset();
  entry.bindNumber(1, static_cast<std::int64_t>(seq.value));
  if (!entry.step()) throw Fault(ErrorCode::viewDamaged, "a view has no row for an entry it counts", "run `counterfoil rebuild`");
  const crypto::Bytes stored = entry.blob(0);
  if (std::equal(stored.begin(), stored.end(), leaf.bytes.begin(), leaf.bytes.end())) {
    entry.reset();
    return true;
  }
  // Whose leaf is wrong, the view's or the log's? The view's own content tells.
  Statement content = database_->prepare("SELECT bytes FROM content WHERE seq = ?");
  content.bindNumber(1, static_cast<std::int64_t>(seq.value));
  if (content.step()) {
    const LeafHash own = leafHash(content.blob(0));
    if (!std::equal(stored.begin(), stored.end(), own.bytes.begin(), own.bytes.end())) {
      throw Fault(ErrorCode::viewDamaged, "a view's entry does not hash to its own leaf", "run `counterfoil rebuild`");
    }
  }
  return false;
}

}  // namespace counterfoil::views
