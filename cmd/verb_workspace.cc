// `workspace create | list | show | close`.
#include "cmd/output.h"
#include "cmd/session.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil::cmd {
namespace {

struct WorkspaceOptions {
  std::string id;
  std::string region;
};

struct WorkspaceFacts {
  std::string id;
  std::uint64_t number = 0;
  std::string region;
  bool closed = false;
  std::uint64_t entries = 0;
  std::uint64_t liveLeases = 0;
  std::string policy;
  std::string root;
};

std::vector<WorkspaceFacts> collect(Session& session) {
  std::vector<WorkspaceFacts> result;
  const auto known = session.ledger().workspaces();
  session.ledger().inspect([&](const write::PartitionState& state) {
    for (const auto& [id, number] : known) {
      const WorkspaceState* workspace = state.findWorkspace(number);
      if (workspace == nullptr) continue;
      WorkspaceFacts facts;
      facts.id = id;
      facts.number = number.value;
      facts.region = workspace->region();
      facts.closed = workspace->closed();
      facts.entries = workspace->head().size();
      facts.liveLeases = workspace->liveLeases();
      if (workspace->policyVersion() != 0) facts.policy = workspace->policyName() + " v" + std::to_string(workspace->policyVersion());
      facts.root = toHex(workspace->head().tree.root());
      result.push_back(facts);
    }
  });
  return result;
}

std::string factsJson(const WorkspaceFacts& facts) {
  std::string out;
  JsonObject object(out);
  object.text("id", facts.id).number("number", facts.number);
  if (!facts.region.empty()) object.text("region", facts.region);
  object.text("state", facts.closed ? "closed" : "open")
      .number("size", facts.entries)
      .text("root", facts.root)
      .number("liveLeases", facts.liveLeases);
  if (!facts.policy.empty()) object.text("policy", facts.policy);
  object.end();
  return out;
}

int list(const CommonOptions& common) {
  Session session(common, Access::write);
  Table table({"WORKSPACE", "NUMBER", "STATE", "ENTRIES", "LIVE LEASES", "POLICY"});
  for (const WorkspaceFacts& facts : collect(session)) {
    if (common.json) {
      print(factsJson(facts));
    } else {
      table.row({facts.id, std::to_string(facts.number), facts.closed ? "closed" : "open", grouped(facts.entries),
                 grouped(facts.liveLeases), facts.policy});
    }
  }
  if (!common.json) table.print(common);
  return 0;
}

int show(const CommonOptions& common, const WorkspaceOptions& options) {
  Session session(common, Access::write);
  for (const WorkspaceFacts& facts : collect(session)) {
    if (facts.id != options.id) continue;
    if (common.json) {
      print(factsJson(facts));
      return 0;
    }
    Table table({"", ""});
    table.row({"workspace", facts.id});
    table.row({"number", std::to_string(facts.number)});
    if (!facts.region.empty()) table.row({"region", facts.region});
    table.row({"state", facts.closed ? "closed" : "open"});
    table.row({"entries", grouped(facts.entries)});
    table.row({"root", facts.root});
    table.row({"live leases", grouped(facts.liveLeases)});
    table.row({"policy", facts.policy.empty() ? "none: every request is denied" : facts.policy});
    table.print(common);
    return 0;
  }
  throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them; `workspace create` makes one");
}

int create(const CommonOptions& common, const WorkspaceOptions& options) {
  CommonOptions named = common;
  named.workspace = options.id;
  Session session(named, Access::write);
  Command command = Command::make(CommandKind::workspaceCreate);
  command.body.setText(command.arena, Field::workspaceId, options.id);
  command.body.setText(command.arena, Field::region, options.region);
  const write::Answer answer = session.execute(std::move(command));
  session.close();
  return printAnswer(named, answer);
}

int closeWorkspace(const CommonOptions& common, const WorkspaceOptions& options) {
  CommonOptions named = common;
  named.workspace = options.id;
  Session session(named, Access::write);
  const write::Answer answer = session.execute(Command::make(CommandKind::workspaceClose));
  session.close();
  return printAnswer(named, answer);
}

}  // namespace

void addWorkspace(CLI::App& app, Program& program) {
  CLI::App* verb = app.add_subcommand("workspace", "Tenants: create, list, show, close");
  verb->require_subcommand(1);
  auto options = std::make_shared<WorkspaceOptions>();
  const auto add = [&](const char* name, const char* what, auto&& function) {
    CLI::App* sub = verb->add_subcommand(name, what);
    addCommonFlags(*sub, program.common, false);
    sub->callback([&program, function] { program.run = function; });
    return sub;
  };
  CLI::App* createVerb = add("create", "Make a workspace", [&program, options] { return create(program.common, *options); });
  createVerb->add_option("id", options->id, "Id: letters, digits, . _ : @ / + -")->required();
  createVerb->add_option("--region", options->region, "Region, for the record");
  add("list", "All workspaces", [&program] { return list(program.common); });
  add("show", "One workspace", [&program, options] { return show(program.common, *options); })
      ->add_option("id", options->id, "Id")
      ->required();
  add("close", "Take no more grants and facts; leases still end", [&program, options] { return closeWorkspace(program.common, *options); })
      ->add_option("id", options->id, "Id")
      ->required();
}

}  // namespace counterfoil::cmd
