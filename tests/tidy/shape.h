// House rules about sizes, test bodies, and that what is written is also built.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace counterfoil::tidy {

// About 200, 500 and 70 lines are meant; these are where the meaning ends.
inline constexpr std::size_t kHeaderLinesMax = 260;
inline constexpr std::size_t kSourceLinesMax = 600;
inline constexpr std::size_t kFunctionLinesMax = 100;

inline Offences fileSizes(const Source& source) {
  const std::size_t lines = lineCount(source.text);
  const std::size_t limit = isHeader(source.path) ? kHeaderLinesMax : kSourceLinesMax;
  if (!isCpp(source.path) || lines <= limit) {
    return {};
  }
  return {{source.path, lines, "longer than " + std::to_string(limit) + " lines; split it by concept"}};
}

// `code` without preprocessor lines (and their continuations): a macro's braces need not pair.
inline std::string blankDirectives(std::string code) {
  bool inside = false;
  for (std::size_t at = 0; at < code.size();) {
    const std::size_t end = std::min(code.find('\n', at), code.size());
    const std::size_t first = code.find_first_not_of(" \t", at);
    inside = inside || (first < end && code[first] == '#');
    const bool goesOn = inside && end > at && code[end - 1] == '\\';
    if (inside) {
      std::fill(code.begin() + static_cast<std::ptrdiff_t>(at), code.begin() + static_cast<std::ptrdiff_t>(end), ' ');
    }
    inside = goesOn;
    at = end + 1;
  }
  return code;
}

// The offset of the brace that closes the one at `open`; the end of the text if none does.
inline std::size_t closingBrace(std::string_view code, std::size_t open) {
  std::size_t depth = 0;
  for (std::size_t at = open; at < code.size(); ++at) {
    depth += code[at] == '{' ? 1U : 0U;
    if (code[at] == '}' && --depth == 0) {
      return at;
    }
  }
  return code.size();
}

// `head` is what stands between the last `;`, `{` or `}` and an opening brace.
inline bool opensScope(std::string_view head) {
  const auto starts = [&](std::string_view word) {
    return head.starts_with(word) && (head.size() == word.size() || !isWordByte(head[word.size()]));
  };
  while (!head.empty()) {
    head.remove_prefix(std::min(head.find_first_not_of(" \t\n"), head.size()));
    if (starts("template")) {
      std::size_t depth = 0;
      std::size_t at = head.find('<');
      for (; at < head.size(); ++at) {
        depth += head[at] == '<' ? 1U : 0U;
        if (head[at] == '>' && --depth == 0) {
          break;
        }
      }
      head.remove_prefix(std::min(at + 1, head.size()));
    } else if (starts("inline") || starts("typedef") || starts("static")) {
      head.remove_prefix(6);
    } else {
      break;
    }
  }
  if (starts("namespace") || starts("extern") || starts("enum")) {
    return head.find('(') == std::string_view::npos || starts("enum");
  }
  const bool isType = starts("class") || starts("struct") || starts("union");
  return isType && (head.find('(') == std::string_view::npos || head.find("alignas") != std::string_view::npos);
}

// A function has parameters and is not the value of something (`= {`).
inline bool opensFunction(std::string_view head) {
  const std::size_t last = head.find_last_not_of(" \t\n");
  return last != std::string_view::npos && head[last] != '=' && head.find('(') != std::string_view::npos;
}

inline Offences functionSizes(const Source& source) {
  Offences offences;
  if (!isCpp(source.path)) {
    return offences;
  }
  const std::string code = blankDirectives(source.code);
  std::size_t headFrom = 0;
  for (std::size_t at = 0; at < code.size(); ++at) {
    if (code[at] == '{') {
      const std::string_view head = std::string_view(code).substr(headFrom, at - headFrom);
      if (!opensScope(head)) {
        const std::size_t close = closingBrace(code, at);
        const std::size_t first = std::min(code.find_first_not_of(" \t\n", headFrom), at);
        const std::size_t lines = lineAt(code, std::min(close, code.size())) - lineAt(code, first) + 1;
        if (opensFunction(head) && lines > kFunctionLinesMax) {
          offences.push_back({source.path, lineAt(code, first),
                              "a function of " + std::to_string(lines) + " lines; the limit is " + std::to_string(kFunctionLinesMax)});
        }
        at = close;
        // What follows an initialiser's brace still belongs to the same head: `Type::Type() : a_{1} { ... }`.
        const std::size_t next = code.find_first_not_of(" \t\n", std::min(close + 1, code.size()));
        if (next != std::string::npos && (code[next] == ',' || (code[next] == '{' && opensFunction(head)))) {
          continue;
        }
      }
    }
    if (at < code.size() && (code[at] == '{' || code[at] == '}' || code[at] == ';')) {
      headFrom = at + 1;
    }
  }
  return offences;
}

inline Offences emptyTests(const Source& source) {
  Offences offences;
  if (!isCpp(source.path)) {
    return offences;
  }
  for (const std::string_view macro : {"TEST", "TEST_F", "TEST_P", "TYPED_TEST", "TYPED_TEST_P"}) {
    for (const std::size_t at : findWord(source.code, macro)) {
      const std::size_t open = source.code.find('{', at);
      const std::string_view head = std::string_view(source.code).substr(at + macro.size(), open - at - macro.size());
      if (open == std::string::npos || !head.starts_with('(') || head.find(';') != std::string_view::npos) {
        continue;  // a mention, not a definition
      }
      const std::size_t close = closingBrace(source.code, open);
      if (isBlank(std::string_view(source.code).substr(open + 1, close - open - 1))) {
        offences.push_back({source.path, lineAt(source.code, at), "a test without a body passes whatever happens"});
      }
    }
  }
  return offences;
}

// The folder arguments of `function(NAME FOLDER ...)` in a CMake file.
inline std::vector<std::string> foldersOf(std::string_view cmake, std::string_view function) {
  std::vector<std::string> folders;
  for (const std::string_view line : linesOf(cmake)) {
    if (line.starts_with(std::string(function) + "(")) {
      const std::size_t name = line.find_first_not_of(' ', function.size() + 1);
      const std::size_t gap = std::min(line.find(' ', name), line.size());
      const std::size_t from = std::min(line.find_first_not_of(' ', gap), line.size());
      const std::size_t end = std::min(line.find_first_of(" )", from), line.size());
      folders.push_back(std::string(line.substr(from, end - from)) + "/");
    }
  }
  return folders;
}

// Test files lie directly in a folder that tests/CMakeLists.txt names; the fuzz and bench folders have lists of their own.
inline Offences unregisteredTests(const Source& source, std::string_view testsCmake) {
  if (!inFolder(source.path, "tests/") || !source.path.ends_with("_test.cc")) {
    return {};
  }
  const std::string folder = source.path.substr(0, source.path.rfind('/') + 1);
  const auto folders = foldersOf(testsCmake, "counterfoil_tests");
  if (std::find(folders.begin(), folders.end(), folder) != folders.end()) {
    return {};
  }
  return {{source.path, 1, "no counterfoil_tests() in tests/CMakeLists.txt names this folder: it would never run"}};
}

// Sources outside tests/ and schemas/ lie under a folder that the root CMakeLists.txt names.
inline Offences unbuiltSources(const Source& source, std::string_view rootCmake) {
  if (!source.path.ends_with(".cc") || inFolder(source.path, "tests/") || inFolder(source.path, "schemas/")) {
    return {};
  }
  auto folders = foldersOf(rootCmake, "counterfoil_library");
  const auto programs = foldersOf(rootCmake, "counterfoil_program");
  folders.insert(folders.end(), programs.begin(), programs.end());
  if (std::any_of(folders.begin(), folders.end(), [&](const std::string& folder) { return inFolder(source.path, folder); })) {
    return {};
  }
  return {{source.path, 1, "no counterfoil_library() or counterfoil_program() names this folder: it is never built"}};
}

}  // namespace counterfoil::tidy
