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

// `member=value` of each personal value that was opened; of those that stand at no member of their own, their path.
std::string personalCell(const boost::json::object& item) {
  std::string text;
  const auto add = [&](std::string_view name, const boost::json::value& commitment) {
    const auto* object = commitment.if_object();
    if (object == nullptr || !object->contains("commitment") || !object->contains("value")) return;
    text += (text.empty() ? "" : ", ") + std::string(name) + "=" + cell(*object, "value");
  };
  for (const auto& member : item) {
    if (member.key() != "commitments") {
      add(member.key(), member.value());
      continue;
    }
    for (const auto& other : member.value().as_array()) add(cell(other.as_object(), "path"), other);
  }
  return text;
}

ListColumns withPersonal(ListColumns columns) {
  columns.headings.emplace_back("PERSONAL");
  columns.cells = [cells = std::move(columns.cells)](const boost::json::object& item) {
    std::vector<std::string> row = cells(item);
    row.push_back(personalCell(item));
    return row;
  };
  return columns;
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
  verb.flag("--disclose", options->disclose,
            "Personal values beside their commitments, while their keys exist. A server wants an administrator's token, and records it");
  verb.whenGiven([&program, options] {
    program.run = [&program, options] {
      const ListColumns columns = options->disclose ? withPersonal(entryColumns()) : entryColumns();
      return runList(program.common, *options, query::ListKind::entries, columns);
    };
  });
}

}  // namespace counterfoil::cmd
