// `approval list`.
#include "cmd/list_verb.h"
#include "cmd/read_verbs.h"

namespace counterfoil::cmd {
namespace {

ListColumns approvalColumns() {
  return {{"REQUESTED", "APPROVAL", "STATE", "BY", "FOR", "OPERATION", "EXPIRES", "DECIDED BY", "LEASE"},
          [](const boost::json::object& item) {
            return std::vector<std::string>{timeCell(item, "requestedAt"), cell(item, "approval"),   cell(item, "state"),
                                            cell(item, "requestedBy"),     cell(item, "onBehalfOf"), cell(item, "operation"),
                                            timeCell(item, "expiresAt"),   cell(item, "decidedBy"),  cell(item, "lease")};
          }};
}

}  // namespace

void addApprovalList(Verb approval, Program& program) {
  Verb verb = approval.verb("list", "Approvals, the newest last");
  addCommonFlags(verb, program.common, true);
  auto options = std::make_shared<ListOptions>();
  addListFlags(verb, query::ListKind::approvals, options);
  verb.whenGiven([&program, options] {
    program.run = [&program, options] { return runList(program.common, *options, query::ListKind::approvals, approvalColumns()); };
  });
}

}  // namespace counterfoil::cmd
