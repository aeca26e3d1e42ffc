#include "ledger/keys/key_ring.h"

#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/redact/fingerprint.h"
#include "tests/support/memory_key_provider.h"

namespace counterfoil::keys {
namespace {

constexpr WorkspaceNumber kWorkspace{5};

class KeyRingTest : public ::testing::Test {
 protected:
  static Timestamp time(std::string_view text) { return *fromRfc3339(text); }
  static crypto::Bytes bytesOf(std::string_view text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }
  // All keys of `keys` as a reader of the log gets to know them.
  static void replay(const std::vector<WrappedKey>& wrapped, WorkspaceKeys& keys) {
    ASSERT_EQ(keys.applyWrapped(wrapped), ApplyOutcome::applied);
  }
  static ApplyOutcome apply(WorkspaceKeys& keys, const WrappedKey& wrapped) { return keys.applyWrapped({&wrapped, 1}); }
  std::shared_ptr<WorkspaceKeys> reader() { return KeyRing(provider_, random_).workspace(kWorkspace); }

  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  KeyRing ring_{provider_, random_};
  std::shared_ptr<WorkspaceKeys> keys_ = ring_.workspace(kWorkspace);
};

TEST_F(KeyRingTest, MonthsAreThoseOfUtc) {
  EXPECT_EQ(monthGeneration({0}), 1970u * 12);
  EXPECT_EQ(monthGeneration({-1}), 1969u * 12 + 11);
  EXPECT_EQ(monthGeneration(time("2026-02-28T23:59:59.999999999Z")), 2026u * 12 + 1);
  EXPECT_EQ(monthGeneration(time("2026-03-01T00:00:00Z")), 2026u * 12 + 2);
  EXPECT_EQ(monthGeneration(time("2024-12-31T23:59:59Z")), 2024u * 12 + 11);
}

TEST_F(KeyRingTest, MakesEachKeyOnceAndTheKeyEncryptionKeyWithTheFirst) {
  EXPECT_EQ(ring_.workspace(kWorkspace), keys_);
  EXPECT_EQ(provider_.currentVersion(kWorkspace), 0u);
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  EXPECT_EQ(provider_.currentVersion(kWorkspace), 1u);
  EXPECT_EQ(keys_->subject(PrincipalKind::human, "alice"), alice);
  EXPECT_EQ(keys_->findSubject(PrincipalKind::human, "alice"), alice);
  EXPECT_EQ(keys_->findSubjectById(alice->id()), alice);
  EXPECT_NE(keys_->subject(PrincipalKind::human, "bob"), alice);
  EXPECT_NE(keys_->subject(PrincipalKind::agent, "alice"), alice);
  EXPECT_EQ(keys_->findSubject(PrincipalKind::service, "alice"), nullptr);
  EXPECT_EQ(keys_->workspaceSubject(), keys_->workspaceSubject());
  EXPECT_NE(keys_->workspaceSubject(), alice);
  EXPECT_EQ(keys_->allSubjects().size(), 4u);
  EXPECT_EQ(keys_->currentFingerprint()->generation(), 1u);
  EXPECT_EQ(keys_->livingFingerprints().size(), 1u);
  EXPECT_EQ(keys_->stateKey(), keys_->stateKey());
  EXPECT_EQ(keys_->logKey(time("2026-03-01T00:00:00Z")), keys_->logKey(time("2026-03-31T23:59:59Z")));
  EXPECT_NE(keys_->logKey(time("2026-03-01T00:00:00Z")), keys_->logKey(time("2026-04-01T00:00:00Z")));
  EXPECT_EQ(provider_.currentVersion(kWorkspace), 1u);
}

TEST_F(KeyRingTest, LooksUpNothingIntoBeing) {
  EXPECT_EQ(keys_->findSubject(PrincipalKind::human, "alice"), nullptr);
  EXPECT_EQ(keys_->findLogKey({}), nullptr);
  EXPECT_TRUE(keys_->livingFingerprints().empty());
  EXPECT_TRUE(keys_->allSubjects().empty());
  EXPECT_EQ(provider_.currentVersion(kWorkspace), 0u);
}

TEST_F(KeyRingTest, CarriesEachPendingKeyOnce) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const auto log = keys_->logKey({0});
  const std::vector<KeyId> used = {alice->id(), log->id, alice->id()};
  const auto carried = keys_->carry(used);
  ASSERT_EQ(carried.size(), 3u);  // the directory key comes with the first subject
  EXPECT_EQ(carried[0].purpose, KeyPurpose::directory);
  EXPECT_EQ(carried[1].purpose, KeyPurpose::subject);
  EXPECT_EQ(carried[1].sealed.size(), 32u + 32 + 16);
  EXPECT_EQ(carried[2].purpose, KeyPurpose::log);
  EXPECT_EQ(carried[2].generation, 1970u * 12);
  EXPECT_EQ(carried[2].sealed.size(), 32u + 16);
  EXPECT_TRUE(keys_->carry(used).empty());
  keys_->settle(used);
  EXPECT_TRUE(keys_->carry(used).empty());
  const auto bob = keys_->subject(PrincipalKind::human, "bob");
  EXPECT_EQ(keys_->carry(std::vector<KeyId>{bob->id(), log->id}).size(), 1u);
}

TEST_F(KeyRingTest, AReaderOfTheLogHasTheSameKeys) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const auto own = keys_->workspaceSubject();
  const auto log = keys_->logKey({0});
  const auto state = keys_->stateKey();
  const auto fingerprint = keys_->nextFingerprint();
  KeyId digestKey;
  const crypto::Digest digest = keys_->keyedDigest({bytesOf("x")}, digestKey);
  const auto other = reader();
  replay(keys_->carry(std::vector<KeyId>{alice->id(), own->id(), log->id, state->id, fingerprint->id(), digestKey}), *other);

  ASSERT_NE(other->findSubject(PrincipalKind::human, "alice"), nullptr);
  EXPECT_EQ(other->findSubject(PrincipalKind::human, "alice")->id(), alice->id());
  EXPECT_TRUE(std::ranges::equal(other->findSubjectById(alice->id())->bytes(), alice->bytes()));
  EXPECT_EQ(other->workspaceSubject()->id(), own->id());
  EXPECT_EQ(other->currentFingerprint()->id(), fingerprint->id());
  EXPECT_TRUE(std::ranges::equal(other->currentFingerprint()->bytes(), fingerprint->bytes()));
  EXPECT_EQ(other->stateKey()->id, state->id);
  EXPECT_EQ(other->logKey({0})->id, log->id);
  ASSERT_NE(other->findLogKey(log->id), nullptr);
  const auto sealed = log->aead.seal({}, {}, bytesOf("text"));
  EXPECT_TRUE(other->findLogKey(log->id)->aead.open({}, {}, sealed).has_value());
  KeyId otherDigestKey;
  EXPECT_EQ(other->keyedDigest({bytesOf("x")}, otherDigestKey), digest);
  EXPECT_EQ(otherDigestKey, digestKey);
  // All of them were durable: nothing is left to carry, nothing to drop.
  EXPECT_TRUE(other->carry(std::vector<KeyId>{alice->id(), own->id(), log->id, state->id, fingerprint->id(), digestKey}).empty());
  other->dropPending();
  EXPECT_TRUE(other->usable(alice->id()));
}

TEST_F(KeyRingTest, RefusesWrappedKeysThatWereChanged) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const WrappedKey good = keys_->carry(std::vector<KeyId>{alice->id()})[1];
  const auto other = reader();
  std::vector<WrappedKey> bad(5, good);
  bad[0].keyId.bytes[3] ^= 1;
  bad[1].purpose = KeyPurpose::log;
  bad[2].generation ^= 1;
  bad[3].nonce[0] ^= 1;
  bad[4].sealed.back() ^= 1;
  for (std::size_t index = 0; index < bad.size(); ++index) EXPECT_EQ(apply(*other, bad[index]), ApplyOutcome::damaged) << index;
  EXPECT_FALSE(ring_.workspace(WorkspaceNumber{6})->usable(good.keyId));
  provider_.createVersion(WorkspaceNumber{6});
  EXPECT_EQ(apply(*ring_.workspace(WorkspaceNumber{6}), good), ApplyOutcome::damaged);
  EXPECT_FALSE(other->usable(good.keyId));
  EXPECT_EQ(apply(*other, good), ApplyOutcome::applied);
  EXPECT_TRUE(other->usable(good.keyId));
}

// Associated data and plaintext put together by hand.
TEST_F(KeyRingTest, WrapsTheDocumentedBytes) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const auto wrapped = keys_->carry(std::vector<KeyId>{alice->id()});
  ASSERT_EQ(wrapped.size(), 2u);
  const auto unwrap = [&](const WrappedKey& key) {
    std::vector<std::uint8_t> data = {5, 0, 0, 0, 0, 0, 0, 0};
    data.insert(data.end(), key.keyId.bytes.begin(), key.keyId.bytes.end());
    for (const std::uint64_t number : {static_cast<std::uint64_t>(key.purpose), key.generation}) {
      data.push_back(static_cast<std::uint8_t>(number));
      data.insert(data.end(), 7, 0);
    }
    const UnwrapRequest request{kWorkspace, key.kek, key.nonce, data, key.sealed};
    return std::move(provider_.unwrap({&request, 1}).at(0));
  };
  const Unwrapped directory = unwrap(wrapped[0]);
  ASSERT_EQ(directory.outcome, UnwrapOutcome::opened);
  ASSERT_EQ(directory.plaintext.size(), 32u);
  const Unwrapped subject = unwrap(wrapped[1]);
  ASSERT_EQ(subject.outcome, UnwrapOutcome::opened);
  ASSERT_EQ(subject.plaintext.size(), 64u);
  EXPECT_TRUE(std::ranges::equal(subject.plaintext.bytes().first(32), alice->bytes()));
  EXPECT_TRUE(std::ranges::equal(subject.plaintext.bytes().subspan(32),
                                 crypto::hmacSha256(directory.plaintext.bytes(), {bytesOf("human\nalice")})));
}

TEST_F(KeyRingTest, TellsAKeyThatWasErased) {
  const auto log = keys_->logKey({0});
  const auto wrapped = keys_->carry(std::vector<KeyId>{log->id});
  provider_.destroyVersion(kWorkspace, 1);
  const auto other = reader();
  EXPECT_EQ(apply(*other, wrapped[0]), ApplyOutcome::someWithheld);
  EXPECT_FALSE(other->usable(log->id));
}

TEST_F(KeyRingTest, DropsWhatIsNotDurable) {
  const auto log = keys_->logKey({0});
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const auto wrapped = keys_->carry(std::vector<KeyId>{log->id, alice->id()});
  keys_->settle(std::vector<KeyId>{log->id});
  const auto fingerprint = keys_->currentFingerprint();
  const auto own = keys_->workspaceSubject();
  KeyId digestKey;
  keys_->keyedDigest({}, digestKey);
  keys_->dropPending();
  EXPECT_TRUE(keys_->usable(log->id));
  for (const KeyId& gone : {alice->id(), fingerprint->id(), own->id(), digestKey}) EXPECT_FALSE(keys_->usable(gone));
  EXPECT_EQ(keys_->findSubject(PrincipalKind::human, "alice"), nullptr);
  EXPECT_EQ(keys_->findSubjectById(alice->id()), nullptr);
  EXPECT_TRUE(keys_->livingFingerprints().empty());
  EXPECT_NE(keys_->subject(PrincipalKind::human, "alice")->id(), alice->id());
  EXPECT_NE(keys_->workspaceSubject()->id(), own->id());
  EXPECT_EQ(keys_->logKey({0}), log);
  // A dropped key that turns up in the log after all (the answer was lost, not the record) is there again.
  EXPECT_TRUE(keys_->carry(std::vector<KeyId>{alice->id()}).empty());
  replay(wrapped, *keys_);
  EXPECT_TRUE(keys_->usable(alice->id()));
}

TEST_F(KeyRingTest, ItIsSeenThatAKeyWent) {
  const auto log = keys_->logKey({0});
  keys_->carry(std::vector<KeyId>{log->id});
  keys_->settle(std::vector<KeyId>{log->id});
  const std::uint64_t before = keys_->removals();
  keys_->dropPending();
  EXPECT_EQ(keys_->removals(), before) << "nothing was pending";
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  EXPECT_EQ(keys_->removals(), before);
  keys_->dropPending();
  const std::uint64_t dropped = keys_->removals();
  EXPECT_NE(dropped, before) << alice.use_count();
  keys_->forget(log->id);
  EXPECT_NE(keys_->removals(), dropped);
}

TEST_F(KeyRingTest, KeysThatWereDroppedUncarriedLeaveNothingToCarry) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  keys_->dropPending();
  EXPECT_TRUE(keys_->carry(std::vector<KeyId>{alice->id()}).empty());
  const auto again = keys_->subject(PrincipalKind::human, "alice");
  EXPECT_EQ(keys_->carry(std::vector<KeyId>{again->id()}).size(), 2u);
}

TEST_F(KeyRingTest, ACarriedKeyReadBackFromTheLogIsDurable) {
  const auto log = keys_->logKey({0});
  const auto wrapped = keys_->carry(std::vector<KeyId>{log->id});
  ASSERT_EQ(apply(*keys_, wrapped[0]), ApplyOutcome::applied);
  ring_.dropPending([](WorkspaceNumber) { return true; });
  EXPECT_TRUE(keys_->usable(log->id));
  EXPECT_EQ(keys_->logKey({0}), log);
}

TEST_F(KeyRingTest, KeysOfOtherWorkspacesStayPending) {
  const auto other = ring_.workspace({keys_->workspace().value + 1});
  const auto mine = keys_->logKey({0});
  const auto theirs = other->logKey({0});
  ring_.dropPending([&](WorkspaceNumber number) { return number == keys_->workspace(); });
  EXPECT_FALSE(keys_->usable(mine->id));
  EXPECT_TRUE(other->usable(theirs->id));
}

TEST_F(KeyRingTest, SettlesOnlyWhatWasCarried) {
  const auto log = keys_->logKey({0});
  keys_->settle(std::vector<KeyId>{log->id});
  keys_->dropPending();
  EXPECT_FALSE(keys_->usable(log->id));
}

TEST_F(KeyRingTest, MarksNothingCarriedWhenTheProviderFails) {
  const auto log = keys_->logKey({0});
  provider_.setReachable(false);
  EXPECT_THROW(keys_->carry(std::vector<KeyId>{log->id}), Fault);
  provider_.setReachable(true);
  EXPECT_EQ(keys_->carry(std::vector<KeyId>{log->id}).size(), 1u);
}

TEST_F(KeyRingTest, CarriesWhatWasPreparedWithoutAskingTheProvider) {
  const auto log = keys_->logKey({0});
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const std::vector<KeyId> used = {log->id, alice->id()};
  provider_.setReachable(false);
  EXPECT_THROW(keys_->prepare(used), Fault);
  provider_.setReachable(true);
  keys_->prepare(used);
  provider_.setReachable(false);
  const auto carried = keys_->carry(used);
  EXPECT_EQ(carried.size(), 3u);
  provider_.setReachable(true);
  const auto other = reader();
  replay(carried, *other);
  EXPECT_NE(other->findLogKey(log->id), nullptr);
}

// Prepared under a version that is destroyed before a record carries it: such a form would be worthless.
TEST_F(KeyRingTest, CarriesNothingPreparedUnderAnOlderVersion) {
  const auto durable = keys_->stateKey();
  replay(keys_->carry(std::vector<KeyId>{durable->id}), *keys_);
  const auto log = keys_->logKey({0});
  keys_->prepare(std::vector<KeyId>{log->id});
  const Renewal renewal = keys_->renew();
  ASSERT_EQ(renewal.version, 2u);
  keys_->destroyBefore(renewal.version);
  const auto carried = keys_->carry(std::vector<KeyId>{log->id});
  ASSERT_EQ(carried.size(), 1u);
  EXPECT_EQ(carried[0].kek, 2u);
  const auto other = reader();
  replay(carried, *other);
  EXPECT_TRUE(other->usable(log->id));
}

TEST_F(KeyRingTest, GivesDurableKeysAsTheyWereWrappedLast) {
  const auto log = keys_->logKey({0});
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  replay(keys_->carry(std::vector<KeyId>{log->id, alice->id()}), *keys_);
  const auto pending = keys_->currentFingerprint();
  provider_.setReachable(false);
  ASSERT_EQ(keys_->durableKeys().size(), 3u);
  provider_.setReachable(true);
  const auto other = reader();
  replay(keys_->durableKeys(), *other);
  EXPECT_TRUE(other->usable(log->id));
  EXPECT_FALSE(other->usable(pending->id()));
  const Renewal renewal = keys_->renew();
  replay(renewal.keys, *keys_);
  keys_->destroyBefore(renewal.version);
  for (const WrappedKey& key : keys_->durableKeys()) EXPECT_EQ(key.kek, 2u);
  const auto later = reader();
  replay(keys_->durableKeys(), *later);
  EXPECT_TRUE(later->usable(alice->id()));
}

TEST_F(KeyRingTest, TakesTheKeysOfManyWorkspacesAtOnce) {
  std::vector<WorkspaceWrappedKeys> all;
  std::vector<KeyId> ids;
  for (std::uint64_t number = 20; number < 40; ++number) {
    const auto keys = ring_.workspace(WorkspaceNumber{number});
    ids.push_back(keys->logKey({0})->id);
    all.push_back({WorkspaceNumber{number}, keys->carry(std::vector<KeyId>{ids.back(), keys->stateKey()->id})});
  }
  KeyRing other(provider_, random_);
  EXPECT_EQ(other.applyWrapped(all), ApplyOutcome::applied);
  for (std::uint64_t number = 20; number < 40; ++number) EXPECT_TRUE(other.workspace(WorkspaceNumber{number})->usable(ids[number - 20]));
  all[7].keys[0].sealed[0] ^= 1;
  KeyRing none(provider_, random_);
  EXPECT_EQ(none.applyWrapped(all), ApplyOutcome::damaged);
  EXPECT_FALSE(none.workspace(WorkspaceNumber{20})->usable(ids[0]));
  all[7].keys[0].sealed[0] ^= 1;
  provider_.destroyVersion(WorkspaceNumber{25}, 1);
  KeyRing some(provider_, random_);
  EXPECT_EQ(some.applyWrapped(all), ApplyOutcome::someWithheld);
  EXPECT_TRUE(some.workspace(WorkspaceNumber{20})->usable(ids[0]));
  EXPECT_FALSE(some.workspace(WorkspaceNumber{25})->usable(ids[5]));
}

TEST_F(KeyRingTest, RotatesAndForgets) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const auto bob = keys_->subject(PrincipalKind::human, "bob");
  const auto log = keys_->logKey({0});
  const std::vector<KeyId> all = {alice->id(), bob->id(), log->id};
  const auto first = keys_->carry(all);
  replay(first, *keys_);
  const auto pending = keys_->currentFingerprint();

  keys_->forget(bob->id());
  const Renewal renewal = keys_->renew();
  EXPECT_EQ(renewal.version, 2u);
  EXPECT_EQ(renewal.drops, keys_->drops());
  keys_->destroyBefore(renewal.version);
  ASSERT_EQ(renewal.keys.size(), 3u);  // alice, log, directory; neither bob nor the pending one
  const auto other = reader();
  replay(renewal.keys, *other);
  EXPECT_EQ(other->findSubject(PrincipalKind::human, "alice")->id(), alice->id());
  EXPECT_EQ(other->findSubject(PrincipalKind::human, "bob"), nullptr);
  EXPECT_NE(other->findLogKey(log->id), nullptr);
  EXPECT_FALSE(other->usable(pending->id()));
  EXPECT_NE(keys_->subject(PrincipalKind::human, "bob")->id(), bob->id());
}

// A record on its way to the log when the key-encryption key is replaced holds its keys under the one that is destroyed next.
TEST_F(KeyRingTest, ARenewalHasTheKeysThatAreOnTheirWay) {
  const auto log = keys_->logKey({0});
  const auto carried = keys_->carry(std::vector<KeyId>{log->id});
  ASSERT_EQ(carried.at(0).kek, 1u);
  const Renewal renewal = keys_->renew();
  keys_->destroyBefore(renewal.version);
  const auto other = reader();
  EXPECT_EQ(other->applyWrapped(carried), ApplyOutcome::someWithheld);
  replay(renewal.keys, *other);
  EXPECT_TRUE(other->usable(log->id));
}

// Another node replaced the key-encryption key while this one only read.
TEST_F(KeyRingTest, CarriesNothingUnderAVersionThatAnotherReplaced) {
  const auto durable = keys_->stateKey();
  replay(keys_->carry(std::vector<KeyId>{durable->id}), *keys_);
  KeyRing elsewhere(provider_, random_);
  const auto others = elsewhere.workspace(kWorkspace);
  replay(keys_->durableKeys(), *others);
  const auto bob = keys_->subject(PrincipalKind::human, "bob");
  keys_->prepare(std::vector<KeyId>{bob->id()});  // of a request that was refused then
  const Renewal renewal = others->renew();
  replay(renewal.keys, *keys_);
  others->destroyBefore(renewal.version);
  for (const WrappedKey& key : keys_->carry(std::vector<KeyId>{bob->id()})) EXPECT_EQ(key.kek, 2u);
}

TEST_F(KeyRingTest, CountsWhatWasDroppedApartFromWhatWasForgotten) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  EXPECT_FALSE(keys_->isCarried(alice->id()));
  const auto carried = keys_->carry(std::vector<KeyId>{alice->id()});
  EXPECT_TRUE(keys_->isCarried(alice->id())) << "its record is on its way";
  replay(carried, *keys_);
  EXPECT_TRUE(keys_->isCarried(alice->id()));
  const std::uint64_t before = keys_->drops();
  keys_->forget(alice->id());
  EXPECT_EQ(keys_->drops(), before);
  EXPECT_FALSE(keys_->isCarried(alice->id()));
  const auto bob = keys_->subject(PrincipalKind::human, "bob");
  EXPECT_FALSE(keys_->isCarried(bob->id()));
  keys_->dropPending();
  EXPECT_EQ(keys_->drops(), before + 1);
  keys_->dropPending();
  EXPECT_EQ(keys_->drops(), before + 1) << "there was nothing";
}

// Records of before name the key still: no reader behind may bring it back, for as long as it can be opened.
TEST_F(KeyRingTest, WhatWasForgottenIsNotTakenAgain) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const auto carried = keys_->carry(std::vector<KeyId>{alice->id()});
  replay(carried, *keys_);
  keys_->forget(alice->id());
  EXPECT_EQ(keys_->applyWrapped(carried), ApplyOutcome::applied);
  EXPECT_FALSE(keys_->usable(alice->id()));
  EXPECT_EQ(keys_->findSubject(PrincipalKind::human, "alice"), nullptr);
}

TEST_F(KeyRingTest, FindsAPersonByItsPseudonym) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const auto bob = keys_->subject(PrincipalKind::human, "bob");
  EXPECT_EQ(keys_->findSubjectByPseudonym(redact::pseudonymOf(*alice)), alice);
  EXPECT_EQ(keys_->findSubjectByPseudonym(redact::pseudonymOf(*bob)), bob);
  keys_->forget(bob->id());
  EXPECT_EQ(keys_->findSubjectByPseudonym(redact::pseudonymOf(*bob)), nullptr);
  for (const char* none : {"", "p2:", "p2:AAAA", "human:alice", "p2:AAAAAAAAAAAAAAAAAAAAAA"}) {
    EXPECT_EQ(keys_->findSubjectByPseudonym(none), nullptr) << none;
  }
}

TEST_F(KeyRingTest, ListsWhatItHasAndUnderWhichVersion) {
  const auto log = keys_->logKey({0});
  const auto print = keys_->currentFingerprint();
  replay(keys_->carry(std::vector<KeyId>{log->id, print->id()}), *keys_);
  static_cast<void>(keys_->nextFingerprint());  // in no record yet
  const auto facts = keys_->list();
  ASSERT_EQ(facts.size(), 2u);
  EXPECT_EQ(facts[0].purpose, KeyPurpose::log);
  EXPECT_EQ(facts[0].id, log->id);
  EXPECT_EQ(facts[1].generation, 1u);
  EXPECT_EQ(facts[1].kek, 1u);
  replay(keys_->renew().keys, *keys_);
  for (const KeyFacts& one : keys_->list()) EXPECT_EQ(one.kek, 2u);
  static_cast<void>(keys_->carry(std::vector<KeyId>{keys_->logKey({std::int64_t{40} * 86'400 * 1'000'000'000})->id}));
  EXPECT_EQ(keys_->list().size(), 3u) << "on its way: whoever was answered finds it";
}

TEST_F(KeyRingTest, AtMostFourFingerprintGenerationsLive) {
  for (std::uint32_t generation = 1; generation <= 6; ++generation) EXPECT_EQ(keys_->nextFingerprint()->generation(), generation);
  const auto living = keys_->livingFingerprints();
  ASSERT_EQ(living.size(), 4u);
  EXPECT_EQ(living.front()->generation(), 3u);
  EXPECT_EQ(living.back()->generation(), 6u);
  EXPECT_EQ(keys_->currentFingerprint(), living.back());
}

TEST_F(KeyRingTest, WrappedKeysSurviveTheCodecAndWrongLengthsDoNot) {
  const auto alice = keys_->subject(PrincipalKind::human, "alice");
  const WrappedKey key = keys_->carry(std::vector<KeyId>{alice->id()})[1];
  Arena arena;
  WrappedKey back;
  ASSERT_TRUE(fromValue(toValue(arena, key), back));
  EXPECT_EQ(back.keyId, key.keyId);
  EXPECT_EQ(back.purpose, key.purpose);
  EXPECT_EQ(back.generation, key.generation);
  EXPECT_EQ(back.kek, key.kek);
  EXPECT_EQ(back.nonce, key.nonce);
  EXPECT_EQ(back.sealed, key.sealed);
  const auto refuses = [&](auto change) {
    StructValue value = toValue(arena, key);
    change(value);
    return !fromValue(value, back);
  };
  EXPECT_TRUE(refuses([&](StructValue& value) { value.at(Field::keyId).count = 15; }));
  EXPECT_TRUE(refuses([&](StructValue& value) { value.at(Field::nonce).count = 11; }));
  EXPECT_TRUE(refuses([&](StructValue& value) { value.at(Field::sealed).count -= 1; }));
  EXPECT_TRUE(refuses([&](StructValue& value) { value.setNumber(Field::purpose, 0); }));
  EXPECT_TRUE(refuses([&](StructValue& value) { value.setNumber(Field::purpose, 7); }));
  EXPECT_TRUE(refuses([&](StructValue& value) { value.setNumber(Field::purpose, 1); }));  // a log key has no directory tag
  EXPECT_TRUE(refuses([&](StructValue& value) { value.setNumber(Field::kek, 0); }));
}

TEST_F(KeyRingTest, TwoThreadsGetTheSameKeys) {
  constexpr int kPersons = 300;
  std::array<std::vector<KeyId>, 2> seen;
  const auto work = [&](std::vector<KeyId>& ids) {
    for (int person = 0; person < kPersons; ++person) {
      ids.push_back(keys_->subject(PrincipalKind::human, "person-" + std::to_string(person))->id());
      ids.push_back(keys_->logKey({static_cast<std::int64_t>(person) * 31 * 24 * 3600 * kNanosecondsPerSecond})->id);
      ids.push_back(keys_->workspaceSubject()->id());
      ids.push_back(keys_->currentFingerprint()->id());
    }
  };
  std::array<std::vector<WrappedKey>, 2> carried;
  std::thread first([&] { work(seen[0]), carried[0] = keys_->carry(seen[0]); });
  std::thread second([&] { work(seen[1]), carried[1] = keys_->carry(seen[1]); });
  first.join();
  second.join();
  EXPECT_EQ(seen[0], seen[1]);
  std::set<KeyId> all;
  for (const auto& part : carried) {
    for (const WrappedKey& key : part) EXPECT_TRUE(all.insert(key.keyId).second) << "carried twice";
  }
  const std::set<KeyId> used(seen[0].begin(), seen[0].end());
  EXPECT_EQ(all.size(), used.size() + 1);  // and the directory key
  EXPECT_EQ(provider_.currentVersion(kWorkspace) >= 1, true);
}

}  // namespace
}  // namespace counterfoil::keys
