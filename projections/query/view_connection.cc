#include "projections/query/view_connection.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "projections/views/view_check.h"
#include "projections/views/view_schema.h"

namespace counterfoil::query {
namespace {

constexpr std::size_t kNamesMax = 8'192;

Fault noViewYet() {
  return Fault(ErrorCode::notReady, "there is no view of this workspace yet",
               "it is made when views catch up with the log: run `counterfoil rebuild`");
}

Database openView(const std::filesystem::path& path) {
  if (!identityOf(path)) throw noViewYet();
  return Database::openReadOnly(path);
}

}  // namespace

std::optional<FileIdentity> identityOf(const std::filesystem::path& path) {
  struct statx facts {};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &facts) != 0) return std::nullopt;
  FileIdentity identity{std::uint64_t{facts.stx_dev_major} << 32 | facts.stx_dev_minor, facts.stx_ino, 0};
  if ((facts.stx_mask & STATX_BTIME) != 0) {
    identity.born = facts.stx_btime.tv_sec * kNanosecondsPerSecond + facts.stx_btime.tv_nsec;
  }
  return identity;
}

ViewConnection::ViewConnection(const std::filesystem::path& folder, WorkspaceNumber workspace)
    : identity_(identityOf(views::viewPath(folder, workspace)).value_or(FileIdentity{})),
      workspace_(workspace),
      database_(openView(views::viewPath(folder, workspace))) {
  database_.execute("PRAGMA query_only = ON; PRAGMA cache_size = -2048");
}

void ViewConnection::begin() {
  if (names_.size() > kNamesMax) names_.clear();
  database_.execute("BEGIN");
  try {
    LentStatement position = statement("SELECT format, workspace, size FROM position");
    if (!position->step() || position->number(0) != views::kViewFormat ||
        position->number(1) != static_cast<std::int64_t>(workspace_.value)) {
      throw Fault(ErrorCode::viewDamaged, "the view file " + database_.file() + " is not a view of this workspace in this version's form",
                  "run `counterfoil rebuild`; views are made from the log and hold nothing of their own");
    }
    size_ = position->number(2);
  } catch (const Fault&) {
    end();
    if (isBeingMade()) throw noViewYet();
    throw;
  } catch (...) {
    end();
    throw;
  }
}

// The file of a new view is there before its tables are.
bool ViewConnection::isBeingMade() {
  LentStatement tables = statement("SELECT count(*) FROM sqlite_schema");
  return tables->step() && tables->number(0) == 0;
}

void ViewConnection::openWords() {
  // Names the index and holds nothing; undone with the transaction.
  database_.execute("PRAGMA query_only = OFF");
  database_.execute("CREATE VIRTUAL TABLE IF NOT EXISTS temp.entry_word USING fts5vocab(main, entry_text, instance)");
  database_.execute("PRAGMA query_only = ON");
}

void ViewConnection::end() noexcept {
  sqlite3_exec(database_.get(), "ROLLBACK", nullptr, nullptr, nullptr);
}

crypto::Digest ViewConnection::digest() {
  return views::readPosition(database_).digest();
}

LentStatement ViewConnection::statement(const std::string& sql) {
  std::vector<Statement>& home = statements_[sql];
  if (home.empty()) return {home, database_.prepare(sql)};
  Statement statement = std::move(home.back());
  home.pop_back();
  return {home, std::move(statement)};
}

std::vector<std::string> ViewConnection::preparedSql() const {
  std::vector<std::string> texts;
  for (const auto& [sql, statements] : statements_) texts.push_back(sql);
  return texts;
}

std::optional<std::int64_t> ViewConnection::findName(std::string_view text) {
  LentStatement find = statement("SELECT id FROM name WHERE text = ?1");
  find->bindText(1, text);
  if (!find->step()) return std::nullopt;
  return find->number(0);
}

const std::string& ViewConnection::name(std::int64_t id) {
  const auto known = names_.find(id);
  if (known != names_.end()) return known->second;
  LentStatement find = statement("SELECT text FROM name WHERE id = ?1");
  find->bindNumber(1, id);
  if (!find->step()) {
    throw Fault(ErrorCode::viewDamaged, "the view file " + database_.file() + " lacks a name that its rows use",
                "run `counterfoil rebuild`");
  }
  return names_.emplace(id, std::string(find->text(0))).first->second;
}

}  // namespace counterfoil::query
