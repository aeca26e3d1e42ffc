#include "ledger/crypto/short_hash.h"

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include <string>

#include "tests/ledger/crypto/test_bytes.h"

namespace counterfoil::crypto {
namespace {

std::string hexOf(const ShortHash& hash) {
  std::array<std::uint8_t, 16> bytes;
  for (std::size_t i = 0; i < 8; ++i) {
    bytes[i] = static_cast<std::uint8_t>(hash.low >> (8 * i));
    bytes[8 + i] = static_cast<std::uint8_t>(hash.high >> (8 * i));
  }
  return test::toHex(bytes);
}

ShortHashKey countingKey() {
  ShortHashKey key;
  for (std::size_t i = 0; i < key.size(); ++i) key[i] = static_cast<std::uint8_t>(i);
  return key;
}

std::string oracle(const ShortHashKey& key, std::string_view bytes) {
  EVP_MAC* const mac = EVP_MAC_fetch(nullptr, "SIPHASH", nullptr);
  EVP_MAC_CTX* const context = EVP_MAC_CTX_new(mac);
  std::size_t size = 16;
  OSSL_PARAM parameters[] = {OSSL_PARAM_construct_size_t(OSSL_MAC_PARAM_SIZE, &size), OSSL_PARAM_construct_end()};
  std::array<std::uint8_t, 16> out{};
  EXPECT_EQ(EVP_MAC_init(context, key.data(), key.size(), parameters), 1);
  EXPECT_EQ(EVP_MAC_update(context, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()), 1);
  EXPECT_EQ(EVP_MAC_final(context, out.data(), &size, out.size()), 1);
  EVP_MAC_CTX_free(context);
  EVP_MAC_free(mac);
  return test::toHex(out);
}

// vectors_sip128 of the reference implementation, for 0 and 15 bytes 00 01 02 ...
TEST(ShortHash, KnownAnswers) {
  EXPECT_EQ(hexOf(shortHash(countingKey(), {})), "a3817f04ba25a8e66df67214c7550293");
  std::string message;
  for (char byte = 0; byte < 15; ++byte) message += byte;
  EXPECT_EQ(hexOf(shortHash(countingKey(), message)), "5493e99933b0a8117e08ec0f97cfc3d9");
}

TEST(ShortHash, EqualsOpensslForEverySize) {
  ShortHashKey key = countingKey();
  key[3] = 0xff;
  std::string message;
  for (int size = 0; size < 300; ++size) {
    ASSERT_EQ(hexOf(shortHash(key, message)), oracle(key, message)) << size;
    message += static_cast<char>(size * 37 + 200);
  }
}

TEST(ShortHash, DependsOnTheKey) {
  ShortHashKey key = countingKey();
  const ShortHash before = shortHash(key, "candidate");
  for (std::uint8_t& byte : key) {
    byte ^= 1;
    EXPECT_NE(shortHash(key, "candidate"), before);
    byte ^= 1;
  }
}

}  // namespace
}  // namespace counterfoil::crypto
