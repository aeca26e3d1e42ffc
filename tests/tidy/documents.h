// House rules about documents and mutations: what they point to is there.
#pragma once

#include <algorithm>
#include <array>
#include <cctype>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace counterfoil::tidy {

// The files of the tree by path, folders (with their slash) included.
inline std::set<std::string> placesOf(const std::vector<Source>& sources) {
  std::set<std::string> places;
  for (const Source& source : sources) {
    places.insert(source.path);
    for (std::size_t at = source.path.find('/'); at != std::string::npos; at = source.path.find('/', at + 1)) {
      places.insert(source.path.substr(0, at + 1));
    }
  }
  return places;
}

inline bool isPlace(const std::set<std::string>& places, const std::string& path) {
  return places.contains(path) || places.contains(path + "/") || path.empty();
}

// Lines of a Markdown text, those of fenced blocks emptied.
inline std::vector<std::string> proseOf(const Source& source) {
  std::vector<std::string> prose;
  bool fenced = false;
  for (const std::string_view line : linesOf(source.text)) {
    const bool fence = line.starts_with("```");
    prose.emplace_back(fenced || fence ? std::string_view() : line);
    if (fence) fenced = !fenced;
  }
  return prose;
}

// As the usual viewers make them of headings.
inline std::string anchorOf(std::string_view heading) {
  std::string anchor;
  for (const char byte : heading) {
    if (std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '-' || byte == '_') {
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(byte)));
    } else if (byte == ' ') {
      anchor += '-';
    }
  }
  return anchor;
}

inline bool hasAnchor(const Source& source, std::string_view anchor) {
  const std::vector<std::string> prose = proseOf(source);
  return std::any_of(prose.begin(), prose.end(), [&](const std::string& line) {
    const std::size_t text = line.find_first_not_of('#');
    return line.starts_with('#') && text != std::string::npos && line[text] == ' ' &&
           anchorOf(std::string_view(line).substr(text + 1)) == anchor;
  });
}

// `link` as written in the document `from`, seen from the root of the tree.
inline std::string resolved(const std::string& from, const std::string& link) {
  const std::filesystem::path folder = std::filesystem::path(from).parent_path();
  return (folder / link).lexically_normal().generic_string();
}

inline Offences brokenLinks(const Source& source, const std::vector<Source>& sources, const std::set<std::string>& places) {
  Offences offences;
  if (!source.path.ends_with(".md")) return offences;
  const std::vector<std::string> prose = proseOf(source);
  for (std::size_t number = 0; number < prose.size(); ++number) {
    const std::string& line = prose[number];
    for (std::size_t at = line.find("]("); at != std::string::npos; at = line.find("](", at + 1)) {
      const std::string target = line.substr(at + 2, line.find(')', at) - at - 2);
      if (target.find("://") != std::string::npos) continue;
      const std::size_t hash = std::min(target.find('#'), target.size());
      const std::string path = hash == 0 ? source.path : resolved(source.path, target.substr(0, hash));
      if (!isPlace(places, path)) {
        offences.push_back({source.path, number + 1, "this link leads nowhere: " + target});
      } else if (hash < target.size()) {
        const auto file = std::find_if(sources.begin(), sources.end(), [&](const Source& one) { return one.path == path; });
        if (file == sources.end() || !hasAnchor(*file, target.substr(hash + 1)))
          offences.push_back({source.path, number + 1, "there is no such heading: " + target});
      }
    }
  }
  return offences;
}

// Paths in backticks. Patterns (`*`, `<...>`, capitals for a name to fill in) are none.
inline Offences missingPaths(const Source& source, const std::set<std::string>& places) {
  Offences offences;
  if (source.path != "README.md" && !(inFolder(source.path, "docs/") && source.path.ends_with(".md"))) return offences;
  static constexpr std::array<std::string_view, 7> kRoots = {"ledger/", "projections/", "schemas/", "tests/", "ops/", "docs/", "cmd/"};
  const std::vector<std::string> prose = proseOf(source);
  for (std::size_t number = 0; number < prose.size(); ++number) {
    const std::vector<std::string> parts = [&] {
      std::vector<std::string> split(1);
      for (const char byte : prose[number]) byte == '`' ? split.emplace_back() : split.back().append(1, byte);
      return split;
    }();
    for (std::size_t part = 1; part < parts.size(); part += 2) {
      const std::string path = parts[part].substr(0, parts[part].find(' '));
      const bool ours = std::any_of(kRoots.begin(), kRoots.end(), [&](std::string_view root) { return path.starts_with(root); });
      const bool pattern = std::any_of(path.begin(), path.end(), [](char byte) {
        return byte == '*' || byte == '<' || byte == '{' || std::isupper(static_cast<unsigned char>(byte)) != 0;
      });
      if (ours && !pattern && !isPlace(places, path)) offences.push_back({source.path, number + 1, "there is no " + path});
    }
  }
  return offences;
}

// A patch says which test must turn red, which invariant that guards, and what would go wrong; and patches a file that is there.
inline Offences mutationForm(const Source& source, const std::set<std::string>& places) {
  Offences offences;
  if (!inFolder(source.path, "tests/mutations/")) return offences;
  bool patches = false;
  std::set<std::string> facts;
  const auto lines = linesOf(source.text);
  for (std::size_t number = 0; number < lines.size(); ++number) {
    const std::string line(lines[number]);
    for (const char* const key : {"# test: ", "# invariant: I", "# what: "}) {
      if (!patches && line.starts_with(key) && line.size() > std::string_view(key).size()) facts.insert(key);
    }
    if (!line.starts_with("--- a/")) continue;
    patches = true;
    if (!places.contains(line.substr(6))) offences.push_back({source.path, number + 1, "it patches a file that is not there"});
  }
  if (!patches || facts.size() != 3)
    offences.push_back({source.path, 1, "a mutation begins with `# test:`, `# invariant: I<n>`, `# what:`"});
  return offences;
}

}  // namespace counterfoil::tidy
