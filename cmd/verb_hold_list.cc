// `hold list`.
#include "cmd/list_verb.h"
#include "cmd/read_verbs.h"

namespace counterfoil::cmd {
namespace {

std::string daysCell(const boost::json::object& item) {
  const std::string days = cell(item, "days");
  return days.empty() ? "until released" : days;
}

ListColumns holdColumns() {
  return {{"PLACED", "HOLD", "STATE", "OF", "DAYS", "BY", "RELEASED", "RELEASED BY"}, [](const boost::json::object& item) {
            return std::vector<std::string>{timeCell(item, "placedAt"),   cell(item, "hold"),      cell(item, "state"),
                                            cell(item, "scope"),          daysCell(item),          cell(item, "placedBy"),
                                            timeCell(item, "releasedAt"), cell(item, "releasedBy")};
          }};
}

}  // namespace

void addHoldList(Verb hold, Program& program) {
  Verb verb = hold.verb("list", "Holds, the newest last");
  addCommonFlags(verb, program.common, true);
  auto options = std::make_shared<ListOptions>();
  addListFlags(verb, query::ListKind::holds, options);
  verb.whenGiven([&program, options] {
    program.run = [&program, options] { return runList(program.common, *options, query::ListKind::holds, holdColumns()); };
  });
}

}  // namespace counterfoil::cmd
