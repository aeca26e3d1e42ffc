// House rule about names that sources keep to themselves: builds compile several sources of a library as one (docs/decisions/0033), and a
// call that finds another source's function of the same name would go there without a word.
#pragma once

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/shape.h"
#include "tests/tidy/source_tree.h"

namespace counterfoil::tidy {

// Compiled each source for itself in every build (CMakeLists.txt, tests/CMakeLists.txt).
inline bool isCompiledAlone(std::string_view path) {
  for (const std::string_view folder : {"ledger/crypto/", "tests/fuzz/", "tests/ledger/crypto/", "tests/ledger/keys/",
                                        "tests/ledger/redact/", "tests/ops/", "tests/tidy/"}) {
    if (path.starts_with(folder)) return true;
  }
  return path.starts_with("tests/ledger/log/") && !path.starts_with("tests/ledger/log/kafka/");
}

// What may be compiled together: the sources of a library, of a program, or the tests of a folder.
inline std::string compiledTogether(std::string_view path) {
  for (const std::string_view folder : {"ops/kafka/admin/", "clients/cpp/"}) {
    if (path.starts_with(folder)) return std::string(folder);
  }
  if (path.starts_with("tests/")) return std::string(path.substr(0, path.rfind('/') + 1));
  std::size_t end = path.find('/');
  if (path.starts_with("ledger/") && end != std::string_view::npos) end = path.find('/', end + 1);
  return std::string(path.substr(0, end));
}

// The name that a declaration gives: of a function the word before its parameters, else the one before `=`, `{` or `;`. Empty for what
// gives none that could be confused: a test, a macro's call, an explicit instantiation.
inline std::string declaredName(std::string_view head) {
  const std::size_t parameters = head.find('(');
  const std::size_t value = head.find('=');
  std::size_t end = std::min(std::min(parameters, value), head.size());
  // Aliases of namespaces may be repeated; the compiler sees to it that they mean the same.
  if (head.find("namespace ") != std::string_view::npos) return {};
  for (const std::string_view word : {"struct ", "class ", "enum class "}) {
    const std::size_t at = head.find(word);
    if (at == std::string_view::npos || head.substr(0, at).find('<') != std::string_view::npos) continue;
    std::size_t from = at + word.size();
    std::size_t to = from;
    while (to < head.size() && isWordByte(head[to])) ++to;
    return std::string(head.substr(from, to - from));
  }
  while (end > 0 && !isWordByte(head[end - 1])) --end;
  std::size_t from = end;
  while (from > 0 && isWordByte(head[from - 1])) --from;
  const std::string_view before = head.substr(0, from);
  const bool member = before.ends_with("::") || before.ends_with('.') || before.find("operator") != std::string_view::npos;
  const std::string name(head.substr(from, end - from));
  const bool shouted = name.size() > 1 &&
                       std::all_of(name.begin(), name.end(), [](char byte) { return std::islower(static_cast<unsigned char>(byte)) == 0; });
  return member || isBlank(before) || shouted ? std::string() : name;
}

struct OwnName {
  std::string name;  // with the namespace around
  std::size_t line = 0;
};

// Names declared in unnamed namespaces.
inline std::vector<OwnName> ownNames(const Source& source) {
  constexpr std::string_view kOpening = "\nnamespace {";
  std::vector<OwnName> names;
  const std::string code = blankDirectives(source.code);
  for (std::size_t at = code.find(kOpening); at != std::string::npos; at = code.find(kOpening, at + 1)) {
    const std::size_t open = at + kOpening.size() - 1;
    const std::size_t end = closingBrace(code, open);
    const std::size_t around = code.rfind("\nnamespace ", at - std::min<std::size_t>(at, 1));
    const std::string scope =
        around == std::string::npos ? "" : code.substr(around + 11, code.find_first_of(" {", around + 11) - around - 11);
    for (std::size_t from = open + 1, here = from; here < end; ++here) {
      if (code[here] != '{' && code[here] != ';') continue;
      const std::string_view head = std::string_view(code).substr(from, here - from);
      const std::size_t first = std::min(code.find_first_not_of(" \t\n", from), here);
      if (std::string name = declaredName(head); !name.empty()) names.push_back({scope + "::" + name, lineAt(code, first)});
      if (code[here] == '{') here = closingBrace(code, here);
      while (here + 1 < end && (code[here + 1] == ';' || code[here + 1] == ' ')) ++here;
      from = here + 1;
    }
  }
  return names;
}

// Offences of sources that use a name for themselves which another one, compiled with it, uses for itself too.
inline Offences sharedOwnNames(const std::vector<Source>& tree) {
  Offences offences;
  std::map<std::string, std::map<std::string, std::string>> owners;  // group, name: the first source that has it
  for (const Source& source : tree) {
    if (!source.path.ends_with(".cc") || isCompiledAlone(source.path)) continue;
    auto& known = owners[compiledTogether(source.path)];
    std::set<std::string> mine;  // overloads in one source are its own affair
    for (const OwnName& own : ownNames(source)) {
      if (!mine.insert(own.name).second) continue;
      const auto [owner, fresh] = known.emplace(own.name, source.path);
      if (!fresh)
        offences.push_back({source.path, own.line, "`" + own.name + "` is also a name of " + owner->second + "'s own: rename one"});
    }
  }
  return offences;
}

}  // namespace counterfoil::tidy
