// A full disk, for real: a file system of a few megabytes in memory, in a mount namespace of the test's own (needs root).
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>

#include "tests/e2e/ledger_folder.h"
#include "tests/e2e/log_evidence.h"

namespace counterfoil::test {
namespace {

// Small file systems that nobody outside this process and its children sees, and that vanish with it.
bool ownMounts() {
  static const bool own = ::unshare(CLONE_NEWNS) == 0 && ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0;
  return own;
}

class DiskFull : public testing::Test {
 protected:
  void SetUp() override {
    if (!ownMounts()) GTEST_SKIP() << "mounting a small file system needs root (CAP_SYS_ADMIN)";
  }
  void TearDown() override {
    for (const std::filesystem::path& mounted : mounted_) ::umount2(mounted.c_str(), MNT_DETACH);
  }
  bool mountSmall(const std::filesystem::path& where, const char* size) {
    std::filesystem::create_directories(where);
    if (::mount("tmpfs", where.c_str(), "tmpfs", 0, (std::string("size=") + size + ",mode=0700").c_str()) != 0) return false;
    mounted_.push_back(where);
    return true;
  }

  TemporaryFolder folder_;
  std::vector<std::filesystem::path> mounted_;
};

struct Counts {
  std::uint64_t recorded = 0;
  std::uint64_t full = 0;
  std::uint64_t other = 0;
};

// Every answer by what it says; every receipt must be in the log.
Counts check(const LedgerFolder& ledger, const Result& result) {
  const LogEvidence evidence = readEvidence(ledger.data() / "log", ledger.keys());
  expectSound(evidence);
  Counts counts;
  for (const std::string& line : result.lines()) {
    const boost::json::value answer = boost::json::parse(line);
    const std::string id = textAt(answer, {"receipt", "id"});
    if (!id.empty()) {
      ++counts.recorded;
      const auto at = evidence.byId.find(id);
      if (at == evidence.byId.end()) {
        ADD_FAILURE() << "an acknowledged fact is not in the log: " << line;
        break;
      }
      EXPECT_EQ(at->second.leaf, textAt(answer, {"receipt", "leafHash"}));
    } else if (textAt(answer, {"code"}) == "disk_full") {
      ++counts.full;
    } else {
      ++counts.other;
      if (counts.other == 1) ADD_FAILURE() << "a full disk is called something else: " << line;
    }
  }
  return counts;
}

TEST_F(DiskFull, OfTheLogRefusesLosesNothingAndWorksAgainWithSpace) {
  const std::filesystem::path disk = folder_.path() / "disk";
  ASSERT_TRUE(mountSmall(disk, "16m"));
  writeBytes(disk / "filler", std::string(14 * 1024 * 1024, 'x'));
  LedgerFolder ledger(disk / "data", true);
  Ids ids(51);
  std::string input;
  constexpr unsigned kFacts = 8'000;
  for (unsigned count = 0; count < kFacts; ++count) input += plainFact(ids.next());
  const Result result = ledger.in({"fact", "append", "-"}, input);
  EXPECT_NE(result.status, 0);
  EXPECT_LT(result.status, 128) << result;
  EXPECT_EQ(result.lines().size(), kFacts) << "an answer for each line: " << result.error;
  const Counts counts = check(ledger, result);
  EXPECT_GT(counts.recorded, 0U);
  EXPECT_GT(counts.full, 0U);
  const Result verified = ledger.run({"verify", "--against", "log"});
  EXPECT_EQ(verified.status, 0) << verified;
  // What is refused did not happen; what happened is not called refused.
  const Result none = ledger.run({"workspace", "create", "w2"});
  EXPECT_TRUE(none.status == 0 || (none.status == 3 && none.code() == "disk_full")) << none;
  std::filesystem::remove(disk / "filler");
  const Result again = ledger.in({"fact", "append", "-"}, input.substr(0, input.size() / 8));
  EXPECT_EQ(again.status, 0) << again;
  EXPECT_EQ(check(ledger, again).recorded, kFacts / 8);
  EXPECT_EQ(ledger.run({"workspace", "create", "w2"}).status, none.status == 0 ? 2 : 0) << "after: " << none;
  expectVerified(ledger);
}

TEST_F(DiskFull, OfTheSnapshotCostsNothingThatWasRecorded) {
  LedgerFolder ledger;
  std::filesystem::remove_all(ledger.data() / "snapshots");
  ASSERT_TRUE(mountSmall(ledger.data() / "snapshots", "64k"));
  Ids ids(52);
  std::string input;
  for (unsigned count = 0; count < 3'000; ++count) input += plainFact(ids.next());
  const Result result = ledger.in({"fact", "append", "-"}, input);
  EXPECT_TRUE(result.status == 0 || (result.status == 3 && result.code() == "disk_full")) << result;
  EXPECT_NE(result.error.find("snapshot"), std::string::npos) << "nobody is told: " << result;
  EXPECT_EQ(check(ledger, result).recorded, 3'000U);
  EXPECT_EQ(ledger.size(), 3'001U);
  const Result told = ledger.run({"workspace", "create", "w2"});
  EXPECT_FALSE(textAt(told.json(), {"receipt", "leafHash"}).empty()) << "it is recorded, but its caller is not told: " << told;
  ::umount2((ledger.data() / "snapshots").c_str(), MNT_DETACH);
  const Result again = ledger.in({"fact", "append", "-"}, input);
  EXPECT_EQ(again.status, 0) << again;
  EXPECT_EQ(ledger.size(), 3'001U) << "repeats are repeats without the snapshot, too";
  expectVerified(ledger);
}

TEST_F(DiskFull, WhileALedgerIsMadeLeavesNothingThatStandsInTheWay) {
  const std::filesystem::path disk = folder_.path() / "disk";
  ASSERT_TRUE(mountSmall(disk, "100k"));
  writeBytes(disk / "filler", std::string(70 * 1024, 'x'));
  LedgerFolder ledger(disk / "data", false);
  expectFault(ledger.run({"init", "--keys", ledger.keys().string()}), "disk_full", 3);
  ASSERT_EQ(::mount("tmpfs", disk.c_str(), "tmpfs", MS_REMOUNT, "size=4m"), 0);
  // Either it got far enough to be a ledger, or it can be made now.
  const Result again = ledger.run({"init", "--keys", ledger.keys().string()});
  EXPECT_TRUE(again.status == 0 || again.code() == "already_exists") << again;
  EXPECT_EQ(ledger.run({"workspace", "create", "w1"}).status, 0);
  EXPECT_EQ(ledger.in({"fact", "append", "-"}, plainFact(Ids(53).next())).status, 0);
  expectVerified(ledger);
}

}  // namespace
}  // namespace counterfoil::test
