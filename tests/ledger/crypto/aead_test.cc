#include "ledger/crypto/aead.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ledger/crypto/error.h"
#include "ledger/crypto/random.h"
#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/crypto/test_bytes.h"

namespace counterfoil::crypto {
namespace {

using test::asBytes;
using test::hex;
using test::hexArray;
using test::toHex;

constexpr const char* kZeroKey = "0000000000000000000000000000000000000000000000000000000000000000";
constexpr const char* kZeroNonce = "000000000000000000000000";
constexpr const char* kKey = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
constexpr const char* kNonce = "cafebabefacedbaddecaf888";
constexpr const char* kPlaintext =
    "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255";
constexpr const char* kCiphertext =
    "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad";

struct Vector {
  std::string key, nonce, associatedData, plaintext, sealed;
};

// Test cases 13 to 16 of the GCM specification submitted to NIST: AES-256 with 96-bit nonces.
std::vector<Vector> vectors() {
  const std::string plaintext = kPlaintext;
  const std::string ciphertext = kCiphertext;
  return {
      {kZeroKey, kZeroNonce, "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
      {kZeroKey, kZeroNonce, "", "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
      {kKey, kNonce, "", plaintext, ciphertext + "b094dac5d93471bdec1a502270e3cc6c"},
      {kKey, kNonce, "feedfacedeadbeeffeedfacedeadbeefabaddad2", plaintext.substr(0, 120),
       ciphertext.substr(0, 120) + "76fc6ece0f4e1768cddf8853bb2d551b"},
  };
}

TEST(Aead, AKeyUsedOnceSealsLikeOneThatIsKept) {
  // Twice: nothing of the key before is left in the thread's context.
  for (int round = 0; round < 2; ++round) {
    for (const Vector& vector : vectors()) {
      const auto nonce = hexArray<12>(vector.nonce);
      std::vector<std::uint8_t> sealed(vector.plaintext.size() / 2 + kAeadTagSize);
      OneTimeSealer().seal(hex(vector.key), nonce, hex(vector.associatedData), hex(vector.plaintext), sealed);
      EXPECT_EQ(toHex(sealed), vector.sealed);
    }
    std::vector<std::uint8_t> small(kAeadTagSize);
    EXPECT_THROW(OneTimeSealer().seal(hex(kKey), hexArray<12>(kNonce), {}, hex(kPlaintext), small), CryptoError);
    EXPECT_THROW(OneTimeSealer().seal(hex("00"), hexArray<12>(kNonce), {}, {}, small), CryptoError);
  }
}

TEST(Aead, KnownAnswers) {
  for (const Vector& vector : vectors()) {
    const AeadKey key(hex(vector.key));
    const auto nonce = hexArray<12>(vector.nonce);
    EXPECT_EQ(toHex(key.seal(nonce, hex(vector.associatedData), hex(vector.plaintext))), vector.sealed);
    const auto opened = key.open(nonce, hex(vector.associatedData), hex(vector.sealed));
    ASSERT_TRUE(opened.has_value());
    EXPECT_EQ(toHex(opened->bytes()), vector.plaintext);
  }
}

TEST(Aead, OneKeySealsAndOpensInAnyOrder) {
  const AeadKey key(hex(kKey));
  DeterministicRandom random(4);
  for (std::size_t size = 0; size < 200; ++size) {
    std::vector<std::uint8_t> plaintext(size);
    std::vector<std::uint8_t> associated(size % 37);
    random.fill(plaintext);
    random.fill(associated);
    const auto nonce = random.bytes<12>();
    const auto sealed = key.seal(nonce, associated, plaintext);
    ASSERT_EQ(sealed.size(), size + kAeadTagSize);
    // A fresh key, so that nothing left in the used context can be what makes it right.
    const auto opened = AeadKey(hex(kKey)).open(nonce, associated, sealed);
    ASSERT_TRUE(opened && toHex(opened->bytes()) == toHex(plaintext)) << size;
    ASSERT_TRUE(key.open(nonce, associated, sealed).has_value()) << size;
  }
}

TEST(Aead, EveryChangedBitIsRefusedAndTheOutputWiped) {
  const AeadKey key(hex(kKey));
  const auto associated = hex("feedfacedeadbeef");
  const auto plaintext = hex(std::string(kPlaintext).substr(0, 40));
  auto nonce = hexArray<12>(kNonce);
  auto sealed = key.seal(nonce, associated, plaintext);
  std::vector<std::uint8_t> out(plaintext.size() + 3);
  const std::vector<std::uint8_t> zeros(out.size(), 0);
  const auto refused = [&](const AeadNonce& usedNonce, Bytes usedAssociated) {
    std::fill(out.begin(), out.end(), std::uint8_t{0xee});
    return !key.open(usedNonce, usedAssociated, sealed, out) && out == zeros && !key.open(usedNonce, usedAssociated, sealed).has_value();
  };
  for (std::size_t bit = 0; bit < sealed.size() * 8; ++bit) {
    sealed[bit / 8] = static_cast<std::uint8_t>(sealed[bit / 8] ^ (1 << bit % 8));
    ASSERT_TRUE(refused(nonce, associated)) << bit;
    sealed[bit / 8] = static_cast<std::uint8_t>(sealed[bit / 8] ^ (1 << bit % 8));
  }
  for (std::size_t bit = 0; bit < 12 * 8; ++bit) {
    auto changed = nonce;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1 << bit % 8));
    ASSERT_TRUE(refused(changed, associated)) << bit;
  }
  for (std::size_t bit = 0; bit < associated.size() * 8; ++bit) {
    auto changed = associated;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1 << bit % 8));
    ASSERT_TRUE(refused(nonce, changed)) << bit;
  }
  EXPECT_TRUE(refused(nonce, {}));
  EXPECT_FALSE(AeadKey(hex(kZeroKey)).open(nonce, associated, sealed).has_value());
  // Still fit for use, and nothing left for a TLS read on this thread to stumble over.
  EXPECT_TRUE(key.open(nonce, associated, sealed, out));
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST(Aead, TruncatedAndEmptyInputIsRefused) {
  const AeadKey key(hex(kKey));
  const auto nonce = hexArray<12>(kNonce);
  const auto sealed = key.seal(nonce, {}, hex("0102030405"));
  std::vector<std::uint8_t> out(64, 0xee);
  for (std::size_t size = 0; size < sealed.size(); ++size) {
    EXPECT_FALSE(key.open(nonce, {}, Bytes(sealed).first(size)).has_value()) << size;
    std::fill(out.begin(), out.end(), std::uint8_t{0xee});
    EXPECT_FALSE(key.open(nonce, {}, Bytes(sealed).first(size), out)) << size;
    EXPECT_EQ(out, std::vector<std::uint8_t>(64, 0)) << size;
  }
}

TEST(Aead, OpensInPlace) {
  const AeadKey key(hex(kKey));
  const auto nonce = hexArray<12>(kNonce);
  auto buffer = key.seal(nonce, {}, asBytes("in place"));
  ASSERT_TRUE(key.open(nonce, {}, buffer, buffer));
  EXPECT_EQ(toHex(Bytes(buffer).first(8)), toHex(asBytes("in place")));
}

TEST(Aead, WrongSizesThrow) {
  EXPECT_THROW(AeadKey(Bytes{}), CryptoError);
  EXPECT_THROW(AeadKey(std::vector<std::uint8_t>(31)), CryptoError);
  EXPECT_THROW(AeadKey(std::vector<std::uint8_t>(33)), CryptoError);
  const AeadKey key(hex(kKey));
  const auto nonce = hexArray<12>(kNonce);
  std::vector<std::uint8_t> out(20);
  EXPECT_THROW(key.seal(nonce, {}, hex("0102030405"), out), CryptoError);
  EXPECT_THROW(key.seal(nonce, {}, std::vector<std::uint8_t>(21), out), CryptoError);
  EXPECT_THROW(key.open(nonce, {}, std::vector<std::uint8_t>(37), out), CryptoError);
}

TEST(Aead, ManyThreadsShareOneKey) {
  const AeadKey key(hex(kKey));
  std::vector<int> wrong(8, 0);  // more threads than the key keeps contexts
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([t, &wrong, &key] {
        DeterministicRandom random(100 + t);
        for (int i = 0; i < 2'000; ++i) {
          std::vector<std::uint8_t> plaintext(1 + t * 50);
          random.fill(plaintext);
          const auto nonce = random.bytes<12>();
          const auto sealed = key.seal(nonce, asBytes("ad"), plaintext);
          const auto opened = key.open(nonce, asBytes("ad"), sealed);
          wrong[t] += opened && std::equal(plaintext.begin(), plaintext.end(), opened->bytes().begin(), opened->bytes().end()) ? 0 : 1;
          wrong[t] += key.open(nonce, asBytes("da"), sealed).has_value() ? 1 : 0;
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(8, 0));
}

TEST(Aead, NothingOfTheKeyIsLeftInMemory) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  SystemRandom random;
  std::optional<test::Needle> secret;
  std::optional<AeadKey> key;
  {
    auto bytes = random.bytes<32>();
    secret.emplace(bytes);
    key.emplace(bytes);
    wipe(bytes.data(), bytes.size());
  }
  // Used by several threads at once, so that further contexts exist.
  {
    std::vector<std::jthread> threads;
    for (std::uint8_t t = 0; t < 4; ++t) {
      threads.emplace_back([t, &key] {
        for (std::uint8_t i = 0; i < 200; ++i) (void)key->seal(AeadNonce{t, i}, {}, asBytes("message"));
      });
    }
  }
  EXPECT_GE(secret->occurrences(), 2u);  // the key itself and at least one schedule, which begins with it
  AeadKey moved = std::move(*key);
  key.emplace(hex(kZeroKey));
  *key = std::move(moved);
  key.reset();
  EXPECT_EQ(secret->occurrences(), 0u);
}

TEST(Aead, NothingOfAKeyUsedOnceIsLeftInMemory) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  std::optional<test::Needle> needle;
  std::vector<std::uint8_t> sealed(100 + kAeadTagSize);
  {
    SystemRandom random;
    WipingVector key(kAeadKeySize);
    random.fill(key);
    needle.emplace(key);
    OneTimeSealer().seal(key, hexArray<12>(kNonce), {}, std::vector<std::uint8_t>(100), sealed);
    EXPECT_GE(needle->occurrences(), 1u);  // the key itself
  }
  EXPECT_EQ(needle->occurrences(), 0u);
}

}  // namespace
}  // namespace counterfoil::crypto
