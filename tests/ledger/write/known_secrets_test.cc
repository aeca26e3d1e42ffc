#include "ledger/write/known_secrets.h"

#include <gtest/gtest.h>

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
