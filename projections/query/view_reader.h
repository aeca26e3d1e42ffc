// Reads one workspace's view: lists, single items, read-only SQL. What the command line and the server both call.
#pragma once

#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/clock.h"
#include "projections/query/disclosures.h"
#include "projections/query/filters.h"
#include "projections/query/import_facts.h"
#include "projections/query/sql_query.h"
#include "projections/query/view_connection.h"

namespace counterfoil::query {

// Thread safe: each call takes a read-only connection of its own from a small pool, and reads one state of the view. A view that was
// rebuilt meanwhile is opened anew. Every call may throw Fault(notReady | viewDamaged) for the view, and what its arguments deserve.
class ViewReader {
 public:
  // `folder`: of the views. Nothing is opened yet; a view that is not there is a notReady of the first call.
  ViewReader(std::filesystem::path folder, WorkspaceNumber workspace);

  // {"items":[...],"next":cursor|null,"asOf":{...}}. `filters` as parseFilters() gave them. A page may hold fewer items than its limit and
  // still have a next one: what it costs is bounded. Throws badCursor.
  // `disclosures`, of lists of entries only: with personal values, for a reader who may see them. Throws then what Disclosures::of()
  // throws, and logUnavailable if the log is too slow. The view's file keeps its old pages as long as the log is read.
  std::string list(ListKind list, const Filters& filters, const PrincipalResolver& resolver, Disclosures* disclosures = nullptr);
  // Throws noSuchItem, and as above.
  std::string entry(Sequence seq, Disclosures* disclosures = nullptr);
  // Throws noSuchItem. `filters`: only at and asOf count.
  std::string lease(std::string_view id, const Filters& filters);
  std::string stats();
  // The number of a workspace by its id; only in the view of `_system`.
  std::optional<WorkspaceNumber> findWorkspace(std::string_view id);
  // Of every workspace: number and id, by number; only in the view of `_system`.
  std::vector<std::pair<WorkspaceNumber, std::string>> workspaces();
  // See import_facts.h.
  RecordedFacts findRecorded(std::span<const ImportedFact> facts);
  std::map<std::string, std::uint64_t> countCaused(std::string_view source, Sequence since);
  // Throws badQuery (docs/query.md: SQL).
  SqlAnswer query(std::string_view sql, const SqlLimits& limits, const Clock& clock);

 private:
  class Loan;
  static constexpr std::size_t kIdleMax = 4;

  const std::filesystem::path folder_;
  const WorkspaceNumber workspace_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ViewConnection>> idle_;
};

}  // namespace counterfoil::query
