#include "ledger/crypto/hmac.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/params.h>
#include <openssl/sha.h>

#include <array>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ledger/crypto/random.h"
#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/crypto/test_bytes.h"

namespace counterfoil::crypto {
namespace {

using test::asBytes;
using test::hex;
using test::toHex;

std::string repeated(const char* byte, int count) {
  std::string result;
  for (int i = 0; i < count; ++i) result += byte;
  return result;
}

// The same MAC through EVP, the other way into OpenSSL.
Digest oracleMac(Bytes key, Bytes message) {
  Digest result;
  std::size_t size = 0;
  static constexpr char kNothing = 0;
  EVP_Q_mac(nullptr, "HMAC", nullptr, "SHA256", nullptr, key.empty() ? static_cast<const void*>(&kNothing) : key.data(), key.size(),
            message.data(), message.size(), result.data(), result.size(), &size);
  return result;
}

Digest oracleHkdf(Bytes inputKey, Bytes info) {
  EVP_KDF* const algorithm = EVP_KDF_fetch(nullptr, "HKDF", nullptr);
  EVP_KDF_CTX* const context = EVP_KDF_CTX_new(algorithm);
  char digest[] = "SHA256";
  OSSL_PARAM parameters[] = {
      OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, digest, 0),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, const_cast<std::uint8_t*>(inputKey.data()), inputKey.size()),
      OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, const_cast<std::uint8_t*>(info.data()), info.size()),
      OSSL_PARAM_construct_end()};
  Digest result{};
  EXPECT_EQ(EVP_KDF_derive(context, result.data(), result.size(), parameters), 1);
  EVP_KDF_CTX_free(context);
  EVP_KDF_free(algorithm);
  return result;
}

TEST(Hmac, KnownAnswersOfRfc4231) {
  struct Case {
    std::string key;
    std::string data;
    const char* mac;  // case 5 is truncated to 16 bytes by the RFC
  };
  const std::vector<Case> cases = {
      {repeated("0b", 20), "4869205468657265", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {repeated("aa", 20), repeated("dd", 50), "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {"0102030405060708090a0b0c0d0e0f10111213141516171819", repeated("cd", 50),
       "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
      {repeated("0c", 20), "546573742057697468205472756e636174696f6e", "a3b6167473100ee06e0c796c2955552b"},
      {repeated("aa", 131), toHex(asBytes("Test Using Larger Than Block-Size Key - Hash Key First")),
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {repeated("aa", 131),
       toHex(asBytes("This is a test using a larger than block-size key and a larger than block-size data. The key needs to be hashed "
                     "before being used by the HMAC algorithm.")),
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const Case& test : cases) {
    const std::string mac = toHex(hmacSha256(hex(test.key), {hex(test.data)}));
    EXPECT_EQ(mac.substr(0, std::string_view(test.mac).size()), test.mac);
  }
}

TEST(Hmac, EqualsOpensslForAllShortKeysAndMessages) {
  DeterministicRandom random(2);
  std::vector<std::uint8_t> bytes(200);
  random.fill(bytes);
  const Bytes all(bytes);
  for (std::size_t keySize = 0; keySize <= 130; ++keySize) {
    const HmacKey key(all.first(keySize));
    for (const std::size_t size : {0, 1, 31, 32, 54, 55, 56, 63, 64, 65, 119, 120, 128, 200}) {
      const Bytes message = all.first(size);
      ASSERT_EQ(key.mac({message.first(size / 2), message.subspan(size / 2)}), oracleMac(all.first(keySize), message))
          << keySize << " " << size;
    }
  }
}

TEST(Hmac, KeyIsUsedAgainFromSeveralThreads) {
  const HmacKey key(asBytes("one key for all"));
  std::vector<int> wrong(4, 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([t, &wrong, &key] {
        const std::string message(30 + 30 * t, static_cast<char>('a' + t));
        const Digest expected = oracleMac(asBytes("one key for all"), asBytes(message));
        for (int i = 0; i < 5'000; ++i) wrong[t] += key.mac({asBytes(message)}) == expected ? 0 : 1;
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Hmac, MovedKeyStaysTheSame) {
  HmacKey first(asBytes("first"));
  const Digest expected = first.mac({asBytes("m")});
  HmacKey second = std::move(first);
  EXPECT_EQ(second.mac({asBytes("m")}), expected);
  HmacKey third(asBytes("third"));
  third = std::move(second);
  EXPECT_EQ(third.mac({asBytes("m")}), expected);
}

// RFC 5869 test case 3 is the form without salt and info; its first 32 of 42 bytes are the first block. Cases 1 and 2 have salts: there
// the same two HMACs are checked one by one.
TEST(Hkdf, KnownAnswersOfRfc5869) {
  EXPECT_EQ(toHex(hkdfSha256(hex(repeated("0b", 22)), {}).bytes()), "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d");

  const Digest extracted = hmacSha256(hex("000102030405060708090a0b0c"), {hex(repeated("0b", 22))});
  EXPECT_EQ(toHex(extracted), "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5");
  EXPECT_EQ(toHex(hmacSha256(extracted, {hex("f0f1f2f3f4f5f6f7f8f9"), hex("01")})),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf");
}

TEST(Hkdf, EqualsOpensslWithInfo) {
  DeterministicRandom random(3);
  for (std::size_t infoSize = 1; infoSize < 150; infoSize += 7) {
    std::vector<std::uint8_t> key(1 + infoSize % 70);
    std::vector<std::uint8_t> info(infoSize);
    random.fill(key);
    random.fill(info);
    const Digest expected = oracleHkdf(key, info);
    EXPECT_EQ(toHex(hkdfSha256(key, info).bytes()), toHex(expected));
  }
}

// The prepared states are as good as the key: whoever has them can make MACs.
TEST(Hmac, NothingOfThePreparedStatesIsLeftInMemory) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  std::optional<HmacKey> key(asBytes("a key of which the states are taken from the object"));
  const auto* const inner = *reinterpret_cast<const std::uint8_t* const*>(&*key);
  const test::Needle innerState(Bytes(inner, 32));
  const test::Needle outerState(Bytes(inner + sizeof(SHA256_CTX), 32));
  (void)key->mac({asBytes("message")});
  EXPECT_EQ(innerState.occurrences(), 1u);
  EXPECT_EQ(outerState.occurrences(), 1u);
  key.reset();
  EXPECT_EQ(innerState.occurrences(), 0u);
  EXPECT_EQ(outerState.occurrences(), 0u);
}

// What the work itself leaves on the stack: key blocks, plain and padded, and the inner digest, by which MACs can be forged.
constexpr std::size_t kStackKeySize = 64;
std::array<std::uint8_t, kStackKeySize> stackKey;
std::optional<HmacKey> stackHmac;

void makeStackHmac() {
  stackHmac.emplace(Bytes(stackKey));
}
void useStackHmac() {
  (void)stackHmac->mac({asBytes("message")});
}

// The same work without wiping, as a measure of the measure.
void padWithoutWiping() {
  [[maybe_unused]] volatile std::uint8_t block[kStackKeySize];
  for (std::size_t i = 0; i < kStackKeySize; ++i) block[i] = static_cast<std::uint8_t>(stackKey[i] ^ 0x36);
}

TEST(Hmac, NothingOfTheKeyIsLeftOnTheStack) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  SystemRandom random;
  random.fill(stackKey);
  const auto padded = [](std::uint8_t pad) {
    auto result = stackKey;
    for (std::uint8_t& byte : result) byte = static_cast<std::uint8_t>(byte ^ pad);
    return result;
  };
  const auto innerBlock = padded(0x36);
  const test::Needle plainKey(stackKey);
  const test::Needle innerKey(innerBlock);
  const test::Needle outerKey(padded(0x5c));
  const test::Needle innerDigest(sha256({Bytes(innerBlock), asBytes("message")}));
  EXPECT_EQ(innerKey.occurrencesIn(test::OwnStack(padWithoutWiping).bytes()), 1u) << "the watcher sees nothing";

  const test::OwnStack afterSetUp(makeStackHmac);
  EXPECT_EQ(plainKey.occurrencesIn(afterSetUp.bytes()), 0u);
  EXPECT_EQ(innerKey.occurrencesIn(afterSetUp.bytes()), 0u);
  EXPECT_EQ(outerKey.occurrencesIn(afterSetUp.bytes()), 0u);
  const test::OwnStack afterUse(useStackHmac);
  EXPECT_EQ(innerDigest.occurrencesIn(afterUse.bytes()), 0u);
  stackHmac.reset();
}

}  // namespace
}  // namespace counterfoil::crypto
