#include "ledger/crypto/sign.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

// Header-only here: this program links nothing but the crypto library.
#include <boost/json/src.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ledger/crypto/error.h"
#include "ledger/crypto/random.h"
#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/crypto/test_bytes.h"
#include "tests/support/vectors.h"

namespace counterfoil::crypto {
namespace {

using test::asBytes;
using test::hex;
using test::hexArray;
using test::toHex;

struct KnownAnswer {
  const char *seed, *publicKey, *message, *signature;
};

// RFC 8032 7.1: TEST 1, 2, 3 and TEST SHA(abc).
constexpr KnownAnswer kRfc8032[] = {
    {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60", "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
     "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"},
    {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb", "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
     "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7", "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
     "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a"},
    {"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42", "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704"},
};

TEST(Ed25519, KnownAnswersOfRfc8032) {
  for (const KnownAnswer& answer : kRfc8032) {
    const Ed25519Key key(hex(answer.seed));
    EXPECT_EQ(toHex(key.publicKey()), answer.publicKey);
    EXPECT_EQ(toHex(key.sign(hex(answer.message))), answer.signature);
    EXPECT_TRUE(verifyEd25519(hexArray<32>(answer.publicKey), hex(answer.message), hexArray<64>(answer.signature)));
  }
}

TEST(Ed25519, EveryChangedBitIsRefused) {
  const auto key = hexArray<32>(kRfc8032[1].publicKey);
  const auto signature = hexArray<64>(kRfc8032[1].signature);
  const auto message = hex(kRfc8032[1].message);
  for (std::size_t bit = 0; bit < 512; ++bit) {
    auto changed = signature;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(verifyEd25519(key, message, changed)) << bit;
  }
  for (std::size_t bit = 0; bit < 256; ++bit) {
    auto changed = key;
    changed[bit / 8] = static_cast<std::uint8_t>(changed[bit / 8] ^ (1 << bit % 8));
    ASSERT_FALSE(verifyEd25519(changed, message, signature)) << bit;
  }
  for (std::size_t bit = 0; bit < 8; ++bit) {
    const std::uint8_t changed[] = {static_cast<std::uint8_t>(message[0] ^ (1 << bit))};
    ASSERT_FALSE(verifyEd25519(key, changed, signature)) << bit;
  }
  EXPECT_FALSE(verifyEd25519(key, {}, signature));
  EXPECT_FALSE(verifyEd25519(key, hex("7200"), signature));
  EXPECT_EQ(ERR_peek_error(), 0u) << "left for a TLS read on this thread to stumble over";
}

// The edge cases where verifiers disagree. Every one of them verifies under the loosest rules; plain RFC 8032 without cofactor, as
// OpenSSL and Go check it, refuses those whose equation holds only times 8, and those whose R is not the canonical encoding.
TEST(Ed25519, EdgeCasesAreDecidedAsGoDecidesThem) {
  const auto text = counterfoil::test::readShared("vectors/transparency/ed25519/cctv-ed25519vectors.json");
  if (!text) GTEST_SKIP() << counterfoil::test::kSharedMissing;
  const boost::json::value cases = boost::json::parse(*text);
  std::size_t accepted = 0;
  for (const boost::json::value& item : cases.as_array()) {
    bool expected = true;
    if (const auto* flags = item.at("flags").if_array()) {
      for (const auto& flag : *flags) expected = expected && flag != "low_order_residue" && flag != "non_canonical_R";
    }
    const auto field = [&](const char* name) { return std::string_view(item.at(name).as_string()); };
    const bool valid = verifyEd25519(hexArray<32>(field("key")), asBytes(field("msg")), hexArray<64>(field("sig")));
    EXPECT_EQ(valid, expected) << item.at("number");
    accepted += valid ? 1 : 0;
  }
  EXPECT_EQ(cases.as_array().size(), 914u);
  EXPECT_EQ(accepted, 208u);
}

TEST(Ed25519, WrongSeedSizesThrow) {
  EXPECT_THROW(Ed25519Key(Bytes{}), CryptoError);
  EXPECT_THROW(Ed25519Key(std::vector<std::uint8_t>(31)), CryptoError);
  EXPECT_THROW(Ed25519Key(std::vector<std::uint8_t>(64)), CryptoError);
}

TEST(Ed25519, OneKeySignsFromSeveralThreads) {
  const Ed25519Key key(hex(kRfc8032[2].seed));
  std::vector<int> wrong(4, 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([t, &wrong, &key] {
        for (std::uint8_t i = 0; i < 100; ++i) {
          const std::vector<std::uint8_t> message(1 + t, i);
          wrong[t] += verifyEd25519(key.publicKey(), message, key.sign(message)) ? 0 : 1;
        }
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

TEST(Ed25519, NothingOfTheSeedIsLeftInMemory) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  SystemRandom random;
  std::optional<test::Needle> secret;
  std::optional<Ed25519Key> key;
  {
    auto seed = random.bytes<32>();
    secret.emplace(seed);
    key.emplace(seed);
    wipe(seed.data(), seed.size());
  }
  (void)key->sign(asBytes("message"));
  EXPECT_GE(secret->occurrences(), 1u);
  Ed25519Key moved = std::move(*key);
  key.reset();
  EXPECT_GE(secret->occurrences(), 1u);
  moved = Ed25519Key(hex(kRfc8032[0].seed));
  EXPECT_EQ(secret->occurrences(), 0u);
}

}  // namespace
}  // namespace counterfoil::crypto
