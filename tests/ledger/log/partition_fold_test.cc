#include "ledger/log/partition_fold.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <string>

namespace counterfoil::log {
namespace {

constexpr WorkspaceNumber kSeven{7};

LeafHash hashOf(std::uint8_t byte) {
  LeafHash hash;
  hash.bytes.fill(byte);
  return hash;
}

RecordHeader headerOf(RecordKind kind, std::uint64_t term, std::uint64_t pseq) {
  RecordHeader header;
  header.kind = kind;
  header.level = 2;
  header.term = term;
  header.pseq = pseq;
  header.node = 5;
  header.incarnation = 6;
  return header;
}

RecordHeader entryOf(std::uint64_t term, std::uint64_t pseq, std::uint64_t seq, LeafHash previous, LeafHash leaf) {
  RecordHeader header = headerOf(RecordKind::entry, term, pseq);
  header.workspace = kSeven;
  header.seq = {seq};
  header.previous = previous;
  header.leaf = leaf;
  return header;
}

// Genesis, claim of term 1, two entries of workspace 7: term 1, next pseq 4.
FoldState begun() {
  FoldState state;
  EXPECT_EQ(fold(state, headerOf(RecordKind::genesis, 0, 0)), FoldVerdict::valid);
  EXPECT_EQ(fold(state, headerOf(RecordKind::claim, 1, 1)), FoldVerdict::valid);
  EXPECT_EQ(fold(state, entryOf(1, 2, 0, {}, hashOf(1))), FoldVerdict::valid);
  EXPECT_EQ(fold(state, entryOf(1, 3, 1, hashOf(1), hashOf(2))), FoldVerdict::valid);
  return state;
}

TEST(RecordHeader, IsStoredAsTheFormatSays) {
  RecordHeader header = entryOf(0x1122334455667788, 2, 3, hashOf(0xaa), hashOf(0xbb));
  header.level = 0x0102;
  const auto bytes = encodeHeader(header);
  ASSERT_EQ(bytes.size(), 116U);
  const std::vector<std::uint8_t> begin = {3, 1, 0x02, 0x01, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11, 2, 0, 0, 0, 0, 0, 0, 0};
  EXPECT_TRUE(std::equal(begin.begin(), begin.end(), bytes.begin()));
  EXPECT_EQ(bytes[20], 5);  // node
  EXPECT_EQ(bytes[28], 6);  // incarnation
  EXPECT_EQ(bytes[36], 7);  // workspace
  EXPECT_EQ(bytes[44], 3);  // seq
  EXPECT_EQ(bytes[52], 0xaa);
  EXPECT_EQ(bytes[83], 0xaa);
  EXPECT_EQ(bytes[84], 0xbb);
  EXPECT_EQ(bytes[115], 0xbb);
  RecordHeader read;
  ASSERT_TRUE(decodeHeader(bytes, read));
  EXPECT_EQ(read, header);
}

TEST(RecordHeader, OtherSizesAndVersionsAreRefused) {
  const auto bytes = encodeHeader(headerOf(RecordKind::tick, 1, 1));
  std::vector<std::uint8_t> longer(bytes.begin(), bytes.end());
  longer.push_back(0);
  RecordHeader read;
  EXPECT_TRUE(decodeHeader(crypto::Bytes(longer).first(kHeaderSize), read));
  EXPECT_FALSE(decodeHeader(longer, read));
  EXPECT_FALSE(decodeHeader(crypto::Bytes(longer).first(kHeaderSize - 1), read));
  EXPECT_FALSE(decodeHeader({}, read));
  longer.pop_back();
  longer[1] = 2;
  EXPECT_FALSE(decodeHeader(longer, read));
}

TEST(PartitionFold, EveryKindInTurnCounts) {
  FoldState state = begun();
  EXPECT_EQ(state.next.value, 4U);
  EXPECT_EQ(state.pseq, 4U);
  EXPECT_EQ(state.heads.at(kSeven).size, 2U);
  EXPECT_EQ(state.heads.at(kSeven).last, hashOf(2));
  std::uint64_t pseq = 4;
  for (const RecordKind kind : {RecordKind::tick, RecordKind::keys, RecordKind::epoch}) {
    EXPECT_EQ(fold(state, headerOf(kind, 1, pseq++)), FoldVerdict::valid);
  }
  // The running number goes on across terms, and so do the chains.
  EXPECT_EQ(fold(state, headerOf(RecordKind::claim, 2, pseq++)), FoldVerdict::valid);
  EXPECT_EQ(state.term, 2U);
  EXPECT_EQ(fold(state, entryOf(2, pseq++, 2, hashOf(2), hashOf(3))), FoldVerdict::valid);
  EXPECT_EQ(state.pseq, pseq);
  EXPECT_EQ(state.next.value, pseq);
  EXPECT_EQ(state.voids, 0U);
}

TEST(PartitionFold, EachRuleBrokenOnceMakesTheRecordVoid) {
  const RecordHeader goodEntry = entryOf(1, 4, 2, hashOf(2), hashOf(3));
  const RecordHeader goodClaim = headerOf(RecordKind::claim, 2, 4);
  struct Row {
    const char* what;
    RecordHeader header;
    std::function<void(RecordHeader&)> harm;
  };
  std::vector<Row> rows = {
      {"entry of an older term", goodEntry, [](RecordHeader& header) { header.term = 0; }},
      {"entry of a later term", goodEntry, [](RecordHeader& header) { header.term = 2; }},
      {"entry repeated", goodEntry, [](RecordHeader& header) { header.pseq = 3; }},
      {"entry after a lost one", goodEntry, [](RecordHeader& header) { header.pseq = 5; }},
      {"entry with a seq taken", goodEntry, [](RecordHeader& header) { header.seq.value = 1; }},
      {"entry with a seq ahead", goodEntry, [](RecordHeader& header) { header.seq.value = 3; }},
      {"entry on another head", goodEntry, [](RecordHeader& header) { header.previous.bytes[31] ^= 1; }},
      {"entry of a workspace that has none", goodEntry, [](RecordHeader& header) { header.workspace.value = 8; }},
      {"first entry with a previous", entryOf(1, 4, 0, {}, hashOf(3)),
       [](RecordHeader& header) { header.workspace.value = 8, header.previous = hashOf(2); }},
      {"claim of the same term", goodClaim, [](RecordHeader& header) { header.term = 1; }},
      {"claim that skips a term", goodClaim, [](RecordHeader& header) { header.term = 3; }},
      {"claim with a number taken", goodClaim, [](RecordHeader& header) { header.pseq = 3; }},
      {"claim with a number ahead", goodClaim, [](RecordHeader& header) { header.pseq = 5; }},
      {"claim below the level", goodClaim, [](RecordHeader& header) { header.level = 1; }},
      {"claim with a seq", goodClaim, [](RecordHeader& header) { header.seq.value = 1; }},
      {"claim with a previous", goodClaim, [](RecordHeader& header) { header.previous = hashOf(1); }},
      {"claim with a leaf", goodClaim, [](RecordHeader& header) { header.leaf = hashOf(1); }},
      {"second genesis", headerOf(RecordKind::genesis, 1, 4), [](RecordHeader&) {}},
      {"genesis again", headerOf(RecordKind::genesis, 0, 0), [](RecordHeader&) {}},
      {"unknown kind, out of turn", headerOf(RecordKind::reserved, 1, 3), [](RecordHeader&) {}},
      {"far kind, of an older term", headerOf(static_cast<RecordKind>(200), 0, 4), [](RecordHeader&) {}},
  };
  for (const RecordKind kind : {RecordKind::tick, RecordKind::keys, RecordKind::epoch}) {
    const RecordHeader good = headerOf(kind, 1, 4);
    rows.push_back({"of another term", good, [](RecordHeader& header) { header.term = 2; }});
    rows.push_back({"of another number", good, [](RecordHeader& header) { header.pseq = 5; }});
    rows.push_back({"with a seq", good, [](RecordHeader& header) { header.seq.value = 2; }});
    rows.push_back({"with a previous", good, [](RecordHeader& header) { header.previous = hashOf(2); }});
    rows.push_back({"with a leaf", good, [](RecordHeader& header) { header.leaf = hashOf(2); }});
  }
  FoldState fresh = begun();
  EXPECT_EQ(fold(fresh, goodEntry), FoldVerdict::valid);
  fresh = begun();
  EXPECT_EQ(fold(fresh, goodClaim), FoldVerdict::valid);
  for (Row& row : rows) {
    row.harm(row.header);
    FoldState state = begun();
    FoldState expected = state;
    ++expected.next.value;
    ++expected.voids;
    expected.last = row.header;
    ASSERT_EQ(judge(state, row.header), FoldVerdict::isVoid) << row.what;
    ASSERT_EQ(fold(state, row.header), FoldVerdict::isVoid) << row.what;
    EXPECT_EQ(state, expected) << row.what;
    // It is as if it were not there.
    EXPECT_EQ(fold(state, goodEntry), FoldVerdict::valid) << row.what;
  }
}

TEST(PartitionFold, AfterALostRecordAllThatWereInFlightAreVoid) {
  FoldState state = begun();
  for (std::uint64_t behind = 1; behind < 5; ++behind) {
    EXPECT_EQ(fold(state, entryOf(1, 4 + behind, 2 + behind, hashOf(2), hashOf(3))), FoldVerdict::isVoid);
  }
  EXPECT_EQ(fold(state, headerOf(RecordKind::claim, 2, 4)), FoldVerdict::valid);
  EXPECT_EQ(state.voids, 4U);
}

TEST(PartitionFold, TheFirstOfTwoClaimsWins) {
  FoldState state = begun();
  EXPECT_EQ(fold(state, headerOf(RecordKind::claim, 2, 4)), FoldVerdict::valid);
  EXPECT_EQ(fold(state, headerOf(RecordKind::claim, 2, 4)), FoldVerdict::isVoid);
  // A former owner's late records.
  EXPECT_EQ(fold(state, entryOf(1, 4, 2, hashOf(2), hashOf(3))), FoldVerdict::isVoid);
  EXPECT_EQ(fold(state, entryOf(1, 5, 2, hashOf(2), hashOf(3))), FoldVerdict::isVoid);
  EXPECT_EQ(fold(state, entryOf(2, 5, 2, hashOf(2), hashOf(3))), FoldVerdict::valid);
}

TEST(PartitionFold, ClaimsRaiseTheLevel) {
  FoldState state = begun();
  RecordHeader claim = headerOf(RecordKind::claim, 2, 4);
  claim.level = 9;
  EXPECT_EQ(fold(state, claim), FoldVerdict::valid);
  EXPECT_EQ(state.level, 9);
  claim = headerOf(RecordKind::claim, 3, 5);
  claim.level = 8;
  EXPECT_EQ(fold(state, claim), FoldVerdict::isVoid);
}

TEST(PartitionFold, NothingCountsBeforeTheFirstClaim) {
  FoldState state;
  ASSERT_EQ(fold(state, headerOf(RecordKind::genesis, 0, 0)), FoldVerdict::valid);
  EXPECT_EQ(fold(state, headerOf(RecordKind::tick, 0, 1)), FoldVerdict::isVoid);
  EXPECT_EQ(fold(state, entryOf(0, 1, 0, {}, hashOf(1))), FoldVerdict::isVoid);
  EXPECT_EQ(fold(state, headerOf(RecordKind::claim, 1, 1)), FoldVerdict::valid);
}

TEST(PartitionFold, WithoutAGenesisAtTheStartTheLogIsDamaged) {
  RecordHeader numbered = headerOf(RecordKind::genesis, 0, 1);
  RecordHeader chained = headerOf(RecordKind::genesis, 0, 0);
  chained.leaf = hashOf(1);
  for (const RecordHeader& header :
       {headerOf(RecordKind::claim, 1, 0), headerOf(RecordKind::tick, 0, 0), headerOf(RecordKind::genesis, 1, 0), numbered, chained}) {
    FoldState state;
    EXPECT_EQ(fold(state, header), FoldVerdict::damaged);
    EXPECT_EQ(state, FoldState{});
  }
}

TEST(PartitionFold, AKindOfTheFutureInTurnStopsTheReader) {
  for (const int kind : {0, 5, 8, 255}) {
    FoldState state = begun();
    EXPECT_EQ(fold(state, headerOf(static_cast<RecordKind>(kind), 1, 4)), FoldVerdict::damaged);
    EXPECT_EQ(state, begun());
  }
}

TEST(FoldState, SavesAndLoads) {
  FoldState state = begun();
  fold(state, headerOf(RecordKind::claim, 9, 9));  // void
  for (std::uint64_t workspace = 0; workspace < 300; ++workspace) state.heads[{workspace * 11}] = {workspace + 1, hashOf(3)};
  std::vector<std::uint8_t> saved = {1, 2, 3};
  state.save(saved);
  FoldState loaded;
  ASSERT_TRUE(FoldState::load(saved, loaded));
  EXPECT_EQ(loaded, state);
  std::vector<std::uint8_t> again;
  loaded.save(again);
  EXPECT_EQ(again, saved);
  FoldState empty;
  empty.save(saved);
  loaded = state;
  ASSERT_TRUE(FoldState::load(saved, loaded));
  EXPECT_EQ(loaded, empty);
}

TEST(FoldState, AnyOtherBytesAreRefusedOrAnotherState) {
  FoldState state = begun();
  state.heads[{9}] = {4, hashOf(4)};
  std::vector<std::uint8_t> saved;
  state.save(saved);
  for (std::size_t size = 0; size < saved.size(); ++size) {
    FoldState loaded = state;
    ASSERT_FALSE(FoldState::load(crypto::Bytes(saved).first(size), loaded)) << size;
    ASSERT_EQ(loaded, state);
  }
  std::vector<std::uint8_t> longer = saved;
  longer.resize(saved.size() + 48);
  FoldState loaded;
  EXPECT_FALSE(FoldState::load(longer, loaded));
  longer.resize(saved.size() + 1);
  EXPECT_FALSE(FoldState::load(longer, loaded));
  // One form for one state: what loads saves to the same bytes.
  for (std::size_t index = 0; index < saved.size(); ++index) {
    for (const unsigned bit : {0x01U, 0x80U, 0xffU}) {
      std::vector<std::uint8_t> harmed = saved;
      harmed[index] = static_cast<std::uint8_t>(harmed[index] ^ bit);
      if (!FoldState::load(harmed, loaded)) continue;
      std::vector<std::uint8_t> again;
      loaded.save(again);
      ASSERT_EQ(again, harmed) << index;
      ASSERT_NE(loaded, state) << index;
    }
  }
  // Two heads in the wrong order.
  std::vector<std::uint8_t> swapped = saved;
  std::rotate(swapped.end() - 96, swapped.end() - 48, swapped.end());
  EXPECT_FALSE(FoldState::load(swapped, loaded));
}

}  // namespace
}  // namespace counterfoil::log
