// The CloudTrail sample as a test's input: where it lies, the credentials in it, and what an import of it has put on the record.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "tests/e2e/ledger_folder.h"
#include "tests/support/vectors.h"

namespace counterfoil::test {

// Its folder; nullopt if it is not there (kSharedMissing).
inline std::optional<std::string> cloudTrailSample() {
  const auto sample = sharedPath("data/cloudtrail-stratus/CloudTrail");
  return sample ? std::optional(sample->string()) : std::nullopt;
}

// Facts that it gives.
inline constexpr std::uint64_t kSampleFacts = 3'250;

// Session tokens and access key ids of the files in a folder, found by their JSON names without the importer's help.
inline std::set<std::string> credentialsIn(const std::filesystem::path& folder) {
  std::set<std::string> found;
  for (const auto& file : std::filesystem::directory_iterator(folder)) {
    const std::string text = readBytes(file.path());
    for (const std::string_view name : {"\"sessionToken\"", "\"accessKeyId\""}) {
      for (std::size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
        const std::size_t open = text.find_first_not_of(" \t\r\n:", at + name.size());
        if (text[open] != '"') continue;
        const std::string value = text.substr(open + 1, text.find('"', open + 1) - open - 1);
        if (value.size() >= 16) found.insert(value);
      }
    }
  }
  return found;
}

// No file below these folders holds one of them, in whole or by a telling part.
inline void expectInNoFile(const std::set<std::string>& secrets, std::initializer_list<std::filesystem::path> folders) {
  unsigned files = 0;
  for (const std::filesystem::path& root : folders) {
    for (const auto& file : std::filesystem::recursive_directory_iterator(root)) {
      if (!file.is_regular_file()) continue;
      ++files;
      const std::string bytes = readBytes(file.path());
      for (const std::string& secret : secrets) {
        ASSERT_EQ(bytes.find(secret.substr(0, 64)), std::string::npos) << "a credential of the input stands in " << file.path();
      }
    }
  }
  ASSERT_GT(files, 3U);
}

// What an import put on the record of a workspace, told so that two ledgers can be compared: without what every ledger has of its own
// (places, hashes, recorded times), and with names in the order of their first appearance for what each ledger's keys make (fingerprints,
// pseudonyms, commitments).
class ImportedRecord {
 public:
  std::vector<std::string> facts;     // in the order they were recorded
  std::set<std::string> ends;         // lease.expired
  std::vector<std::string> finished;  // import.finished
  std::map<std::string, std::uint64_t> kinds;
  std::uint64_t repeatedIds = 0;

  // `entries`: as `entries --all --json` prints them.
  explicit ImportedRecord(const std::vector<std::string>& entries) {
    std::set<std::string> ids;
    for (const std::string& line : entries) {
      boost::json::object entry = boost::json::parse(line).as_object();
      const std::string kind = textAt(entry, {"kind"});
      if (!ids.insert(textAt(entry, {"id"})).second) ++repeatedIds;
      if (kind == "workspace.created" || kind.starts_with("audit.")) continue;
      ++kinds[kind];
      for (const char* own : {"seq", "leafHash", "previous", "recordedAt"}) entry.erase(own);
      if (kind == "import.finished") {
        entry.erase("id");
        entry.erase("occurredAt");
      }
      boost::json::value told = std::move(entry);
      tell(told);
      const std::string text = boost::json::serialize(told);
      if (kind == "lease.expired") {
        ends.insert(text);
      } else {
        (kind == "import.finished" ? finished : facts).push_back(text);
      }
    }
  }

 private:
  void tell(boost::json::value& value) {
    if (boost::json::object* object = value.if_object()) {
      for (auto& [name, member] : *object) {
        if (name == "commitment" || name == "commitments") {
          member = "committed";
        } else {
          tell(member);
        }
      }
    } else if (boost::json::array* array = value.if_array()) {
      for (boost::json::value& item : *array) tell(item);
    } else if (value.is_string()) {
      value = named(std::string(value.as_string()));
    }
  }
  // Every "fp2:...", "p2:..." and "n2:..." in the text.
  std::string named(const std::string& text) {
    constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:_-";
    std::string result;
    for (std::size_t at = 0; at < text.size();) {
      const bool begins = at == 0 || kLetters.find(text[at - 1]) == std::string_view::npos;
      const std::string_view rest = std::string_view(text).substr(at);
      if (!begins || !(rest.starts_with("fp2:") || rest.starts_with("p2:") || rest.starts_with("n2:"))) {
        result += text[at++];
        continue;
      }
      const std::size_t end = std::min(text.find_first_not_of(kLetters, at), text.size());
      const std::string token = text.substr(at, end - at);
      result += token.substr(0, token.find(':')) + '#' + std::to_string(names_.try_emplace(token, names_.size()).first->second);
      at = end;
    }
    return result;
  }
  std::map<std::string, std::size_t> names_;
};

// Entry by entry, the ends as a set: when a lease's end is recorded depends on when the facts behind it arrive.
inline void expectSame(const ImportedRecord& one, const ImportedRecord& other) {
  EXPECT_EQ(one.kinds, other.kinds);
  EXPECT_EQ(one.finished, other.finished);
  EXPECT_EQ(one.ends, other.ends);
  ASSERT_EQ(one.facts.size(), other.facts.size());
  for (std::size_t index = 0; index < one.facts.size(); ++index) ASSERT_EQ(one.facts[index], other.facts[index]) << "fact " << index;
}

}  // namespace counterfoil::test
