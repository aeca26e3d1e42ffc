#include "cmd/view_session.h"

#include <boost/json/parse.hpp>
#include <chrono>
#include <thread>

#include "cmd/input.h"
#include "cmd/log_source.h"
#include "cmd/output.h"
#include "ledger/core/workspace_parts.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/redact/scanner.h"

namespace counterfoil::cmd {
namespace {

constexpr int kLockTries = 40;
constexpr std::chrono::milliseconds kLockPause{50};

// nullptr: another process keeps the views.
std::unique_ptr<log::LockFile> takeLock(const std::filesystem::path& path) {
  for (int left = kLockTries;; --left) {
    try {
      return std::make_unique<log::LockFile>(path);
    } catch (const Fault& fault) {
      if (fault.code() != ErrorCode::dataInUse) throw;
      if (left == 0) return nullptr;
    }
    std::this_thread::sleep_for(kLockPause);
  }
}

}  // namespace

ViewKeeper::ViewKeeper(Session& session) : session_(session) {
  const std::filesystem::path folder = session.config().viewsFolder();
  views::makeViewFolder(folder);
  lock_ = takeLock(folder / "lock");
  if (lock_ == nullptr) return;
  views::ViewRunnerOptions options;
  options.files.folder = folder;
  options.workers = session.config().viewWorkers;
  runner_ = std::make_unique<views::ViewSet>(session.log(), session.keyRing(), options);
}

void ViewKeeper::catchUp() {
  if (runner_ == nullptr) {
    note(session_.common(), "another process keeps the views; this is what they hold now");
    return;
  }
  const auto run = [this] {
    Progress progress(session_.common(), "views: log records", 0);
    runner_->catchUp([&](const views::ViewProgress& done) { progress.update(done.records); });
  };
  run();
  bool again = false;
  for (const auto& [workspace, status] : runner_->troubled()) {
    if (!status.fault || status.fault->code() != ErrorCode::viewDamaged) continue;
    note(session_.common(), "the view of workspace number " + std::to_string(workspace.value) + " is damaged and is made anew");
    runner_->requestRebuild(workspace);
    again = true;
  }
  if (again) run();
}

std::map<std::uint64_t, std::string> workspaceIds(const Config& config) {
  std::map<std::uint64_t, std::string> ids;
  try {
    query::ViewReader system(config.viewsFolder(), kSystemWorkspace);
    for (const auto& [number, id] : system.workspaces()) ids[number.value] = id;
  } catch (const Fault& fault) {
    if (fault.code() != ErrorCode::notReady && fault.code() != ErrorCode::viewDamaged) throw;
  }
  return ids;
}

ViewSession::ViewSession(const CommonOptions& common) : session_(common, Access::read), keeper_(session_) {
  keeper_.catchUp();
}

WorkspaceNumber ViewSession::workspace() {
  if (workspace_) return *workspace_;
  const std::string& id = session_.common().workspace;
  if (id == "_system") {
    workspace_ = kSystemWorkspace;
  } else {
    query::ViewReader system(session_.config().viewsFolder(), kSystemWorkspace);
    workspace_ = system.findWorkspace(id);
  }
  if (!workspace_)
    throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them", "--workspace");
  return *workspace_;
}

query::ViewReader& ViewSession::reader() {
  if (reader_ == nullptr) {
    const WorkspaceNumber number = workspace();
    if (keeper_.holds()) {
      if (const auto fault = keeper_.runner().status(number).fault) throw Fault(*fault);
    }
    reader_ = std::make_unique<query::ViewReader>(session_.config().viewsFolder(), number);
  }
  return *reader_;
}

query::PrincipalResolver ViewSession::resolver() {
  return [this](const std::string& person) { return resolve(person); };
}

// Who brings the views up to the log meets every key on the way.
void ViewSession::readKeys() {
  if (keeper_.holds() || keysRead_) return;
  LogSource source(session_.log(), &session_.keyRing());
  VerifyItem item;
  while (source.next(item)) {
  }
  keysRead_ = true;
}

// What was erased is shown to nobody, also while its key is still to be destroyed.
void ViewSession::forgetErased() {
  const auto keys = session_.keyRing().workspace(workspace());
  query::Filters filters;
  filters.kinds = {std::string(kindName(Kind::subjectErased))};
  filters.limit = query::kLimitMax;
  do {
    const boost::json::value page = boost::json::parse(reader().list(query::ListKind::entries, filters, {}, nullptr));
    for (const boost::json::value& item : page.at("items").as_array()) {
      const boost::json::value* const ids = item.as_object().if_contains("keyIds");
      if (ids == nullptr) continue;
      for (const boost::json::value& one : ids->as_array()) {
        const std::string_view text = one.as_string();
        for (const KeyId& id : keyIdsIn({&text, 1})) keys->forget(id);
      }
    }
    const boost::json::value& next = page.at("next");
    filters.after = next.is_string() ? std::string(next.as_string()) : std::string();
  } while (!filters.after.empty());
}

std::unique_ptr<query::Disclosures> ViewSession::disclosures() {
  readKeys();
  forgetErased();
  return std::make_unique<query::Disclosures>(session_.log(), session_.keyRing().workspace(workspace()), redact::disclose,
                                              session_.clock());
}

// As redaction does it: humans, and machines whose id is an address of a person.
std::string ViewSession::resolve(const std::string& person) {
  if (person.starts_with("ledger:")) return person;
  const PrincipalValue principal = parsePrincipal(person, "--actor");
  const bool isPerson = principal.kind == PrincipalKind::human || redact::looksLikeEmail(principal.id);
  if (!isPerson || redact::isPseudonym(principal.id)) return person;
  readKeys();
  const auto key = session_.keyRing().workspace(workspace())->findSubject(PrincipalKind::human, principal.id);
  if (key == nullptr) return {};
  return person.substr(0, person.find(':') + 1) + redact::pseudonymOf(*key);
}

}  // namespace counterfoil::cmd
