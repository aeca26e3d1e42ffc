#include "projections/query/view_reader.h"

#include "ledger/core/check.h"
#include "projections/query/lists.h"
#include "projections/views/view_schema.h"

namespace counterfoil::query {

// A connection in a read transaction; goes back to the pool unless reading failed.
class ViewReader::Loan {
 public:
  explicit Loan(ViewReader& reader) : reader_(reader), uncaught_(std::uncaught_exceptions()) {
    const auto identity = identityOf(views::viewPath(reader.folder_, reader.workspace_));
    {
      const std::lock_guard lock(reader.mutex_);
      while (!reader.idle_.empty() && view_ == nullptr) {
        if (identity && reader.idle_.back()->identity() == *identity) view_ = std::move(reader.idle_.back());
        reader.idle_.pop_back();
      }
    }
    if (view_ == nullptr) view_ = std::make_unique<ViewConnection>(reader.folder_, reader.workspace_);
    view_->begin();
  }
  ~Loan() {
    view_->end();
    if (std::uncaught_exceptions() > uncaught_) return;
    const std::lock_guard lock(reader_.mutex_);
    if (reader_.idle_.size() < kIdleMax) reader_.idle_.push_back(std::move(view_));
  }
  Loan(const Loan&) = delete;
  Loan& operator=(const Loan&) = delete;
  ViewConnection& operator*() { return *view_; }
  ViewConnection* operator->() { return view_.get(); }

 private:
  ViewReader& reader_;
  const int uncaught_;
  std::unique_ptr<ViewConnection> view_;
};

ViewReader::ViewReader(std::filesystem::path folder, WorkspaceNumber workspace) : folder_(std::move(folder)), workspace_(workspace) {}

std::string ViewReader::list(ListKind list, const Filters& filters, const PrincipalResolver& resolver, Disclosures* disclosures) {
  COUNTERFOIL_CHECK(disclosures == nullptr || list == ListKind::entries || list == ListKind::denials);
  const Filters resolved = resolvePersons(filters, resolver);
  Loan view(*this);
  switch (list) {
    case ListKind::entries:
    case ListKind::denials:
      return listEntries(*view, list, resolved, disclosures);
    case ListKind::leases:
      return listLeases(*view, resolved);
    default:
      return listTable(*view, list, resolved);
  }
}

std::string ViewReader::entry(Sequence seq, Disclosures* disclosures) {
  Loan view(*this);
  auto found = seq.value < static_cast<std::uint64_t>(view->size()) ? showEntry(*view, seq, disclosures) : std::nullopt;
  if (!found) throw Fault(ErrorCode::noSuchItem, "the workspace has no entry with this seq", "");
  return std::move(*found);
}

std::string ViewReader::lease(std::string_view id, const Filters& filters) {
  Loan view(*this);
  auto found = showLease(*view, id, filters);
  if (!found) throw Fault(ErrorCode::noSuchItem, "the workspace has no lease with this id", "`counterfoil lease list` shows them");
  return std::move(*found);
}

std::string ViewReader::stats() {
  Loan view(*this);
  return query::stats(*view);
}

std::optional<WorkspaceNumber> ViewReader::findWorkspace(std::string_view id) {
  Loan view(*this);
  const auto name = view->findName(id);
  if (!name) return std::nullopt;
  LentStatement find = view->statement("SELECT number FROM workspace WHERE workspace = ?1 ORDER BY number DESC LIMIT 1");
  find->bindNumber(1, *name);
  if (!find->step()) return std::nullopt;
  return WorkspaceNumber{static_cast<std::uint64_t>(find->number(0))};
}

std::vector<std::pair<WorkspaceNumber, std::string>> ViewReader::workspaces() {
  Loan view(*this);
  std::vector<std::pair<WorkspaceNumber, std::string>> result;
  LentStatement rows = view->statement("SELECT number, workspace FROM workspace ORDER BY number");
  while (rows->step()) {
    if (!rows->isNull(1)) result.emplace_back(WorkspaceNumber{static_cast<std::uint64_t>(rows->number(0))}, view->name(rows->number(1)));
  }
  return result;
}

RecordedFacts ViewReader::findRecorded(std::span<const ImportedFact> facts) {
  Loan view(*this);
  return query::findRecorded(*view, facts);
}

std::map<std::string, std::uint64_t> ViewReader::countCaused(std::string_view source, Sequence since) {
  Loan view(*this);
  return query::countCaused(*view, source, since);
}

SqlAnswer ViewReader::query(std::string_view sql, const SqlLimits& limits, const Clock& clock) {
  return runSql(folder_, workspace_, sql, limits, clock);
}

}  // namespace counterfoil::query
