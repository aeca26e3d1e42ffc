// What every key provider must do. Instantiate with a harness: `KeyProvider& provider()` gives the provider under test, `void restart()`
// makes it anew over whatever it keeps.
#pragma once

#include <gtest/gtest.h>

#include <string_view>

#include "ledger/core/outcome.h"
#include "ledger/keys/key_provider.h"

namespace counterfoil::keys::test {

template <class Harness>
class KeyProviderContract : public ::testing::Test {
 protected:
  static constexpr WorkspaceNumber kWorkspace{7};
  static constexpr WorkspaceNumber kOther{8};
  static constexpr crypto::AeadNonce kNonce{1, 2, 3};

  KeyProvider& provider() { return harness_.provider(); }
  void restart() { harness_.restart(); }

  static crypto::Bytes bytesOf(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
  std::vector<std::uint8_t> wrap(WorkspaceNumber workspace, std::uint32_t version, std::string_view plain) {
    return provider().wrap(workspace, version, kNonce, bytesOf("place"), bytesOf(plain));
  }
  // The text, or "" if it does not authenticate.
  std::string unwrap(WorkspaceNumber workspace, std::uint32_t version, crypto::Bytes sealed, std::string_view place = "place") {
    const auto plain = provider().unwrap(workspace, version, kNonce, bytesOf(place), sealed);
    return plain ? std::string(plain->text()) : std::string();
  }
  template <class Call>
  static void expectMissing(const Call& call) {
    try {
      call();
      ADD_FAILURE() << "a key that is not there was used";
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.code(), ErrorCode::keyMissing);
    }
  }

  Harness harness_;
};

TYPED_TEST_SUITE_P(KeyProviderContract);

TYPED_TEST_P(KeyProviderContract, StartsWithoutVersions) {
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 0u);
  this->expectMissing([&] { this->wrap(this->kWorkspace, 1, "key"); });
  this->expectMissing([&] { this->wrap(this->kWorkspace, 0, "key"); });
}

TYPED_TEST_P(KeyProviderContract, CountsVersionsOfEachWorkspaceByItself) {
  EXPECT_EQ(this->provider().createVersion(this->kWorkspace), 1u);
  EXPECT_EQ(this->provider().createVersion(this->kWorkspace), 2u);
  EXPECT_EQ(this->provider().createVersion(this->kOther), 1u);
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 2u);
  EXPECT_EQ(this->provider().currentVersion(this->kOther), 1u);
}

TYPED_TEST_P(KeyProviderContract, OpensWhatItWrappedAlsoAfterARestart) {
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kWorkspace);
  const auto first = this->wrap(this->kWorkspace, 1, "first");
  const auto second = this->wrap(this->kWorkspace, 2, "second");
  EXPECT_NE(std::string(first.begin(), first.end()).substr(0, 5), "first");
  this->restart();
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 2u);
  EXPECT_EQ(this->unwrap(this->kWorkspace, 1, first), "first");
  EXPECT_EQ(this->unwrap(this->kWorkspace, 2, second), "second");
}

TYPED_TEST_P(KeyProviderContract, OpensNothingElse) {
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kOther);
  const auto sealed = this->wrap(this->kWorkspace, 1, "text");
  EXPECT_EQ(this->unwrap(this->kWorkspace, 2, sealed), "");
  EXPECT_EQ(this->unwrap(this->kOther, 1, sealed), "");
  EXPECT_EQ(this->unwrap(this->kWorkspace, 1, sealed, "elsewhere"), "");
  EXPECT_EQ(this->unwrap(this->kWorkspace, 1, {}), "");
  for (std::size_t at = 0; at < sealed.size(); ++at) {
    auto changed = sealed;
    changed[at] ^= 1;
    EXPECT_EQ(this->unwrap(this->kWorkspace, 1, changed), "") << "byte " << at;
  }
}

TYPED_TEST_P(KeyProviderContract, DestroysForGood) {
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kWorkspace);
  const auto first = this->wrap(this->kWorkspace, 1, "first");
  const auto second = this->wrap(this->kWorkspace, 2, "second");
  this->provider().destroyVersion(this->kWorkspace, 1);
  this->expectMissing([&] { this->unwrap(this->kWorkspace, 1, first); });
  EXPECT_EQ(this->unwrap(this->kWorkspace, 2, second), "second");
  this->restart();
  this->expectMissing([&] { this->unwrap(this->kWorkspace, 1, first); });
  this->expectMissing([&] { this->wrap(this->kWorkspace, 1, "again"); });
  this->provider().destroyVersion(this->kWorkspace, 1);
  this->provider().destroyVersion(this->kWorkspace, 99);
  this->provider().destroyVersion(this->kOther, 1);
  EXPECT_EQ(this->unwrap(this->kWorkspace, 2, second), "second");
}

TYPED_TEST_P(KeyProviderContract, NeverUsesANumberTwice) {
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kWorkspace);
  this->provider().destroyVersion(this->kWorkspace, 2);
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 1u);
  this->provider().destroyVersion(this->kWorkspace, 1);
  this->harness_.restart();
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 0u);
  EXPECT_EQ(this->provider().createVersion(this->kWorkspace), 3u);
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 3u);
}

REGISTER_TYPED_TEST_SUITE_P(KeyProviderContract, StartsWithoutVersions, CountsVersionsOfEachWorkspaceByItself,
                            OpensWhatItWrappedAlsoAfterARestart, OpensNothingElse, DestroysForGood, NeverUsesANumberTwice);

}  // namespace counterfoil::keys::test
