// The views beside an opened data folder: brought up to the log before they are read, by one process at a time.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "cmd/session.h"
#include "ledger/log/lock_file.h"
#include "projections/query/view_reader.h"
#include "projections/view_set.h"

namespace counterfoil::cmd {

// Keeps the views while it lives, if no other process does: the lock is `views/lock`. The session must outlive it.
class ViewKeeper {
 public:
  // Waits a little for another short reader; if the views stay another process' business, holds() is false and what is there is read.
  explicit ViewKeeper(Session& session);
  bool holds() const { return runner_ != nullptr; }
  // Of a keeper that holds.
  views::ViewSet& runner() { return *runner_; }
  // Everything the log holds, with progress; a view that is damaged is made anew. Throws the log's faults. Nothing if holds() is false.
  void catchUp();

 private:
  Session& session_;
  std::unique_ptr<log::LockFile> lock_;
  std::unique_ptr<views::ViewSet> runner_;
};

// What a reading verb starts with: opens the data read-only, beside a writer or not, and catches up.
class ViewSession {
 public:
  explicit ViewSession(const CommonOptions& common);

  Session& session() { return session_; }
  // The number of --workspace, from the view of `_system`. Throws Fault(noSuchItem).
  WorkspaceNumber workspace();
  // Of that workspace. Throws the fault that its view stands still with.
  query::ViewReader& reader();
  // Persons as the record knows them, while their keys exist.
  query::PrincipalResolver resolver();
  // Personal values of that workspace, for one page: who can read the keys folder may see them, and nothing records it.
  std::unique_ptr<query::Disclosures> disclosures();

 private:
  std::string resolve(const std::string& person);
  void readKeys();
  void forgetErased();

  Session session_;
  ViewKeeper keeper_;
  std::optional<WorkspaceNumber> workspace_;
  std::unique_ptr<query::ViewReader> reader_;
  bool keysRead_ = false;
};

// Ids of all workspaces by number, as far as the view of `_system` knows them; empty if there is none.
std::map<std::uint64_t, std::string> workspaceIds(const Config& config);

}  // namespace counterfoil::cmd
