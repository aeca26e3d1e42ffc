#include "server/http/router.h"

#include <algorithm>

namespace counterfoil::server {
namespace {

// The pattern's segments against the request's: texts equal, {names} take any one that is not empty.
bool matches(std::string_view pattern, const std::vector<std::string>& segments) {
  pattern.remove_prefix(1);
  for (std::size_t index = 0; index < segments.size(); ++index) {
    const std::size_t end = pattern.find('/');
    const std::string_view part = pattern.substr(0, end);
    const bool last = end == std::string_view::npos;
    if (last != (index + 1 == segments.size())) return false;
    if (part.starts_with('{')) {
      if (segments[index].empty()) return false;
    } else if (part != segments[index]) {
      return false;
    }
    if (!last) pattern.remove_prefix(end + 1);
  }
  return true;
}

// Of a pattern that matches.
std::vector<Parameter> variablesOf(std::string_view pattern, const std::vector<std::string>& segments) {
  std::vector<Parameter> variables;
  for (const std::string& segment : segments) {
    pattern.remove_prefix(1);
    const std::string_view part = pattern.substr(0, pattern.find('/'));
    if (part.starts_with('{')) variables.emplace_back(std::string(part.substr(1, part.size() - 2)), segment);
    pattern.remove_prefix(part.size());
  }
  return variables;
}

}  // namespace

std::string_view Call::variable(std::string_view name) const {
  for (const auto& [key, value] : variables) {
    if (key == name) return value;
  }
  return {};
}

void Router::add(Route route) {
  routes_.push_back(std::move(route));
}

Router::Match Router::match(std::string_view method, const std::vector<std::string>& segments) const {
  Match result;
  std::vector<std::string_view> allowed;
  const std::string_view wanted = method == "HEAD" ? std::string_view("GET") : method;
  for (const Route& route : routes_) {
    if (!matches(route.pattern, segments)) continue;
    // A text beats a variable: "leases/{lease}" must not hide a literal route of the same length, which stands before it in the table.
    if (route.method == wanted) {
      result.route = &route;
      result.variables = variablesOf(route.pattern, segments);
      return result;
    }
    if (std::find(allowed.begin(), allowed.end(), route.method) == allowed.end()) allowed.push_back(route.method);
  }
  std::sort(allowed.begin(), allowed.end());
  for (const std::string_view one : allowed) result.allowed += (result.allowed.empty() ? "" : ", ") + std::string(one);
  return result;
}

}  // namespace counterfoil::server
