#include "ledger/keys/record_cipher.h"

#include <gtest/gtest.h>

#include "ledger/core/outcome.h"
#include "tests/support/memory_key_provider.h"

namespace counterfoil::keys {
namespace {

constexpr WorkspaceNumber kWorkspace{5};
constexpr Timestamp kNow{1'770'000'000'000'000'000};

class RecordCipherTest : public ::testing::Test {
 protected:
  // The next entry of the chain, with two disclosures.
  Entry entry() {
    RedactedEvent event = RedactedEvent::ofLedger(Kind::leaseRevoked, EntryId{random_.bytes<16>()});
    event.body().setText(event.arena(), Field::leaseId, "lease-1");
    event.redaction().requestDigest = crypto::sha256({});
    event.redaction().fingerprintGeneration = 3;
    for (const char* const path : {"/by/id", "/reason"}) {
      SealedDisclosure disclosure{path, KeyId{random_.bytes<16>()}, random_.bytes<12>(), std::vector<std::uint8_t>(40, 7)};
      event.redaction().disclosures.push_back(disclosure);
      event.redaction().commitments.push_back({path, crypto::sha256(disclosure.nonce)});
    }
    return chain(std::move(event), kWorkspace, kNow, random_.bytes<16>(), head_);
  }
  std::vector<std::uint8_t> seal(const Entry& entry) {
    const auto key = keys_->logKey(entry.recordedAt());
    return sealRecord(entry, *key, keys_->carry(std::vector<KeyId>{key->id}), random_.bytes<12>());
  }
  OpenOutcome open(const Entry& entry, crypto::Bytes record) { return openRecord(*keys_, entry.seq(), entry.leaf(), record, opened_); }
  // A reader that knows only what the log told it.
  std::shared_ptr<WorkspaceKeys> reader() { return KeyRing(provider_, random_).workspace(kWorkspace); }

  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  KeyRing ring_{provider_, random_};
  std::shared_ptr<WorkspaceKeys> keys_ = ring_.workspace(kWorkspace);
  ChainHead head_;
  OpenedRecord opened_;
};

TEST_F(RecordCipherTest, GivesBackWhatWasSealed) {
  const Entry first = entry();
  const auto record = seal(first);
  const auto other = reader();
  ASSERT_EQ(openRecord(*other, first.seq(), first.leaf(), record, opened_), OpenOutcome::opened);
  EXPECT_TRUE(std::ranges::equal(opened_.entry, first.bytes()));
  EXPECT_EQ(opened_.requestDigest, first.redaction().requestDigest);
  EXPECT_EQ(opened_.fingerprintGeneration, 3u);
  ASSERT_EQ(opened_.disclosures.size(), 2u);
  for (std::size_t index = 0; index < 2; ++index) {
    const SealedDisclosure& expected = first.redaction().disclosures[index];
    EXPECT_EQ(opened_.disclosures[index].path, expected.path);
    EXPECT_EQ(opened_.disclosures[index].keyId, expected.keyId);
    EXPECT_EQ(opened_.disclosures[index].nonce, expected.nonce);
    EXPECT_EQ(opened_.disclosures[index].sealed, expected.sealed);
  }
  std::vector<KeyId> ids;
  ASSERT_TRUE(newKeyIds(record, ids));
  EXPECT_EQ(ids, std::vector<KeyId>{keys_->logKey(kNow)->id});
  // The second record brings no key.
  const Entry second = entry();
  const auto next = seal(second);
  ASSERT_EQ(openRecord(*other, second.seq(), second.leaf(), next, opened_), OpenOutcome::opened);
  EXPECT_EQ(openRecord(*reader(), second.seq(), second.leaf(), next, opened_), OpenOutcome::withheld);
}

// Between a key's end in memory and the end of what it was wrapped with, whoever reads its record once more must not bring it back.
TEST_F(RecordCipherTest, OpenedAgainItBringsNoKeyBack) {
  const Entry first = entry();
  const auto record = seal(first);
  const auto other = reader();
  EXPECT_EQ(reopenRecord(*other, first.seq(), first.leaf(), record, opened_), OpenOutcome::withheld);
  ASSERT_EQ(openRecord(*other, first.seq(), first.leaf(), record, opened_), OpenOutcome::opened);
  opened_ = {};
  ASSERT_EQ(reopenRecord(*other, first.seq(), first.leaf(), record, opened_), OpenOutcome::opened);
  EXPECT_TRUE(std::ranges::equal(opened_.entry, first.bytes()));
  EXPECT_EQ(opened_.disclosures.size(), 2u);
  LeafHash leaf = first.leaf();
  leaf.bytes[0] ^= 1;
  EXPECT_EQ(reopenRecord(*other, first.seq(), leaf, record, opened_), OpenOutcome::damaged);
  const KeyId id = keys_->logKey(kNow)->id;
  other->forget(id);
  EXPECT_EQ(reopenRecord(*other, first.seq(), first.leaf(), record, opened_), OpenOutcome::withheld);
  EXPECT_EQ(other->findLogKey(id), nullptr);
}

TEST_F(RecordCipherTest, HoldsNothingInClear) {
  const Entry first = entry();
  const auto record = seal(first);
  const std::string text(record.begin(), record.end());
  for (const char* const clear : {"lease-1", "/reason", "counterfoil", "ledger"}) EXPECT_EQ(text.find(clear), std::string::npos) << clear;
}

TEST_F(RecordCipherTest, RefusesEveryFlippedBit) {
  const Entry first = entry();
  const auto record = seal(first);  // with a new key in it
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    auto changed = record;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << bit % 8));
    EXPECT_NE(open(first, changed), OpenOutcome::opened) << "bit " << bit;
    EXPECT_NE(openRecord(*reader(), first.seq(), first.leaf(), changed, opened_), OpenOutcome::opened) << "bit " << bit << ", fresh reader";
  }
  EXPECT_EQ(open(first, record), OpenOutcome::opened);
}

TEST_F(RecordCipherTest, RefusesEveryCutAndEverythingAppended) {
  const Entry first = entry();
  const auto record = seal(first);
  for (std::size_t size = 0; size < record.size(); ++size) {
    EXPECT_EQ(open(first, crypto::Bytes(record).first(size)), OpenOutcome::damaged) << size;
  }
  auto longer = record;
  longer.insert(longer.end(), 8, 0);
  EXPECT_EQ(open(first, longer), OpenOutcome::damaged);
}

TEST_F(RecordCipherTest, RefusesAnotherHeader) {
  const Entry first = entry();
  const auto record = seal(first);
  LeafHash leaf = first.leaf();
  leaf.bytes[31] ^= 1;
  EXPECT_EQ(openRecord(*keys_, Sequence{1}, first.leaf(), record, opened_), OpenOutcome::damaged);
  EXPECT_EQ(openRecord(*keys_, first.seq(), leaf, record, opened_), OpenOutcome::damaged);
  EXPECT_EQ(openRecord(*keys_, first.seq(), leaf, record, opened_, LeafCheck::callerHashes), OpenOutcome::damaged);
  EXPECT_EQ(open(first, record), OpenOutcome::opened);
}

TEST_F(RecordCipherTest, RefusesAnotherWorkspacesRecord) {
  const Entry first = entry();
  const auto record = seal(first);
  const auto other = ring_.workspace(WorkspaceNumber{6});
  other->logKey(kNow);  // so that it has a key-encryption key of its own
  EXPECT_EQ(openRecord(*other, first.seq(), first.leaf(), record, opened_), OpenOutcome::damaged);
  const Entry second = entry();
  EXPECT_EQ(openRecord(*other, second.seq(), second.leaf(), seal(second), opened_), OpenOutcome::withheld);
}

// Sealed by a writer that has the key but the wrong entry for its header.
TEST_F(RecordCipherTest, RefusesAnEntryThatIsNotItsLeaf) {
  const Entry first = entry();
  const Entry second = entry();
  const auto key = keys_->logKey(kNow);
  Arena arena;
  StructValue sealed = makeStruct(arena, *schemaTables().sealed);
  sealed.setData(arena, Field::entry, second.bytes());
  sealed.setData(arena, Field::requestDigest, first.redaction().requestDigest);
  const auto plain = encodeCanonical(sealed);
  std::vector<std::uint8_t> data(16, 0);
  data[0] = static_cast<std::uint8_t>(kWorkspace.value);
  data.insert(data.end(), first.leaf().bytes.begin(), first.leaf().bytes.end());
  const auto noKeys = crypto::sha256(keysRecord({}));
  data.insert(data.end(), noKeys.begin(), noKeys.end());
  const crypto::AeadNonce nonce{};
  std::vector<std::uint8_t> box(nonce.begin(), nonce.end());
  const auto ciphertext = key->aead.seal(nonce, data, plain);
  box.insert(box.end(), ciphertext.begin(), ciphertext.end());
  StructValue record = makeStruct(arena, *schemaTables().record);
  record.setData(arena, Field::sealed, box);
  record.setData(arena, Field::keyId, key->id.bytes);
  const auto value = encodeCanonical(record);
  EXPECT_EQ(open(first, value), OpenOutcome::damaged);
  // The form itself is right: who hashes anyway may skip that check.
  EXPECT_EQ(openRecord(*keys_, first.seq(), first.leaf(), value, opened_, LeafCheck::callerHashes), OpenOutcome::opened);
}

TEST_F(RecordCipherTest, WithholdsWhatWasErased) {
  const Entry first = entry();
  const auto record = seal(first);
  provider_.destroyVersion(kWorkspace, 1);
  EXPECT_EQ(openRecord(*reader(), first.seq(), first.leaf(), record, opened_), OpenOutcome::withheld);
  keys_->forget(keys_->logKey(kNow)->id);
  EXPECT_EQ(open(first, record), OpenOutcome::withheld);
}

TEST_F(RecordCipherTest, DoesNotCallAnUnreachableProviderDamage) {
  const Entry first = entry();
  const auto record = seal(first);
  const auto other = reader();
  provider_.setReachable(false);
  EXPECT_THROW(openRecord(*other, first.seq(), first.leaf(), record, opened_), Fault);
  provider_.setReachable(true);
  EXPECT_EQ(openRecord(*other, first.seq(), first.leaf(), record, opened_), OpenOutcome::opened);
}

TEST_F(RecordCipherTest, KeysRecordsBringTheirKeys) {
  const auto log = keys_->logKey(kNow);
  const auto own = keys_->workspaceSubject();
  const auto record = keysRecord(keys_->carry(std::vector<KeyId>{log->id, own->id()}));
  for (std::size_t bit = 0; bit < record.size() * 8; ++bit) {
    auto changed = record;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1u << bit % 8));
    const auto other = reader();
    // A changed version number is a key-encryption key that is not there; everything else is damage.
    if (openKeysRecord(*other, changed)) {
      EXPECT_FALSE(other->usable(log->id) && other->usable(own->id())) << "bit " << bit;
    }
  }
  const auto other = reader();
  ASSERT_TRUE(openKeysRecord(*other, record));
  EXPECT_NE(other->findLogKey(log->id), nullptr);
  EXPECT_NE(other->findSubjectById(own->id()), nullptr);
  EXPECT_FALSE(openKeysRecord(*other, {}));
}

TEST_F(RecordCipherTest, TakesTheLargestRecord) {
  RedactedEvent event = RedactedEvent::ofLedger(Kind::stateCarried, EntryId{random_.bytes<16>()});
  event.body().setData(event.arena(), Field::content, std::vector<std::uint8_t>(49'152, 1));
  SealedDisclosure disclosure{"/reason", KeyId{random_.bytes<16>()}, random_.bytes<12>(), std::vector<std::uint8_t>(256 * 1024, 7)};
  event.redaction().disclosures.push_back(disclosure);
  const Entry large = chain(std::move(event), kWorkspace, kNow, random_.bytes<16>(), head_);
  const auto record = seal(large);
  ASSERT_EQ(open(large, record), OpenOutcome::opened);
  EXPECT_EQ(opened_.disclosures.at(0).sealed, disclosure.sealed);
}

}  // namespace
}  // namespace counterfoil::keys
