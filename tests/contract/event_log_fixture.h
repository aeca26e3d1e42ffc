// What the contract suite of an EventLog is made of: a harness to be given, chains to append, results to wait for.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "ledger/core/limits.h"
#include "ledger/log/event_log.h"
#include "ledger/log/partition_content.h"

namespace counterfoil::log::test {

// Valid records of one workspace, one after another; the same seed gives the same bytes. A copy can go another way.
class Chain {
 public:
  explicit Chain(std::uint64_t workspace, std::uint64_t seed = 1) : workspace_{workspace}, dice_(seed * 1'000'003 + workspace) {}
  NewRecord entry(std::size_t bytes = 100) {
    NewRecord record;
    record.workspace = workspace_;
    record.seq = {seq_++};
    record.previous = last_;
    for (auto& byte : record.leaf.bytes) byte = static_cast<std::uint8_t>(dice_());
    record.value.resize(bytes);
    for (auto& byte : record.value) byte = static_cast<std::uint8_t>(dice_());
    last_ = record.leaf;
    return record;
  }
  std::vector<NewRecord> entries(std::size_t count, std::size_t bytes = 100) {
    std::vector<NewRecord> batch;
    for (std::size_t index = 0; index < count; ++index) batch.push_back(entry(bytes));
    return batch;
  }
  std::uint64_t size() const { return seq_; }

 private:
  WorkspaceNumber workspace_;
  std::uint64_t seq_ = 0;
  LeafHash last_;
  std::mt19937_64 dice_;
};

inline NewRecord tick() {
  NewRecord record;
  record.kind = RecordKind::tick;
  return record;
}

// The results of appends, in the order they came. Outlives the writers that use it.
class Results {
 public:
  std::function<void(const AppendResult&)> taker() {
    const std::size_t number = asked_++;
    return [this, number](const AppendResult& result) {
      const std::lock_guard guard(mutex_);
      numbers_.push_back(number);
      results_.push_back(result);
      changed_.notify_all();
    };
  }
  std::vector<AppendResult> wait() {
    std::unique_lock guard(mutex_);
    changed_.wait(guard, [&] { return results_.size() >= asked_; });
    return results_;
  }
  std::vector<AppendResult> soFar() {
    const std::lock_guard guard(mutex_);
    return results_;
  }
  // Which append each result belongs to.
  std::vector<std::size_t> order() {
    const std::lock_guard guard(mutex_);
    return numbers_;
  }
  std::size_t asked() const { return asked_; }

 private:
  std::size_t asked_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::size_t> numbers_;
  std::vector<AppendResult> results_;
};

// What happens to an append.
enum class Break : std::uint8_t { rejected, unknownLost, unknownLanded };

class LogHarness {
 public:
  virtual ~LogHarness() = default;
  virtual EventLog& log() = 0;
  // As after kill -9: another object over the same store. No writer or reader of the old one is left.
  virtual void restart(std::uint16_t level = 1) = 0;
  // Makes outstanding appends come to their end; may return before they have.
  virtual void deliver() = 0;
  // The next append (not claim) ends like this. False: this log cannot be made to.
  virtual bool breakAppend(Break way) = 0;
  // Whether an append of several records that is not `appended` is in the log as a whole or not at all.
  virtual bool batchesAreWhole() const { return true; }
};

inline std::vector<ValidRecord> drain(PartitionReader& reader) {
  std::vector<ValidRecord> records;
  ValidRecord record;
  while (reader.next(record)) records.push_back(record);
  return records;
}

inline bool same(const NewRecord& given, const ValidRecord& read) {
  return given.kind == read.kind && given.workspace == read.workspace && given.seq == read.seq && given.previous == read.previous &&
         given.leaf == read.leaf && given.value == read.value;
}

// Why a harness cannot run on this machine; empty if it can. A harness that depends on something outside has a function absent().
template <class Harness>
std::string absence() {
  if constexpr (requires { Harness::absent(); }) {
    return Harness::absent();
  } else {
    return {};
  }
}

// `Harness` is a LogHarness that makes itself a fresh log.
template <class Harness>
class EventLogFixture : public ::testing::Test {
 protected:
  static constexpr PartitionId kPartition{0};

  void SetUp() override {
    if (const std::string why = absence<Harness>(); !why.empty()) GTEST_SKIP() << why;
    harness_ = std::make_unique<Harness>();
  }

  EventLog& log() { return harness_->log(); }
  std::unique_ptr<PartitionWriter> takeOver() {
    applied_.clear();
    return log().takeOver(kPartition, state_, [&](ValidRecord& record) { applied_.push_back(record); });
  }
  std::vector<ValidRecord> readAll(const FoldState& from = {}) { return drain(*log().read(kPartition, from)); }
  // One batch, to its end.
  AppendResult append(PartitionWriter& writer, std::vector<NewRecord> batch) {
    Results results;
    writer.append(std::move(batch), results.taker());
    harness_->deliver();
    return results.wait().front();
  }
  static std::vector<ValidRecord> onlyEntries(std::vector<ValidRecord> records) {
    std::erase_if(records, [](const ValidRecord& record) { return record.kind != RecordKind::entry; });
    return records;
  }

  std::unique_ptr<LogHarness> harness_;
  FoldState state_;
  std::vector<ValidRecord> applied_;
};

}  // namespace counterfoil::log::test
