// Damaged, missing, old and moved files: the program says so with a stable code and never dies of them, and never calls a changed log
// whole.
#include <gtest/gtest.h>
#include <sqlite3.h>
#include <sys/stat.h>

#include "tests/e2e/ledger_folder.h"

namespace counterfoil::test {
namespace {

constexpr auto kRecursive = std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing;

std::string facts(Ids& ids, unsigned count) {
  std::string lines;
  while (count-- > 0) lines += plainFact(ids.next());
  return lines;
}

// What the rows of the log decide, as SQLite reads them; an error is part of it. Who wrote a record (node, incarnation, level, the text of
// a claim or of the genesis) is told in the clear, decides nothing and is bound by nothing in the log itself.
std::string dumpOf(const std::filesystem::path& path) {
  sqlite3* database = nullptr;
  std::string dump;
  if (sqlite3_open_v2(path.c_str(), &database, SQLITE_OPEN_READONLY, nullptr) != SQLITE_OK) dump = "cannot open";
  sqlite3_stmt* statement = nullptr;
  const char* const sql =
      "SELECT position, kind, term, pseq, workspace, seq, previous, leaf, CASE WHEN kind > 2 THEN value END FROM records ORDER BY position";
  if (sqlite3_prepare_v2(database, sql, -1, &statement, nullptr) != SQLITE_OK) dump += "cannot read";
  int step = SQLITE_ROW;
  while ((step = sqlite3_step(statement)) == SQLITE_ROW) {
    for (int column = 0; column < sqlite3_column_count(statement); ++column) {
      const void* bytes = sqlite3_column_blob(statement, column);
      const auto size = static_cast<std::size_t>(sqlite3_column_bytes(statement, column));
      dump += std::to_string(sqlite3_column_type(statement, column)) + ":";
      dump.append(static_cast<const char*>(bytes == nullptr ? "" : bytes), size);
    }
    dump += "\n";
  }
  dump += std::to_string(step);
  sqlite3_finalize(statement);
  sqlite3_close(database);
  return dump;
}

TEST(Damage, AFlippedByteOfTheLogIsFoundOrChangesNothing) {
  LedgerFolder ledger;
  Ids ids(21);
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, facts(ids, 150)).status, 0);
  const std::string good = readBytes(ledger.logFile());
  const std::string goodDump = dumpOf(ledger.logFile());
  const std::string goodReport = textAt(ledger.run({"verify"}).json(), {"workspaces"});
  ASSERT_FALSE(goodReport.empty());
  unsigned found = 0, refused = 0, unused = 0;
  const unsigned flips = std::getenv("COUNTERFOIL_TEST_LONG") != nullptr ? 2'000 : 100;
  for (unsigned flip = 0; flip < flips; ++flip) {
    // The file's header and schema page now and then, else anywhere.
    const std::size_t at = ids.below(flip % 6 == 0 ? 4'096 : good.size());
    const char mask = static_cast<char>(1U << ids.below(8));
    SCOPED_TRACE("byte " + std::to_string(at) + " of " + std::to_string(good.size()) + ", mask " + std::to_string(mask));
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ mask);
    writeBytes(ledger.logFile(), bad);
    const Result result = ledger.run({"verify"});
    ASSERT_LT(result.status, 128) << "it died: " << result;
    if (result.status == 0) {
      EXPECT_EQ(textAt(result.json(), {"workspaces"}), goodReport) << result;
      EXPECT_TRUE(dumpOf(ledger.logFile()) == goodDump) << "a changed row was called whole: " << result;
      ++unused;
    } else if (result.status == 1) {
      EXPECT_EQ(textAt(result.json(), {"ok"}), "false") << result;
      EXPECT_NE(textAt(result.json(), {"problems"}), "[]") << result;
      ++found;
    } else {
      EXPECT_EQ(result.status, 5) << result;
      EXPECT_EQ(result.code(), "log_damaged") << result;
      ++refused;
    }
    if (flip % 10 == 0) {
      const Result writer = ledger.run({"workspace", "list"});
      EXPECT_TRUE(writer.status == 0 || writer.status == 5) << writer;
    }
    // Whatever those did, the next flip starts from the good file.
    for (const char* companion : {"log.db-wal", "log.db-shm"}) std::filesystem::remove(ledger.data() / "log" / companion);
  }
  EXPECT_GT(found + refused, flips / 4);
  std::printf("flips %u: found by verify %u, refused %u, of unused bytes %u\n", flips, found, refused, unused);
  writeBytes(ledger.logFile(), good);
  expectVerified(ledger);
}

TEST(Damage, ACutLogFileIsRefused) {
  LedgerFolder ledger;
  Ids ids(22);
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, facts(ids, 300)).status, 0);
  const auto size = std::filesystem::file_size(ledger.logFile());
  for (const auto left : {size - 1, size - 4'096, size / 2, std::uintmax_t{4'096}, std::uintmax_t{100}, std::uintmax_t{0}}) {
    std::filesystem::resize_file(ledger.logFile(), left);
    const Result verified = ledger.run({"verify"});
    EXPECT_TRUE(verified.status == 1 || verified.status == 5 || verified.status == 2) << left << ": " << verified;
    // A start reads nothing again that its snapshot covers: the last byte of an old row may escape it, whole pages may not.
    const Result started = ledger.run({"workspace", "list"});
    EXPECT_TRUE(started.status == 5 || started.status == 2 || (started.status == 0 && left == size - 1)) << left << ": " << started;
    for (const char* companion : {"log.db-wal", "log.db-shm"}) std::filesystem::remove(ledger.data() / "log" / companion);
  }
}

TEST(Damage, AnOlderLogUnderANewerSnapshotIsTruncated) {
  LedgerFolder ledger;
  Ids ids(23);
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, facts(ids, 20)).status, 0);
  std::filesystem::copy(ledger.data() / "log", ledger.root() / "older", kRecursive);
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, facts(ids, 20)).status, 0);
  std::filesystem::copy(ledger.data() / "log", ledger.root() / "newer", kRecursive);
  std::filesystem::remove_all(ledger.data() / "log");
  std::filesystem::copy(ledger.root() / "older", ledger.data() / "log", kRecursive);
  expectFault(ledger.run({"workspace", "list"}), "log_truncated", 5);
  expectFault(ledger.in({"fact", "append", "-"}, facts(ids, 1)), "log_truncated", 5);
  std::filesystem::remove_all(ledger.data() / "log");
  std::filesystem::copy(ledger.root() / "newer", ledger.data() / "log", kRecursive);
  EXPECT_EQ(ledger.size(), 41U);
}

TEST(Damage, ASnapshotThatIsDamagedOrForeignIsLeftAsideWithANote) {
  LedgerFolder ledger;
  Ids ids(24);
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, facts(ids, 50)).status, 0);
  const std::string good = readBytes(ledger.snapshot());
  ASSERT_GT(good.size(), 100U);
  std::vector<std::string> bad = {
      std::string(), "x", good.substr(0, good.size() / 2), good.substr(0, good.size() - 1), good + "x", std::string(good.size(), '\0')};
  for (unsigned flip = 0; flip < 10; ++flip) {
    bad.push_back(good);
    char& byte = bad.back()[ids.below(good.size())];
    byte = static_cast<char>(byte ^ 0x10);
  }
  LedgerFolder other;
  bad.push_back(readBytes(other.snapshot()));
  const std::string expected = ledger.run({"workspace", "list"}).out;
  for (std::size_t index = 0; index < bad.size(); ++index) {
    writeBytes(ledger.snapshot(), bad[index]);
    ::chmod(ledger.snapshot().c_str(), 0600);
    const Result result = ledger.run({"workspace", "list"});
    EXPECT_EQ(result.status, 0) << index << ": " << result;
    EXPECT_EQ(result.out, expected) << index << ": " << result;
    EXPECT_NE(result.error.find("snapshot"), std::string::npos) << index << ": no note: " << result;
  }
  std::filesystem::remove(ledger.snapshot());
  EXPECT_EQ(ledger.run({"workspace", "list"}).out, expected) << "a missing one is only slower";
  expectVerified(ledger);
}

TEST(Damage, AnOldSnapshotIsCaughtUp) {
  LedgerFolder ledger;
  Ids ids(25);
  const std::string repeated = facts(ids, 30);
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, repeated).status, 0);
  const std::string old = readBytes(ledger.snapshot());
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, facts(ids, 30)).status, 0);
  writeBytes(ledger.snapshot(), old);
  ::chmod(ledger.snapshot().c_str(), 0600);
  const Result again = ledger.in({"fact", "append", "-"}, repeated);
  EXPECT_EQ(again.status, 0) << again;
  EXPECT_EQ(ledger.size(), 61U);
}

TEST(Damage, ACopiedDataFolderIsTheSameLedger) {
  LedgerFolder ledger;
  Ids ids(26);
  ASSERT_EQ(ledger.in({"fact", "append", "-"}, facts(ids, 20)).status, 0);
  const std::filesystem::path copy = ledger.root() / "far" / "away" / "copy";
  std::filesystem::create_directories(copy.parent_path());
  std::filesystem::copy(ledger.data(), copy, kRecursive);
  std::filesystem::copy(ledger.keys(), copy.parent_path() / "keys", kRecursive);
  const auto on = [&](std::vector<std::string> words, std::string_view input = {}) {
    words.insert(words.end(), {"--json", "--data", copy.string()});
    return runProgram(words, input);
  };
  EXPECT_EQ(on({"workspace", "list"}).out, ledger.run({"workspace", "list"}).out);
  EXPECT_EQ(on({"fact", "append", "-", "--workspace", "w1"}, facts(ids, 5)).status, 0);
  EXPECT_EQ(on({"verify"}).status, 0);
  EXPECT_EQ(ledger.size(), 21U) << "the original was touched";
  // Keys elsewhere, named by the environment.
  std::filesystem::rename(copy.parent_path() / "keys", ledger.root() / "moved-keys");
  std::vector<std::string> words = {"workspace", "list", "--json", "--data", copy.string()};
  EXPECT_EQ(runProgram(words, {}, {"COUNTERFOIL_KEYS=" + (ledger.root() / "moved-keys").string()}).status, 0);
  expectFault(runProgram(words), "key_missing", 5);
}

class Keys : public testing::Test {
 protected:
  Keys() {
    Ids ids(27);
    EXPECT_EQ(ledger_.in({"fact", "append", "-"}, facts(ids, 5)).status, 0);
  }
  std::filesystem::path keyFile() const { return ledger_.keys() / "kek" / "1" / "1.key"; }
  LedgerFolder ledger_;
};

TEST_F(Keys, ThatOthersMayReadAreRefused) {
  ::chmod(keyFile().c_str(), 0644);
  expectFault(ledger_.in({"fact", "append", "-"}, plainFact(Ids(28).next())), "key_permissions", 5);
  expectFault(ledger_.run({"verify"}), "key_permissions", 5);
  ::chmod(keyFile().c_str(), 0600);
  expectVerified(ledger_);
  EXPECT_EQ(ledger_.size(), 6U);
}

TEST_F(Keys, WithAFlippedByteAreDamaged) {
  const std::string good = readBytes(keyFile());
  Ids ids(29);
  for (unsigned flip = 0; flip < 12; ++flip) {
    std::string bad = good;
    const std::size_t at = ids.below(bad.size());
    bad[at] = static_cast<char>(bad[at] ^ 0x04);
    writeBytes(keyFile(), bad);
    SCOPED_TRACE("byte " + std::to_string(at));
    expectFault(ledger_.run({"workspace", "list"}), "key_damaged", 5);
    expectFault(ledger_.run({"verify"}), "key_damaged", 5);
  }
  writeBytes(keyFile(), good.substr(0, good.size() / 2));
  expectFault(ledger_.run({"workspace", "list"}), "key_damaged", 5);
  writeBytes(keyFile(), good);
  expectVerified(ledger_);
}

TEST_F(Keys, OfAnotherLedgerDoNotOpenThisOne) {
  LedgerFolder other;
  writeBytes(keyFile(), readBytes(other.keys() / "kek" / "1" / "1.key"));
  const Result started = ledger_.run({"workspace", "list"});
  EXPECT_EQ(started.status, 5) << started;
  const Result verified = ledger_.run({"verify"});
  EXPECT_NE(verified.status, 0) << verified;
  EXPECT_LT(verified.status, 128) << verified;
}

TEST_F(Keys, ThatAreGoneLeaveOrderChainAndTreeToVerify) {
  std::filesystem::rename(ledger_.keys(), ledger_.root() / "away");
  const Result verified = ledger_.run({"verify"});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_EQ(textAt(verified.json(), {"ok"}), "true") << verified;
  EXPECT_NE(textAt(verified.json(), {"notChecked"}).find("content"), std::string::npos) << verified;
  EXPECT_EQ(textAt(verified.json(), {"checked"}).find("content"), std::string::npos) << verified;
  expectFault(ledger_.in({"fact", "append", "-"}, plainFact(Ids(30).next())), "key_missing", 5);
  expectFault(ledger_.run({"workspace", "create", "w2"}), "key_missing", 5);
  EXPECT_FALSE(std::filesystem::exists(ledger_.keys())) << "new keys were made in place of the lost ones";
  std::filesystem::rename(ledger_.root() / "away", ledger_.keys());
  expectVerified(ledger_);
}

TEST_F(Keys, OfOneWorkspaceGoneStopNothingElseOfVerify) {
  std::filesystem::remove(keyFile());
  const Result verified = ledger_.run({"verify"});
  EXPECT_EQ(verified.status, 0) << verified;
  EXPECT_NE(textAt(verified.json(), {"workspaces"}).find("\"notChecked\":6"), std::string::npos) << verified;
  expectFault(ledger_.in({"fact", "append", "-"}, plainFact(Ids(31).next())), "key_missing", 5);
}

}  // namespace
}  // namespace counterfoil::test
