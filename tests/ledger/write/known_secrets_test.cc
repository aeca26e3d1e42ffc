#include "ledger/write/known_secrets.h"

#include <gtest/gtest.h>

#include <vector>

#include "ledger/crypto/random.h"

namespace counterfoil::write {
namespace {

FingerprintTag tagOf(std::uint8_t mark) {
  FingerprintTag tag{};
  tag.fill(mark);
  return tag;
}

TEST(KnownSecretStore, KnowsAWorkspacesSecretsByGeneration) {
  KnownSecretStore store;
  EXPECT_TRUE(store.empty({1}));
  store.add({1}, 1, tagOf(9));
  EXPECT_FALSE(store.empty({1}));
  EXPECT_TRUE(store.contains({1}, 1, tagOf(9)));
  EXPECT_FALSE(store.contains({1}, 2, tagOf(9)));
  EXPECT_FALSE(store.contains({2}, 1, tagOf(9))) << "another tenant's secret";
}

TEST(KnownSecretStore, ForgetsTheOldestOnes) {
  KnownSecretStore store(2);
  for (std::uint8_t mark = 1; mark <= 3; ++mark) store.add({1}, 1, tagOf(mark));
  EXPECT_FALSE(store.contains({1}, 1, tagOf(1)));
  EXPECT_TRUE(store.contains({1}, 1, tagOf(3)));
}

// The table grows, and its gaps close, while a window of tags moves through it: at each step exactly the newest are known.
TEST(KnownSecretStore, KnowsExactlyTheNewestWhileOldOnesGo) {
  constexpr std::size_t kKept = 100;
  crypto::DeterministicRandom random(5);
  KnownSecretStore store(kKept);
  std::vector<FingerprintTag> tags;
  for (std::size_t step = 0; step < 1'000; ++step) {
    FingerprintTag tag = random.bytes<16>();
    // Few places, so that they collide: at the beginning, and at the end, where a run goes on at the beginning.
    tag[0] = static_cast<std::uint8_t>(step % 3 == 0 ? 0xff : step % 4);
    tag[1] = step % 3 == 0 ? 0xff : 0;
    tags.push_back(tag);
    store.add({1}, 0, tag);
    for (std::size_t index = 0; index < tags.size(); ++index) {
      ASSERT_EQ(store.contains({1}, 0, tags[index]), index + kKept > step) << step << " " << index;
    }
  }
}

TEST(KnownSecretStore, KnowsATagAgainThatCameTwice) {
  KnownSecretStore store(2);
  for (const unsigned mark : {1u, 1u, 2u}) store.add({1}, 1, tagOf(static_cast<std::uint8_t>(mark)));
  EXPECT_TRUE(store.contains({1}, 1, tagOf(1))) << "the second time takes no room";
  store.add({1}, 1, tagOf(3));
  EXPECT_FALSE(store.contains({1}, 1, tagOf(1)));
  store.add({1}, 1, tagOf(1));
  EXPECT_TRUE(store.contains({1}, 1, tagOf(1)));
}

TEST(KnownSecretStore, FindsOneAmongMany) {
  KnownSecretStore store;
  std::vector<GenerationTag> wanted;
  for (std::uint8_t mark = 1; mark <= 70; ++mark) wanted.push_back({1, tagOf(mark)});
  EXPECT_FALSE(store.containsAny({1}, wanted));
  store.add({1}, 1, tagOf(200));
  EXPECT_FALSE(store.containsAny({1}, wanted));
  EXPECT_FALSE(store.containsAny({1}, {}));
  for (const unsigned mark : {1u, 35u, 70u}) {
    KnownSecretStore one;
    one.add({1}, 1, tagOf(static_cast<std::uint8_t>(mark)));
    EXPECT_TRUE(one.containsAny({1}, wanted)) << mark;
    EXPECT_FALSE(one.containsAny({2}, wanted)) << "another tenant's secret";
  }
}

TEST(KnownSecretStore, SavesAndLoads) {
  KnownSecretStore store;
  for (std::uint8_t mark = 1; mark <= 3; ++mark) store.add({1}, mark, tagOf(mark));
  std::vector<std::uint8_t> saved;
  store.save({1}, saved);
  KnownSecretStore loaded;
  ASSERT_TRUE(loaded.load({1}, saved));
  EXPECT_TRUE(loaded.contains({1}, 2, tagOf(2)));
  saved.pop_back();
  KnownSecretStore cut;
  EXPECT_FALSE(cut.load({1}, saved));
}

}  // namespace
}  // namespace counterfoil::write
