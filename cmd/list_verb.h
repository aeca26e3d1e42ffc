// What the listing verbs share: filters as flags, pages followed, items as tables or NDJSON.
#pragma once

#include <boost/json.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "cmd/options.h"
#include "projections/query/filters.h"

namespace counterfoil::cmd {

struct ListOptions {
  std::vector<std::string> kinds;
  std::map<std::string, std::string> values;  // of the filters, by their names; empty: not given
  std::string order;
  std::string after;
  unsigned limit = query::kLimitDefault;
  bool all = false;
  bool disclose = false;  // of entries
};

// Adds --kind, --actor, ..., --from, --to, --at, --as-of, --order, --limit, --after, --all as far as `list` has them. Times may be given as
// an age, such as 90m.
void addListFlags(Verb verb, query::ListKind list, const std::shared_ptr<ListOptions>& options);

// The flags as parameters of a list. `now`: what ages count from. Throws Fault(invalidValue).
std::vector<query::Parameter> parametersOf(const ListOptions& options, Timestamp now);

struct ListColumns {
  std::vector<std::string> headings;
  std::function<std::vector<std::string>(const boost::json::object&)> cells;
};
// Runs the list of --workspace and prints it: the newest last, unless --order says otherwise. Exit status.
int runList(const CommonOptions& common, const ListOptions& options, query::ListKind list, const ListColumns& columns);

// ---- cells ----
// A member as text: texts as they are, principals as kind:id, lists joined by blanks, numbers; empty if it is not there.
std::string cell(const boost::json::object& item, std::string_view member);
// The first of them that is there.
std::string firstCell(const boost::json::object& item, std::initializer_list<std::string_view> members);
// A time to the second.
std::string timeCell(const boost::json::object& item, std::string_view member);

}  // namespace counterfoil::cmd
