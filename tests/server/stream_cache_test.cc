// The newest entries at hand: what listeners get from it, what they share, and what they must never share.
#include "server/stream_cache.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "projections/query/view_reader.h"
#include "server/routes/read_support.h"
#include "tests/projections/view_fixture.h"

namespace counterfoil::server {
namespace {

class StreamCacheTest : public views::ViewFixture {
 protected:
  void addRuns(WorkspaceNumber workspace, std::size_t count, const std::string& run = "run-1", Kind kind = Kind::runStarted) {
    for (std::size_t index = 0; index < count; ++index) {
      ledger.add(workspace, kind, {.at = static_cast<std::int64_t>(ledger.size(workspace)), .run = run}, [](Arena&, StructValue&) {});
    }
  }
  // The entries as GET .../entries has them.
  std::vector<std::string> listed(WorkspaceNumber workspace) {
    query::Filters filters;
    filters.order = query::Order::ascending;
    filters.limit = query::kLimitMax;
    const std::string page = readers_.of(workspace)->list(query::ListKind::entries, filters, {});
    std::vector<std::string> result;
    for (const std::string_view item : itemsOf(page)) result.emplace_back(item);
    return result;
  }
  static std::vector<std::uint64_t> seqs(const StreamPage& page) {
    std::vector<std::uint64_t> result;
    for (const auto& entry : page.entries) result.push_back(entry->seq);
    return result;
  }
  // What is at hand from there on; nothing if it would have to be read.
  std::vector<std::uint64_t> atHand(WorkspaceNumber workspace, std::uint64_t from) {
    const auto page = cache_.cached(workspace, from);
    return page ? seqs(*page) : std::vector<std::uint64_t>();
  }
  static std::vector<std::uint64_t> range(std::uint64_t from, std::uint64_t end) {
    std::vector<std::uint64_t> result;
    for (; from < end; ++from) result.push_back(from);
    return result;
  }

  ViewReaders readers_{folder(), 8};
  StreamCache cache_{readers_};
};

TEST_F(StreamCacheTest, GivesTheEntriesAsListsHaveThemEachInItsPlace) {
  ledger.addSamples(kOne, 150);
  project();
  const std::vector<std::string> expected = listed(kOne);
  ASSERT_EQ(expected.size(), 150U);
  std::uint64_t next = 0;
  for (int page = 0; next < 150 && page < 10; ++page) {
    const StreamPage got = cache_.read(kOne, next, 150);
    ASSERT_LE(got.entries.size(), kStreamPage);
    ASSERT_EQ(got.next, next + got.entries.size());
    for (const auto& entry : got.entries) {
      ASSERT_EQ(entry->seq, next);
      EXPECT_EQ(entry->json, expected[next]);
      EXPECT_NE(entry->json.find("\"kind\":\"" + entry->kind + "\""), std::string::npos);
      EXPECT_FALSE(entry->kind.empty());
      EXPECT_EQ(entry->json.find('\n'), std::string::npos);
      ++next;
    }
  }
  EXPECT_EQ(next, 150U);
}

TEST_F(StreamCacheTest, WhatACallerWroteIsNeverTakenForTheKind) {
  ledger.add(kOne, Kind::runStarted, {.at = 1, .actor = "\"kind\":\"lease.revoked\"", .run = "{\"kind\":\"lease.revoked\",\"seq\":7}"},
             [](Arena&, StructValue&) {});
  project();
  const StreamPage page = cache_.read(kOne, 0, 1);
  ASSERT_EQ(page.entries.size(), 1U);
  EXPECT_EQ(page.entries[0]->kind, "run.started");
  EXPECT_EQ(page.entries[0]->seq, 0U);
}

TEST_F(StreamCacheTest, AWithheldEntryHasNoKindButItsPlace) {
  addRuns(kOne, 3);
  ledger.append();
  ledger.provider().destroyVersion(kOne, 1);
  project();
  const StreamPage page = cache_.read(kOne, 0, 3);
  EXPECT_EQ(seqs(page), range(0, 3));
  for (const auto& entry : page.entries) EXPECT_EQ(entry->kind, "");
}

TEST_F(StreamCacheTest, HasAtHandWhatWasReadAndNothingElse) {
  addRuns(kOne, 120);
  project();
  EXPECT_FALSE(cache_.cached(kOne, 0));
  const StreamPage read = cache_.read(kOne, 0, 120);
  EXPECT_EQ(read.entries.size(), kStreamPage);
  const auto again = cache_.cached(kOne, 0);
  ASSERT_TRUE(again);
  EXPECT_TRUE(again->entries == read.entries);  // the same objects: rendered once
  EXPECT_EQ(again->next, 100U);
  const auto middle = cache_.cached(kOne, 42);
  ASSERT_TRUE(middle);
  EXPECT_EQ(seqs(*middle), range(42, 100));
  EXPECT_FALSE(cache_.cached(kOne, 100));
  EXPECT_FALSE(cache_.cached(kOne, 5'000));
  EXPECT_EQ(seqs(cache_.read(kOne, 100, 120)), range(100, 120));
  const auto over = cache_.cached(kOne, 90);
  ASSERT_TRUE(over);
  EXPECT_EQ(seqs(*over), range(90, 120));
  EXPECT_EQ(cache_.reads(), 2U);
}

TEST_F(StreamCacheTest, AWorkspacesListenersGetNoEntryOfAnother) {
  addRuns(kOne, 30, "run-of-one");
  addRuns(kTwo, 30, "run-of-two");
  project();
  cache_.read(kOne, 0, 30);
  EXPECT_FALSE(cache_.cached(kTwo, 0));
  EXPECT_FALSE(cache_.cached(kThree, 0));
  const StreamPage fresh = cache_.read(kTwo, 0, 30);
  const auto second = cache_.cached(kTwo, 0);
  const auto first = cache_.cached(kOne, 0);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->entries.size(), 30U);
  for (const auto& entry : first->entries) EXPECT_NE(entry->json.find("run-of-one"), std::string::npos);
  for (const StreamPage& page : {fresh, *second, cache_.readKinds(kTwo, 0, 30, {"run.started"})}) {
    ASSERT_EQ(page.entries.size(), 30U);
    for (const auto& entry : page.entries) EXPECT_NE(entry->json.find("run-of-two"), std::string::npos);
  }
}

TEST_F(StreamCacheTest, ManyThatAskForTheNewestCauseOneReading) {
  addRuns(kOne, 80);
  project();
  constexpr std::size_t kListeners = 16;
  std::vector<StreamPage> pages(kListeners);
  std::vector<std::thread> threads;
  for (std::size_t index = 0; index < kListeners; ++index) {
    threads.emplace_back([&, index] { pages[index] = cache_.read(kOne, 0, 80); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(cache_.reads(), 1U);
  for (const StreamPage& page : pages) {
    EXPECT_TRUE(page.entries == pages[0].entries);  // the same objects
    EXPECT_EQ(page.entries.size(), 80U);
  }
}

TEST_F(StreamCacheTest, WhatSomebodyElseReadMeanwhileIsNotReadAgain) {
  addRuns(kOne, 80);
  project();
  // Both found nothing at hand; the second comes to its turn after the first is done.
  const StreamPage first = cache_.read(kOne, 0, 80);
  const StreamPage second = cache_.read(kOne, 0, 80);
  EXPECT_EQ(cache_.reads(), 1U);
  EXPECT_TRUE(first.entries == second.entries);
}

TEST_F(StreamCacheTest, OneFarBehindReadsForItselfAndTakesNothingFromTheOthers) {
  addRuns(kOne, 700);
  project();
  cache_.read(kOne, 600, 700);
  const StreamPage old = cache_.read(kOne, 0, 700);
  EXPECT_EQ(seqs(old), range(0, 100));
  EXPECT_FALSE(cache_.cached(kOne, 0));
  const auto newest = cache_.cached(kOne, 600);
  ASSERT_TRUE(newest);
  EXPECT_EQ(seqs(*newest), range(600, 700));
  EXPECT_EQ(seqs(cache_.read(kOne, 550, 700)), range(550, 650));
  EXPECT_EQ(atHand(kOne, 699), range(699, 700));
}

TEST_F(StreamCacheTest, OneThatBeginsBeyondThemLeavesNoGap) {
  addRuns(kOne, 500);
  project();
  cache_.read(kOne, 0, 500);
  EXPECT_EQ(seqs(cache_.read(kOne, 300, 500)), range(300, 400));
  // 100 to 299 were never read: what is at hand begins again, it does not close up.
  EXPECT_FALSE(cache_.cached(kOne, 0));
  EXPECT_FALSE(cache_.cached(kOne, 99));
  EXPECT_FALSE(cache_.cached(kOne, 299));
  EXPECT_EQ(atHand(kOne, 350), range(350, 400));
}

TEST_F(StreamCacheTest, LooksNoFurtherThanTheViewWasWhenAsked) {
  addRuns(kOne, 10);
  project();
  const StreamPage page = cache_.read(kOne, 0, 4);
  EXPECT_EQ(seqs(page), range(0, 4));
  EXPECT_EQ(page.next, 4U);
  EXPECT_EQ(seqs(cache_.read(kOne, 4, 10)), range(4, 10));
}

TEST_F(StreamCacheTest, HoldsABoundedNumberOfEntriesTheNewest) {
  addRuns(kOne, kStreamEntriesMax + 250);
  project();
  const std::uint64_t size = kStreamEntriesMax + 250;
  for (std::uint64_t next = 0; next < size;) next = cache_.read(kOne, next, size).next;
  EXPECT_FALSE(cache_.cached(kOne, 249));
  ASSERT_TRUE(cache_.cached(kOne, 250));
  std::size_t held = 0;
  for (std::uint64_t next = 250; next < size; ++held) {
    const auto page = cache_.cached(kOne, next);
    ASSERT_TRUE(page);
    next = page->next;
  }
  EXPECT_EQ(held, kStreamEntriesMax / kStreamPage);
}

TEST_F(StreamCacheTest, HoldsABoundedNumberOfBytes) {
  const std::vector<std::string> texts(100, std::string(480, 'x'));
  const std::vector<std::string_view> resources(texts.begin(), texts.end());
  constexpr std::uint64_t kEntries = 200;  // of some 50 kB each: 10 MB
  for (std::uint64_t seq = 0; seq < kEntries; ++seq) {
    ledger.add(kOne, Kind::toolInvoked, {.at = static_cast<std::int64_t>(seq)},
               [&](Arena& arena, StructValue& body) { body.setTexts(arena, Field::resources, resources); });
  }
  project();
  for (std::uint64_t next = 0; next < kEntries;) next = cache_.read(kOne, next, kEntries).next;
  std::uint64_t first = 0;
  while (first < kEntries && !cache_.cached(kOne, first)) ++first;
  ASSERT_LT(first, kEntries) << "nothing is at hand";
  std::size_t bytes = 0;
  for (std::uint64_t next = first; next < kEntries;) {
    const auto page = cache_.cached(kOne, next);
    ASSERT_TRUE(page);
    for (const auto& entry : page->entries) bytes += entry->json.size();
    next = page->next;
  }
  EXPECT_LE(bytes, kStreamBytesMax);
  EXPECT_GT(bytes, kStreamBytesMax / 2);
}

TEST_F(StreamCacheTest, HoldsABoundedNumberOfWorkspacesThoseUsedLast) {
  addRuns(kOne, 5);
  addRuns(kTwo, 5);
  project();
  cache_.read(kOne, 0, 5);
  cache_.read(kTwo, 0, 5);
  // Workspaces without a view take a place as well, and cost no file here.
  std::uint64_t stranger = 1'000;
  const auto others = [&](std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) EXPECT_THROW(cache_.read(WorkspaceNumber{stranger++}, 0, 1), Fault);
  };
  others(kStreamWorkspacesMax - 2);
  EXPECT_TRUE(cache_.cached(kOne, 0));  // used: younger than the second now
  others(1);
  EXPECT_TRUE(cache_.cached(kOne, 0));
  EXPECT_FALSE(cache_.cached(kTwo, 0));
  others(kStreamWorkspacesMax);
  EXPECT_FALSE(cache_.cached(kOne, 0));
  EXPECT_EQ(seqs(cache_.read(kOne, 0, 5)), range(0, 5));
}

TEST_F(StreamCacheTest, OfKindsGivesThoseAloneAndComesToTheEnd) {
  std::vector<std::uint64_t> ended;
  for (std::uint64_t round = 0; round < 30; ++round) {
    addRuns(kOne, 17);
    ended.push_back(ledger.size(kOne));
    addRuns(kOne, 1, "run-1", Kind::runFinished);
  }
  project();
  const std::uint64_t size = ledger.size(kOne);
  std::vector<std::uint64_t> got;
  std::uint64_t next = 0;
  for (int page = 0; next < size && page < 100; ++page) {
    const StreamPage part = cache_.readKinds(kOne, next, size, {"run.finished"});
    ASSERT_GT(part.next, next);
    for (const auto& entry : part.entries) {
      EXPECT_EQ(entry->kind, "run.finished");
      EXPECT_GE(entry->seq, next);
      EXPECT_LT(entry->seq, part.next);
      got.push_back(entry->seq);
    }
    next = part.next;
  }
  EXPECT_EQ(next, size);
  EXPECT_EQ(got, ended);
  // Entries with gaps between them are nobody else's.
  EXPECT_FALSE(cache_.cached(kOne, ended.front()));
}

TEST_F(StreamCacheTest, OfKindsTheNextPageBeginsBehindTheLastOfThisOne) {
  for (int round = 0; round < 250; ++round) addRuns(kOne, 1, "run-1", round % 2 == 0 ? Kind::runStarted : Kind::runFinished);
  project();
  const StreamPage first = cache_.readKinds(kOne, 0, 250, {"run.finished"});
  ASSERT_EQ(first.entries.size(), kStreamPage);
  EXPECT_EQ(first.entries.front()->seq, 1U);
  EXPECT_EQ(first.entries.back()->seq, 199U);
  EXPECT_EQ(first.next, 200U);
  const StreamPage second = cache_.readKinds(kOne, first.next, 250, {"run.finished"});
  ASSERT_EQ(second.entries.size(), 25U);
  EXPECT_EQ(second.entries.front()->seq, 201U);
  EXPECT_EQ(second.next, 250U);
}

}  // namespace
}  // namespace counterfoil::server
