// What a data folder's log holds, read in the test's own process through the libraries, without the program under test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <string>

#include "ledger/core/encoding.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/file_key_provider.h"
#include "ledger/log/embedded_log.h"
#include "tests/sim/world.h"

namespace counterfoil::test {

struct LogEvidence {
  struct Place {
    std::uint64_t workspace = 0;
    std::uint64_t seq = 0;
    std::string leaf;  // hex
  };
  VerifyReport report;
  std::map<std::string, Place> byId;  // entry id
  std::map<std::string, std::uint64_t> kinds;
  std::uint64_t repeatedIds = 0;

  std::uint64_t sizeOf(std::uint64_t workspace) const {
    const auto found = report.workspaces.find(workspace);
    return found == report.workspaces.end() ? 0 : found->second.tree.size();
  }
};

// Hands the verifier what the log gives, and keeps ids and leaves on the way.
class EvidenceSource final : public VerifySource {
 public:
  EvidenceSource(log::EventLog& eventLog, keys::KeyProvider& provider, crypto::RandomSource& random, LogEvidence& evidence)
      : reading_(eventLog, provider, random), evidence_(evidence) {}
  bool next(VerifyItem& item) override {
    if (!reading_.next(item)) return false;
    if (item.content != VerifyItem::Content::present) return true;
    EntryView view;
    arena_.reset();
    if (readEntry(item.bytes, Strictness::strict, arena_, view) != nullptr) return true;
    ++evidence_.kinds[kindName(view.kindNumber)];
    const auto [place, isNew] = evidence_.byId.try_emplace(toUuid(view.id));
    if (!isNew) ++evidence_.repeatedIds;
    place->second = {item.workspace.value, item.seq.value, toHex(item.leaf.bytes)};
    return true;
  }

 private:
  Reading reading_;
  Arena arena_;
  LogEvidence& evidence_;
};

// Verifies the whole log, strictly, with the keys at hand.
inline LogEvidence readEvidence(const std::filesystem::path& logFolder, const std::filesystem::path& keys) {
  LogEvidence evidence;
  crypto::SystemRandom random;
  keys::FileKeyProvider provider(keys, random);
  const auto eventLog = log::EmbeddedLog::openReadOnly(logFolder);
  EvidenceSource source(*eventLog, provider, random, evidence);
  evidence.report = verify(source, Strictness::strict, nullptr);
  return evidence;
}

inline void expectSound(const LogEvidence& evidence) {
  EXPECT_TRUE(evidence.report.ok()) << evidence.report.problemCount << " problems, the first: "
                                    << (evidence.report.problems.empty() ? "" : evidence.report.problems.front().what);
  EXPECT_EQ(evidence.repeatedIds, 0U) << "one id, several entries";
}

}  // namespace counterfoil::test
