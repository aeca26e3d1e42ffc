// House rules about what may be included and called. Each takes one file and returns the places where the rule is broken.
#pragma once

#include <array>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tests/tidy/source_tree.h"

namespace counterfoil::tidy {

struct Library {
  std::string_view folder;
  std::vector<std::string_view> mayInclude;  // folders (ending in a slash) and single headers, besides its own folder and schemas/
};

// DESIGN's table "May include". cmd and tests are free, except that nothing includes cmd.
inline const std::vector<Library>& libraries() {
  static const std::vector<Library> table = {
      {"schemas/", {}},
      {"ledger/crypto/", {}},
      {"ledger/core/", {"ledger/crypto/"}},
      {"ledger/redact/", {"ledger/core/", "ledger/crypto/"}},
      {"ledger/keys/", {"ledger/core/", "ledger/crypto/"}},
      {"ledger/log/", {"ledger/core/"}},
      {"ledger/write/", {"ledger/core/", "ledger/crypto/", "ledger/redact/", "ledger/keys/", "ledger/log/event_log.h"}},
      {"ledger/transparency/", {"ledger/core/", "ledger/crypto/", "ledger/log/event_log.h"}},
      {"ledger/importers/", {"ledger/core/"}},
      {"projections/", {"ledger/core/", "ledger/keys/", "ledger/log/event_log.h"}},
      {"replay/",
       {"ledger/core/", "ledger/keys/", "ledger/transparency/", "ledger/log/event_log.h", "ledger/write/snapshot.h", "projections/"}},
      {"server/", {"ledger/", "projections/", "replay/"}},
      {"clients/", {"ledger/crypto/wiping.h", "ledger/crypto/random.h"}},
      {"ops/", {}},
  };
  return table;
}

inline bool isAnyOf(std::string_view path, std::span<const std::string_view> places) {
  return std::any_of(places.begin(), places.end(), [&](std::string_view place) { return path == place || inFolder(path, place); });
}

inline Offences includeTable(const Source& source) {
  Offences offences;
  static constexpr std::array<std::string_view, 8> kRoots = {"ledger/", "projections/", "replay/", "schemas/",
                                                             "server/", "clients/",     "tests/",  "ops/"};
  const auto& table = libraries();
  const auto library = std::find_if(table.begin(), table.end(), [&](const Library& row) { return inFolder(source.path, row.folder); });
  const bool isFree = inFolder(source.path, "cmd/") || inFolder(source.path, "tests/");
  for (const Include& include : includesOf(source)) {
    if (inFolder(include.path, "cmd/") && !inFolder(source.path, "cmd/")) {
      offences.push_back({source.path, include.line, "nothing includes cmd, but here is " + include.path});
      continue;
    }
    const bool ours = isAnyOf(include.path, kRoots) || inFolder(include.path, "cmd/");
    if (include.quoted && !ours) {
      offences.push_back({source.path, include.line, "quote only headers of the tree, by their path from its root: " + include.path});
    }
    if (!ours || isFree) {
      continue;
    }
    if (library == table.end()) {
      offences.push_back({source.path, include.line, "this folder is in no row of the include table"});
    } else if (!inFolder(include.path, library->folder) && !inFolder(include.path, "schemas/") &&
               !isAnyOf(include.path, library->mayInclude)) {
      offences.push_back({source.path, include.line, std::string(library->folder) + " may not include " + include.path});
    }
  }
  return offences;
}

// Headers of other people that only certain files may know.
inline Offences foreignHeaders(const Source& source) {
  Offences offences;
  const std::string_view path = source.path;
  // The tests of crypto hold its results against OpenSSL's own one-shot functions.
  const bool mayOpenSsl = ((inFolder(path, "ledger/crypto/") || inFolder(path, "tests/ledger/crypto/")) && path.ends_with(".cc")) ||
                          path == "server/http/tls.cc";
  const std::string name = fileName(path);
  const bool isCodec = inFolder(path, "ledger/core/") && (name.starts_with("schema_") || name.starts_with("codec"));
  const bool mayCapnProto = inFolder(path, "schemas/") || inFolder(path, "tests/") || isCodec;
  for (const Include& include : includesOf(source)) {
    const auto add = [&](const std::string& why) { offences.push_back({source.path, include.line, why + ": " + include.path}); };
    if (inFolder(include.path, "openssl/") && !mayOpenSsl) {
      add("OpenSSL stays inside ledger/crypto/*.cc (and their tests) and server/http/tls.cc");
    }
    if (include.path == "kj/compat/gtest.h") {
      add("beside GoogleTest this yields no tests and a pass");
    } else if ((inFolder(include.path, "kj/") || inFolder(include.path, "capnp/")) && !mayCapnProto) {
      add("KJ and Cap'n Proto stay inside schemas/ and ledger/core/{schema_,codec}*");
    }
    if (include.path == "regex") {
      add("std::regex overflows the stack on long input");
    }
  }
  return offences;
}

struct Ban {
  std::string_view word;
  std::string_view why;
  std::vector<std::string_view> allowed;  // folders and files
  bool onlyCall = false;                  // count the word only before an opening parenthesis
};

inline const std::vector<Ban>& bans() {
  static const std::string_view clock = "real clocks are made in cmd/ (and the client library's surroundings.cc) only; take a Clock";
  static const std::string_view sleep = "nothing sleeps; wait for an event or advance a clock";
  static const std::string_view thread = "threads are started by their owners only (list: tests/tidy/rules.h)";
  static const std::string_view dice = "randomness comes from ledger/crypto or is an input";
  static const std::vector<std::string_view> clockUsers = {"cmd/", "tests/", "clients/cpp/surroundings.cc"};
  static const std::vector<std::string_view> sleepers = {"cmd/"};
  static const std::vector<std::string_view> threadOwners = {"ledger/log/embedded_log*",
                                                             "ledger/log/kafka/kafka_lane*",
                                                             "ledger/log/kafka/kafka_ownership*",
                                                             "ledger/log/kafka/kafka_watch*",
                                                             "ledger/write/",
                                                             "projections/",
                                                             "server/http/listener*",
                                                             "cmd/",
                                                             "tests/"};
  // How long a peer may take is asked of the clock that the kernel waits by.
  static const std::vector<std::string_view> steadyUsers = {"cmd/", "tests/", "server/http/", "clients/cpp/surroundings.cc", "ops/"};
  static const std::vector<std::string_view> tests = {"tests/"};
  static const std::vector<Ban> table = {
      {"system_clock::now", clock, clockUsers},
      {"steady_clock::now", clock, steadyUsers},
      {"high_resolution_clock::now", clock, clockUsers},
      {"= std::chrono::system_clock;", clock, clockUsers},  // an alias hides the call
      {"= std::chrono::steady_clock;", clock, clockUsers},
      {"= std::chrono::high_resolution_clock;", clock, clockUsers},
      {"clock_gettime", clock, clockUsers},
      {"gettimeofday", clock, clockUsers},
      {"time(nullptr)", clock, clockUsers},
      {"time(NULL)", clock, clockUsers},
      {"time(0)", clock, clockUsers},
      {"time(&", clock, clockUsers},
      {"sleep_for", sleep, sleepers},
      {"sleep_until", sleep, sleepers},
      {"usleep", sleep, sleepers, true},
      {"sleep", sleep, sleepers, true},
      {"nanosleep", sleep, sleepers, true},
      {"clock_nanosleep", sleep, sleepers, true},
      {"std::thread", thread, threadOwners},
      {"std::jthread", thread, threadOwners},
      {"std::async", thread, threadOwners},
      {"pthread_create", thread, threadOwners},
      {"rand", dice, tests, true},
      {"srand", dice, tests, true},
      {"std::random_device", dice, tests},
      {"std::default_random_engine", dice, tests},
      {"std::mt19937", dice, tests},
      {"std::mt19937_64", dice, tests},
      {"std::minstd_rand", dice, tests},
      {"std::regex", "std::regex overflows the stack on long input", {}},
  };
  return table;
}

// `path` may break the ban: it lies in an allowed folder, is an allowed file, or starts like an allowed `prefix*`.
inline bool isAllowed(const Ban& ban, std::string_view path) {
  return isAnyOf(path, ban.allowed) || std::any_of(ban.allowed.begin(), ban.allowed.end(), [&](std::string_view place) {
           return place.ends_with('*') && path.starts_with(place.substr(0, place.size() - 1));
         });
}

inline Offences bannedCalls(const Source& source) {
  Offences offences;
  for (const Ban& ban : bans()) {
    if (isAllowed(ban, source.path)) {
      continue;
    }
    for (const std::size_t at : findWord(source.code, ban.word)) {
      const std::string_view rest = std::string_view(source.code).substr(at + ban.word.size());
      // std::thread::id and std::thread::hardware_concurrency() start nothing.
      const bool isScope = rest.starts_with("::") && ban.word.ends_with("thread");
      // A member of that name is somebody else's function.
      const bool isMember = at > 0 && (source.code[at - 1] == '.' || (at > 1 && source.code.compare(at - 2, 2, "->") == 0));
      if (!isScope && !isMember && (!ban.onlyCall || rest.starts_with('('))) {
        offences.push_back({source.path, lineAt(source.code, at), std::string(ban.word) + ": " + std::string(ban.why)});
      }
    }
  }
  return offences;
}

// Marks of unfinished work, and paths of the machine it was written on. Spelt in pieces, so that this file may be checked as well.
inline Offences forbiddenWords(const Source& source) {
  Offences offences;
  if (source.text.find('\0') != std::string::npos) {
    return offences;  // binary
  }
  static const std::array<std::string, 4> words = {std::string("TO") + "DO", std::string("FIX") + "ME", std::string("XX") + "X",
                                                   std::string("HA") + "CK"};
  for (const std::string& word : words) {
    for (const std::size_t at : findWord(source.text, word)) {
      offences.push_back({source.path, lineAt(source.text, at), "finish it or leave it out: " + word});
    }
  }
  static const std::string folder = std::string("/wo") + "rk/";
  for (std::size_t at = source.text.find(folder); at != std::string::npos; at = source.text.find(folder, at + 1)) {
    offences.push_back({source.path, lineAt(source.text, at), "a path of one machine: " + folder});
  }
  return offences;
}

inline Offences headerForm(const Source& source) {
  Offences offences;
  if (!isHeader(source.path)) {
    return offences;
  }
  if (!source.text.starts_with("// ")) {
    offences.push_back({source.path, 1, "the first line of a header is a comment that says what it is for"});
  }
  const auto lines = linesOf(source.code);
  if (std::find(lines.begin(), lines.end(), "#pragma once") == lines.end()) {
    offences.push_back({source.path, 1, "no #pragma once"});
  }
  return offences;
}

inline Offences scriptForm(const Source& source) {
  Offences offences;
  if (!inFolder(source.path, "ops/") && !inFolder(source.path, ".ci/")) {
    return offences;
  }
  const bool isShell = source.text.starts_with("#!") && linesOf(source.text).front().find("sh") != std::string_view::npos;
  if (isShell && !source.executable) {
    offences.push_back({source.path, 1, "a script is executable"});
  }
  const auto lines = linesOf(source.text);
  if (isShell && std::find(lines.begin(), lines.end(), "set -euo pipefail") == lines.end()) {
    offences.push_back({source.path, 1, "no `set -euo pipefail`"});
  }
  if (source.executable && !source.text.starts_with("#!")) {
    offences.push_back({source.path, 1, "an executable without a first line that names its interpreter"});
  }
  return offences;
}

}  // namespace counterfoil::tidy
