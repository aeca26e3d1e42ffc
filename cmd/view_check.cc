#include "cmd/view_check.h"

#include "cmd/output.h"
#include "cmd/view_session.h"
#include "ledger/core/encoding.h"
#include "projections/views/view_check.h"

namespace counterfoil::cmd {
namespace {

class ViewComparison {
 public:
  ViewComparison(Session& session, VerifyOutcome& outcome, bool kept) : session_(session), outcome_(outcome), kept_(kept) {}

  void compare(WorkspaceNumber number, const VerifiedWorkspace& verified) {
    const std::filesystem::path path = views::viewPath(session_.config().viewsFolder(), number);
    const std::uint64_t size = verified.tree.size();
    if (!std::filesystem::exists(path)) {
      if (size != 0) problem(number, 0, "there is no view", std::to_string(size) + " entries", "none");
      return;
    }
    try {
      const views::ViewCheck check = views::checkView(path);
      for (const std::string& text : check.problems) problem(number, 0, text, {}, {});
      compareHead(number, path, check.stored.position, verified);
    } catch (const Fault& fault) {
      problem(number, 0, fault.detail(), "a view that can be read", std::string(factsOf(fault.code()).text));
    }
  }
  void problem(WorkspaceNumber number, std::uint64_t seq, std::string what, std::string expected, std::string found) {
    outcome_.problems.push_back({"views", number.value, seq, std::move(what), std::move(expected), std::move(found)});
  }

 private:
  void compareHead(WorkspaceNumber number, const std::filesystem::path& path, const views::ViewPosition& position,
                   const VerifiedWorkspace& verified) {
    const std::uint64_t size = verified.tree.size();
    if (size == 0) return;
    // Whoever keeps the views may be a moment behind, or already past what the verifier read.
    if (position.size < size) {
      if (kept_) return problem(number, position.size, "the view ends before the log", std::to_string(size), std::to_string(position.size));
      outcome_.notChecked.push_back("views of workspace number " + std::to_string(number.value) + " behind seq " +
                                    std::to_string(position.size));
      return;
    }
    Database database = Database::openReadOnly(path);
    Statement entry = database.prepare("SELECT leaf FROM entry WHERE seq = ?1");
    entry.bindNumber(1, static_cast<std::int64_t>(size - 1));
    const std::string found = entry.step() ? toHex(entry.blob(0)) : "none";
    const std::string expected = toHex(verified.last.bytes);
    if (found != expected) problem(number, size - 1, "the view holds another entry than the log", expected, found);
  }

  Session& session_;
  VerifyOutcome& outcome_;
  const bool kept_;
};

}  // namespace

void checkViews(Session& session, VerifyOutcome& outcome) {
  ViewKeeper keeper(session);
  keeper.catchUp();
  ViewComparison comparison(session, outcome, keeper.holds());
  if (keeper.holds()) {
    for (const auto& [number, status] : keeper.runner().troubled()) {
      if (status.fault)
        comparison.problem(number, status.size, status.fault->detail(), {}, std::string(factsOf(status.fault->code()).text));
    }
  }
  Progress progress(session.common(), "verify: views", outcome.report.workspaces.size());
  std::uint64_t done = 0;
  for (const auto& [number, verified] : outcome.report.workspaces) {
    comparison.compare(WorkspaceNumber{number}, verified);
    progress.update(++done);
  }
  for (const auto& [number, id] : workspaceIds(session.config())) outcome.workspaceIds.emplace(number, id);
  outcome.checked.emplace_back("views");
}

}  // namespace counterfoil::cmd
