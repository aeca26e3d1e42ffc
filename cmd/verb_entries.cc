// `entries`: the record of a workspace.
#include "cmd/list_verb.h"
#include "cmd/read_verbs.h"

namespace counterfoil::cmd {
namespace {

// What happened, in one cell: how it went, and why.
std::string outcomeCell(const boost::json::object& item) {
  if (item.contains("withheld")) return "withheld";
  std::string text = firstCell(item, {"outcome", "decision"});
  for (const std::string_view member : {"reasonCode", "errorCode"}) {
    const std::string more = cell(item, member);
    if (!more.empty()) text += (text.empty() ? "" : ": ") + more;
  }
  return text;
}

}  // namespace

ListColumns entryColumns() {
  return {
      {"TIME", "SEQ", "KIND", "ACTOR", "RUN", "HOST", "LEASE", "OUTCOME", "WHAT"}, [](const boost::json::object& item) {
        std::string what = firstCell(item, {"operation", "tool", "credential"});
        const std::string on = firstCell(item, {"resources", "secretName", "destination", "bundleId", "approvalId", "workspaceId", "name"});
        if (!on.empty()) what += (what.empty() ? "" : " ") + on;
        return std::vector<std::string>{timeCell(item, "occurredAt"), cell(item, "seq"), cell(item, "kind"),
                                        cell(item, "actor"),          cell(item, "run"), cell(item, "host"),
                                        cell(item, "leaseId"),        outcomeCell(item), what};
      }};
}

void addEntries(Verb app, Program& program) {
  Verb verb = app.verb("entries", "What is on the record");
  addCommonFlags(verb, program.common, true);
  auto options = std::make_shared<ListOptions>();
  addListFlags(verb, query::ListKind::entries, options);
  verb.whenGiven([&program, options] {
    program.run = [&program, options] { return runList(program.common, *options, query::ListKind::entries, entryColumns()); };
  });
}

}  // namespace counterfoil::cmd
