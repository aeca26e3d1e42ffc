// Contract of an EventLog, the read side: what was appended is there for every reader, in order, once.
#pragma once

#include "tests/contract/event_log_fixture.h"

namespace counterfoil::log::test {

template <class Harness>
class EventLogReading : public EventLogFixture<Harness> {};
TYPED_TEST_SUITE_P(EventLogReading);

TYPED_TEST_P(EventLogReading, BeginsWithItsGenesis) {
  const auto records = this->readAll();
  ASSERT_EQ(records.size(), 1U);
  EXPECT_EQ(records[0].kind, RecordKind::genesis);
  EXPECT_EQ(records[0].position.value, 0U);
  const auto genesis = readGenesis(records[0].value);
  ASSERT_TRUE(genesis.has_value());
  EXPECT_FALSE(genesis->ledger.ledgerId.empty());
  EXPECT_EQ(genesis->partitions, this->log().partitions());
  EXPECT_LT(this->log().partitionOf(WorkspaceNumber{12'345}).value, this->log().partitions());
}

TYPED_TEST_P(EventLogReading, WhatIsAppendedIsReadBackByteForByte) {
  auto writer = this->takeOver();
  Chain seven(7);
  Chain nine(9);
  NewRecord keys;
  keys.kind = RecordKind::keys;
  keys.workspace = {9};
  keys.value = {1, 2, 3};
  std::vector<NewRecord> all;
  for (const std::size_t bytes : {0UL, 1UL, 966UL, 4'000UL, 4'096UL, 70'000UL, limits::kRecordBytesMax}) {
    std::vector<NewRecord> batch = {seven.entry(bytes), tick(), nine.entry(bytes), keys};
    all.insert(all.end(), batch.begin(), batch.end());
    const AppendResult result = this->append(*writer, std::move(batch));
    ASSERT_EQ(result.outcome, AppendOutcome::appended);
    ASSERT_EQ(result.first.value, 2 + all.size() - 4);
  }
  for (int round = 0; round < 2; ++round) {
    const auto records = this->readAll();
    ASSERT_EQ(records.size(), 2 + all.size());
    for (std::size_t index = 0; index < all.size(); ++index) {
      ASSERT_TRUE(same(all[index], records[index + 2])) << index;
      ASSERT_EQ(records[index + 2].position.value, index + 2);
    }
    writer.reset();
    this->harness_->restart();
  }
}

TYPED_TEST_P(EventLogReading, AReaderContinuesFromASavedState) {
  auto writer = this->takeOver();
  Chain seven(7);
  Chain nine(9);
  for (int round = 0; round < 20; ++round) {
    ASSERT_EQ(this->append(*writer, seven.entries(2)).outcome, AppendOutcome::appended);
    ASSERT_EQ(this->append(*writer, nine.entries(1)).outcome, AppendOutcome::appended);
  }
  const auto whole = this->readAll();
  for (const std::size_t read : {0UL, 1UL, 2UL, 3UL, 31UL, whole.size()}) {
    auto first = this->log().read(this->kPartition, {});
    ValidRecord record;
    for (std::size_t index = 0; index < read; ++index) ASSERT_TRUE(first->next(record));
    std::vector<std::uint8_t> saved;
    first->state().save(saved);
    FoldState loaded;
    ASSERT_TRUE(FoldState::load(saved, loaded));
    const auto rest = this->readAll(loaded);
    ASSERT_EQ(rest.size(), whole.size() - read);
    for (std::size_t index = 0; index < rest.size(); ++index) ASSERT_EQ(rest[index].position, whole[read + index].position);
  }
}

TYPED_TEST_P(EventLogReading, AReaderSeesWhatIsAppendedAfterItsEnd) {
  auto writer = this->takeOver();
  auto reader = this->log().read(this->kPartition, {});
  EXPECT_EQ(drain(*reader).size(), 2U);
  ValidRecord record;
  EXPECT_FALSE(reader->next(record));
  Chain chain(7);
  for (int round = 0; round < 5; ++round) {
    ASSERT_EQ(this->append(*writer, chain.entries(3)).outcome, AppendOutcome::appended);
    EXPECT_EQ(drain(*reader).size(), 3U);
  }
}

TYPED_TEST_P(EventLogReading, AStateOfAnotherLogIsTruncation) {
  auto writer = this->takeOver();
  Chain chain(7);
  ASSERT_EQ(this->append(*writer, chain.entries(5)).outcome, AppendOutcome::appended);
  auto reader = this->log().read(this->kPartition, {});
  drain(*reader);
  const auto codeOf = [&](const FoldState& from) {
    try {
      this->log().read(this->kPartition, from);
    } catch (const Fault& fault) {
      return fault.code();
    }
    return ErrorCode::internal;
  };
  FoldState ahead = reader->state();
  ahead.next.value += 1;
  EXPECT_EQ(codeOf(ahead), ErrorCode::logTruncated);
  FoldState elsewhere = reader->state();
  elsewhere.last.leaf.bytes[31] ^= 1;
  EXPECT_EQ(codeOf(elsewhere), ErrorCode::logTruncated);
  FoldState takes = elsewhere;
  EXPECT_THROW(this->log().takeOver(this->kPartition, takes, [](ValidRecord&) {}), Fault);
  EXPECT_EQ(takes, elsewhere);
}

TYPED_TEST_P(EventLogReading, ReadersInOtherThreadsSeePrefixes) {
  auto writer = this->takeOver();
  constexpr std::uint64_t kRecords = 2'000;
  std::vector<std::thread> threads;
  std::vector<std::string> problems(3);
  for (std::size_t number = 0; number < problems.size(); ++number) {
    threads.emplace_back([&, number] {
      try {
        auto reader = this->log().read(this->kPartition, {});
        ValidRecord record;
        std::uint64_t seen = 0;
        while (seen < kRecords) {
          if (!reader->next(record)) {
            std::this_thread::yield();
            continue;
          }
          if (record.kind == RecordKind::entry && record.seq.value != seen++) problems[number] = "out of order";
        }
      } catch (const Fault& fault) {
        problems[number] = fault.what();
      }
    });
  }
  Chain chain(7);
  Results results;
  for (std::uint64_t index = 0; index < kRecords / 10; ++index) {
    writer->append(chain.entries(10), results.taker());
    this->harness_->deliver();
  }
  const auto all = results.wait();
  for (std::thread& thread : threads) thread.join();
  for (const AppendResult& result : all) ASSERT_EQ(result.outcome, AppendOutcome::appended);
  for (const std::string& problem : problems) EXPECT_EQ(problem, "");
}

TYPED_TEST_P(EventLogReading, TenThousandRecords) {
  auto writer = this->takeOver();
  std::vector<Chain> chains;
  for (std::uint64_t workspace = 0; workspace < 50; ++workspace) chains.emplace_back(workspace);
  std::vector<NewRecord> all;
  Results results;
  for (std::size_t batch = 0; batch < 200; ++batch) {
    std::vector<NewRecord> records;
    for (std::size_t index = 0; index < 50; ++index) records.push_back(chains[(batch * 7 + index * 3) % chains.size()].entry(300));
    all.insert(all.end(), records.begin(), records.end());
    writer->append(std::move(records), results.taker());
  }
  this->harness_->deliver();
  for (const AppendResult& result : results.wait()) ASSERT_EQ(result.outcome, AppendOutcome::appended);
  const auto records = this->onlyEntries(this->readAll());
  ASSERT_EQ(records.size(), 10'000U);
  for (std::size_t index = 0; index < records.size(); ++index) ASSERT_TRUE(same(all[index], records[index])) << index;
}

TYPED_TEST_P(EventLogReading, TellsAboutNewRecordsUntilToldNotTo) {
  std::mutex mutex;
  int told = 0;
  const auto times = [&] {
    const std::lock_guard guard(mutex);
    return told;
  };
  this->log().onAppended([&] {
    const std::lock_guard guard(mutex);
    ++told;
  });
  auto writer = this->takeOver();
  const int afterClaim = times();
  EXPECT_GT(afterClaim, 0);
  Chain chain(7);
  ASSERT_EQ(this->append(*writer, chain.entries(3)).outcome, AppendOutcome::appended);
  writer.reset();
  const int afterAppend = times();
  EXPECT_GT(afterAppend, afterClaim);
  this->log().onAppended(nullptr);
  writer = this->takeOver();
  EXPECT_EQ(times(), afterAppend);
}

REGISTER_TYPED_TEST_SUITE_P(EventLogReading, BeginsWithItsGenesis, WhatIsAppendedIsReadBackByteForByte, AReaderContinuesFromASavedState,
                            AReaderSeesWhatIsAppendedAfterItsEnd, AStateOfAnotherLogIsTruncation, ReadersInOtherThreadsSeePrefixes,
                            TenThousandRecords, TellsAboutNewRecordsUntilToldNotTo);

}  // namespace counterfoil::log::test
