// `rebuild`: makes views anew from the log, or proves that they equal what a rebuild would give.
#include <unistd.h>

#include "cmd/output.h"
#include "cmd/view_session.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "projections/views/view_check.h"

namespace counterfoil::cmd {
namespace {

struct RebuildOptions {
  bool check = false;
};

struct Rebuilt {
  std::uint64_t number = 0;
  std::string workspace;
  std::uint64_t size = 0;
  std::string digest;
  std::string difference;  // of --check: empty if there is none
};

std::optional<Rebuilt> stored(const std::filesystem::path& folder, WorkspaceNumber number) {
  const std::filesystem::path path = views::viewPath(folder, number);
  if (!std::filesystem::exists(path)) return std::nullopt;
  Database database = Database::openReadOnly(path);
  const views::StoredPosition position = views::readPosition(database);
  return Rebuilt{number.value, {}, position.position.size, toHex(position.digest()), {}};
}

// A folder for views that only serve a comparison.
class ScratchFolder {
 public:
  explicit ScratchFolder(const Config& config) : path_(config.data / ("views.check-" + std::to_string(::getpid()))) {
    views::makeViewFolder(path_);
  }
  ~ScratchFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

class Rebuild {
 public:
  explicit Rebuild(const CommonOptions& common) : common_(common), session_(common, Access::read) {}

  int makeAnew() {
    ViewKeeper keeper(session_);
    if (!keeper.holds()) {
      throw Fault(ErrorCode::dataInUse, "another process keeps the views",
                  "stop it first, or let it rebuild them; `rebuild --check` runs beside it");
    }
    if (common_.workspace.empty()) {
      keeper.runner().requestRebuildAll();
    } else {
      keeper.catchUp();
      keeper.runner().requestRebuild(numberOf(common_.workspace));
    }
    follow(keeper.runner(), "rebuild");
    for (const auto& [number, status] : keeper.runner().troubled()) {
      if (status.fault && wanted(number)) throw Fault(*status.fault);
    }
    const auto folder = session_.config().viewsFolder();
    return finish(collect(keeper.runner(), folder));
  }

  int check() {
    ViewKeeper keeper(session_);
    keeper.catchUp();
    const ScratchFolder scratch(session_.config());
    views::ViewRunnerOptions options;
    options.files.folder = scratch.path();
    options.workers = session_.config().viewWorkers;
    views::ViewSet fresh(session_.log(), session_.keyRing(), options);
    fresh.requestRebuildAll();
    follow(fresh, "rebuild --check");
    std::vector<Rebuilt> found = collect(fresh, scratch.path());
    for (Rebuilt& one : found) compare(one);
    return finish(found);
  }

 private:
  WorkspaceNumber numberOf(const std::string& id) {
    for (const auto& [number, known] : workspaceIds(session_.config())) {
      if (known == id) return WorkspaceNumber{number};
    }
    if (id == "_system") return kSystemWorkspace;
    throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them", "--workspace");
  }
  bool wanted(WorkspaceNumber number) { return common_.workspace.empty() || number == numberOf(common_.workspace); }

  void follow(views::ViewSet& runner, const char* what) {
    Progress progress(common_, what, 0);
    runner.catchUp([&](const views::ViewProgress& done) { progress.update(done.records); });
  }

  std::vector<Rebuilt> collect(views::ViewSet& runner, const std::filesystem::path& folder) {
    std::vector<Rebuilt> found;
    const auto ids = workspaceIds(session_.config());
    for (const WorkspaceNumber number : runner.workspaces()) {
      auto one = wanted(number) ? stored(folder, number) : std::nullopt;
      if (!one || one->size == 0) continue;
      const auto id = ids.find(number.value);
      one->workspace = number == kSystemWorkspace ? "_system" : id == ids.end() ? "#" + std::to_string(number.value) : id->second;
      found.push_back(std::move(*one));
    }
    return found;
  }

  // Who writes beside us may have moved on: only equal lengths can be compared.
  void compare(Rebuilt& fresh) {
    const auto live = stored(session_.config().viewsFolder(), WorkspaceNumber{fresh.number});
    if (!live) {
      fresh.difference = "there is no view";
    } else if (live->size != fresh.size) {
      fresh.difference = "the view holds " + std::to_string(live->size) + " entries, a rebuild " + std::to_string(fresh.size);
      moved_ = true;
    } else if (live->digest != fresh.digest) {
      fresh.difference = "the view's digest is " + live->digest;
      differs_ = true;
    }
    if (!live) differs_ = true;
  }

  int finish(const std::vector<Rebuilt>& found) {
    if (common_.json) {
      std::string list = "[";
      for (const Rebuilt& one : found) {
        if (list.size() > 1) list += ',';
        JsonObject object(list);
        object.text("workspace", one.workspace).number("seq", one.size - 1).text("digest", one.digest);
        if (!one.difference.empty()) object.text("difference", one.difference);
        object.end();
      }
      std::string out;
      JsonObject object(out);
      object.raw("workspaces", list + "]");
      object.end();
      print(out);
    } else {
      Table table({"WORKSPACE", "SEQ", "DIGEST", ""});
      for (const Rebuilt& one : found) table.row({one.workspace, std::to_string(one.size - 1), one.digest, one.difference});
      table.print(common_);
    }
    if (differs_) return 1;
    return moved_ ? factsOf(ErrorCode::notReady).exitStatus : 0;
  }

  const CommonOptions common_;
  Session session_;
  bool differs_ = false;
  bool moved_ = false;
};

}  // namespace

void addRebuild(Verb app, Program& program) {
  Verb verb = app.verb("rebuild", "Make the views anew from the log");
  addCommonFlags(verb, program.common, false);
  verb.option("--workspace,-w", program.common.workspace, "Only this one");
  auto options = std::make_shared<RebuildOptions>();
  verb.flag("--check", options->check, "Change nothing: rebuild beside the views and compare their digests");
  verb.whenGiven([&program, options] {
    program.run = [&program, options] {
      Rebuild rebuild(program.common);
      return options->check ? rebuild.check() : rebuild.makeAnew();
    };
  });
}

}  // namespace counterfoil::cmd
