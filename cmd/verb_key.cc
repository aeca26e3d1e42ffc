// `key list | rotate`.
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "cmd/command_writer.h"
#include "cmd/output.h"
#include "cmd/recorder.h"
#include "ledger/write/keys_json.h"

namespace counterfoil::cmd {
namespace {

struct KeyOptions {
  std::string id, purpose;
};

constexpr const char* kTokenPurpose = "token";

Fault noServer() {
  return Fault(ErrorCode::notReady, "the keys that sign tokens belong to a server, and none runs on this data folder",
               "start it with `counterfoil serve`, or name a workspace with --workspace for its keys");
}

std::string askServer(ServerLink& server, const std::string& target) {
  HttpRequest request;
  request.target = target;
  return server.send(request).body;
}

std::string workspaceKeys(Recorder& recorder, const CommonOptions& common) {
  if (recorder.server() != nullptr) return askServer(*recorder.server(), recorder.server()->target("/keys"));
  const auto number = recorder.session()->ledger().findWorkspace(common.workspace);
  if (!number) throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them");
  return write::keysJson(*recorder.session()->keyRing().workspace(*number));
}

std::string memberText(const boost::json::object& item, const char* name) {
  const boost::json::value* const value = item.if_contains(name);
  if (value == nullptr) return {};
  return visible(value->is_string() ? std::string(value->get_string()) : boost::json::serialize(*value));
}

int list(const CommonOptions& common) {
  Recorder recorder(common);
  const bool ofWorkspace = !common.workspace.empty();
  if (!ofWorkspace && recorder.server() == nullptr) throw noServer();
  const std::string body = ofWorkspace ? workspaceKeys(recorder, common) : askServer(*recorder.server(), "/v1/keys");
  recorder.close();
  const boost::json::object answer = boost::json::parse(body).as_object();
  const char* const last = ofWorkspace ? "generation" : "state";
  Table table({"PURPOSE", ofWorkspace ? "GENERATION" : "STATE", "KEY", ofWorkspace ? "KEK" : ""});
  for (const boost::json::value& one : answer.at("items").as_array()) {
    const boost::json::object& item = one.as_object();
    if (common.json) {
      print(boost::json::serialize(item));
    } else {
      table.row({memberText(item, "purpose"), memberText(item, last), memberText(item, "keyId"), memberText(item, "kek")});
    }
  }
  if (common.json) return 0;
  table.print(common);
  if (ofWorkspace) print("and the keys of " + memberText(answer, "persons") + " persons");
  return 0;
}

int rotateKey(const CommonOptions& common, const KeyOptions& options) {
  if (options.purpose != kTokenPurpose) {
    if (common.workspace.empty()) {
      throw Fault(ErrorCode::usage, "keys of that purpose belong to a workspace", "name it with --workspace", "--workspace");
    }
    return recordAndPrint(common, CommandWriter(CommandKind::keyRotate).id(options.id).text(Field::purpose, options.purpose).take());
  }
  Recorder recorder(common);
  if (recorder.server() == nullptr) throw noServer();
  HttpRequest request;
  request.method = "POST";
  request.target = "/v1/keys";
  request.contentType = "application/json";
  request.body = R"({"purpose":"token"})";
  request.repeatable = false;  // twice would be two new keys
  const std::string body = recorder.server()->send(request).body;
  if (common.json) {
    print(body);
    return 0;
  }
  print("a new key signs: " + memberText(boost::json::parse(body).as_object().at("items").as_array().at(0).as_object(), "keyId"));
  note(common, "tokens of the key before it stay valid until they expire, older ones are void");
  return 0;
}

}  // namespace

void addKey(Verb app, Program& program) {
  Verb verb = app.verb("key", "Keys: list, rotate");
  verb.requireVerb();
  auto o = std::make_shared<KeyOptions>();
  const auto add = [&](const char* name, const char* what, auto&& function) {
    Verb sub = verb.verb(name, what);
    addCommonFlags(sub, program.common, false);
    sub.option("--workspace,-w", program.common.workspace, "Workspace whose keys are meant; without it those that sign tokens")
        .environment("COUNTERFOIL_WORKSPACE");
    sub.whenGiven([&program, function] { program.run = function; });
    return sub;
  };
  add("list", "Keys by purpose and generation, never the keys themselves", [&program] { return list(program.common); });
  Verb rotateVerb = add("rotate", "A new key for a purpose", [&program, o] { return rotateKey(program.common, *o); });
  rotateVerb.option("--purpose", o->purpose, "fingerprint or key_encryption of a workspace; token of the server").required();
  rotateVerb.option("--id", o->id, "UUIDv7 of this request");
}

}  // namespace counterfoil::cmd
