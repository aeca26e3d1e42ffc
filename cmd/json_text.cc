#include "cmd/json_text.h"

#include <algorithm>

namespace counterfoil::cmd {
namespace {

constexpr std::string_view kBlanks = " \t\r\n";

std::size_t skipBlanks(std::string_view text, std::size_t at) {
  return std::min(text.find_first_not_of(kBlanks, at), text.size());
}

// Behind the string that begins at `at`.
std::size_t endOfString(std::string_view text, std::size_t at) {
  for (++at; at < text.size() && text[at] != '"'; ++at) {
    if (text[at] == '\\') ++at;
  }
  return std::min(at + 1, text.size());
}

// Behind the value that begins at `at`, with the blanks behind it.
std::size_t endOfValue(std::string_view text, std::size_t at) {
  std::size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = endOfString(text, at);
      continue;
    }
    if (depth == 0 && (c == ',' || c == ']' || c == '}')) break;
    if (c == '[' || c == '{') ++depth;
    if (c == ']' || c == '}') --depth;
    ++at;
  }
  return at;
}

std::string_view trimmed(std::string_view value) {
  while (!value.empty() && kBlanks.find(value.back()) != std::string_view::npos) value.remove_suffix(1);
  return value;
}

}  // namespace

std::string_view rawMember(std::string_view object, std::string_view name) {
  std::size_t at = skipBlanks(object, 0);
  if (at >= object.size() || object[at] != '{') return {};
  for (at = skipBlanks(object, at + 1); at < object.size() && object[at] == '"'; at = skipBlanks(object, at + 1)) {
    const std::size_t nameEnd = endOfString(object, at);
    const std::string_view found = object.substr(at + 1, nameEnd - at - 2);
    const std::size_t begin = skipBlanks(object, skipBlanks(object, nameEnd) + 1);
    const std::size_t end = endOfValue(object, begin);
    if (found == name) return trimmed(object.substr(begin, end - begin));
    at = end;  // at the comma or the end
  }
  return {};
}

std::vector<std::string_view> rawItems(std::string_view array) {
  std::vector<std::string_view> items;
  std::size_t at = skipBlanks(array, 0);
  if (at >= array.size() || array[at] != '[') return items;
  for (at = skipBlanks(array, at + 1); at < array.size() && array[at] != ']'; at = skipBlanks(array, at + 1)) {
    const std::size_t end = endOfValue(array, at);
    items.push_back(trimmed(array.substr(at, end - at)));
    at = end;
    if (at >= array.size() || array[at] == ']') break;
  }
  return items;
}

}  // namespace counterfoil::cmd
