// The imports that are under way through this server: one at a time for a workspace and a source. Lives in memory only: after a restart an
// import begins anew, and the record tells what is there already.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/crypto/random.h"
#include "ledger/write/answer.h"
#include "ledger/write/import_support.h"
#include "projections/query/import_facts.h"

namespace counterfoil::server {

// An import that sent nothing for so long gives way to the next one.
inline constexpr std::int64_t kImportIdleSeconds = 30;
// Facts of one import that the view may not hold yet; more wait for it.
inline constexpr std::size_t kImportRecentMax = 100'000;

// The sources of the importers there are.
bool isImportSource(std::string_view source);

// One import, as long as a request works with it; nobody else does meanwhile. The last copy of the pointer gives it back, also from a
// thread of the ledger. All methods are thread safe.
class ImportUse {
 public:
  ~ImportUse();
  ImportUse(const ImportUse&) = delete;
  ImportUse& operator=(const ImportUse&) = delete;

  const std::string& id() const;
  const std::string& source() const;
  WorkspaceNumber workspace() const;
  // Entries from here on may be of this import.
  Sequence since() const;

  // What was answered for this id, if it was given to the ledger by this import and the view did not hold it when it was last looked at.
  std::optional<write::Receipt> recent(const EntryId& id) const;
  // Before it is given to the ledger. False: it is there already, with or without an answer.
  bool give(const EntryId& id);
  // Its answer is there. `common`: of the fact.
  void recorded(const write::Receipt& receipt, Kind kind, const std::string& producer, const write::ImportCounts& reached);
  void refused(const EntryId& id);
  // The view holds so many entries: those need not be remembered any more.
  void forgetBelow(std::uint64_t viewSize);
  // Entries that the view must hold before more may be given; nullopt: no need to wait.
  std::optional<std::uint64_t> sizeToWaitFor() const;
  write::ImportCounts countsOf(const std::string& producer) const;
  // Nobody finds it any more.
  void end();

 private:
  friend class Imports;
  struct Import;
  struct Table;
  ImportUse(std::shared_ptr<Table> table, std::shared_ptr<Import> import);
  std::shared_ptr<Table> table_;
  std::shared_ptr<Import> import_;
};

// Thread safe.
class Imports {
 public:
  // Both outlive it and every use.
  Imports(const Clock& clock, crypto::RandomSource& random);
  // A new import. Throws Fault(importRunning) while another one of this source is under way in the workspace, with when to ask again.
  std::shared_ptr<ImportUse> begin(WorkspaceNumber workspace, std::string_view source, std::string_view subject, Sequence since);
  // The import of this id, begun by `subject` in this workspace. Throws Fault: noSuchItem (ended, given way, of somebody else, or of an
  // earlier run of the server), notReady while another request works with it.
  std::shared_ptr<ImportUse> use(std::string_view id, WorkspaceNumber workspace, std::string_view subject);

 private:
  std::shared_ptr<ImportUse::Table> table_;
};

}  // namespace counterfoil::server
