// Contract of an EventLog, single records: each is found by its position, whether it counts or not.
#pragma once

#include "tests/contract/event_log_fixture.h"

namespace counterfoil::log::test {

template <class Harness>
class EventLogFinding : public EventLogFixture<Harness> {};
TYPED_TEST_SUITE_P(EventLogFinding);

TYPED_TEST_P(EventLogFinding, SingleRecordsAreFoundInAnyOrder) {
  auto writer = this->takeOver();
  Chain chain(7);
  Results results;
  // The farthest lie further apart than a log would read through, and some are as large as a record gets.
  for (std::size_t batch = 0; batch < 30; ++batch) {
    std::vector<NewRecord> records = chain.entries(39, 200 + batch);
    records.push_back(batch % 10 == 3 ? chain.entry(limits::kRecordBytesMax) : tick());
    writer->append(std::move(records), results.taker());
  }
  this->harness_->deliver();
  for (const AppendResult& result : results.wait()) ASSERT_EQ(result.outcome, AppendOutcome::appended);
  const auto all = this->readAll();
  ASSERT_EQ(all.size(), 1'202U);

  std::mt19937_64 dice(11);
  std::vector<std::size_t> order = {0, 0, 1, 700, 701, 702, 740, 1'201, 161, 1'000, 999, 998, 5, 400, 900, 0};
  for (int index = 0; index < 40; ++index) order.push_back(dice() % all.size());
  const auto finder = this->log().finder(this->kPartition);
  StoredRecord found;
  for (const std::size_t index : order) {
    const ValidRecord& expected = all[index];
    ASSERT_TRUE(finder->find(expected.position, found)) << index;
    ASSERT_EQ(found.position, expected.position);
    ASSERT_EQ(found.header.kind, expected.kind) << index;
    ASSERT_EQ(found.header.workspace, expected.workspace);
    ASSERT_EQ(found.header.seq, expected.seq);
    ASSERT_EQ(found.header.previous, expected.previous);
    ASSERT_EQ(found.header.leaf, expected.leaf);
    ASSERT_EQ(found.header.incarnation, expected.incarnation);
    ASSERT_EQ(found.value, expected.value) << index;
  }
}

TYPED_TEST_P(EventLogFinding, NothingIsFoundBeyondTheEndUntilItIsThere) {
  auto writer = this->takeOver();
  Chain chain(7);
  ASSERT_EQ(this->append(*writer, chain.entries(5)).outcome, AppendOutcome::appended);
  const auto finder = this->log().finder(this->kPartition);
  const Position end{7};
  StoredRecord found;
  ASSERT_TRUE(finder->find(Position{6}, found));
  for (const std::uint64_t beyond : {end.value, end.value + 1, end.value + 1'000, std::uint64_t{1} << 62, UINT64_MAX}) {
    EXPECT_FALSE(finder->find(Position{beyond}, found)) << beyond;
  }
  ASSERT_TRUE(finder->find(Position{2}, found));
  EXPECT_EQ(found.header.seq.value, 0U);
  ASSERT_EQ(this->append(*writer, chain.entries(2)).outcome, AppendOutcome::appended);
  for (const std::uint64_t position : {end.value + 1, end.value}) {
    ASSERT_TRUE(finder->find(Position{position}, found)) << position;
    EXPECT_EQ(found.header.seq.value, position - 2);
  }
  EXPECT_FALSE(finder->find(Position{end.value + 2}, found));
}

// Where records of others can come in between, they are found like any other: it is the caller who knows which one was meant.
TYPED_TEST_P(EventLogFinding, WhatDoesNotCountIsFoundToo) {
  auto writer = this->takeOver();
  Chain chain(7);
  ASSERT_EQ(this->append(*writer, chain.entries(3)).outcome, AppendOutcome::appended);
  if (!this->harness_->breakAppend(Break::unknownLanded)) GTEST_SKIP() << "an append to this log cannot be made to end so";
  EXPECT_EQ(this->append(*writer, {chain.entry()}).outcome, AppendOutcome::indeterminate);
  const auto reader = this->log().read(this->kPartition, {});
  const auto valid = drain(*reader);
  const std::uint64_t end = reader->state().next.value;
  const auto finder = this->log().finder(this->kPartition);
  StoredRecord found;
  std::size_t counted = 0;
  for (std::uint64_t position = 0; position < end; ++position) {
    ASSERT_TRUE(finder->find(Position{position}, found)) << position;
    if (counted < valid.size() && valid[counted].position == found.position) {
      EXPECT_EQ(found.value, valid[counted++].value);
    }
  }
  EXPECT_EQ(counted, valid.size());
  EXPECT_EQ(end, valid.size() + reader->state().voids);
  EXPECT_FALSE(finder->find(Position{end}, found));
}

REGISTER_TYPED_TEST_SUITE_P(EventLogFinding, SingleRecordsAreFoundInAnyOrder, NothingIsFoundBeyondTheEndUntilItIsThere,
                            WhatDoesNotCountIsFoundToo);

}  // namespace counterfoil::log::test
