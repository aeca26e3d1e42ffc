// The file of one workspace's view: rows, and the position they stand for, committed together.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ledger/core/entry.h"
#include "projections/database.h"
#include "projections/views/digest.h"
#include "projections/views/projector.h"
#include "projections/views/view_schema.h"

namespace counterfoil::views {

// How far a view has come.
struct ViewPosition {
  std::uint64_t size = 0;  // entries applied
  LeafHash leaf;           // of the last one
  Timestamp recordedAt;    // of the last one that could be read
  Position log;            // of the last one's record
};

struct ViewFileOptions {
  std::filesystem::path folder;  // of all views
  std::string vfs;               // tests: another SQLite VFS
  int pagesMax = 0;              // tests: a disk of so many pages; 0: none
};

// The folder with its CACHEDIR.TAG (0700), if it is not there. Throws Fault(diskFull | notReady).
void makeViewFolder(const std::filesystem::path& folder);
// The file with its companions, and what an unfinished rebuild left. Nothing there is no fault.
void removeView(const std::filesystem::path& folder, WorkspaceNumber workspace);
// Removes a view that another version of this program made: nobody can read it, and without it readers are told to come again instead of
// being told of damage. True if it did. What is damaged, or just being made, stays: who opens it for writing finds out.
bool removeOutdated(const ViewFileOptions& options, WorkspaceNumber workspace);
// Only what an unfinished rebuild left.
void removeRebuild(const std::filesystem::path& folder, WorkspaceNumber workspace);

// A view open for writing: there must be only one. One thread. On any fault the object is of no more use: what was not committed is gone.
// Faults: viewDamaged (this file), diskFull, notReady, logDamaged (the entry does not follow the one before it).
class ViewFile {
 public:
  // Live: WAL, each commit() durable against a crash of the process. The file is made if it is not there.
  static std::unique_ptr<ViewFile> open(const ViewFileOptions& options, WorkspaceNumber workspace);
  // A rebuild: `<number>.db.new`, without journal, sync and secondary indexes; nothing of it counts before finish(). `again`: the file of
  // this same rebuild, closed before; otherwise leftovers are removed.
  static std::unique_ptr<ViewFile> rebuild(const ViewFileOptions& options, WorkspaceNumber workspace, bool again);

  bool rebuilding() const { return rebuilding_; }
  const ViewPosition& position() const { return position_; }
  std::uint64_t uncommitted() const { return uncommitted_; }
  std::size_t memory() const { return projector_ ? projector_->memory() : 0; }

  // The next entry, hashed before: `leaf` is that of `bytes`, `view` read from them.
  void apply(const EntryView& view, const LeafHash& leaf, crypto::Bytes bytes, Position log);
  // The next entry, its content gone. `previous` and `leaf` from the record's header.
  void applyWithheld(Sequence seq, const LeafHash& previous, const LeafHash& leaf, Position log);
  // Rows and position, in one transaction.
  void commit();
  // Between transactions of a live view that is not expected to get another one soon: gives the memory of its pages back.
  void cool();
  // Of a rebuild: the secondary indexes and the text index in order, then fsync, and the file takes the place of the old one. Closes it.
  void finish();
  // Is there content of that month (a generation of its key)? Of a live view; commits.
  bool showsMonth(std::uint64_t month);
  // Of any month; looked up once.
  bool showsAnything();
  // An entry applied before: is this its leaf? Throws viewDamaged if its own row is broken.
  bool holds(Sequence seq, const LeafHash& leaf);

 private:
  ViewFile(const ViewFileOptions& options, WorkspaceNumber workspace, bool rebuilding, bool again);
  void makeTables();
  void loadPosition();
  void begin();
  void advance(Sequence seq, const LeafHash& previous, const LeafHash& leaf, Position log);
  void putInPlace();

  const ViewFileOptions options_;
  const WorkspaceNumber workspace_;
  const bool rebuilding_;
  const std::filesystem::path path_;
  ViewPosition position_;
  std::uint64_t uncommitted_ = 0;
  std::optional<bool> showsAnything_;
  bool inTransaction_ = false;
  std::optional<Database> database_;
  std::optional<Projector> projector_;
  std::optional<Statement> savePosition_, leafOf_;
};

}  // namespace counterfoil::views
