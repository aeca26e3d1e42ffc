// What is kept for how long, and the state that is carried on when a month's key goes: who reads only what is left has the same.
#include <gtest/gtest.h>

#include <map>

#include "ledger/core/limits.h"
#include "ledger/core/verify.h"
#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Desk;
using test::expectFault;
using test::kHour;
using test::operator+;

constexpr std::int64_t kRetentionDay = 24 * kHour;

KeyId keyOf(std::uint8_t number) {
  KeyId key;
  key.bytes.fill(number);
  return key;
}

class RetentionDesk : public Desk {
 public:
  using Desk::Desk;
  using Desk::freshId;

  Ruling retain(std::uint64_t days) {
    return command(CommandKind::retentionSet, [&](Arena&, StructValue&, StructValue& body) { body.setNumber(Field::days, days); });
  }
  // As the sequencer records it; `most` parts of it.
  std::size_t carry(const MonthKeys& doomed, std::size_t most = SIZE_MAX) {
    auto events = carriedEvents(state().carriedState(doomed, now), freshId());
    const std::size_t parts = events.size();
    for (std::size_t part = 0; part < std::min(parts, most); ++part) record(std::move(events[part]));
    return parts;
  }
  MonthKeys month(std::uint8_t key, std::uint64_t generation) { return {{toHex(keyOf(key).bytes), generation}}; }
  void destroyed(std::uint8_t key, std::uint64_t generation) {
    RedactedEvent event = RedactedEvent::ofLedger(Kind::keyDestroyed, freshId());
    event.body().setText(event.arena(), Field::purpose, kLogPurpose);
    event.body().setText(event.arena(), Field::keyId, toHex(keyOf(key).bytes));
    event.body().setNumber(Field::generation, generation);
    record(std::move(event));
  }
};

class RetentionTest : public testing::Test {
 protected:
  // Something of everything a state has.
  void liveALittle() {
    desk.grant({.id = "parent", .run = "run-1", .host = "host-1", .resources = {"github.com/acme/shop"}, .ttl = 86400, .renewable = 86400});
    desk.grant({.id = "child", .parent = "parent", .resources = {"github.com/acme/shop"}, .ttl = 3600});
    desk.grant({.id = "ended"});
    desk.revoke("ended");
    desk.grant({.id = "used", .maxUses = 3});
    desk.consume("used");
    desk.askApproval({}, "asked", "mia");
    desk.command(CommandKind::holdPlace, [&](Arena& arena, StructValue&, StructValue& body) {
      body.setText(arena, Field::holdId, "case-1");
      body.setNumber(Field::days, 3);
    });
    desk.reportGrant("reported", desk.now, desk.now + 90 * kRetentionDay, test::secretText(3));
    desk.reportGrant("reported-2", desk.now, desk.now + 90 * kRetentionDay, test::secretText(4), "p2");
    desk.grant({.id = "numbered", .producer = "broker-1", .producerSeq = 1});
    desk.grant({.id = "numbered-3", .producer = "broker-1", .producerSeq = 3});
  }

  RetentionDesk desk;
};

TEST_F(RetentionTest, WhoCanOpenOnlyWhatIsLeftHasTheSameState) {
  liveALittle();
  const std::size_t old = desk.size();
  desk.now = desk.now + 10 * kHour;
  desk.consume("parent");
  EXPECT_TRUE(desk.refoldedFrom(old, keyOf(1)).empty()) << "nothing says yet why the rest does not open";
  ASSERT_EQ(desk.carry(desk.month(1, 24'000)), 1U);
  EXPECT_TRUE(desk.state().owesKeyRenewal());
  EXPECT_EQ(desk.refolded(), desk.saved());
  for (const std::size_t readable : {old, old - 1, std::size_t{1}, old + 1}) EXPECT_EQ(desk.refoldedFrom(readable, keyOf(1)), desk.saved());
  EXPECT_TRUE(desk.refoldedFrom(old, keyOf(2)).empty()) << "another key than the one that was to go";
  // What follows is folded alike: a child goes with its parent, a producer goes on where it was.
  desk.destroyed(1, 24'000);
  EXPECT_FALSE(desk.state().owesKeyRenewal());
  desk.revoke("parent");
  desk.settle();
  EXPECT_EQ(desk.stateOf("child"), LeaseState::revoked);
  desk.grant({.id = "numbered-2", .producer = "broker-1", .producerSeq = 2});
  EXPECT_EQ(desk.state().findProducer("api", "broker-1")->contiguousSeq, 3U);
  desk.now = desk.now + 3 * kRetentionDay;
  desk.grant({.id = "later"});
  EXPECT_EQ(desk.refoldedFrom(old, keyOf(1)), desk.saved());
  desk.restart();
}

TEST_F(RetentionTest, AnEndedLeaseIsForgottenWhenTheStateIsCarriedAsAfterADay) {
  for (int number = 0; number < 200; ++number) {
    const std::string id = "l" + std::to_string(number);
    desk.grant({.id = id});
    desk.revoke(id);
  }
  desk.reportGrant("reported", desk.now, desk.now + kHour);
  desk.now = desk.now + kRetentionDay;
  EXPECT_GT(desk.state().rememberedLeases(), 100U);
  desk.carry(desk.month(1, 24'000));
  EXPECT_EQ(desk.state().rememberedLeases(), desk.state().liveLeases());
  EXPECT_EQ(desk.refoldedFrom(desk.size() - 1, keyOf(1)), desk.saved());
}

TEST_F(RetentionTest, ALargeStateTakesSeveralEntriesThatCountTogetherOnly) {
  for (int number = 0; number < 1200; ++number) {
    desk.grant({.id = "lease-number-" + std::to_string(number), .run = "a-run-of-some-length", .resources = {"github.com/acme/shop"}});
  }
  const std::size_t parts = desk.carry(desk.month(1, 24'000), 1);
  ASSERT_GT(parts, 2U);
  EXPECT_FALSE(desk.state().owesKeyRenewal()) << "nothing is destroyed for a part of it";
  desk.grant({.id = "in-between"});
  EXPECT_EQ(desk.refolded(), desk.saved());
  EXPECT_TRUE(desk.refoldedFrom(5, keyOf(1)).empty());
  const std::size_t old = desk.size();
  EXPECT_EQ(desk.carry(desk.month(1, 24'000)), parts);
  EXPECT_TRUE(desk.state().owesKeyRenewal());
  EXPECT_EQ(desk.refoldedFrom(old, keyOf(1)), desk.saved());
  EXPECT_EQ(desk.refoldedFrom(5, keyOf(1)), desk.saved()) << "the first part of before leads to nothing";
}

TEST_F(RetentionTest, WhatWasCarriedGoesInItsTurn) {
  liveALittle();
  desk.carry(desk.month(1, 24'000));
  desk.destroyed(1, 24'000);
  desk.grant({.id = "second"});
  desk.now = desk.now + 40 * kRetentionDay;
  desk.settle();
  desk.carry(desk.month(2, 24'001));
  const std::size_t third = desk.size();
  desk.destroyed(2, 24'001);
  desk.grant({.id = "third"});
  // Only the second of them is left to be read, and says of the first as well.
  EXPECT_EQ(desk.refoldedFrom(third - 1, keyOf(2)), desk.saved());
  EXPECT_EQ(desk.refoldedFrom(third - 1, keyOf(1)), desk.saved());
  EXPECT_TRUE(desk.refoldedFrom(third, keyOf(2)).empty());
}

TEST_F(RetentionTest, WhatTheLogRefusesDoomsNothing) {
  liveALittle();
  desk.state().commitTo(desk.state().mark());
  const auto before = desk.saved();
  desk.keepLog = false;
  desk.carry(desk.month(1, 24'000));
  EXPECT_TRUE(desk.state().owesKeyRenewal());
  desk.state().rollback();
  EXPECT_EQ(desk.saved(), before);
  desk.carry(desk.month(1, 24'000), 0);
  EXPECT_FALSE(desk.state().owesKeyRenewal());
}

TEST_F(RetentionTest, AShorterTimeIsInForceADayLaterALongerOneAtOnce) {
  const Timestamp start = desk.now;
  desk.retain(400);
  EXPECT_EQ(desk.state().retention().days, 400U);
  EXPECT_EQ(desk.state().retention().inForceFrom, start + kRetentionDay);
  desk.now = start + 5 * kRetentionDay;
  desk.retain(500);
  EXPECT_EQ(desk.state().retention().inForceFrom, start + kRetentionDay);
  desk.retain(30);
  EXPECT_EQ(desk.state().retention().inForceFrom, start + 6 * kRetentionDay);
  desk.retain(0);
  EXPECT_EQ(desk.state().retention().days, 0U);
  desk.retain(36'500);
  EXPECT_EQ(desk.state().retention().inForceFrom, start + 6 * kRetentionDay);
  const auto entry = desk.last();
  EXPECT_EQ(entry.view.kind(), Kind::retentionSet);
  EXPECT_EQ(entry.text(Field::scope), kWholeWorkspace);
  EXPECT_EQ(principalOf(entry.body(), Field::by).id, "broker");
  expectFault(ErrorCode::invalidValue, [&] { desk.retain(36'501); });
  EXPECT_EQ(desk.refolded(), desk.saved());
  desk.restart();
  RetentionDesk system(false, kSystemWorkspace);
  expectFault(ErrorCode::notAllowed, [&] { system.retain(30); });
}

// A copy of which some entries do not open, as their records name the key.
class Copy final : public VerifySource {
 public:
  Copy(const RetentionDesk& desk, std::map<std::size_t, KeyId> withheld) : desk_(desk), withheld_(std::move(withheld)) {}
  bool next(VerifyItem& item) override {
    if (seq_ == desk_.size()) return false;
    const std::vector<std::uint8_t>& bytes = desk_.bytesAt(seq_);
    item = {};
    item.workspace = desk_.state().number();
    item.seq = {seq_};
    item.previous = last_;
    item.leaf = last_ = leafHash(bytes);
    item.bytes = bytes;
    if (const auto key = withheld_.find(seq_); key != withheld_.end()) {
      item.content = VerifyItem::Content::withheld;
      item.key = key->second;
      item.keyExpected = true;
    }
    ++seq_;
    return true;
  }

 private:
  const RetentionDesk& desk_;
  std::map<std::size_t, KeyId> withheld_;
  std::size_t seq_ = 0;
  LeafHash last_;
};

// A key that is gone explains the entries of its own month, and no record that was changed to name it.
TEST_F(RetentionTest, VerificationTakesForErasedWhatTheRecordSaysAndNothingElse) {
  constexpr std::uint64_t kFebruary = 2026 * 12 + 1;  // when the desk's clock starts
  liveALittle();
  std::map<std::size_t, KeyId> february;
  for (std::size_t seq = 0; seq < desk.size(); ++seq) february[seq] = keyOf(1);
  desk.now = desk.now + 10 * kRetentionDay;
  const std::size_t march = desk.size();
  desk.grant({.id = "of-march"});
  desk.grant({.id = "of-march-2"});
  const auto judged = [&](const std::map<std::size_t, KeyId>& withheld) {
    Copy copy(desk, withheld);
    return verify(copy, Strictness::strict, nullptr);
  };
  EXPECT_FALSE(judged(february).ok()) << "nothing says why";
  desk.carry(desk.month(1, kFebruary));
  const std::size_t carried = desk.size() - 1;
  desk.destroyed(1, kFebruary);
  desk.grant({.id = "later"});
  const VerifyReport report = judged(february);
  EXPECT_TRUE(report.ok());
  EXPECT_EQ(report.workspaces.begin()->second.erased, march);
  for (const std::size_t changed : {march + 2, carried, desk.size() - 1}) {
    auto withheld = february;
    withheld[changed] = keyOf(1);
    EXPECT_FALSE(judged(withheld).ok()) << changed;
  }
  auto another = february;
  another[3] = keyOf(2);
  EXPECT_FALSE(judged(another).ok()) << "of a key that nobody spoke of";
}

}  // namespace
}  // namespace counterfoil
