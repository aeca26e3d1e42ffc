#include "ledger/log/memory_log.h"

#include "tests/contract/event_log_fixture.h"

namespace counterfoil::log::test {
namespace {

constexpr PartitionId kPartition{0};

class MemoryLogTest : public ::testing::Test {
 protected:
  std::unique_ptr<PartitionWriter> takeOver(MemoryLog& log) {
    applied_.clear();
    return log.takeOver(kPartition, state_, [&](ValidRecord& record) { applied_.push_back(record); });
  }
  void append(PartitionWriter& writer, std::vector<NewRecord> batch) { writer.append(std::move(batch), results_.taker()); }
  AppendOutcome outcome(std::size_t index) { return results_.soFar().at(index).outcome; }
  std::uint64_t entries() {
    std::uint64_t count = 0;
    for (const ValidRecord& record : drain(*first_.read(kPartition, {}))) count += record.kind == RecordKind::entry ? 1U : 0U;
    return count;
  }
  std::uint64_t voids() {
    const auto reader = first_.read(kPartition, {});
    drain(*reader);
    return reader->state().voids;
  }

  std::shared_ptr<MemoryPartitions> partitions_ = std::make_shared<MemoryPartitions>(LedgerFacts{"ledger-1", "ledger.example.com", {1}});
  MemoryLog first_{partitions_, {1, 1, "one", "", 1}, Delivery::pumped};
  MemoryLog second_{partitions_, {2, 1, "two", "", 1}, Delivery::pumped};
  FoldState state_;
  std::vector<ValidRecord> applied_;
  Results results_;
  Chain chain_{7};
};

TEST_F(MemoryLogTest, NothingIsAnsweredBeforeItIsDelivered) {
  auto writer = takeOver(first_);
  for (int index = 0; index < 3; ++index) append(*writer, chain_.entries(1));
  EXPECT_EQ(first_.outstanding(), 3U);
  EXPECT_TRUE(results_.soFar().empty());
  EXPECT_EQ(partitions_->end(kPartition).value, 2U);
  EXPECT_EQ(first_.deliver(2), 2U);
  EXPECT_EQ(results_.soFar().size(), 2U);
  EXPECT_EQ(first_.deliver(), 1U);
  EXPECT_EQ(entries(), 3U);
}

TEST_F(MemoryLogTest, AZombiesRecordsAreVoidAndNeverAcknowledged) {
  auto zombie = takeOver(first_);
  append(*zombie, chain_.entries(2));
  first_.deliver();
  Chain stale = chain_;
  append(*zombie, stale.entries(1));  // on its way
  auto owner = takeOver(second_);
  first_.deliver();
  EXPECT_EQ(outcome(1), AppendOutcome::indeterminate);
  EXPECT_EQ(voids(), 1U);
  append(*zombie, stale.entries(1));
  first_.deliver();
  EXPECT_EQ(outcome(2), AppendOutcome::rejected);
  // The owner meets the foreign record, cannot be sure, and claims again.
  append(*owner, chain_.entries(1));
  second_.deliver();
  EXPECT_EQ(outcome(3), AppendOutcome::indeterminate);
  owner = takeOver(second_);
  ASSERT_EQ(applied_.size(), 2U);
  EXPECT_EQ(applied_[0].kind, RecordKind::entry);
  append(*owner, chain_.entries(1));
  second_.deliver();
  EXPECT_EQ(outcome(4), AppendOutcome::appended);
  EXPECT_EQ(entries(), 4U);
}

TEST_F(MemoryLogTest, ALostAppendMakesItsSuccessorsVoid) {
  auto writer = takeOver(first_);
  for (const Fate fate : {Fate::lands, Fate::lost, Fate::lands, Fate::lands}) first_.plan(fate);
  for (int index = 0; index < 4; ++index) append(*writer, chain_.entries(2));
  first_.deliver();
  EXPECT_EQ(outcome(0), AppendOutcome::appended);
  for (const std::size_t index : {1U, 2U, 3U}) EXPECT_EQ(outcome(index), AppendOutcome::indeterminate);
  EXPECT_EQ(partitions_->end(kPartition).value, 2U + 2U + 4U);
  EXPECT_EQ(entries(), 2U);
  EXPECT_EQ(voids(), 4U);
}

TEST_F(MemoryLogTest, WhatLandsBehindAnUnknownAppendCountsButIsNotAcknowledged) {
  auto writer = takeOver(first_);
  first_.plan(Fate::landsUnknown);
  for (int index = 0; index < 3; ++index) append(*writer, chain_.entries(1));
  first_.deliver();
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_EQ(outcome(index), AppendOutcome::indeterminate);
  EXPECT_EQ(entries(), 3U);
}

TEST_F(MemoryLogTest, ARejectedAppendIsNotThereNorAnyBehindIt) {
  auto writer = takeOver(first_);
  first_.plan(Fate::rejected);
  for (int index = 0; index < 3; ++index) append(*writer, chain_.entries(1));
  first_.deliver();
  for (const std::size_t index : {0U, 1U, 2U}) EXPECT_EQ(outcome(index), AppendOutcome::rejected);
  EXPECT_EQ(partitions_->end(kPartition).value, 2U);
}

TEST_F(MemoryLogTest, PartOfABatchMayLand) {
  auto writer = takeOver(first_);
  first_.plan(Fate::landsPartly);
  append(*writer, chain_.entries(3));
  first_.deliver();
  EXPECT_EQ(outcome(0), AppendOutcome::indeterminate);
  EXPECT_EQ(entries(), 1U);
}

TEST_F(MemoryLogTest, LateRecordsOfAFormerOwnerAreVoid) {
  auto former = takeOver(first_);
  first_.plan(Fate::landsLate);
  append(*former, chain_.entries(2));
  first_.deliver();
  EXPECT_EQ(outcome(0), AppendOutcome::indeterminate);
  auto owner = takeOver(second_);
  Chain other(7, 2);
  append(*owner, other.entries(1));
  second_.deliver();
  first_.landLate();
  EXPECT_EQ(outcome(1), AppendOutcome::appended);
  EXPECT_EQ(entries(), 1U);
  EXPECT_EQ(voids(), 2U);
}

TEST_F(MemoryLogTest, LateRecordsThatComeBeforeAnyClaimCount) {
  auto former = takeOver(first_);
  first_.plan(Fate::landsLate);
  append(*former, chain_.entries(2));
  first_.deliver();
  first_.landLate();
  takeOver(second_);
  EXPECT_EQ(applied_.size(), 3U);
  EXPECT_EQ(entries(), 2U);
}

TEST_F(MemoryLogTest, AResendIsHarmlessButEndsTheWriter) {
  auto writer = takeOver(first_);
  first_.plan(Fate::landsTwice);
  append(*writer, chain_.entries(2));
  append(*writer, chain_.entries(1));
  first_.deliver();
  EXPECT_EQ(outcome(0), AppendOutcome::appended);
  EXPECT_EQ(outcome(1), AppendOutcome::indeterminate);
  EXPECT_EQ(entries(), 3U);
  EXPECT_EQ(voids(), 2U);
}

TEST_F(MemoryLogTest, WhoeverClaimsFirstWins) {
  first_.beforeClaim([&] { partitions_->claimAs(kPartition, {9, 9, "nine", "", 1}); });
  try {
    takeOver(first_);
    ADD_FAILURE() << "both own the partition";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::dataInUse);
  }
  EXPECT_EQ(state_.next.value, 3U);
  EXPECT_EQ(state_.voids, 1U);
  first_.beforeClaim(nullptr);
  ASSERT_NE(takeOver(first_), nullptr);
  EXPECT_EQ(state_.term, 2U);
  EXPECT_EQ(applied_.size(), 1U);
}

TEST_F(MemoryLogTest, AForeignClaimEndsTheWriterAtItsNextAppend) {
  auto writer = takeOver(first_);
  partitions_->claimAs(kPartition, {9, 9, "nine", "", 1});
  append(*writer, chain_.entries(1));
  first_.deliver();
  EXPECT_EQ(outcome(0), AppendOutcome::indeterminate);
  EXPECT_EQ(entries(), 0U);
}

TEST_F(MemoryLogTest, AClaimMayBeUnknownToo) {
  for (const Fate fate : {Fate::rejected, Fate::lost, Fate::landsUnknown}) {
    first_.planClaim(fate);
    EXPECT_THROW(takeOver(first_), Fault);
  }
  ASSERT_NE(takeOver(first_), nullptr);
  // The one that landed is an earlier term.
  EXPECT_EQ(state_.term, 2U);
  EXPECT_EQ(applied_.size(), 2U);
}

TEST_F(MemoryLogTest, FullAndUnavailable) {
  auto writer = takeOver(first_);
  partitions_->setFull(true);
  append(*writer, chain_.entries(1));
  first_.deliver();
  EXPECT_EQ(outcome(0), AppendOutcome::rejected);
  EXPECT_EQ(results_.soFar()[0].fault->code(), ErrorCode::diskFull);
  EXPECT_THROW(takeOver(first_), Fault);
  partitions_->setFull(false);
  partitions_->setUnavailable(true);
  EXPECT_THROW(first_.read(kPartition, {}), Fault);
  EXPECT_THROW(takeOver(first_), Fault);
  partitions_->setUnavailable(false);
  chain_ = Chain(7);
  writer = takeOver(first_);
  append(*writer, chain_.entries(1));
  first_.deliver();
  EXPECT_EQ(outcome(1), AppendOutcome::appended);
}

TEST_F(MemoryLogTest, DamageStopsReadersWhereTheyAre) {
  auto writer = takeOver(first_);
  append(*writer, chain_.entries(4));
  first_.deliver();
  partitions_->damage(kPartition, {4});
  const auto reader = first_.read(kPartition, {});
  ValidRecord record;
  for (int index = 0; index < 4; ++index) ASSERT_TRUE(reader->next(record));
  for (int round = 0; round < 2; ++round) {
    try {
      reader->next(record);
      ADD_FAILURE() << "read past damage";
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.code(), ErrorCode::logDamaged);
    }
    EXPECT_EQ(reader->state().next.value, 4U);
  }
}

TEST_F(MemoryLogTest, ContentThatContradictsItsHeaderIsDamage) {
  takeOver(first_);
  RecordHeader header = claimHeader({3, 3, "three", "", 2}, state_);
  partitions_->inject(kPartition, header, claimValue({3, 3, "three", "", 1}));
  EXPECT_THROW(entries(), Fault);
  partitions_->truncate(kPartition, {2});
  partitions_->inject(kPartition, header, {1, 2, 3});
  EXPECT_THROW(entries(), Fault);
  partitions_->truncate(kPartition, {2});
  partitions_->inject(kPartition, header, claimValue({3, 3, "three", "", 2}));
  EXPECT_EQ(entries(), 0U);
}

TEST_F(MemoryLogTest, AnOlderCopyIsTruncation) {
  auto writer = takeOver(first_);
  append(*writer, chain_.entries(3));
  first_.deliver();
  const auto reader = first_.read(kPartition, {});
  drain(*reader);
  partitions_->truncate(kPartition, {3});
  EXPECT_THROW(first_.read(kPartition, reader->state()), Fault);
  // Grown past the place again, with other records.
  state_ = {};
  writer = takeOver(second_);
  Chain other(9);
  append(*writer, other.entries(5));
  second_.deliver();
  EXPECT_THROW(first_.read(kPartition, reader->state()), Fault);
}

TEST_F(MemoryLogTest, PartitionsAreApart) {
  const auto many = std::make_shared<MemoryPartitions>(LedgerFacts{"ledger-1", "ledger.example.com", {1}}, 3U);
  MemoryLog log(many, {1, 1, "one", "", 1});
  FoldState state;
  auto writer = log.takeOver(log.partitionOf({8}), state, [](ValidRecord&) {});
  Chain chain(8);
  writer->append(chain.entries(2), results_.taker());
  EXPECT_EQ(many->end({2}).value, 4U);
  EXPECT_EQ(many->end({0}).value, 1U);
  EXPECT_EQ(readGenesis(many->at({2}, {0})->value)->partition, 2U);
}

}  // namespace
}  // namespace counterfoil::log::test
