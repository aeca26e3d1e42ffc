// The embedded log on a disk that loses power, fills up and breaks: what was acknowledged is there, what was rejected is not, and nothing
// is there that was never submitted.
#include <sqlite3.h>

#include <utility>

#include "ledger/log/embedded_log.h"
#include "tests/contract/event_log_fixture.h"
#include "tests/ledger/log/scratch_folder.h"
#include "tests/support/fault_vfs.h"

namespace counterfoil::log::test {
namespace {

using counterfoil::test::DiskOperation;
using counterfoil::test::FaultVfs;

constexpr PartitionId kPartition{0};

// A log, the entries it is given in their one order, and what is known about them.
class LogRun {
 public:
  explicit LogRun(std::uint64_t seed) : seed_(seed) {
    Chain chain(7, seed + 1);
    std::mt19937_64 dice(seed);
    for (int index = 0; index < 200; ++index) given_.push_back(chain.entry(dice() % 40 == 0 ? 9'000 : dice() % 700));
    EmbeddedLog::create(options(), {"ledger-1", "ledger.example.com", {1}});
  }

  FaultVfs& disk() { return disk_; }
  EmbeddedLog& log() { return *log_; }
  void open() { log_ = EmbeddedLog::open(options()); }
  void close() {
    writer_.reset();
    reader_.reset();
    log_.reset();
  }
  // False on a fault; `fault` says which.
  bool takeOver(std::optional<Fault>* fault = nullptr) {
    try {
      writer_ = log_->takeOver(kPartition, state_, [&](ValidRecord& record) { take(record); });
      return true;
    } catch (const Fault& thrown) {
      if (fault != nullptr) *fault = thrown;
      return false;
    }
  }
  // Appends from the first entry the log does not have, in batches with some outstanding, until all are given or one is not appended.
  // The answers, one a batch.
  std::vector<AppendResult> give(std::size_t count, std::size_t batchMax, std::size_t outstandingMax) {
    std::mt19937_64 dice(seed_ * 31 + ++rounds_);
    submitted_ = held_;
    const std::size_t end = std::min(given_.size(), held_ + count);
    std::vector<AppendResult> answers;
    Results results;
    std::vector<std::size_t> ends;
    while (submitted_ < end) {
      const std::size_t outstanding = 1 + dice() % outstandingMax;
      for (std::size_t index = 0; index < outstanding && submitted_ < end; ++index) {
        const std::size_t size = std::min(1 + dice() % batchMax, end - submitted_);
        const auto first = given_.begin() + static_cast<std::ptrdiff_t>(submitted_);
        submitted_ += size;
        ends.push_back(submitted_);
        writer_->append({first, first + static_cast<std::ptrdiff_t>(size)}, results.taker());
      }
      answers = results.wait();
      follow();
      if (answers.back().outcome != AppendOutcome::appended) break;
    }
    bool broken = false;
    possible_ = 0;
    for (std::size_t index = 0; index < answers.size(); ++index) {
      const bool appended = answers[index].outcome == AppendOutcome::appended;
      EXPECT_FALSE(broken && appended);
      broken = broken || !appended;
      if (appended) acknowledged_ = ends[index];
      if (answers[index].outcome != AppendOutcome::rejected) possible_ = ends[index];
    }
    possible_ = std::max(possible_, acknowledged_);
    return answers;
  }
  void followAlong(bool on) { following_ = on; }
  // A projection beside the writer: what it saw must stay.
  void follow() {
    if (disk_.lost() || !following_) return;
    try {
      if (reader_ == nullptr) reader_ = log_->read(kPartition, followed_);
      ValidRecord record;
      while (reader_->next(record)) {
      }
      followed_ = reader_->state();
    } catch (const Fault&) {
      reader_.reset();
    }
  }
  // Everything there is, from zero, against what is known.
  void check(const std::string& when) {
    const std::size_t heldAtTakeOver = std::exchange(held_, 0);
    const auto reader = log_->read(kPartition, {});
    for (ValidRecord& record : drain(*reader)) take(record);
    seen_ = std::exchange(held_, heldAtTakeOver);
    ASSERT_GE(seen_, acknowledged_) << when;
    ASSERT_LE(seen_, std::max(possible_, acknowledged_)) << when;
    EXPECT_EQ(reader->state().voids, 0U) << when;
    acknowledged_ = seen_;
    EXPECT_NO_THROW(log_->read(kPartition, followed_)) << when;
  }
  std::size_t seen() const { return seen_; }
  std::size_t acknowledged() const { return acknowledged_; }
  std::size_t possible() const { return possible_; }
  std::size_t all() const { return given_.size(); }
  void begin() {
    state_ = {};
    held_ = 0;
  }

 private:
  EmbeddedLogOptions options() {
    EmbeddedLogOptions result;
    result.directory = folder_.path() / "log";
    result.identity = {1, ++incarnation_, "node", "", 1};
    result.vfs = disk_.name();
    result.checkpointPages = 10;
    return result;
  }
  void take(const ValidRecord& record) {
    if (record.kind != RecordKind::entry) return;
    ASSERT_LT(held_, given_.size());
    ASSERT_TRUE(same(given_[held_], record)) << held_;
    ++held_;
  }

  const std::uint64_t seed_;
  ScratchFolder folder_;
  FaultVfs disk_;
  std::uint64_t incarnation_ = 0;
  std::uint64_t rounds_ = 0;
  std::vector<NewRecord> given_;
  std::size_t held_ = 0;          // entries up to state_
  std::size_t seen_ = 0;          // entries at the last check()
  std::size_t submitted_ = 0;     // handed to append()
  std::size_t acknowledged_ = 0;  // known to be there
  std::size_t possible_ = 0;      // not known not to be there
  FoldState state_;
  FoldState followed_;
  bool following_ = true;
  std::unique_ptr<EmbeddedLog> log_;
  std::unique_ptr<PartitionWriter> writer_;
  std::unique_ptr<PartitionReader> reader_;
};

TEST(EmbeddedLogCrash, PowerLossAtAnyOperationLosesNothingAcknowledged) {
  std::size_t unsure = 0;
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LogRun run(seed);
    std::mt19937_64 dice(seed);
    for (int life = 0; life < 4; ++life) {
      run.open();
      run.begin();
      // Sometimes the power goes while taking over, sometimes amid appends and checkpoints.
      run.disk().loseAfter(dice() % 120);
      if (run.takeOver()) {
        run.give(60, 5, seed % 2 == 0 ? 1 : 8);
        unsure += run.possible() - run.acknowledged();
      }
      run.disk().lose();
      run.close();
      run.disk().restart(life < 2 ? seed * 4 + static_cast<std::uint64_t>(life) : static_cast<std::uint64_t>(life) - 2);
      run.open();
      run.check("life " + std::to_string(life));
      if (::testing::Test::HasFatalFailure()) return;
      run.close();
    }
  }
  // The simulation reached the states it is for.
  EXPECT_GT(unsure, 100U);
}

TEST(EmbeddedLogCrash, AFullDiskRejectsAndNothingElse) {
  bool struck = true;
  std::uint64_t write = 0;
  while (struck) {
    ++write;
    SCOPED_TRACE("write " + std::to_string(write));
    ASSERT_LT(write, 2'000U);
    LogRun run(5);
    run.open();
    ASSERT_TRUE(run.takeOver());
    run.disk().fail(DiskOperation::write, write, SQLITE_FULL, true);
    const auto answers = run.give(80, 4, 3);
    struck = answers.back().outcome != AppendOutcome::appended;
    bool first = true;
    for (const AppendResult& answer : answers) {
      ASSERT_NE(answer.outcome, AppendOutcome::indeterminate);
      if (answer.outcome != AppendOutcome::rejected || !first) continue;
      ASSERT_EQ(answer.fault->code(), ErrorCode::diskFull);
      first = false;
    }
    if (struck) {
      std::optional<Fault> fault;
      ASSERT_FALSE(run.takeOver(&fault));
      EXPECT_EQ(fault->code(), ErrorCode::diskFull) << fault->what();
    }
    run.disk().heal();
    ASSERT_TRUE(run.takeOver());
    run.check("room again");
    ASSERT_EQ(run.give(run.all(), 20, 3).back().outcome, AppendOutcome::appended);
    run.disk().lose();
    run.close();
    run.disk().restart(write);
    run.open();
    run.check("after a power loss");
    ASSERT_EQ(run.seen(), run.all());
  }
}

struct Failure {
  DiskOperation operation;
  int code;
  bool takesEffect;
};

TEST(EmbeddedLogCrash, AnyFailedWriteOrSyncLeavesAChainThatGoesOn) {
  const std::vector<Failure> failures = {{DiskOperation::write, SQLITE_IOERR_WRITE, false},
                                         {DiskOperation::write, SQLITE_IOERR_WRITE, true},
                                         {DiskOperation::sync, SQLITE_IOERR_FSYNC, false},
                                         {DiskOperation::sync, SQLITE_IOERR_FSYNC, true},
                                         {DiskOperation::write, SQLITE_FULL, false}};
  std::size_t indeterminate = 0;
  for (const Failure& failure : failures) {
    for (std::uint64_t nth = 1; nth < 90; ++nth) {
      SCOPED_TRACE("operation " + std::to_string(static_cast<int>(failure.operation)) + " code " + std::to_string(failure.code) + " nth " +
                   std::to_string(nth));
      LogRun run(nth);
      run.open();
      run.disk().fail(failure.operation, nth, failure.code, false, failure.takesEffect);
      int attempts = 0;
      // Every attempt meets at most one failure; half of the runs lose the power after the first.
      while (run.seen() < run.all()) {
        ASSERT_LT(++attempts, 5);
        if (!run.takeOver()) continue;
        const auto answers = run.give(run.all(), 6, 4);
        for (const AppendResult& answer : answers) indeterminate += answer.outcome == AppendOutcome::indeterminate ? 1U : 0U;
        if (nth % 2 == 0 && answers.back().outcome != AppendOutcome::appended) {
          run.disk().lose();
          run.close();
          run.disk().restart(nth * 3);
          run.open();
          run.begin();
          ASSERT_TRUE(run.takeOver());
        }
        run.check("attempt " + std::to_string(attempts));
      }
    }
  }
  EXPECT_GT(indeterminate, 50U);
}

// After a failed sync the kernel may call pages clean that never reached the disk; later syncs succeed without them. What a take-over has
// read must survive even then.
TEST(EmbeddedLogCrash, WhatATakeOverReadIsDurable) {
  std::size_t failed = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    LogRun run(seed);
    run.open();
    ASSERT_TRUE(run.takeOver());
    // Odd: nobody else has the database open, so closing and opening it reads the write-ahead log anew.
    run.followAlong(seed % 2 == 0);
    run.disk().failOnly("-wal");
    run.disk().fail(DiskOperation::sync, 1 + seed % 20, SQLITE_IOERR_FSYNC, true);
    if (run.give(60, 5, 3).back().outcome == AppendOutcome::appended) continue;
    for (int attempt = 0; attempt < 3; ++attempt) ASSERT_FALSE(run.takeOver());
    run.disk().heal();
    // The database cannot be synced once more: then nothing may be built on what only memory holds.
    run.disk().failOnly("log.db");
    run.disk().fail(DiskOperation::sync, 1, SQLITE_IOERR_FSYNC);
    const bool atOnce = run.takeOver();
    ASSERT_TRUE(atOnce || run.takeOver());
    ++failed;
    run.check("taken over");
    const std::size_t before = run.seen();
    run.disk().lose();
    run.close();
    run.disk().restart(seed < 20 ? 0 : seed);
    run.open();
    run.check("after a power loss");
    EXPECT_EQ(run.seen(), before);
  }
  EXPECT_GT(failed, 30U);
}

}  // namespace
}  // namespace counterfoil::log::test
