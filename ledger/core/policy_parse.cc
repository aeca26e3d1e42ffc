#include <toml++/toml.h>

#include <algorithm>
#include <cstring>

#include "ledger/core/check.h"
#include "ledger/core/outcome.h"
#include "ledger/core/policy_compiled.h"
#include "ledger/core/policy_syntax.h"

namespace counterfoil {
namespace {

// Keys of a rule, in the order of docs/policy.md.
constexpr std::array<std::string_view, 11> kRuleKeys = {
    "name", "effect", "credential", "grantee", "host", "scope", "resource", "maxTtlSeconds", "maxUses", "renewableForSeconds", "approval"};
constexpr std::array<std::string_view, 2> kDocumentKeys = {"name", "rule"};
constexpr std::array<std::string_view, 4> kLimitKeys = {"maxTtlSeconds", "maxUses", "renewableForSeconds", "approval"};

// Where in the document something is wrong. Only keys of the language are ever named.
struct Place {
  std::size_t line = 0;
  std::size_t rule = 0;  // from 1; 0 = outside of rules
  std::string_view key;
};

[[noreturn]] void refuseDocument(ErrorCode code, const Place& place, std::string_view what, std::string_view hint) {
  std::string detail = "policy, line " + std::to_string(place.line) + ": ";
  std::string field;
  if (place.rule != 0) {
    detail += "rule " + std::to_string(place.rule) + ": ";
    field = "/rule/" + std::to_string(place.rule - 1);
  }
  if (!place.key.empty()) {
    detail.append(place.key).append(" ");
    field.append("/").append(place.key);
  }
  throw Fault(code, detail.append(what), std::string(hint), std::move(field));
}

std::size_t lineOf(const toml::node& node) {
  return node.source().begin.line;
}

// Letters only, lower case, without a plural s: what people vary when they misremember a key.
std::string folded(std::string_view key) {
  std::string out;
  for (const char c : key) {
    if (c >= 'A' && c <= 'Z') out.push_back(static_cast<char>(c - 'A' + 'a'));
    if (c >= 'a' && c <= 'z') out.push_back(c);
  }
  if (!out.empty() && out.back() == 's') out.pop_back();
  return out;
}

template <std::size_t N>
void refuseUnknownKeys(const toml::table& table, const std::array<std::string_view, N>& known, std::size_t rule) {
  for (const auto& [key, value] : table) {
    if (std::find(known.begin(), known.end(), key.str()) != known.end()) continue;
    std::string hint;
    for (const std::string_view candidate : known) {
      if (folded(candidate) == folded(key.str())) hint.append("did you mean ").append(candidate).append("? ");
    }
    hint += "known keys:";
    for (const std::string_view candidate : known) hint.append(" ").append(candidate);
    refuseDocument(ErrorCode::unknownField, {key.source().begin.line, rule, {}}, "a key that is not part of the language", hint);
  }
}

bool isNameCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._:@/+-").find(c) != std::string_view::npos;
}

std::string_view stringAt(const toml::node& node, const Place& place) {
  const toml::value<std::string>* text = node.as_string();
  if (text == nullptr) refuseDocument(ErrorCode::invalidValue, place, "must be a string", "put the value between quotation marks");
  return text->get();
}

std::string_view nameAt(const toml::node& node, const Place& place) {
  const std::string_view name = stringAt(node, place);
  const bool valid = !name.empty() && name.size() <= limits::kIdBytesMax && std::all_of(name.begin(), name.end(), isNameCharacter) &&
                     std::string_view("._:@/+-").find(name.front()) == std::string_view::npos;
  if (!valid) {
    refuseDocument(ErrorCode::invalidValue, place, "is not a name",
                   "1 to 128 of A-Z a-z 0-9 . _ : @ / + -, a letter or digit first; names appear in every record of a decision");
  }
  return name;
}

std::int64_t numberAt(const toml::node& node, const Place& place, std::int64_t least, std::int64_t most) {
  const toml::value<std::int64_t>* number = node.as_integer();
  const std::string range = "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  if (number == nullptr) refuseDocument(ErrorCode::invalidValue, place, "must be a number", range + ", without quotation marks");
  if (number->get() < least || number->get() > most) refuseDocument(ErrorCode::invalidValue, place, "is out of range", range);
  return number->get();
}

void refusePattern(PolicyPatternProblem problem, const Place& place) {
  switch (problem) {
    case PolicyPatternProblem::none:
      return;
    case PolicyPatternProblem::empty:
      refuseDocument(ErrorCode::invalidValue, place, "holds an empty pattern", "leave the list out to match everything");
    case PolicyPatternProblem::tooLong:
      refuseDocument(ErrorCode::tooLong, place, "holds a pattern of more than 512 bytes", "no value that long can be requested");
    case PolicyPatternProblem::control:
      refuseDocument(ErrorCode::invalidValue, place, "holds a pattern with a control character", "no value with one is ever allowed");
    case PolicyPatternProblem::misplacedStar:
      refuseDocument(ErrorCode::invalidValue, place, "holds a pattern with a misplaced `*`",
                     "`*` stands alone or is the last character, right after `:`, `/` or `-`");
    case PolicyPatternProblem::notPlain:
      refuseDocument(ErrorCode::invalidValue, place, "holds a pattern that no resource can match",
                     "no `.` or `..` segment, no `//` except after the scheme, no `/` at the end, no backslash, no percent-encoding");
    case PolicyPatternProblem::notKindId:
      refuseDocument(ErrorCode::invalidValue, place, "holds a pattern that is not kind:id",
                     "kind is one of human, agent, service, operator, ledger; for instance agent:* or human:alice");
  }
}

class DocumentParser {
 public:
  DocumentParser(const toml::table& root, std::size_t documentBytes)
      : root_(root), out_(std::make_shared<Policy::Compiled>()), arenaBytes_(documentBytes) {
    out_->arena = std::make_unique<char[]>(arenaBytes_);
  }

  std::shared_ptr<const Policy::Compiled> run() {
    refuseUnknownKeys(root_, kDocumentKeys, 0);
    if (const toml::node* name = root_.get("name")) out_->name = keep(nameAt(*name, {lineOf(*name), 0, "name"}));
    if (const toml::node* rules = root_.get("rule")) parseRules(*rules);
    return std::move(out_);
  }

 private:
  // Copies into the arena. A decoded TOML string is never longer than its source, so the document's size is enough for all.
  std::string_view keep(std::string_view text) {
    COUNTERFOIL_CHECK(text.size() <= arenaBytes_ - arenaUsed_);
    if (text.empty()) return {};
    char* start = out_->arena.get() + arenaUsed_;
    std::memcpy(start, text.data(), text.size());
    arenaUsed_ += text.size();
    return {start, text.size()};
  }

  void parseRules(const toml::node& node) {
    const toml::array* rules = node.as_array();
    const Place place{lineOf(node), 0, "rule"};
    if (rules == nullptr) refuseDocument(ErrorCode::invalidValue, place, "must be an array of tables", "write [[rule]] with two brackets");
    if (rules->size() > limits::kPolicyRulesMax)
      refuseDocument(ErrorCode::tooLarge, place, "has more than 1,000 entries", "merge rules, or use patterns");
    out_->rules.reserve(rules->size());
    for (const toml::node& element : *rules) {
      const toml::table* table = element.as_table();
      if (table == nullptr)
        refuseDocument(ErrorCode::invalidValue, place, "must be an array of tables", "write [[rule]] with two brackets");
      parseRule(*table, out_->rules.size() + 1);
    }
    refuseRepeatedNames();
  }

  void parseRule(const toml::table& table, std::size_t number) {
    refuseUnknownKeys(table, kRuleKeys, number);
    PolicyRule rule;
    rule.line = table.source().begin.line;
    rule.name = keep(nameAt(required(table, number, "name"), placeOf(table, number, "name")));
    const std::string_view effect = stringAt(required(table, number, "effect"), placeOf(table, number, "effect"));
    if (effect != "allow" && effect != "deny") {
      refuseDocument(ErrorCode::invalidValue, placeOf(table, number, "effect"), "is neither allow nor deny", "write \"allow\" or \"deny\"");
    }
    rule.effect = effect == "allow" ? PolicyEffect::allow : PolicyEffect::deny;
    parseCredentials(table, number, rule);
    rule.grantee = parseList(table, number, "grantee", PolicyField::grantee);
    rule.host = parseList(table, number, "host", PolicyField::host);
    rule.scope = parseList(table, number, "scope", PolicyField::scope);
    rule.resource = parseList(table, number, "resource", PolicyField::resource);
    parseLimits(table, number, rule);
    const auto place = static_cast<std::uint16_t>(out_->rules.size());
    (rule.effect == PolicyEffect::deny ? out_->denies : out_->allows).push_back(place);
    out_->rules.push_back(rule);
  }

  static Place placeOf(const toml::table& table, std::size_t rule, std::string_view key) {
    const toml::node* node = table.get(key);
    return {node != nullptr ? lineOf(*node) : lineOf(table), rule, key};
  }

  static const toml::node& required(const toml::table& table, std::size_t rule, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr)
      refuseDocument(ErrorCode::invalidValue, placeOf(table, rule, key), "is missing", "every rule has a name and an effect");
    return *node;
  }

  // The list at `key`, or nullptr if there is none.
  static const toml::array* listAt(const toml::table& table, std::size_t rule, std::string_view key) {
    const toml::node* node = table.get(key);
    if (node == nullptr) return nullptr;
    const Place place = placeOf(table, rule, key);
    const toml::array* list = node->as_array();
    if (list == nullptr) refuseDocument(ErrorCode::invalidValue, place, "must be a list of strings", "put the value between [ and ]");
    if (list->empty()) refuseDocument(ErrorCode::invalidValue, place, "is an empty list", "leave the key out to match everything");
    if (list->size() > limits::kListItemsMax)
      refuseDocument(ErrorCode::tooLarge, place, "has more than 256 items", "split the rule, or use patterns");
    return list;
  }

  static void parseCredentials(const toml::table& table, std::size_t number, PolicyRule& rule) {
    const toml::array* list = listAt(table, number, "credential");
    if (list == nullptr) return;
    rule.credentials = 0;
    for (const toml::node& item : *list) {
      const Place place{lineOf(item), number, "credential"};
      const std::string_view name = stringAt(item, place);
      const auto* found = std::find(kPolicyCredentials.begin(), kPolicyCredentials.end(), name);
      if (name == "*") {
        rule.credentials = 0xffff;
      } else if (found != kPolicyCredentials.end()) {
        rule.credentials = static_cast<std::uint16_t>(rule.credentials | (1U << (found - kPolicyCredentials.begin())));
      } else {
        std::string hint = "one of:";
        for (const std::string_view known : kPolicyCredentials) hint.append(" ").append(known);
        refuseDocument(ErrorCode::invalidValue, place, "holds something that is no credential", hint + ", or * for all");
      }
    }
  }

  PolicyPatternList parseList(const toml::table& table, std::size_t number, std::string_view key, PolicyField field) {
    const toml::array* list = listAt(table, number, key);
    if (list == nullptr) return {};
    PolicyPatternList out{static_cast<std::uint32_t>(out_->patterns.size()), 0};
    bool everything = false;
    for (const toml::node& item : *list) {
      const Place place{lineOf(item), number, key};
      PolicyPattern pattern;
      refusePattern(compilePattern(field, stringAt(item, place), pattern), place);
      everything = everything || (pattern.prefix && pattern.text.empty());
      pattern.text = keep(pattern.text);
      out_->patterns.push_back(pattern);
      ++out.count;
    }
    if (!everything) return out;
    out_->patterns.resize(out.first);
    return {};
  }

  static void parseLimits(const toml::table& table, std::size_t number, PolicyRule& rule) {
    const auto at = [&](std::string_view key) { return placeOf(table, number, key); };
    for (const std::string_view key : kLimitKeys) {
      if (rule.effect == PolicyEffect::deny && table.contains(key)) {
        refuseDocument(ErrorCode::invalidValue, at(key), "has no meaning in a deny rule",
                       "a deny rule refuses whatever it matches; limits belong to allow rules");
      }
    }
    if (const toml::node* node = table.get("maxTtlSeconds")) {
      rule.maxTtlSeconds = numberAt(*node, at("maxTtlSeconds"), 1, limits::kTtlSecondsMax);
    }
    if (const toml::node* node = table.get("maxUses")) {
      rule.maxUses = static_cast<std::uint64_t>(numberAt(*node, at("maxUses"), 0, static_cast<std::int64_t>(limits::kJsonIntegerMax)));
    }
    if (const toml::node* node = table.get("renewableForSeconds")) {
      rule.renewableForSeconds = numberAt(*node, at("renewableForSeconds"), 0, limits::kTtlSecondsMax);
    }
    if (const toml::node* node = table.get("approval")) {
      const std::string_view approval = stringAt(*node, at("approval"));
      if (approval != "none" && approval != "required") {
        refuseDocument(ErrorCode::invalidValue, at("approval"), "is neither none nor required", "write \"none\" or \"required\"");
      }
      rule.approvalRequired = approval == "required";
    }
  }

  // A decision names its rule, so two rules of one name would make the record ambiguous.
  void refuseRepeatedNames() const {
    std::vector<std::size_t> order(out_->rules.size());
    for (std::size_t i = 0; i < order.size(); ++i) order[i] = i;
    std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
      const int names = out_->rules[a].name.compare(out_->rules[b].name);
      return names != 0 ? names < 0 : a < b;
    });
    for (std::size_t i = 1; i < order.size(); ++i) {
      if (out_->rules[order[i - 1]].name != out_->rules[order[i]].name) continue;
      refuseDocument(ErrorCode::duplicateField, {out_->rules[order[i]].line, order[i] + 1, "name"},
                     "is the name of rule " + std::to_string(order[i - 1] + 1) + " too", "give every rule a name of its own");
    }
  }

  const toml::table& root_;
  std::shared_ptr<Policy::Compiled> out_;
  std::size_t arenaBytes_;
  std::size_t arenaUsed_ = 0;
};

// The library's description may quote the document: only its place is passed on, and whether it is about a repeated key.
[[noreturn]] void refuseToml(const toml::parse_error& error) {
  const Place place{error.source().begin.line, 0, {}};
  if (error.description().find(": cannot redefine existing ") != std::string_view::npos) {
    refuseDocument(ErrorCode::duplicateField, place, "a key for the second time", "keep one of the two; a new rule begins with [[rule]]");
  }
  refuseDocument(ErrorCode::invalidValue, place, "not valid TOML", "see docs/policy.md for the form of each line");
}

}  // namespace

Policy Policy::parse(std::string_view toml) {
  checkPolicySyntax(toml);
  std::shared_ptr<const Compiled> compiled;
  try {
    const toml::table root = toml::parse(toml);
    compiled = DocumentParser(root, toml.size()).run();
  } catch (const toml::parse_error& error) {
    refuseToml(error);
  }
  return Policy(std::move(compiled));
}

}  // namespace counterfoil
