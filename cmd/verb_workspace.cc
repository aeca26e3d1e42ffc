// `workspace create | list | show | close`.
#include <boost/json/parse.hpp>

#include "cmd/output.h"
#include "cmd/recorder.h"
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
  std::string state;
  std::uint64_t entries = 0;
  std::uint64_t liveLeases = 0;
  std::string policy;
  std::string root;
};

std::vector<WorkspaceFacts> collect(Session& session) {
  std::vector<WorkspaceFacts> result;
  const auto known = session.ledger().workspaces();
  for (const auto& [id, number] : known) {
    session.ledger().inspect(number, [&, &id = id, number = number](const write::PartitionState& state) {
      const WorkspaceState* workspace = state.findWorkspace(number);
      if (workspace == nullptr) return;
      WorkspaceFacts facts;
      facts.id = id;
      facts.number = number.value;
      facts.region = workspace->region();
      facts.state = workspace->erased() ? "erased" : workspace->closed() ? "closed" : "open";
      facts.entries = workspace->head().size();
      facts.liveLeases = workspace->liveLeases();
      if (workspace->policyVersion() != 0) facts.policy = workspace->policyName() + " v" + std::to_string(workspace->policyVersion());
      facts.root = toHex(workspace->head().tree.root());
      result.push_back(facts);
    });
  }
  return result;
}

// As the server's routes tell them.
WorkspaceFacts factsOf(const boost::json::value& json) {
  if (!json.is_object()) throw Fault(ErrorCode::notReady, "what answers at this URL is no server of this version", "look at the URL");
  const auto text = [&](std::string_view name) -> std::string {
    const boost::json::value* value = json.get_object().if_contains(name);
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  const auto number = [&](std::string_view name) -> std::uint64_t {
    const boost::json::value* value = json.get_object().if_contains(name);
    return value != nullptr && value->is_int64() ? static_cast<std::uint64_t>(value->get_int64()) : 0;
  };
  WorkspaceFacts facts;
  facts.id = text("id");
  facts.number = number("number");
  facts.region = text("region");
  facts.state = text("state");
  facts.entries = number("entries");
  facts.liveLeases = number("liveLeases");
  if (number("policyVersion") != 0) facts.policy = text("policy") + " v" + std::to_string(number("policyVersion"));
  facts.root = text("root");
  return facts;
}

boost::json::value ask(ServerLink& server, const std::string& target) {
  HttpRequest request;
  request.target = target;
  boost::json::error_code failed;
  return boost::json::parse(server.send(request).body, failed);
}

std::vector<WorkspaceFacts> collect(ServerLink& server) {
  std::vector<WorkspaceFacts> result;
  std::string after;
  do {
    const boost::json::value page =
        ask(server, "/v1/workspaces?limit=1000" + (after.empty() ? std::string() : "&after=" + percentEncoded(after)));
    const boost::json::value* items = page.is_object() ? page.get_object().if_contains("items") : nullptr;
    const boost::json::value* next = page.is_object() ? page.get_object().if_contains("next") : nullptr;
    if (items == nullptr || !items->is_array()) static_cast<void>(factsOf(boost::json::value()));
    for (const boost::json::value& item : items->get_array()) result.push_back(factsOf(item));
    after = next != nullptr && next->is_string() ? std::string(next->get_string()) : std::string();
  } while (!after.empty());
  return result;
}

std::vector<WorkspaceFacts> collect(Recorder& recorder) {
  return recorder.server() != nullptr ? collect(*recorder.server()) : collect(*recorder.session());
}

// One of them.
WorkspaceFacts find(const CommonOptions& named) {
  Recorder recorder(named);
  if (recorder.server() != nullptr) return factsOf(ask(*recorder.server(), recorder.server()->target("")));
  for (WorkspaceFacts& facts : collect(*recorder.session())) {
    if (facts.id == named.workspace) return std::move(facts);
  }
  throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them; `workspace create` makes one");
}

std::string factsJson(const WorkspaceFacts& facts) {
  std::string out;
  JsonObject object(out);
  object.text("id", facts.id).number("number", facts.number);
  if (!facts.region.empty()) object.text("region", facts.region);
  object.text("state", facts.state).number("size", facts.entries);
  if (!facts.root.empty()) object.text("root", facts.root);
  object.number("liveLeases", facts.liveLeases);
  if (!facts.policy.empty()) object.text("policy", facts.policy);
  object.end();
  return out;
}

int listWorkspaces(const CommonOptions& common) {
  Recorder recorder(common);
  Table table({"WORKSPACE", "NUMBER", "STATE", "ENTRIES", "LIVE LEASES", "POLICY"});
  for (const WorkspaceFacts& facts : collect(recorder)) {
    if (common.json) {
      print(factsJson(facts));
    } else {
      table.row({facts.id, std::to_string(facts.number), facts.state, grouped(facts.entries),
                 grouped(facts.liveLeases), facts.policy});
    }
  }
  if (!common.json) table.print(common);
  return 0;
}

int showWorkspace(const CommonOptions& common, const WorkspaceOptions& options) {
  CommonOptions named = common;
  named.workspace = options.id;
  const WorkspaceFacts facts = find(named);
  if (common.json) {
    print(factsJson(facts));
    return 0;
  }
  Table table({"", ""});
  table.row({"workspace", facts.id});
  table.row({"number", std::to_string(facts.number)});
  if (!facts.region.empty()) table.row({"region", facts.region});
  table.row({"state", facts.state});
  table.row({"entries", grouped(facts.entries)});
  if (!facts.root.empty()) table.row({"root", facts.root});
  table.row({"live leases", grouped(facts.liveLeases)});
  table.row({"policy", facts.policy.empty() ? "none: every request is denied" : facts.policy});
  table.print(common);
  return 0;
}

int create(const CommonOptions& common, const WorkspaceOptions& options) {
  CommonOptions named = common;
  named.workspace = options.id;
  Command command = Command::make(CommandKind::workspaceCreate);
  command.body.setText(command.arena, Field::workspaceId, options.id);
  command.body.setText(command.arena, Field::region, options.region);
  return recordAndPrint(named, std::move(command));
}

int closeWorkspace(const CommonOptions& common, const WorkspaceOptions& options) {
  CommonOptions named = common;
  named.workspace = options.id;
  return recordAndPrint(named, Command::make(CommandKind::workspaceClose));
}

}  // namespace

void addWorkspace(Verb app, Program& program) {
  Verb verb = app.verb("workspace", "Tenants: create, list, show, close");
  verb.requireVerb();
  auto options = std::make_shared<WorkspaceOptions>();
  const auto add = [&](const char* name, const char* what, auto&& function) {
    Verb sub = verb.verb(name, what);
    addCommonFlags(sub, program.common, false);
    sub.whenGiven([&program, function] { program.run = function; });
    return sub;
  };
  Verb createVerb = add("create", "Make a workspace", [&program, options] { return create(program.common, *options); });
  createVerb.option("id", options->id, "Id: letters, digits, . _ : @ / + -").required();
  createVerb.option("--region", options->region, "Region, for the record");
  add("list", "All workspaces", [&program] { return listWorkspaces(program.common); });
  add("show", "One workspace", [&program, options] { return showWorkspace(program.common, *options); })
      .option("id", options->id, "Id")
      .required();
  add("close", "Take no more grants and facts; leases still end", [&program, options] { return closeWorkspace(program.common, *options); })
      .option("id", options->id, "Id")
      .required();
}

}  // namespace counterfoil::cmd
