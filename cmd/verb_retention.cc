// `retention set | show`.
#include <boost/json/parse.hpp>

#include "cmd/command_writer.h"
#include "cmd/list_verb.h"
#include "cmd/output.h"
#include "cmd/recorder.h"
#include "ledger/write/retention_json.h"

namespace counterfoil::cmd {
namespace {

struct RetentionOptions {
  std::string id, reason;
  std::uint64_t days = 0;
  bool forever = false;
};

std::string ofFolder(Session& session, const std::string& id) {
  const auto number = session.ledger().findWorkspace(id);
  if (!number) throw Fault(ErrorCode::noSuchItem, "there is no such workspace", "`counterfoil workspace list` shows them");
  std::string body;
  session.ledger().inspectDurable(*number, [&](const write::PartitionState& state) {
    const WorkspaceState& workspace = *state.findWorkspace(*number);
    body = write::retentionJson(workspace, *session.ledger().keyRing().workspace(*number), workspace.head().lastRecordedAt);
  });
  return body;
}

int showRetention(const CommonOptions& common) {
  Recorder recorder(common);
  std::string body;
  if (recorder.server() != nullptr) {
    HttpRequest request;
    request.target = recorder.server()->target("/retention");
    body = recorder.server()->send(request).body;
  } else {
    body = ofFolder(*recorder.session(), common.workspace);
  }
  recorder.close();
  if (common.json) {
    print(body);
    return 0;
  }
  const boost::json::object answer = boost::json::parse(body).as_object();
  Table table({"MONTH", "STATE", "KEPT UNTIL"});
  for (const boost::json::value& one : answer.at("months").as_array()) {
    const boost::json::object& month = one.as_object();
    table.row({cell(month, "month"), cell(month, "state"), timeCell(month, "keptUntil")});
  }
  table.print(common);
  const std::string days = cell(answer, "days");
  print(days == "0" ? "kept for ever" : "kept for " + days + " days after the end of its month");
  if (days != "0" && answer.at("held").as_bool()) print("a hold stands: nothing is destroyed until it is released");
  return 0;
}

int setRetention(const CommonOptions& common, const RetentionOptions& o) {
  if (o.forever == (o.days != 0)) {
    throw Fault(ErrorCode::usage, "how long content is kept is not said", "give either --days N or --forever", "--days");
  }
  return recordAndPrint(
      common, CommandWriter(CommandKind::retentionSet).id(o.id).number(Field::days, o.days).text(Field::reason, o.reason).take());
}

}  // namespace

void addRetention(Verb app, Program& program) {
  Verb verb = app.verb("retention", "How long content is kept: set, show");
  verb.requireVerb();
  auto o = std::make_shared<RetentionOptions>();
  Verb setVerb = verb.verb("set", "Keep content for so long; what is older cannot be read by anybody any more");
  addCommonFlags(setVerb, program.common, true);
  setVerb.option("--days", o->days, "Days after the end of a month; fewer than before are in force a day later");
  setVerb.flag("--forever", o->forever, "Keep everything");
  setVerb.option("--reason", o->reason, "Why");
  setVerb.option("--id", o->id, "UUIDv7 of this request");
  setVerb.whenGiven([&program, o] { program.run = [&program, o] { return setRetention(program.common, *o); }; });
  Verb showVerb = verb.verb("show", "The time that is set, and what became of each month");
  addCommonFlags(showVerb, program.common, true);
  showVerb.whenGiven([&program] { program.run = [&program] { return showRetention(program.common); }; });
}

}  // namespace counterfoil::cmd
