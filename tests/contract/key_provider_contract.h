// What every key provider must do. Instantiate with a harness: `KeyProvider& provider()` gives the provider under test, `void restart()`
// makes it anew over whatever it keeps.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/core/outcome.h"
#include "ledger/keys/key_provider.h"

namespace counterfoil::keys::test {

template <class Harness>
class KeyProviderContract : public ::testing::Test {
 protected:
  static constexpr WorkspaceNumber kWorkspace{7};
  static constexpr WorkspaceNumber kOther{8};

  KeyProvider& provider() { return harness_.provider(); }
  void restart() { harness_.restart(); }

  static crypto::Bytes bytesOf(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
  Wrapped wrap(WorkspaceNumber workspace, std::uint32_t version, std::string_view plain) {
    const WrapRequest request{bytesOf("place"), bytesOf(plain)};
    std::vector<Wrapped> wrapped = provider().wrap(workspace, version, {&request, 1});
    EXPECT_EQ(wrapped.size(), 1u);
    return wrapped.at(0);
  }
  Unwrapped open(WorkspaceNumber workspace, const Wrapped& wrapped, std::string_view place = "place") {
    const UnwrapRequest request{workspace, wrapped.version, wrapped.nonce, bytesOf(place), wrapped.sealed};
    std::vector<Unwrapped> opened = provider().unwrap({&request, 1});
    EXPECT_EQ(opened.size(), 1u);
    return std::move(opened.at(0));
  }
  // The text, or why there is none.
  std::string unwrap(WorkspaceNumber workspace, const Wrapped& wrapped, std::string_view place = "place") {
    const Unwrapped opened = open(workspace, wrapped, place);
    if (opened.outcome == UnwrapOutcome::missing) return "(missing)";
    return opened.outcome == UnwrapOutcome::opened ? std::string(opened.plaintext.text()) : "(not authentic)";
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
  const Wrapped first = this->wrap(this->kWorkspace, 1, "first");
  const Wrapped second = this->wrap(this->kWorkspace, kNewestVersion, "second");
  EXPECT_EQ(first.version, 1u);
  EXPECT_EQ(second.version, 2u);
  EXPECT_EQ(first.sealed.size(), 5u + 16);
  EXPECT_NE(std::string(first.sealed.begin(), first.sealed.end()).substr(0, 5), "first");
  this->restart();
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 2u);
  EXPECT_EQ(this->unwrap(this->kWorkspace, first), "first");
  EXPECT_EQ(this->unwrap(this->kWorkspace, second), "second");
}

TYPED_TEST_P(KeyProviderContract, OpensNothingElse) {
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kOther);
  const Wrapped sealed = this->wrap(this->kWorkspace, 1, "text");
  const auto with = [&](std::uint32_t version, std::vector<std::uint8_t> bytes) {
    return Wrapped{version, sealed.nonce, std::move(bytes)};
  };
  EXPECT_EQ(this->unwrap(this->kWorkspace, with(2, sealed.sealed)), "(not authentic)");
  EXPECT_EQ(this->unwrap(this->kOther, sealed), "(not authentic)");
  EXPECT_EQ(this->unwrap(this->kWorkspace, sealed, "elsewhere"), "(not authentic)");
  EXPECT_EQ(this->unwrap(this->kWorkspace, with(1, {})), "(not authentic)");
  EXPECT_EQ(this->unwrap(this->kWorkspace, with(0, sealed.sealed)), "(missing)");
  EXPECT_EQ(this->unwrap(this->kWorkspace, with(3, sealed.sealed)), "(missing)");
  for (std::size_t at = 0; at < sealed.sealed.size(); ++at) {
    Wrapped changed = sealed;
    changed.sealed[at] ^= 1;
    EXPECT_EQ(this->unwrap(this->kWorkspace, changed), "(not authentic)") << "byte " << at;
  }
  for (std::size_t at = 0; at < sealed.nonce.size(); ++at) {
    Wrapped changed = sealed;
    changed.nonce[at] ^= 1;
    EXPECT_EQ(this->unwrap(this->kWorkspace, changed), "(not authentic)") << "byte " << at << " of the nonce";
  }
}

// Many at once, of several workspaces, each with an answer of its own in its own place.
TYPED_TEST_P(KeyProviderContract, AnswersEachOfManyInItsPlace) {
  constexpr std::size_t kEach = 300;
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kOther);
  std::vector<std::string> texts;
  for (std::size_t index = 0; index < kEach; ++index) texts.push_back("text " + std::to_string(index));
  std::vector<WrapRequest> requests;
  for (const std::string& text : texts) requests.push_back({this->bytesOf("place"), this->bytesOf(text)});
  const std::vector<Wrapped> here = this->provider().wrap(this->kWorkspace, kNewestVersion, requests);
  const std::vector<Wrapped> there = this->provider().wrap(this->kOther, kNewestVersion, requests);
  ASSERT_EQ(here.size(), kEach);
  ASSERT_EQ(there.size(), kEach);
  std::set<crypto::AeadNonce> nonces;
  std::vector<UnwrapRequest> unwraps;
  for (std::size_t index = 0; index < kEach; ++index) {
    // Every seventh is asked of the wrong workspace, every eleventh of a version that there never was.
    const bool wrong = index % 7 == 3;
    const std::uint32_t version = index % 11 == 5 ? 9 : 1;
    unwraps.push_back({wrong ? this->kOther : this->kWorkspace, version, here[index].nonce, this->bytesOf("place"), here[index].sealed});
    unwraps.push_back({this->kOther, 1, there[index].nonce, this->bytesOf("place"), there[index].sealed});
    nonces.insert(here[index].nonce);
    nonces.insert(there[index].nonce);
  }
  EXPECT_EQ(nonces.size(), 2 * kEach);
  const std::vector<Unwrapped> opened = this->provider().unwrap(unwraps);
  ASSERT_EQ(opened.size(), unwraps.size());
  for (std::size_t index = 0; index < kEach; ++index) {
    const UnwrapOutcome expected = index % 11 == 5  ? UnwrapOutcome::missing
                                   : index % 7 == 3 ? UnwrapOutcome::notAuthentic
                                                    : UnwrapOutcome::opened;
    EXPECT_EQ(opened[2 * index].outcome, expected) << index;
    if (expected == UnwrapOutcome::opened) {
      EXPECT_EQ(opened[2 * index].plaintext.text(), texts[index]);
    }
    ASSERT_EQ(opened[2 * index + 1].outcome, UnwrapOutcome::opened) << index;
    EXPECT_EQ(opened[2 * index + 1].plaintext.text(), texts[index]);
  }
  EXPECT_TRUE(this->provider().unwrap({}).empty());
}

TYPED_TEST_P(KeyProviderContract, DestroysForGood) {
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kWorkspace);
  const Wrapped first = this->wrap(this->kWorkspace, 1, "first");
  const Wrapped second = this->wrap(this->kWorkspace, 2, "second");
  this->provider().destroyVersion(this->kWorkspace, 1);
  EXPECT_EQ(this->unwrap(this->kWorkspace, first), "(missing)");
  EXPECT_EQ(this->unwrap(this->kWorkspace, second), "second");
  this->restart();
  EXPECT_EQ(this->unwrap(this->kWorkspace, first), "(missing)");
  this->expectMissing([&] { this->wrap(this->kWorkspace, 1, "again"); });
  this->provider().destroyVersion(this->kWorkspace, 1);
  this->provider().destroyVersion(this->kWorkspace, 99);
  this->provider().destroyVersion(this->kOther, 1);
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 2u);
  EXPECT_EQ(this->unwrap(this->kWorkspace, second), "second");
}

TYPED_TEST_P(KeyProviderContract, DestroysWhatCameBefore) {
  for (std::uint32_t version = 1; version <= 4; ++version) ASSERT_EQ(this->provider().createVersion(this->kWorkspace), version);
  std::vector<Wrapped> wrapped;
  for (std::uint32_t version = 1; version <= 4; ++version) wrapped.push_back(this->wrap(this->kWorkspace, version, "text"));
  this->provider().destroyVersion(this->kWorkspace, 3);
  for (std::size_t index = 0; index < 3; ++index) EXPECT_EQ(this->unwrap(this->kWorkspace, wrapped[index]), "(missing)") << index;
  EXPECT_EQ(this->unwrap(this->kWorkspace, wrapped[3]), "text");
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 4u);
}

TYPED_TEST_P(KeyProviderContract, NeverUsesANumberTwice) {
  this->provider().createVersion(this->kWorkspace);
  this->provider().createVersion(this->kWorkspace);
  const Wrapped second = this->wrap(this->kWorkspace, 2, "second");
  this->provider().destroyVersion(this->kWorkspace, 2);
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 0u);
  this->expectMissing([&] { this->wrap(this->kWorkspace, kNewestVersion, "again"); });
  this->expectMissing([&] { this->wrap(this->kWorkspace, 3, "again"); });
  this->provider().destroyVersion(this->kWorkspace, 2);
  this->harness_.restart();
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 0u);
  EXPECT_EQ(this->unwrap(this->kWorkspace, second), "(missing)");
  EXPECT_EQ(this->provider().createVersion(this->kWorkspace), 3u);
  EXPECT_EQ(this->provider().currentVersion(this->kWorkspace), 3u);
  EXPECT_EQ(this->unwrap(this->kWorkspace, this->wrap(this->kWorkspace, kNewestVersion, "third")), "third");
  EXPECT_EQ(this->unwrap(this->kWorkspace, second), "(missing)");
}

REGISTER_TYPED_TEST_SUITE_P(KeyProviderContract, StartsWithoutVersions, CountsVersionsOfEachWorkspaceByItself,
                            OpensWhatItWrappedAlsoAfterARestart, OpensNothingElse, AnswersEachOfManyInItsPlace, DestroysForGood,
                            DestroysWhatCameBefore, NeverUsesANumberTwice);

}  // namespace counterfoil::keys::test
