// `policy set | show | test`.
#include "cmd/command_writer.h"
#include "cmd/output.h"
#include "cmd/session.h"
#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/core/policy.h"
#include "ledger/core/policy_trial.h"

namespace counterfoil::cmd {
namespace {

struct PolicyOptions {
  std::string file;
  std::string request;
};

int set(const CommonOptions& common, const PolicyOptions& options) {
  const crypto::SecretBytes document = readAll(options.file, limits::kPolicyBytesMax);
  static_cast<void>(Policy::parse(document.text()));  // a fault here names line and key, before the ledger is opened
  Command command = Command::make(CommandKind::policySet);
  command.body.setText(command.arena, Field::document, document.text());
  Session session(common, Access::write);
  const write::Answer answer = session.execute(std::move(command));
  session.close();
  return printAnswer(common, answer);
}

int show(const CommonOptions& common) {
  Session session(common, Access::write);
  const auto number = session.ledger().findWorkspace(common.workspace);
  if (!number) throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them");
  std::string name;
  std::string document;
  std::uint64_t version = 0;
  session.ledger().inspect([&](const write::PartitionState& state) {
    const WorkspaceState* workspace = state.findWorkspace(*number);
    if (workspace == nullptr) return;
    name = workspace->policyName();
    document = workspace->policyDocument();
    version = workspace->policyVersion();
  });
  if (version == 0)
    throw Fault(ErrorCode::noSuchItem, "the workspace has no policy, so every request is denied", "set one with `counterfoil policy set`");
  if (common.json) {
    std::string out;
    JsonObject object(out);
    object.text("name", name).number("version", version).text("document", document);
    object.end();
    print(out);
  } else {
    note(common, "policy " + name + ", version " + std::to_string(version));
    print(document);
  }
  return 0;
}

// What would be decided; nothing is recorded.
int test(const CommonOptions& common, const PolicyOptions& options) {
  const crypto::SecretBytes document = readAll(options.file, limits::kPolicyBytesMax);
  const crypto::SecretBytes body = readAll(options.request, limits::kJsonBodyBytesMax);
  const Policy policy = Policy::parse(document.text());
  const Command command = parseCommand(CommandKind::leaseRequest, body.text());
  const PolicyDecision decision = tryPolicy(policy, command);
  if (common.json) {
    print(decisionJson(decision));
  } else {
    print(decision.allowed ? "would be granted" : "would be denied: " + std::string(textOf(decision.reason)));
    print(visible(decision.explanation));
  }
  return decision.allowed ? 0 : 1;
}

}  // namespace

void addPolicy(CLI::App& app, Program& program) {
  CLI::App* verb = app.add_subcommand("policy", "What is granted: set, show, test");
  verb->require_subcommand(1);
  auto options = std::make_shared<PolicyOptions>();
  CLI::App* setVerb = verb->add_subcommand("set", "Make a document the workspace's policy: a new version, recorded");
  addCommonFlags(*setVerb, program.common, true);
  setVerb->add_option("file", options->file, "TOML document, - for standard input")->required();
  setVerb->callback([&program, options] { program.run = [&program, options] { return set(program.common, *options); }; });
  CLI::App* showVerb = verb->add_subcommand("show", "The policy in force");
  addCommonFlags(*showVerb, program.common, true);
  showVerb->callback([&program] { program.run = [&program] { return show(program.common); }; });
  CLI::App* testVerb = verb->add_subcommand("test", "What a document would decide about a request; nothing is recorded");
  addCommonFlags(*testVerb, program.common, false);
  testVerb->add_option("--workspace,-w", program.common.workspace, "Not needed; taken for symmetry with set");
  testVerb->add_option("file", options->file, "TOML document")->required();
  testVerb->add_option("--request", options->request, "JSON lease request")->required();
  testVerb->callback([&program, options] { program.run = [&program, options] { return test(program.common, *options); }; });
}

}  // namespace counterfoil::cmd
