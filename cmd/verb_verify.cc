// `verify`: does the ledger hold what it says it holds? Opens the data read-only, beside a running server or not.
#include "cmd/log_source.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "cmd/verify_report.h"
#include "cmd/view_check.h"

namespace counterfoil::cmd {
namespace {

struct VerifyOptions {
  std::vector<std::string> against;
};

int verifyData(const CommonOptions& common, const VerifyOptions& options) {
  Session session(common, Access::read);
  const bool keysAtHand = session.config().hasKeyService() || std::filesystem::exists(session.config().keys / "kek");
  keys::KeyRing* ring = keysAtHand ? &session.keyRing() : nullptr;
  VerifyOutcome outcome;
  try {
    LogSource source(session.log(), ring, &session.provider());
    Progress progress(common, "verify", 0);
    outcome.report = verify(source, Strictness::lenient, [&](std::uint64_t entries) { progress.update(entries); });
  } catch (const Fault& fault) {
    if (fault.code() != ErrorCode::logDamaged && fault.code() != ErrorCode::logTruncated) throw;
    outcome.unreadable = fault;
  }
  outcome.checked = {"order", "chain", "tree"};
  (ring != nullptr ? outcome.checked : outcome.notChecked).push_back("content");
  std::uint64_t unopened = 0;
  for (const auto& [number, workspace] : outcome.report.workspaces) unopened += workspace.notChecked;
  if (ring != nullptr && unopened != 0)
    outcome.notChecked.push_back("content of " + std::to_string(unopened) + " entries whose key is not at hand");
  const bool views = options.against.empty() || std::find(options.against.begin(), options.against.end(), "views") != options.against.end();
  if (views && ring != nullptr && !outcome.unreadable) {
    checkViews(session, outcome);
  } else {
    outcome.notChecked.emplace_back("views");
  }
  printVerifyOutcome(common, outcome);
  return outcome.ok() ? 0 : 1;
}

}  // namespace

void addVerify(Verb app, Program& program) {
  Verb verb = app.verb("verify", "Check order, chains, trees, content and views of a ledger");
  addCommonFlags(verb, program.common, false);
  auto options = std::make_shared<VerifyOptions>();
  verb.option("--against", options->against, "What to hold against each other: log, views").separatedByCommas().oneOf({"log", "views"});
  verb.whenGiven([&program, options] { program.run = [&program, options] { return verifyData(program.common, *options); }; });
}

}  // namespace counterfoil::cmd
