#include "cmd/list_verb.h"

#include <algorithm>

#include "cmd/input.h"
#include "cmd/output.h"
#include "cmd/record_reader.h"
#include "cmd/system_clock.h"
#include "ledger/core/encoding.h"

namespace counterfoil::cmd {
namespace {

struct Flag {
  const char* filter;
  const char* flag;
  const char* what;
};
constexpr Flag kFlags[] = {
    {"actor", "--actor", "Who, as kind:id; of leases the grantee, of approvals who asked or decided"},
    {"principal", "--principal", "The other person or machine of an entry, as kind:id"},
    {"run", "--run", "Run"},
    {"host", "--host", "Host"},
    {"sandbox", "--sandbox", "Sandbox"},
    {"lease", "--lease", "Lease"},
    {"bundle", "--bundle", "Host bundle"},
    {"resource", "--resource", "Resource, exactly"},
    {"scope", "--scope", "Scope, exactly"},
    {"state", "--state", "State; of leases also live or ended"},
    {"text", "--text", "Words, \"phrases\", prefix*"},
    {"reason", "--reason", "Reason code"},
    {"credential", "--credential", "Kind of credential"},
    {"fingerprint", "--fingerprint", "Fingerprint of a secret"},
    {"from", "--from", "Happened at or after: a time, or an age such as 90m"},
    {"to", "--to", "Happened before: a time, or an age"},
    {"at", "--at", "What was so at a time, or at an age"},
    {"asOf", "--as-of", "What was on the record: up to a seq, a time, or an age"},
};

bool listHas(query::ListKind list, const std::string& filter) {
  // The list itself knows best; a value that fits no filter is refused after its name was accepted.
  try {
    query::parseFilters(list, std::vector<query::Parameter>{{filter, ""}});
  } catch (const Fault& fault) {
    return fault.code() != ErrorCode::unknownField;
  }
  return true;
}

bool isAge(const std::string& text) {
  return text.size() >= 2 && std::string_view("smhd").find(text.back()) != std::string_view::npos &&
         std::all_of(text.begin(), text.end() - 1, [](char c) { return c >= '0' && c <= '9'; });
}

std::string scalar(const boost::json::value& value) {
  if (value.is_string()) return std::string(value.as_string());
  if (const auto* object = value.if_object()) {
    if (object->contains("kind") && object->contains("id")) return scalar(object->at("kind")) + ":" + scalar(object->at("id"));
    if (object->contains("kind")) return scalar(object->at("kind"));
    if (object->contains("name")) return scalar(object->at("name"));
  }
  if (const auto* array = value.if_array()) {
    std::string text;
    for (const auto& item : *array) text += (text.empty() ? "" : " ") + scalar(item);
    return text;
  }
  return boost::json::serialize(value);
}

class ListPrinter {
 public:
  ListPrinter(const CommonOptions& common, const ListColumns& columns) : common_(common), columns_(columns), table_(columns.headings) {}
  void item(const boost::json::object& item) {
    if (common_.json) {
      print(boost::json::serialize(item));
    } else {
      table_.row(columns_.cells(item));
    }
    ++count_;
  }
  void finish(const std::string& next, bool older) {
    if (!common_.json) table_.print(common_);
    if (next.empty()) return;
    note(common_, std::string(older ? "older ones are left out" : "there are more") +
                      ": --all shows everything, --limit N up to 1000, --after " + next + " goes on from here");
  }
  std::uint64_t count() const { return count_; }

 private:
  const CommonOptions& common_;
  const ListColumns& columns_;
  Table table_;
  std::uint64_t count_ = 0;
};

}  // namespace

void addListFlags(Verb verb, query::ListKind list, const std::shared_ptr<ListOptions>& options) {
  if (listHas(list, "kind")) verb.option("--kind", options->kinds, "Kind, or the beginning of some as in 'lease.*'; repeatable");
  for (const Flag& flag : kFlags) {
    if (!listHas(list, flag.filter)) continue;
    verb.option(
        flag.flag, [options, filter = std::string(flag.filter)](const std::string& value) { options->values[filter] = value; }, flag.what);
  }
  verb.option("--order", options->order, "asc: oldest first; desc: newest first. Without it: the newest ones, newest last")
      .oneOf({"asc", "desc"});
  verb.option("--limit", options->limit, "At most so many").within(1U, query::kLimitMax).showDefault();
  verb.option("--after", options->after, "Go on behind a page: the cursor it ended with, with the same filters and order");
  verb.flag("--all", options->all, "All of them, oldest first");
}

std::vector<query::Parameter> parametersOf(const ListOptions& options, Timestamp now) {
  std::vector<query::Parameter> parameters;
  for (const std::string& kind : options.kinds) parameters.emplace_back("kind", kind);
  for (const auto& [filter, value] : options.values) {
    const bool time = filter == "from" || filter == "to" || filter == "at" || filter == "asOf";
    if (time && isAge(value)) {
      const auto seconds = static_cast<std::int64_t>(parseDuration(value, "--from"));
      parameters.emplace_back(filter,
                              toRfc3339({now.nanoseconds - std::min<std::int64_t>(seconds, 4'000'000'000) * kNanosecondsPerSecond}));
    } else {
      parameters.emplace_back(filter, value);
    }
  }
  return parameters;
}

int runList(const CommonOptions& common, const ListOptions& options, query::ListKind list, const ListColumns& columns) {
  std::vector<query::Parameter> parameters = parametersOf(options, SystemClock().wall());
  const bool newestLast = options.order.empty() && !options.all;
  parameters.emplace_back("order", !options.order.empty() ? options.order : options.all ? "asc" : "desc");
  RecordReader reader(common);
  ListPrinter printer(common, columns);
  std::vector<boost::json::object> newest;
  unsigned limit = options.all ? query::kLimitMax : options.limit;
  std::string after = options.after;
  for (;;) {
    std::vector<query::Parameter> asked = parameters;
    asked.emplace_back("limit", std::to_string(limit));
    if (!after.empty()) asked.emplace_back("after", after);
    const boost::json::object page = boost::json::parse(reader.list(list, asked, options.disclose)).as_object();
    for (const auto& item : page.at("items").as_array()) {
      if (newestLast) {
        newest.push_back(item.as_object());
      } else {
        printer.item(item.as_object());
      }
    }
    after = page.at("next").is_null() ? std::string() : std::string(page.at("next").as_string());
    const std::size_t found = newestLast ? newest.size() : printer.count();
    if (after.empty() || (!options.all && found >= options.limit)) break;
    // A page may end early; the rest of it is asked for.
    if (!options.all) limit = options.limit - static_cast<unsigned>(found);
  }
  for (auto item = newest.rbegin(); item != newest.rend(); ++item) printer.item(*item);
  printer.finish(after, newestLast);
  return 0;
}

std::string cell(const boost::json::object& item, std::string_view member) {
  const auto* value = item.if_contains(member);
  return value == nullptr ? std::string() : scalar(*value);
}

std::string firstCell(const boost::json::object& item, std::initializer_list<std::string_view> members) {
  for (const std::string_view member : members) {
    if (item.contains(member)) return cell(item, member);
  }
  return {};
}

std::string timeCell(const boost::json::object& item, std::string_view member) {
  const std::string text = cell(item, member);
  return text.size() < 20 ? text : text.substr(0, 19) + "Z";
}

}  // namespace counterfoil::cmd
