// `lease show | list`.
#include "cmd/list_verb.h"
#include "cmd/output.h"
#include "cmd/read_verbs.h"
#include "cmd/record_reader.h"
#include "cmd/system_clock.h"

namespace counterfoil::cmd {
namespace {

std::string usesCell(const boost::json::object& item) {
  const std::string most = cell(item, "maxUses");
  return cell(item, "uses") + (most.empty() ? "" : " of " + most);
}

ListColumns leaseColumns() {
  return {{"ISSUED", "LEASE", "STATE", "CREDENTIAL", "GRANTEE", "RUN", "HOST", "EXPIRES", "ENDED", "USES", "RESOURCES"},
          [](const boost::json::object& item) {
            return std::vector<std::string>{
                timeCell(item, "issuedAt"), cell(item, "id"),  cell(item, "state"),    cell(item, "credential"),
                cell(item, "grantee"),      cell(item, "run"), cell(item, "host"),     timeCell(item, "expiresAt"),
                timeCell(item, "endedAt"),  usesCell(item),    cell(item, "resources")};
          }};
}

void printLease(const CommonOptions& common, const boost::json::object& lease) {
  Table facts({"", ""});
  for (const auto& [name, value] : lease) {
    if (name == "history" || name == "asOf" || name == "grantedSeq" || name == "lastSeq") continue;
    facts.row({std::string(name), cell(lease, name)});
  }
  facts.print(common);
  print("");
  Table history({"TIME", "SEQ", "KIND", "STATE", "USES", "EXPIRES", "OUTCOME"});
  for (const auto& one : lease.at("history").as_array()) {
    const auto& entry = one.as_object();
    const std::string outcome = cell(entry, "outcome");
    const std::string reason = cell(entry, "reasonCode");
    history.row({timeCell(entry, "occurredAt"), cell(entry, "seq"), cell(entry, "kind"), cell(entry, "state"), cell(entry, "uses"),
                 timeCell(entry, "expiresAt"), outcome + (outcome.empty() || reason.empty() ? "" : ": ") + reason});
  }
  history.print(common);
}

struct ShowOptions {
  std::string lease;
  ListOptions point;  // `at`, `asOf`
};

int showLease(const CommonOptions& common, const ShowOptions& options) {
  RecordReader reader(common);
  const std::string text = reader.lease(options.lease, parametersOf(options.point, SystemClock().wall()));
  if (common.json) {
    print(text);
  } else {
    printLease(common, boost::json::parse(text).as_object());
  }
  return 0;
}

}  // namespace

void addLeaseReads(Verb lease, Program& program) {
  Verb list = lease.verb("list", "Leases, the newest last");
  addCommonFlags(list, program.common, true);
  auto options = std::make_shared<ListOptions>();
  addListFlags(list, query::ListKind::leases, options);
  list.whenGiven([&program, options] {
    program.run = [&program, options] { return runList(program.common, *options, query::ListKind::leases, leaseColumns()); };
  });

  Verb one = lease.verb("show", "One lease and everything that happened to it");
  addCommonFlags(one, program.common, true);
  auto wanted = std::make_shared<ShowOptions>();
  one.option("lease", wanted->lease, "Id").required();
  one.option(
      "--at", [wanted](const std::string& value) { wanted->point.values["at"] = value; }, "As it was at a time, or an age");
  one.option(
      "--as-of", [wanted](const std::string& value) { wanted->point.values["asOf"] = value; },
      "As the record knew it: up to a seq, a time, or an age");
  one.whenGiven([&program, wanted] { program.run = [&program, wanted] { return showLease(program.common, *wanted); }; });
}

}  // namespace counterfoil::cmd
