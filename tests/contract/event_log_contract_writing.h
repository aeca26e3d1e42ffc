// Contract of an EventLog, the write side: order of answers, take-over, and what is left after an append that did not succeed.
#pragma once

#include "tests/contract/event_log_fixture.h"

namespace counterfoil::log::test {

template <class Harness>
class EventLogWriting : public EventLogFixture<Harness> {};
TYPED_TEST_SUITE_P(EventLogWriting);

TYPED_TEST_P(EventLogWriting, TakeOverGivesEveryRecordAndItsOwnClaim) {
  auto writer = this->takeOver();
  ASSERT_EQ(this->applied_.size(), 2U);
  EXPECT_EQ(this->applied_[0].kind, RecordKind::genesis);
  EXPECT_EQ(this->applied_[1].kind, RecordKind::claim);
  EXPECT_EQ(this->state_.term, 1U);
  EXPECT_EQ(this->state_.next.value, 2U);
  Chain chain(7);
  ASSERT_EQ(this->append(*writer, chain.entries(3)).outcome, AppendOutcome::appended);
  writer.reset();
  this->harness_->restart();
  FoldState fresh;
  this->state_ = fresh;
  writer = this->takeOver();
  ASSERT_EQ(this->applied_.size(), 6U);
  EXPECT_EQ(this->applied_[5].kind, RecordKind::claim);
  EXPECT_EQ(this->state_.term, 2U);
  auto reader = this->log().read(this->kPartition, {});
  drain(*reader);
  EXPECT_EQ(reader->state(), this->state_);
}

TYPED_TEST_P(EventLogWriting, CallbacksComeInOrderOnceEach) {
  auto writer = this->takeOver();
  Chain chain(7);
  Results results;
  std::vector<std::uint64_t> expected;
  std::uint64_t next = this->state_.next.value;
  for (std::size_t index = 0; index < 300; ++index) {
    auto batch = chain.entries(index % 4);  // empty ones too
    expected.push_back(next);
    next += batch.size();
    writer->append(std::move(batch), results.taker());
  }
  this->harness_->deliver();
  const auto all = results.wait();
  ASSERT_EQ(all.size(), 300U);
  const auto order = results.order();
  for (std::size_t index = 0; index < 300; ++index) {
    ASSERT_EQ(order[index], index);
    ASSERT_EQ(all[index].outcome, AppendOutcome::appended);
    ASSERT_EQ(all[index].first.value, expected[index]);
    ASSERT_FALSE(all[index].fault.has_value());
  }
  EXPECT_EQ(this->readAll().size(), next);
}

TYPED_TEST_P(EventLogWriting, ASecondTakeOverEndsTheFirstWriter) {
  auto former = this->takeOver();
  Chain chain(7);
  ASSERT_EQ(this->append(*former, chain.entries(2)).outcome, AppendOutcome::appended);
  auto writer = this->takeOver();
  Chain stale = chain;
  for (int round = 0; round < 3; ++round) {
    const AppendResult result = this->append(*former, stale.entries(1));
    EXPECT_NE(result.outcome, AppendOutcome::appended);
    EXPECT_TRUE(result.fault.has_value());
  }
  EXPECT_EQ(this->onlyEntries(this->readAll()).size(), 2U);
  // Where foreign records can land, the new writer finds out and takes over again; elsewhere it goes on.
  if (this->append(*writer, {tick()}).outcome != AppendOutcome::appended) writer = this->takeOver();
  ASSERT_EQ(this->append(*writer, chain.entries(2)).outcome, AppendOutcome::appended);
  EXPECT_EQ(this->onlyEntries(this->readAll()).size(), 4U);
}

TYPED_TEST_P(EventLogWriting, OutstandingAppendsAreAnsweredBeforeTakeOverReturns) {
  auto former = this->takeOver();
  Chain chain(7);
  Results results;
  for (int index = 0; index < 50; ++index) former->append(chain.entries(10, 20'000), results.taker());
  // Before anything is read, so that no answer speaks of what was read without it.
  std::vector<ValidRecord> applied;
  FoldState fresh;
  const auto writer = this->log().takeOver(this->kPartition, fresh, [&](ValidRecord& record) {
    EXPECT_EQ(results.soFar().size(), 50U);
    applied.push_back(record);
  });
  const auto all = results.soFar();
  ASSERT_EQ(all.size(), 50U);
  const auto landed = static_cast<std::size_t>(
      std::count_if(all.begin(), all.end(), [](const AppendResult& result) { return result.outcome == AppendOutcome::appended; }));
  const auto refused =
      std::find_if(all.begin(), all.end(), [](const AppendResult& result) { return result.outcome != AppendOutcome::appended; });
  EXPECT_EQ(static_cast<std::size_t>(refused - all.begin()), landed);
  EXPECT_EQ(this->onlyEntries(applied).size(), landed * 10);
  EXPECT_EQ(this->onlyEntries(this->readAll()).size(), landed * 10);
}

TYPED_TEST_P(EventLogWriting, AWriterThatGoesAnswersWhatIsOutstanding) {
  auto writer = this->takeOver();
  Chain chain(7);
  Results results;
  for (int index = 0; index < 50; ++index) writer->append(chain.entries(2), results.taker());
  writer.reset();
  const auto all = results.soFar();
  ASSERT_EQ(all.size(), 50U);
  for (const AppendResult& result : all) EXPECT_EQ(result.outcome, AppendOutcome::appended);
  EXPECT_EQ(this->onlyEntries(this->readAll()).size(), 100U);
}

TYPED_TEST_P(EventLogWriting, WhatWouldBeVoidIsRefusedAndEndsTheWriter) {
  struct Case {
    const char* what;
    ErrorCode code;
    std::function<NewRecord(Chain)> make;
  };
  const std::vector<Case> cases = {
      {"gap", ErrorCode::internal, [](Chain chain) { return chain.entries(2).back(); }},
      {"other previous", ErrorCode::internal,
       [](Chain chain) {
         NewRecord record = chain.entry();
         record.previous.bytes[0] ^= 1;
         return record;
       }},
      {"genesis", ErrorCode::internal,
       [](Chain) {
         NewRecord record;
         record.kind = RecordKind::genesis;
         return record;
       }},
      {"claim", ErrorCode::internal,
       [](Chain) {
         NewRecord record;
         record.kind = RecordKind::claim;
         return record;
       }},
      {"reserved", ErrorCode::internal,
       [](Chain) {
         NewRecord record;
         record.kind = RecordKind::reserved;
         return record;
       }},
      {"tick with content", ErrorCode::internal,
       [](Chain) {
         NewRecord record = tick();
         record.value = {1};
         return record;
       }},
      {"too large", ErrorCode::tooLarge, [](Chain chain) { return chain.entry(limits::kRecordBytesMax + 1); }},
  };
  Chain chain(7);
  for (const Case& row : cases) {
    auto writer = this->takeOver();
    ASSERT_EQ(this->append(*writer, chain.entries(1)).outcome, AppendOutcome::appended) << row.what;
    const std::size_t before = this->readAll().size();
    Results results;
    std::vector<NewRecord> batch = {tick(), row.make(chain)};
    writer->append(std::move(batch), results.taker());
    writer->append({tick()}, results.taker());
    this->harness_->deliver();
    const auto all = results.wait();
    EXPECT_EQ(all[0].outcome, AppendOutcome::rejected) << row.what;
    ASSERT_TRUE(all[0].fault.has_value()) << row.what;
    EXPECT_EQ(all[0].fault->code(), row.code) << row.what;
    EXPECT_EQ(all[1].outcome, AppendOutcome::rejected) << row.what;
    EXPECT_EQ(this->readAll().size(), before) << row.what;
  }
}

// The heart of the contract: after any end of an append, taking over and reading decides, and a resend of what is missing makes one chain.
TYPED_TEST_P(EventLogWriting, AfterABrokenAppendTheLogDecides) {
  for (const Break way : {Break::rejected, Break::unknownLost, Break::unknownLanded}) {
    this->harness_ = std::make_unique<TypeParam>();
    this->state_ = {};
    auto writer = this->takeOver();
    Chain chain(7);
    std::vector<NewRecord> all = chain.entries(4);
    ASSERT_EQ(this->append(*writer, {all[0], all[1], all[2], all[3]}).outcome, AppendOutcome::appended);
    if (!this->harness_->breakAppend(way)) continue;
    Results results;
    for (int index = 0; index < 6; ++index) {
      auto batch = chain.entries(3);
      all.insert(all.end(), batch.begin(), batch.end());
      writer->append(std::move(batch), results.taker());
    }
    this->harness_->deliver();
    const auto answers = results.wait();
    ASSERT_EQ(answers.size(), 6U);
    const auto wanted = way == Break::rejected ? AppendOutcome::rejected : AppendOutcome::indeterminate;
    EXPECT_EQ(answers[0].outcome, wanted);
    for (const AppendResult& answer : answers) EXPECT_NE(answer.outcome, AppendOutcome::appended);
    EXPECT_NE(this->append(*writer, {tick()}).outcome, AppendOutcome::appended);
    writer = this->takeOver();
    auto read = this->onlyEntries(this->readAll());
    ASSERT_GE(read.size(), 4U);
    ASSERT_EQ(this->onlyEntries(this->applied_).size(), read.size());  // the state was that of the first claim
    // Batches are whole where they can be, and none that was rejected is there.
    EXPECT_TRUE((read.size() - 4) % 3 == 0 || !this->harness_->batchesAreWhole());
    EXPECT_TRUE(way != Break::rejected || read.size() == 4U);
    ASSERT_EQ(this->append(*writer, {all.begin() + static_cast<std::ptrdiff_t>(read.size()), all.end()}).outcome, AppendOutcome::appended);
    read = this->onlyEntries(this->readAll());
    ASSERT_EQ(read.size(), all.size());
    for (std::size_t index = 0; index < all.size(); ++index) ASSERT_TRUE(same(all[index], read[index])) << index;
  }
}

TYPED_TEST_P(EventLogWriting, ANodeBelowTheLevelMayNotClaim) {
  this->harness_->restart(3);
  this->takeOver();
  EXPECT_EQ(this->state_.level, 3);
  this->harness_->restart(2);
  try {
    this->takeOver();
    ADD_FAILURE() << "an old node became the writer";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::logUnavailable);
  }
  EXPECT_EQ(this->readAll().size(), 2U);
  this->harness_->restart(3);
  EXPECT_NE(this->takeOver(), nullptr);
}

REGISTER_TYPED_TEST_SUITE_P(EventLogWriting, TakeOverGivesEveryRecordAndItsOwnClaim, CallbacksComeInOrderOnceEach,
                            ASecondTakeOverEndsTheFirstWriter, OutstandingAppendsAreAnsweredBeforeTakeOverReturns,
                            AWriterThatGoesAnswersWhatIsOutstanding, WhatWouldBeVoidIsRefusedAndEndsTheWriter,
                            AfterABrokenAppendTheLogDecides, ANodeBelowTheLevelMayNotClaim);

}  // namespace counterfoil::log::test
