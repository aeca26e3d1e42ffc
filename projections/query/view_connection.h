// One read-only connection to one workspace's view file, with what every reading needs: where the view stands, names, prepared statements.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/core/ids.h"
#include "projections/database.h"

namespace counterfoil::query {

// A statement on loan; goes back reset and without values.
class LentStatement {
 public:
  LentStatement(std::vector<Statement>& home, Statement statement) : home_(&home), statement_(std::move(statement)) {}
  LentStatement(LentStatement&& other) noexcept : home_(other.home_), statement_(std::move(other.statement_)) { other.home_ = nullptr; }
  LentStatement& operator=(LentStatement&&) = delete;
  ~LentStatement() {
    if (home_ == nullptr) return;
    statement_.reset();
    sqlite3_clear_bindings(statement_.get());
    home_->push_back(std::move(statement_));
  }
  Statement* operator->() { return &statement_; }
  Statement& operator*() { return statement_; }

 private:
  std::vector<Statement>* home_;
  Statement statement_;
};

// Which file a path names: a rebuild puts another one in its place.
struct FileIdentity {
  std::uint64_t device = 0;
  std::uint64_t inode = 0;
  std::int64_t born = 0;  // nanoseconds, where the file system knows: an inode is given again
  friend bool operator==(const FileIdentity&, const FileIdentity&) = default;
};
std::optional<FileIdentity> identityOf(const std::filesystem::path& path);

// Used by one thread at a time.
class ViewConnection {
 public:
  // Throws Fault: notReady (there is no view of this workspace yet, or it cannot be opened), viewDamaged (not a view of this workspace, or
  // of another format).
  ViewConnection(const std::filesystem::path& folder, WorkspaceNumber workspace);

  // Reads between begin() and end() see one state of the view. begin() throws databaseFault(), or viewDamaged as above.
  void begin();
  void end() noexcept;

  Database& database() { return database_; }
  const FileIdentity& identity() const { return identity_; }
  // ---- between begin() and end() ----
  // Entries folded in so far; the newest seq is one less.
  std::int64_t size() const { return size_; }
  // Digest of the view as stored (docs/views.md).
  crypto::Digest digest();
  // `sql` must be one of ours; equal texts share prepared statements.
  LentStatement statement(const std::string& sql);
  // Its tables are not there yet.
  bool isBeingMade();
  // Texts of all statements used so far, for tests of their plans.
  std::vector<std::string> preparedSql() const;
  // Makes temp.entry_word (term, ...): a row for each place in the text index where a word stands. It goes with end().
  void openWords();
  std::optional<std::int64_t> findName(std::string_view text);
  // The text of a name; valid until the next begin(). Throws Fault(viewDamaged) if there is none.
  const std::string& name(std::int64_t id);

 private:
  FileIdentity identity_;
  WorkspaceNumber workspace_;
  Database database_;
  std::map<std::string, std::vector<Statement>> statements_;
  std::unordered_map<std::int64_t, std::string> names_;
  std::int64_t size_ = 0;
};

}  // namespace counterfoil::query
