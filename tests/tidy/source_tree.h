// The files of the tree as the house rules see them, and the small amount of C++ lexing the rules need.
#pragma once

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <ostream>
#include <string>
#include <string_view>
#include <vector>

namespace counterfoil::tidy {

// One file. `code` is `text` with comments, string and character literals and the bodies of raw strings blanked out, byte for byte in
// the same place, so that an offset or a line number means the same in both.
struct Source {
  std::string path;  // from the root of the tree, with slashes
  std::string text;
  std::string code;
  bool executable = false;
};

struct Offence {
  std::string path;
  std::size_t line = 0;
  std::string what;
};
using Offences = std::vector<Offence>;

inline std::ostream& operator<<(std::ostream& out, const Offence& offence) {
  return out << offence.path << ':' << offence.line << ": " << offence.what;
}

inline bool isWordByte(char byte) {
  return std::isalnum(static_cast<unsigned char>(byte)) != 0 || byte == '_';
}
inline bool isBlank(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char byte) { return std::isspace(static_cast<unsigned char>(byte)) != 0; });
}
inline bool inFolder(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && folder.ends_with('/');
}
inline std::string fileName(std::string_view path) {
  return std::string(path.substr(path.rfind('/') + 1));
}
inline bool isHeader(std::string_view path) {
  return path.ends_with(".h");
}
inline bool isCpp(std::string_view path) {
  return path.ends_with(".cc") || isHeader(path);
}

inline std::size_t lineAt(std::string_view text, std::size_t offset) {
  return 1 + static_cast<std::size_t>(std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(offset), '\n'));
}
inline std::size_t lineCount(std::string_view text) {
  return static_cast<std::size_t>(std::count(text.begin(), text.end(), '\n')) + (text.empty() || text.ends_with('\n') ? 0 : 1);
}

inline std::vector<std::string_view> linesOf(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Offsets at which `word` stands in `text` with no letter, digit or underscore beside it.
inline std::vector<std::size_t> findWord(std::string_view text, std::string_view word) {
  std::vector<std::size_t> found;
  for (std::size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const bool startsFree = at == 0 || !isWordByte(word.front()) || !isWordByte(text[at - 1]);
    const std::size_t end = at + word.size();
    const bool endsFree = end == text.size() || !isWordByte(word.back()) || !isWordByte(text[end]);
    if (startsFree && endsFree) {
      found.push_back(at);
    }
  }
  return found;
}

// The end (one past) of the literal or comment that starts at `at`, or `at` when none does.
inline std::size_t skipLiteral(std::string_view text, std::size_t at) {
  const auto endOf = [&](std::string_view mark, std::size_t from) {
    const std::size_t found = text.find(mark, from);
    return found == std::string_view::npos ? text.size() : found + mark.size();
  };
  if (text.substr(at, 2) == "//") {
    return std::min(text.find('\n', at), text.size());
  }
  if (text.substr(at, 2) == "/*") {
    return endOf("*/", at + 2);
  }
  if (text[at] == '"' && at > 0 && text[at - 1] == 'R' && (at == 1 || !isWordByte(text[at - 2]) || text[at - 2] == '8')) {
    const std::size_t open = std::min(text.find('(', at), text.size());
    return endOf(")" + std::string(text.substr(at + 1, open - at - 1)) + "\"", open);
  }
  const bool digitSeparator = text[at] == '\'' && at > 0 && std::isxdigit(static_cast<unsigned char>(text[at - 1])) != 0;
  if ((text[at] != '"' && text[at] != '\'') || digitSeparator) {
    return at;
  }
  std::size_t end = at + 1;
  while (end < text.size() && text[end] != text[at] && text[end] != '\n') {
    end += text[end] == '\\' ? 2U : 1U;
  }
  return std::min(end + 1, text.size());
}

inline std::string blankLiterals(std::string_view text) {
  std::string code(text);
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = skipLiteral(text, at);
    for (std::size_t inside = at; inside < end; ++inside) {
      code[inside] = text[inside] == '\n' ? '\n' : ' ';
    }
    at = std::max(end, at + 1);
  }
  return code;
}

inline Source makeSource(std::string path, std::string text, bool executable = false) {
  std::string code = isCpp(path) ? blankLiterals(text) : text;
  return {std::move(path), std::move(text), std::move(code), executable};
}

struct Include {
  std::string path;
  bool quoted = false;
  std::size_t line = 0;
};

// Directives are found in `code`, so one inside a comment or a literal is none; the path is read from `text`.
inline std::vector<Include> includesOf(const Source& source) {
  std::vector<Include> includes;
  const auto codeLines = linesOf(source.code);
  const auto textLines = linesOf(source.text);
  for (std::size_t number = 0; number < codeLines.size(); ++number) {
    std::string directive(codeLines[number]);
    directive.erase(std::remove_if(directive.begin(), directive.end(), [](char byte) { return byte == ' ' || byte == '\t'; }),
                    directive.end());
    const std::string_view line = textLines[number];
    const std::size_t open = line.find_first_of("\"<");
    if (!directive.starts_with("#include") || open == std::string_view::npos) {
      continue;
    }
    const bool quoted = line[open] == '"';
    const std::size_t close = std::min(line.find(quoted ? '"' : '>', open + 1), line.size());
    includes.push_back({std::string(line.substr(open + 1, close - open - 1)), quoted, number + 1});
  }
  return includes;
}

// The standard output of a command; empty if it failed.
inline std::string outputOf(const std::string& command) {
  std::FILE* const pipe = ::popen(command.c_str(), "r");
  if (pipe == nullptr) {
    return {};
  }
  std::string output;
  std::array<char, 4096> buffer{};
  for (std::size_t read = 0; (read = std::fread(buffer.data(), 1, buffer.size(), pipe)) > 0;) {
    output.append(buffer.data(), read);
  }
  const int status = ::pclose(pipe);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? output : std::string();
}

// Paths of the tree: what git knows or would add. Without git (a source archive), everything outside the folders git would ignore.
inline std::vector<std::string> pathsOf(const std::string& root) {
  std::vector<std::string> paths;
  // safe.directory: the tree may belong to another user, as in a container.
  std::string listed = outputOf("git -c safe.directory='*' -C '" + root + "' ls-files -z --cached --others --exclude-standard 2>/dev/null");
  while (!listed.empty()) {
    const std::size_t end = listed.find('\0');
    paths.push_back(listed.substr(0, end));
    listed.erase(0, end + 1);
  }
  if (paths.empty()) {
    for (std::filesystem::recursive_directory_iterator item(root), last; item != last; ++item) {
      const std::string path = std::filesystem::relative(item->path(), root).generic_string();
      if (path == ".git" || path == "build" || path == "var" || path == "var.keys") {
        item.disable_recursion_pending();
      } else if (item->is_regular_file()) {
        paths.push_back(path);
      }
    }
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

inline std::vector<Source> readTree(const std::string& root) {
  std::vector<Source> sources;
  for (const std::string& path : pathsOf(root)) {
    const std::filesystem::path file = std::filesystem::path(root) / path;
    if (!std::filesystem::is_regular_file(std::filesystem::symlink_status(file))) {
      continue;  // deleted but not yet committed, or a link
    }
    std::ifstream stream(file, std::ios::binary);
    const bool executable =
        (std::filesystem::status(file).permissions() & std::filesystem::perms::owner_exec) != std::filesystem::perms::none;
    sources.push_back(makeSource(path, std::string(std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()), executable));
  }
  return sources;
}

}  // namespace counterfoil::tidy
