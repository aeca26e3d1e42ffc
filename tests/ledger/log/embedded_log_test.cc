#include "ledger/log/embedded_log.h"

#include <sqlite3.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <fstream>
#include <functional>
#include <mutex>

#include "tests/contract/event_log_fixture.h"
#include "tests/ledger/log/scratch_folder.h"
#include "tests/support/fault_vfs.h"

namespace counterfoil::log::test {
namespace {

namespace fs = std::filesystem;
using counterfoil::test::FaultVfs;

constexpr PartitionId kPartition{0};
const LedgerFacts kLedger{"ledger-1", "ledger.example.com/prod", {1'700'000'000'000'000'000}};

std::optional<Fault> faultOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const Fault& fault) {
    return fault;
  }
  return std::nullopt;
}

class EmbeddedLogTest : public ::testing::Test {
 protected:
  EmbeddedLogOptions options() const {
    EmbeddedLogOptions result;
    result.directory = folder_.path() / "log";
    result.identity = {1, 2, "node", "", 1};
    result.vfs = disk_.name();  // no fault, and no waiting for a real disk
    return result;
  }
  fs::path database() const { return folder_.path() / "log" / "log.db"; }
  std::unique_ptr<PartitionWriter> takeOver(EmbeddedLog& log) {
    return log.takeOver(kPartition, state_, [](ValidRecord&) {});
  }
  static AppendResult append(PartitionWriter& writer, std::vector<NewRecord> batch) {
    Results results;
    writer.append(std::move(batch), results.taker());
    return results.wait().front();
  }
  // A closed log of `count` entries.
  void makeLog(std::size_t count, std::size_t bytes = 100) {
    EmbeddedLog::create(options(), kLedger);
    const auto log = EmbeddedLog::open(options());
    const auto writer = takeOver(*log);
    ASSERT_EQ(append(*writer, Chain(7).entries(count, bytes)).outcome, AppendOutcome::appended);
  }
  // Through SQLite itself, as somebody with an editor would.
  void tamper(const char* sql) const {
    sqlite3* handle = nullptr;
    ASSERT_EQ(sqlite3_open(database().c_str(), &handle), SQLITE_OK);
    char* message = nullptr;
    EXPECT_EQ(sqlite3_exec(handle, sql, nullptr, nullptr, &message), SQLITE_OK) << message;
    sqlite3_close(handle);
  }
  std::optional<Fault> readFault(const FoldState& from = {}) const {
    return faultOf([&] { drain(*EmbeddedLog::open(options())->read(kPartition, from)); });
  }

  ScratchFolder folder_;
  FaultVfs disk_;
  FoldState state_;
};

TEST_F(EmbeddedLogTest, KeepsTheFactsOfTheLedger) {
  makeLog(1);
  const Genesis genesis = EmbeddedLog::open(options())->genesis();
  EXPECT_EQ(genesis.ledger.ledgerId, kLedger.ledgerId);
  EXPECT_EQ(genesis.ledger.origin, kLedger.origin);
  EXPECT_EQ(genesis.ledger.createdAt, kLedger.createdAt);
  EXPECT_EQ(genesis.partitions, 1U);
}

TEST_F(EmbeddedLogTest, ItsFilesArePrivateWhateverTheUmask) {
  for (const mode_t mask : {0U, 0777U}) {
    const mode_t before = ::umask(mask);
    fs::remove_all(options().directory);
    state_ = {};
    EmbeddedLog::create(options(), kLedger);
    const auto log = EmbeddedLog::open(options());
    const auto writer = takeOver(*log);
    ASSERT_EQ(append(*writer, Chain(7).entries(1)).outcome, AppendOutcome::appended);
    ::umask(before);
    struct stat facts {};
    ASSERT_EQ(::stat(options().directory.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777U, 0700U);
    for (const char* const name : {"log.db", "log.db-wal", "log.db-shm", "lock"}) {
      ASSERT_EQ(::stat((options().directory / name).c_str(), &facts), 0) << name;
      EXPECT_EQ(facts.st_mode & 07777U, 0600U) << name;
    }
  }
}

TEST_F(EmbeddedLogTest, TellsHowLongItsCommitsTake) {
  EmbeddedLog::create(options(), kLedger);
  const auto log = EmbeddedLog::open(options());
  // Two milliseconds from one look to the next.
  class SteppingClock final : public Clock {
   public:
    Timestamp wall() const override { return {}; }
    std::int64_t monotonicNanoseconds() const override { return now_ += 2'000'000; }
    bool synchronised() const override { return true; }

   private:
    mutable std::atomic<std::int64_t> now_{0};
  } const clock;
  std::mutex mutex;
  std::vector<double> told;
  const auto count = [&] {
    const std::lock_guard guard(mutex);
    return told.size();
  };
  log->onCommitted(clock, [&](double seconds) {
    const std::lock_guard guard(mutex);
    told.push_back(seconds);
  });
  auto writer = takeOver(*log);
  Chain chain(7);
  ASSERT_EQ(append(*writer, chain.entries(1)).outcome, AppendOutcome::appended);
  ASSERT_EQ(count(), 1U) << "the claim is none of them";
  EXPECT_NEAR(told.front(), 0.002, 1e-9);
  log->onCommitted(clock, {});
  ASSERT_EQ(append(*writer, chain.entries(1)).outcome, AppendOutcome::appended);
  EXPECT_EQ(count(), 1U);
  log->onCommitted(clock, [&](double seconds) {
    const std::lock_guard guard(mutex);
    told.push_back(seconds);
  });
  disk_.fail(counterfoil::test::DiskOperation::write, 1, SQLITE_FULL, true);
  ASSERT_NE(append(*writer, chain.entries(1)).outcome, AppendOutcome::appended);
  EXPECT_EQ(count(), 1U) << "what failed is no measure of the disk";
}

TEST_F(EmbeddedLogTest, IsMadeOnce) {
  EmbeddedLog::create(options(), kLedger);
  const auto fault = faultOf([&] { EmbeddedLog::create(options(), {"other", "other", {2}}); });
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->code(), ErrorCode::alreadyExists);
  EXPECT_EQ(EmbeddedLog::open(options())->genesis().ledger.ledgerId, "ledger-1");
}

TEST_F(EmbeddedLogTest, WhereNoneIsThereIsNoLedger) {
  auto fault = faultOf([&] { EmbeddedLog::open(options()); });
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->code(), ErrorCode::noLedger);
  fs::create_directory(options().directory);
  fault = faultOf([&] { EmbeddedLog::openReadOnly(options().directory); });
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->code(), ErrorCode::noLedger);
}

TEST_F(EmbeddedLogTest, AnInterruptedCreationIsRepeated) {
  // The power goes at every operation of the creation; afterwards there is a whole log or none.
  std::size_t interrupted = 0;
  for (std::uint64_t operation = 0;; ++operation) {
    fs::remove_all(options().directory);
    disk_.loseAfter(operation);
    const auto fault = faultOf([&] { EmbeddedLog::create(options(), kLedger); });
    const bool lost = disk_.lost();
    disk_.restart(operation % 5);
    if (!lost) {
      ASSERT_GT(interrupted, 5U);
      ASSERT_FALSE(fault.has_value());
      break;
    }
    // Only the last steps of closing can fail without harm.
    EXPECT_EQ(fs::exists(database()), !fault.has_value());
    interrupted += fault.has_value() ? 1U : 0U;
    if (fault) EmbeddedLog::create(options(), kLedger);
    EXPECT_EQ(EmbeddedLog::open(options())->genesis().ledger.ledgerId, "ledger-1");
  }
}

TEST_F(EmbeddedLogTest, ASecondOneInThisProcessIsRefusedToo) {
  EmbeddedLog::create(options(), kLedger);
  auto log = EmbeddedLog::open(options());
  const auto fault = faultOf([&] { EmbeddedLog::open(options()); });
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->code(), ErrorCode::dataInUse);
  // The writer keeps the lock when the log object is gone.
  auto writer = takeOver(*log);
  log.reset();
  EXPECT_TRUE(faultOf([&] { EmbeddedLog::open(options()); }).has_value());
  EXPECT_EQ(append(*writer, Chain(7).entries(1)).outcome, AppendOutcome::appended);
  writer.reset();
  EXPECT_FALSE(faultOf([&] { EmbeddedLog::open(options()); }).has_value());
}

// One process more, at the end of two pipes; forked before this one has anything open.
class OtherProcess {
 public:
  explicit OtherProcess(const std::function<std::string()>& action) {
    EXPECT_EQ(::pipe(toIt_), 0);
    EXPECT_EQ(::pipe(fromIt_), 0);
    pid_ = ::fork();
    if (pid_ != 0) return;
    char byte = 0;
    while (::read(toIt_[0], &byte, 1) == 1 && byte == 'g') {
      std::string answer = action();
      answer.resize(400, ' ');
      if (::write(fromIt_[1], answer.data(), answer.size()) < 0) break;
    }
    ::_exit(0);
  }
  ~OtherProcess() {
    EXPECT_EQ(::write(toIt_[1], "x", 1), 1);
    ::waitpid(pid_, nullptr, 0);
    for (const int descriptor : {toIt_[0], toIt_[1], fromIt_[0], fromIt_[1]}) ::close(descriptor);
  }
  std::string ask() {
    EXPECT_EQ(::write(toIt_[1], "g", 1), 1);
    std::string answer(400, '\0');
    std::size_t size = 0;
    while (size < answer.size()) {
      const ssize_t part = ::read(fromIt_[0], answer.data() + size, answer.size() - size);
      if (part <= 0) return "no answer";
      size += static_cast<std::size_t>(part);
    }
    answer.erase(answer.find_last_not_of(' ') + 1);
    return answer;
  }

 private:
  int toIt_[2] = {};
  int fromIt_[2] = {};
  pid_t pid_ = -1;
};

TEST_F(EmbeddedLogTest, OnlyOneProcessMayWriteButAnyMayRead) {
  EmbeddedLogOptions plain = options();
  plain.vfs.clear();
  const auto open = [&]() -> std::string {
    const auto fault = faultOf([&] { EmbeddedLog::open(plain); });
    return fault ? fault->what() : "opened";
  };
  const auto count = [&]() -> std::string {
    const auto fault = faultOf([&] { drain(*EmbeddedLog::openReadOnly(plain.directory)->read(kPartition, {})); });
    if (fault) return fault->what();
    return std::to_string(drain(*EmbeddedLog::openReadOnly(plain.directory)->read(kPartition, {})).size());
  };
  OtherProcess opener(open);
  OtherProcess reader(count);
  EmbeddedLog::create(plain, kLedger);
  {
    const auto log = EmbeddedLog::open(plain);
    const std::string refused = opener.ask();
    EXPECT_NE(refused.find("data_in_use"), std::string::npos) << refused;
    EXPECT_NE(refused.find("process " + std::to_string(::getpid())), std::string::npos) << refused;
    const auto writer = takeOver(*log);
    Chain chain(7);
    EXPECT_EQ(reader.ask(), "2");
    ASSERT_EQ(append(*writer, chain.entries(5)).outcome, AppendOutcome::appended);
    EXPECT_EQ(reader.ask(), "7");
    ASSERT_EQ(append(*writer, chain.entries(5)).outcome, AppendOutcome::appended);
    EXPECT_EQ(reader.ask(), "12");
  }
  EXPECT_EQ(reader.ask(), "12");
  EXPECT_EQ(opener.ask(), "opened");
}

TEST_F(EmbeddedLogTest, AReadOnlyLogDoesNotWrite) {
  makeLog(3);
  const auto log = EmbeddedLog::openReadOnly(options().directory);
  const auto fault = faultOf([&] { takeOver(*log); });
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->code(), ErrorCode::notReady);
  EXPECT_EQ(drain(*log->read(kPartition, {})).size(), 5U);
}

TEST_F(EmbeddedLogTest, ReadingAnUnfinishedLogLeavesItAsItIs) {
  EmbeddedLog::create(options(), kLedger);
  const fs::path copy = folder_.path() / "copy";
  {
    const auto log = EmbeddedLog::open(options());
    const auto writer = takeOver(*log);
    ASSERT_EQ(append(*writer, Chain(7).entries(20)).outcome, AppendOutcome::appended);
    // What a killed process leaves: everything new is in the write-ahead log alone.
    fs::create_directory(copy);
    for (const char* const name : {"log.db", "log.db-wal"}) fs::copy_file(options().directory / name, copy / name);
  }
  const auto bytesOf = [&](const char* name) {
    std::ifstream file(copy / name, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::string database = bytesOf("log.db");
  const std::string ahead = bytesOf("log.db-wal");
  ASSERT_GT(ahead.size(), 4'096U);
  EXPECT_EQ(drain(*EmbeddedLog::openReadOnly(copy)->read(kPartition, {})).size(), 22U);
  EXPECT_EQ(bytesOf("log.db"), database);
  EXPECT_EQ(bytesOf("log.db-wal"), ahead);
}

template <int kError>
int failingLock(int, int) {
  errno = kError;
  return -1;
}

TEST_F(EmbeddedLogTest, AFileSystemWithoutLocksIsRefused) {
  EmbeddedLog::create(options(), kLedger);
  for (const FileLock lock : {&failingLock<ENOLCK>, &failingLock<EOPNOTSUPP>, &failingLock<ENOSYS>}) {
    EmbeddedLogOptions without = options();
    without.fileLock = lock;
    const auto fault = faultOf([&] { EmbeddedLog::open(without); });
    ASSERT_TRUE(fault.has_value());
    EXPECT_EQ(fault->code(), ErrorCode::noFileLocks);
  }
  EmbeddedLogOptions strange = options();
  strange.fileLock = &failingLock<EBADF>;
  EXPECT_EQ(faultOf([&] { EmbeddedLog::open(strange); })->code(), ErrorCode::logUnavailable);
}

TEST_F(EmbeddedLogTest, OtherFilesAreNotTakenForALog) {
  fs::create_directory(options().directory);
  const auto code = [&] {
    const auto fault = faultOf([&] { EmbeddedLog::open(options()); });
    return fault ? fault->code() : ErrorCode::internal;
  };
  std::ofstream(database()) << "";
  EXPECT_EQ(code(), ErrorCode::logDamaged);
  std::ofstream(database()) << std::string(8192, 'x');
  EXPECT_EQ(code(), ErrorCode::logDamaged);
  fs::remove(database());
  tamper("CREATE TABLE records (position INTEGER PRIMARY KEY)");
  EXPECT_EQ(code(), ErrorCode::logDamaged);
}

TEST_F(EmbeddedLogTest, DamageIsFoundAndNamed) {
  struct Row {
    const char* sql;
    const char* where;  // in the fault's detail; null: the fault comes at opening
    ErrorCode code = ErrorCode::logDamaged;
  };
  const std::vector<Row> rows = {
      {"PRAGMA application_id = 1", nullptr},
      {"PRAGMA user_version = 2", nullptr},
      {"CREATE TABLE other (a)", nullptr},
      {"CREATE TRIGGER t AFTER INSERT ON records BEGIN DELETE FROM records; END", nullptr},
      {"CREATE INDEX i ON records (seq)", nullptr},
      {"DELETE FROM records WHERE position = 0", "position 0"},
      {"DELETE FROM records", "position 0"},
      {"DELETE FROM records WHERE position = 5", "position 5"},
      {"UPDATE records SET kind = 9 WHERE position = 5", "position 5"},
      {"UPDATE records SET kind = 4 WHERE position = 5", "position 5"},
      {"UPDATE records SET kind = 300 WHERE position = 5", "position 5"},
      {"UPDATE records SET version = 2 WHERE position = 5", "position 5"},
      {"UPDATE records SET term = 2 WHERE position = 5", "position 5"},
      {"UPDATE records SET term = -1 WHERE position = 5", "position 5"},
      {"UPDATE records SET pseq = pseq + 1 WHERE position = 5", "position 5"},
      {"UPDATE records SET workspace = 8 WHERE position = 5", "position 5"},
      {"UPDATE records SET seq = seq - 1 WHERE position = 5", "position 5"},
      {"UPDATE records SET previous = zeroblob(32) WHERE position = 5", "position 5"},
      {"UPDATE records SET previous = zeroblob(31) WHERE position = 5", "position 5"},
      {"UPDATE records SET leaf = x'' WHERE position = 5", "position 5"},
      {"UPDATE records SET leaf = zeroblob(32) WHERE position = 5", "position 6"},
      {"UPDATE records SET level = 5 WHERE position = 1", "position 1"},
      {"UPDATE records SET value = x'00' WHERE position = 1", "position 1"},
      {"UPDATE records SET value = zeroblob(600000) WHERE position = 5", "position 5"},
      {"UPDATE records SET position = 100 WHERE position = 5", "position 5"},
  };
  for (const Row& row : rows) {
    fs::remove_all(options().directory);
    state_ = {};
    makeLog(8);
    tamper(row.sql);
    const auto fault = readFault();
    ASSERT_TRUE(fault.has_value()) << row.sql;
    EXPECT_EQ(fault->code(), row.code) << row.sql << fault->what();
    EXPECT_NE(fault->detail().find("log.db"), std::string::npos) << row.sql;
    EXPECT_FALSE(fault->hint().empty()) << row.sql;
    EXPECT_NE(fault->detail().find(row.where == nullptr ? "log.db" : row.where), std::string::npos) << row.sql << fault->detail();
    EXPECT_TRUE(faultOf([&] {
                  FoldState from;
                  EmbeddedLog::open(options())->takeOver(kPartition, from, [](ValidRecord&) {});
                }).has_value())
        << row.sql;
  }
}

TEST_F(EmbeddedLogTest, AnOlderCopyIsTruncation) {
  makeLog(8);
  FoldState end;
  {
    const auto log = EmbeddedLog::open(options());
    const auto reader = log->read(kPartition, {});
    drain(*reader);
    end = reader->state();
  }
  EXPECT_FALSE(readFault(end).has_value());
  tamper("DELETE FROM records WHERE position >= 7");
  const auto fault = readFault(end);
  ASSERT_TRUE(fault.has_value());
  EXPECT_EQ(fault->code(), ErrorCode::logTruncated);
  // Without a state nobody can tell here; receipts, snapshots and checkpoints do.
  EXPECT_FALSE(readFault().has_value());
}

// Every byte of the file, one at a time. What is not found here shows as other bytes of a record, which the hash of the layer above finds,
// or as a shorter log, which every saved state finds.
TEST_F(EmbeddedLogTest, NoFlippedByteGoesUnseen) {
  const std::string marker = "value-of-a-record";
  EmbeddedLog::create(options(), kLedger);
  {
    const auto log = EmbeddedLog::open(options());
    const auto writer = takeOver(*log);
    Chain chain(7);
    std::vector<NewRecord> batch = chain.entries(12, 300);
    batch.push_back(chain.entry(6'000));  // overflow pages
    for (NewRecord& record : batch) std::copy(marker.begin(), marker.end(), record.value.begin());
    ASSERT_EQ(append(*writer, std::move(batch)).outcome, AppendOutcome::appended);
  }
  std::vector<ValidRecord> sound;
  FoldState end;
  {
    const auto reader = EmbeddedLog::open(options())->read(kPartition, {});
    sound = drain(*reader);
    end = reader->state();
  }
  std::string bytes;
  {
    std::ifstream file(database(), std::ios::binary);
    bytes.assign(std::istreambuf_iterator<char>(file), {});
  }
  std::size_t detected = 0;
  std::size_t otherBytes = 0;
  std::size_t shorter = 0;
  std::size_t harmless = 0;
  for (std::size_t at = 0; at < bytes.size(); at += (at % 4096 < 200 ? 1U : 5U)) {
    for (const char* const suffix : {"-wal", "-shm"}) fs::remove(database().string() + suffix);
    std::string harmed = bytes;
    harmed[at] = static_cast<char>(harmed[at] ^ (1 << (at % 8)));
    std::ofstream(database(), std::ios::binary | std::ios::trunc) << harmed;
    std::vector<ValidRecord> read;
    const auto check = [&](const FoldState& from, std::vector<ValidRecord>& records) {
      const auto fault = faultOf([&] { records = drain(*EmbeddedLog::openReadOnly(options().directory)->read(kPartition, from)); });
      if (!fault) return false;
      EXPECT_TRUE(fault->code() == ErrorCode::logDamaged || fault->code() == ErrorCode::logTruncated) << at << fault->what();
      EXPECT_EQ((fault->detail() + fault->hint()).find(marker), std::string::npos);
      return true;
    };
    if (check({}, read)) {
      ++detected;
      continue;
    }
    if (read.size() < sound.size()) {
      ++shorter;
      std::vector<ValidRecord> rest;
      EXPECT_TRUE(check(end, rest)) << "byte " << at;
      continue;
    }
    ASSERT_EQ(read.size(), sound.size()) << at;
    std::size_t different = 0;
    for (std::size_t index = 0; index < read.size(); ++index) {
      const ValidRecord& was = sound[index];
      const NewRecord expected{was.kind, was.workspace, was.seq, was.previous, was.leaf, was.value};
      different += same(expected, read[index]) ? 0U : 1U;
    }
    EXPECT_LE(different, 1U) << at;
    ++(different == 0 ? harmless : otherBytes);
  }
  RecordProperty("detected", static_cast<int>(detected));
  RecordProperty("otherBytes", static_cast<int>(otherBytes));
  RecordProperty("shorter", static_cast<int>(shorter));
  RecordProperty("harmless", static_cast<int>(harmless));
  std::printf("flipped bytes: %zu found by the log, %zu other bytes of a record, %zu a shorter log, %zu without effect\n", detected,
              otherBytes, shorter, harmless);
  EXPECT_GT(detected, 300U);
  EXPECT_GT(otherBytes, 500U);
}

TEST_F(EmbeddedLogTest, BusyReadersDoNotMakeTheWriteAheadLogGrow) {
  EmbeddedLogOptions small = options();
  small.checkpointPages = 50;
  EmbeddedLog::create(small, kLedger);
  const auto log = EmbeddedLog::open(small);
  const auto writer = takeOver(*log);
  std::atomic<bool> stop = false;
  std::vector<std::thread> readers;
  for (int number = 0; number < 2; ++number) {
    readers.emplace_back([&] {
      while (!stop) drain(*log->read(kPartition, {}));
    });
  }
  Chain chain(7);
  std::uintmax_t largest = 0;
  for (int commit = 0; commit < 500; ++commit) {
    ASSERT_EQ(append(*writer, chain.entries(20, 1'000)).outcome, AppendOutcome::appended);
    largest = std::max(largest, fs::file_size(database().string() + "-wal"));
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  // 500 commits wrote some 4,500 pages.
  EXPECT_LT(largest, 20U * 50U * 4'120U);
}

TEST_F(EmbeddedLogTest, AReaderThatHangsDelaysOnlyItself) {
  EmbeddedLogOptions small = options();
  small.checkpointPages = 20;
  EmbeddedLog::create(small, kLedger);
  const auto log = EmbeddedLog::open(small);
  const auto writer = takeOver(*log);
  Chain chain(7);
  ASSERT_EQ(append(*writer, chain.entries(5)).outcome, AppendOutcome::appended);
  sqlite3* handle = nullptr;
  ASSERT_EQ(sqlite3_open_v2(database().c_str(), &handle, SQLITE_OPEN_READONLY, disk_.name().c_str()), SQLITE_OK);
  ASSERT_EQ(sqlite3_exec(handle, "BEGIN; SELECT count(*) FROM records", nullptr, nullptr, nullptr), SQLITE_OK);
  for (int commit = 0; commit < 100; ++commit) {
    ASSERT_EQ(append(*writer, chain.entries(5, 1'000)).outcome, AppendOutcome::appended);
  }
  const auto grown = fs::file_size(database().string() + "-wal");
  EXPECT_GT(grown, 100U * 4'096U);
  ASSERT_EQ(sqlite3_exec(handle, "COMMIT", nullptr, nullptr, nullptr), SQLITE_OK);
  for (int commit = 0; commit < 100; ++commit) {
    ASSERT_EQ(append(*writer, chain.entries(5, 1'000)).outcome, AppendOutcome::appended);
  }
  // The same room is used again.
  EXPECT_LE(fs::file_size(database().string() + "-wal"), grown + 30U * 4'120U);
  sqlite3_close(handle);
}

TEST_F(EmbeddedLogTest, AppendsThatWaitShareOneSync) {
  EmbeddedLog::create(options(), kLedger);
  const auto log = EmbeddedLog::open(options());
  auto writer = takeOver(*log);
  Chain chain(7);
  Results results;
  const std::uint64_t before = disk_.syncs();
  // The first answer holds the thread up until all others wait.
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  writer->append(chain.entries(1), [&](const AppendResult&) {
    std::unique_lock guard(mutex);
    changed.wait(guard, [&] { return go; });
  });
  for (int index = 0; index < 100; ++index) writer->append(chain.entries(1), results.taker());
  {
    const std::lock_guard guard(mutex);
    go = true;
  }
  changed.notify_all();
  for (const AppendResult& result : results.wait()) ASSERT_EQ(result.outcome, AppendOutcome::appended);
  EXPECT_LE(disk_.syncs() - before, 4U);
}

}  // namespace
}  // namespace counterfoil::log::test
