#include "ledger/write/id_window.h"

#include <gtest/gtest.h>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"

namespace counterfoil::write {
namespace {

constexpr Timestamp kNow{1'767'225'600LL * kNanosecondsPerSecond};

EntryId idAt(std::int64_t secondsAgo, std::uint8_t mark) {
  std::array<std::uint8_t, 10> random{};
  random.fill(mark);
  return makeUuidV7({kNow.nanoseconds - secondsAgo * kNanosecondsPerSecond}, random);
}

WindowEntry entryOf(std::uint64_t seq) {
  WindowEntry entry;
  entry.workspace = {7};
  entry.requestDigest.fill(static_cast<std::uint8_t>(seq));
  entry.answer.kind = Kind::leaseGranted;
  entry.answer.receipt = Receipt{{7}, {seq}, {}, {}, kNow};
  entry.answer.lease = LeaseSummary{"lease-" + std::to_string(seq), LeaseState::active, kNow, kNow, {}, 1, 2};
  return entry;
}

TEST(IdWindow, FindsWhatWasAdded) {
  IdWindow window(10);
  window.add(idAt(5, 1), entryOf(3));
  ASSERT_TRUE(window.find(idAt(5, 1)).has_value());
  EXPECT_EQ(window.find(idAt(5, 1))->answer.lease->id, "lease-3");
  EXPECT_FALSE(window.find(idAt(5, 2)).has_value());
}

TEST(IdWindow, TheFirstAnswerStays) {
  IdWindow window(10);
  window.add(idAt(5, 1), entryOf(3));
  window.add(idAt(5, 1), entryOf(4));
  EXPECT_EQ(window.find(idAt(5, 1))->answer.receipt->seq.value, 3U);
}

TEST(IdWindow, RollbackForgetsWhatIsNotCommittedAndRestoresAmendedAnswers) {
  IdWindow window(10);
  window.add(idAt(9, 1), entryOf(1));
  window.commitTo(window.mark());
  Answer amended = window.find(idAt(9, 1))->answer;
  amended.lease->uses = 99;
  window.amend(idAt(9, 1), amended);
  window.add(idAt(8, 2), entryOf(2));
  window.rollback();
  EXPECT_FALSE(window.find(idAt(8, 2)).has_value());
  EXPECT_EQ(window.find(idAt(9, 1))->answer.lease->uses, 1U);
}

TEST(IdWindow, ACommittedBatchSurvivesTheRollbackOfTheNext) {
  IdWindow window(10);
  window.add(idAt(9, 1), entryOf(1));
  const auto mark = window.mark();
  window.add(idAt(8, 2), entryOf(2));
  window.commitTo(mark);
  window.rollback();
  EXPECT_TRUE(window.find(idAt(9, 1)).has_value());
  EXPECT_FALSE(window.find(idAt(8, 2)).has_value());
}

TEST(IdWindow, EvictsTheOldestIdsAndNeverLetsThemInAgain) {
  IdWindow window(2);
  window.add(idAt(30, 1), entryOf(1));
  window.add(idAt(10, 2), entryOf(2));
  window.add(idAt(20, 3), entryOf(3));
  window.commitTo(window.mark());
  EXPECT_FALSE(window.find(idAt(30, 1)).has_value());
  EXPECT_TRUE(window.find(idAt(20, 3)).has_value());
  EXPECT_EQ(window.floor(kNow), uuidV7Time(idAt(30, 1))) << "an id as old as the evicted one may have been forgotten";
}

TEST(IdWindow, TheFloorIsFifteenMinutesWhenNothingWasEvicted) {
  const IdWindow window(2);
  EXPECT_EQ(window.floor(kNow).nanoseconds, kNow.nanoseconds - limits::kIdWindowSeconds * kNanosecondsPerSecond);
}

TEST(IdWindow, SavesAndLoads) {
  IdWindow window(10);
  for (std::uint8_t mark = 1; mark < 6; ++mark) window.add(idAt(mark, mark), entryOf(mark));
  window.commitTo(window.mark());
  std::vector<std::uint8_t> saved;
  window.save(saved);
  IdWindow loaded(10);
  ASSERT_TRUE(loaded.load(saved));
  EXPECT_EQ(loaded.find(idAt(3, 3))->answer.lease->id, "lease-3");
  EXPECT_EQ(loaded.find(idAt(3, 3))->answer.receipt->id, idAt(3, 3));
  std::vector<std::uint8_t> again;
  loaded.save(again);
  EXPECT_EQ(again, saved);
  for (std::size_t size = 0; size < saved.size(); ++size) {
    IdWindow cut(10);
    EXPECT_FALSE(cut.load({saved.data(), size})) << size;
  }
}

}  // namespace
}  // namespace counterfoil::write
