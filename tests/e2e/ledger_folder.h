// A ledger in a folder of its own, used through the program alone, and what its outputs say.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/process.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {

struct Result {
  int status = -1;
  std::string out;
  std::string error;

  // Standard output as one JSON object; null if it is none.
  boost::json::value json() const {
    boost::system::error_code failed;
    boost::json::value value = boost::json::parse(out, failed);
    return failed ? boost::json::value() : value;
  }
  // Standard output as lines.
  std::vector<std::string> lines() const {
    std::vector<std::string> result;
    for (std::size_t at = 0; at < out.size();) {
      const std::size_t end = std::min(out.find('\n', at), out.size());
      result.push_back(out.substr(at, end - at));
      at = end + 1;
    }
    return result;
  }
  // The problem's code on standard error (notes may stand before it); empty if there is none.
  std::string code() const {
    const std::size_t at = error.rfind("{\"type\"");
    if (at == std::string::npos) return {};
    boost::system::error_code failed;
    const boost::json::value problem = boost::json::parse(error.substr(at, error.find('\n', at) - at), failed);
    return failed ? std::string() : std::string(problem.at("code").as_string());
  }
};

inline std::ostream& operator<<(std::ostream& out, const Result& result) {
  return out << "status " << result.status << "\nstandard output: " << result.out.substr(0, 2'000)
             << "\nstandard error: " << result.error.substr(0, 2'000);
}

inline Result runProgram(const std::vector<std::string>& words, std::string_view input = {},
                         const std::vector<std::string>& environment = {}) {
  Process process(words, environment);
  process.send(input);
  process.closeInput();
  Result result;
  result.status = process.finish();
  result.out = std::move(process.out);
  result.error = std::move(process.error);
  return result;
}

// `text` of a member of a JSON object by path, such as {"receipt", "leafHash"}; empty if it is not there.
inline std::string textAt(const boost::json::value& value, std::initializer_list<const char*> path) {
  const boost::json::value* at = &value;
  for (const char* name : path) {
    if (!at->is_object() || !at->as_object().contains(name)) return {};
    at = &at->as_object().at(name);
  }
  return at->is_string() ? std::string(at->as_string()) : boost::json::serialize(*at);
}

// Ids and choices of one test, repeatable from a seed but for the time in the ids.
class Ids {
 public:
  explicit Ids(std::uint64_t seed) : engine_(seed) {}
  std::string next() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    const auto milliseconds = static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
    const std::uint64_t high = (milliseconds << 16) | 0x7000U | (engine_() & 0xfffU);
    const std::uint64_t low = (engine_() & 0x3fff'ffff'ffff'ffffULL) | 0x8000'0000'0000'0000ULL;
    char text[37];
    std::snprintf(text, sizeof(text), "%08llx-%04llx-%04llx-%04llx-%012llx", static_cast<unsigned long long>(high >> 32),
                  static_cast<unsigned long long>((high >> 16) & 0xffff), static_cast<unsigned long long>(high & 0xffff),
                  static_cast<unsigned long long>(low >> 48), static_cast<unsigned long long>(low & 0xffff'ffff'ffffULL));
    return text;
  }
  std::uint64_t below(std::uint64_t bound) { return engine_() % bound; }

 private:
  std::mt19937_64 engine_;
};

inline std::string readBytes(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(file), {});
}

inline void writeBytes(const std::filesystem::path& path, std::string_view bytes) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << bytes;
}

// `data` and `keys` of one ledger with workspace `w1`.
class LedgerFolder {
 public:
  explicit LedgerFolder(bool initialise = true) : LedgerFolder(std::filesystem::path(), initialise) {}
  // `data` elsewhere: on a file system of its own, say. Its keys stay in this object's folder.
  LedgerFolder(const std::filesystem::path& data, bool initialise)
      : data_(data.empty() ? folder_.path() / "data" : data), keys_(folder_.path() / "keys") {
    if (!initialise) return;
    const Result made = run({"init", "--keys", keys_.string()});
    EXPECT_EQ(made.status, 0) << made;
    const Result workspace = run({"workspace", "create", "w1"});
    EXPECT_EQ(workspace.status, 0) << workspace;
  }

  const std::filesystem::path& root() const { return folder_.path(); }
  const std::filesystem::path& data() const { return data_; }
  const std::filesystem::path& keys() const { return keys_; }
  std::filesystem::path logFile() const { return data_ / "log" / "log.db"; }
  std::filesystem::path snapshot() const { return data_ / "snapshots" / "partition-0.snapshot"; }

  std::vector<std::string> words(std::vector<std::string> words) const {
    words.insert(words.end(), {"--json", "--data", data_.string()});
    return words;
  }
  // A verb with --json on this data.
  Result run(const std::vector<std::string>& verb, std::string_view input = {}, const std::vector<std::string>& environment = {}) const {
    return runProgram(words(verb), input, environment);
  }
  // The same with --workspace w1.
  Result in(std::vector<std::string> verb, std::string_view input = {}) const {
    verb.insert(verb.end(), {"--workspace", "w1"});
    return run(verb, input);
  }
  // Entries of w1, as the program says.
  std::uint64_t size() const {
    const Result shown = run({"workspace", "show", "w1"});
    EXPECT_EQ(shown.status, 0) << shown;
    const std::string text = textAt(shown.json(), {"size"});
    return text.empty() ? 0 : std::stoull(text);
  }

 private:
  TemporaryFolder folder_;
  std::filesystem::path data_;
  std::filesystem::path keys_;
};

// The program ended by itself (no signal, no abort) with this problem.
inline void expectFault(const Result& result, std::string_view code, int status) {
  EXPECT_EQ(result.code(), code) << result;
  EXPECT_EQ(result.status, status) << result;
}

inline void expectVerified(const LedgerFolder& ledger) {
  const Result verified = ledger.run({"verify"});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(textAt(verified.json(), {"ok"}), "true") << verified;
}

inline std::string plainFact(const std::string& id) {
  return "{\"kind\":\"tool.invoked\",\"id\":\"" + id + "\",\"tool\":\"git\",\"operation\":\"clone\",\"outcome\":\"ok\"}\n";
}

}  // namespace counterfoil::test
