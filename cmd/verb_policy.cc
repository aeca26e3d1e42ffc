// `policy set | show | test`.
#include <boost/json/parse.hpp>

#include "cmd/command_writer.h"
#include "cmd/output.h"
#include "cmd/recorder.h"
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
  return recordAndPrint(common, std::move(command));
}

struct PolicyInForce {
  std::string name;
  std::string document;
  std::uint64_t version = 0;
};

PolicyInForce readFolder(Session& session, const std::string& id) {
  const auto number = session.ledger().findWorkspace(id);
  if (!number) throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them");
  PolicyInForce policy;
  session.ledger().inspect(*number, [&](const write::PartitionState& state) {
    const WorkspaceState* workspace = state.findWorkspace(*number);
    if (workspace == nullptr) return;
    policy.name = workspace->policyName();
    policy.document = workspace->policyDocument();
    policy.version = workspace->policyVersion();
  });
  if (policy.version == 0)
    throw Fault(ErrorCode::noSuchItem, "the workspace has no policy, so every request is denied", "set one with `counterfoil policy set`");
  return policy;
}

PolicyInForce readServer(ServerLink& server) {
  HttpRequest request;
  request.target = server.target("/policy");
  const HttpAnswer answer = server.send(request);
  boost::json::error_code failed;
  const boost::json::value json = boost::json::parse(answer.body, failed);
  const auto member = [&](const char* name) { return !failed && json.is_object() ? json.get_object().if_contains(name) : nullptr; };
  const boost::json::value* name = member("name");
  const boost::json::value* document = member("document");
  const boost::json::value* version = member("version");
  if (name == nullptr || !name->is_string() || document == nullptr || !document->is_string() || version == nullptr || !version->is_int64())
    throw Fault(ErrorCode::notReady, "what answers at this URL is no server of this version", "look at the URL");
  return {std::string(name->get_string()), std::string(document->get_string()), static_cast<std::uint64_t>(version->get_int64())};
}

int showPolicy(const CommonOptions& common) {
  Recorder recorder(common);
  const PolicyInForce policy =
      recorder.server() != nullptr ? readServer(*recorder.server()) : readFolder(*recorder.session(), common.workspace);
  if (common.json) {
    std::string out;
    JsonObject object(out);
    object.text("name", policy.name).number("version", policy.version).text("document", policy.document);
    object.end();
    print(out);
  } else {
    note(common, "policy " + policy.name + ", version " + std::to_string(policy.version));
    print(policy.document);
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

void addPolicy(Verb app, Program& program) {
  Verb verb = app.verb("policy", "What is granted: set, show, test");
  verb.requireVerb();
  auto options = std::make_shared<PolicyOptions>();
  Verb setVerb = verb.verb("set", "Make a document the workspace's policy: a new version, recorded");
  addCommonFlags(setVerb, program.common, true);
  setVerb.option("file", options->file, "TOML document, - for standard input").required();
  setVerb.whenGiven([&program, options] { program.run = [&program, options] { return set(program.common, *options); }; });
  Verb showVerb = verb.verb("show", "The policy in force");
  addCommonFlags(showVerb, program.common, true);
  showVerb.whenGiven([&program] { program.run = [&program] { return showPolicy(program.common); }; });
  Verb testVerb = verb.verb("test", "What a document would decide about a request; nothing is recorded");
  addCommonFlags(testVerb, program.common, false);
  testVerb.option("--workspace,-w", program.common.workspace, "Not needed; taken for symmetry with set");
  testVerb.option("file", options->file, "TOML document").required();
  testVerb.option("--request", options->request, "JSON lease request").required();
  testVerb.whenGiven([&program, options] { program.run = [&program, options] { return test(program.common, *options); }; });
}

}  // namespace counterfoil::cmd
