// What a data folder's log holds, read in the test's own process through the libraries, without the program under test.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>

#include "ledger/core/encoding.h"
#include "ledger/core/verify.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/file_key_provider.h"
#include "ledger/keys/key_ring.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/log/embedded_log.h"

namespace counterfoil::test {

// Every entry of a log with a key ring of its own. A record that does not open, for whatever reason, counts as damaged.
class LogReading final : public VerifySource {
 public:
  LogReading(const std::filesystem::path& logFolder, const std::filesystem::path& keys)
      : provider_(keys, random_),
        ring_(provider_, random_),
        log_(log::EmbeddedLog::openReadOnly(logFolder)),
        reader_(log_->read(PartitionId{0}, log::FoldState{})) {}

  bool next(VerifyItem& item) override {
    while (reader_->next(record_)) {
      if (record_.kind == log::RecordKind::keys && !keys::openKeysRecord(*ring_.workspace(record_.workspace), record_.value)) {
        throw std::runtime_error("a record of keys is damaged");
      }
      if (record_.kind != log::RecordKind::entry) continue;
      const auto outcome = keys::openRecord(*ring_.workspace(record_.workspace), record_.seq, record_.leaf, record_.value, opened_);
      item.workspace = record_.workspace;
      item.seq = record_.seq;
      item.previous = record_.previous;
      item.leaf = record_.leaf;
      item.content = outcome == keys::OpenOutcome::opened ? VerifyItem::Content::present : VerifyItem::Content::damaged;
      item.bytes = opened_.entry;
      return true;
    }
    return false;
  }

 private:
  crypto::SystemRandom random_;
  keys::FileKeyProvider provider_;
  keys::KeyRing ring_;
  std::unique_ptr<log::EmbeddedLog> log_;
  std::unique_ptr<log::PartitionReader> reader_;
  log::ValidRecord record_;
  keys::OpenedRecord opened_;
};

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
  EvidenceSource(const std::filesystem::path& logFolder, const std::filesystem::path& keys, LogEvidence& evidence)
      : reading_(logFolder, keys), evidence_(evidence) {}
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
  LogReading reading_;
  Arena arena_;
  LogEvidence& evidence_;
};

// Verifies the whole log, strictly, with the keys at hand.
inline LogEvidence readEvidence(const std::filesystem::path& logFolder, const std::filesystem::path& keys) {
  LogEvidence evidence;
  EvidenceSource source(logFolder, keys, evidence);
  evidence.report = verify(source, Strictness::strict, nullptr);
  return evidence;
}

inline void expectSound(const LogEvidence& evidence) {
  EXPECT_TRUE(evidence.report.ok()) << evidence.report.problemCount << " problems, the first: "
                                    << (evidence.report.problems.empty() ? "" : evidence.report.problems.front().what);
  EXPECT_EQ(evidence.repeatedIds, 0U) << "one id, several entries";
}

}  // namespace counterfoil::test
