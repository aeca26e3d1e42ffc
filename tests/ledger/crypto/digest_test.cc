#include "ledger/crypto/digest.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>

#include <string>
#include <thread>
#include <vector>

#include "ledger/crypto/random.h"
#include "tests/ledger/crypto/test_bytes.h"

namespace counterfoil::crypto {
namespace {

using test::asBytes;
using test::toHex;

struct KnownAnswer {
  std::string message;
  const char* digest;
};

// FIPS 180-4 examples and the NIST long message.
std::vector<KnownAnswer> knownAnswers() {
  return {
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
      {"abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrsmnopqrstnopqrstu",
       "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1"},
      {std::string(1'000'000, 'a'), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
  };
}

// The same bytes through EVP, the other way into OpenSSL.
Digest oracle(Bytes bytes) {
  Digest result;
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), result.data(), &size, EVP_sha256(), nullptr);
  return result;
}

TEST(Sha256, KnownAnswers) {
  for (const KnownAnswer& answer : knownAnswers()) EXPECT_EQ(toHex(sha256(asBytes(answer.message))), answer.digest);
}

TEST(Sha256, PartsAreTheirConcatenation) {
  DeterministicRandom random(1);
  std::vector<std::uint8_t> message(300);
  random.fill(message);
  const Bytes all(message);
  for (std::size_t size = 0; size <= message.size(); ++size) {
    const Digest expected = oracle(all.first(size));
    ASSERT_EQ(sha256(all.first(size)), expected) << size;
    const std::size_t cut = size / 3;
    ASSERT_EQ(sha256({all.first(cut), {}, all.subspan(cut, size - cut)}), expected) << size;
  }
  EXPECT_EQ(sha256({}), oracle({}));
  EXPECT_NE(sha256({all.first(1), all.subspan(1, 1)}), sha256({all.subspan(1, 1), all.first(1)}));
}

TEST(Sha256, IncrementalEqualsWholeAndStartsAnewAfterFinish) {
  Sha256 hash;
  for (const KnownAnswer& answer : knownAnswers()) {
    const Bytes message = asBytes(answer.message);
    for (std::size_t at = 0; at < message.size(); at += 97)
      hash.update(message.subspan(at, std::min<std::size_t>(97, message.size() - at)));
    EXPECT_EQ(toHex(hash.finish()), answer.digest);
  }
  EXPECT_EQ(hash.finish(), oracle({}));
}

TEST(Sha256, MovedHashGoesOn) {
  Sha256 first;
  first.update(asBytes("ab"));
  Sha256 second = std::move(first);
  second.update(asBytes("c"));
  EXPECT_EQ(second.finish(), sha256(asBytes("abc")));
  Sha256 third;
  third.update(asBytes("lost"));
  third = std::move(second);
  EXPECT_EQ(third.finish(), oracle({}));
}

TEST(Sha256, ThreadsDoNotDisturbEachOther) {
  std::vector<int> wrong(4, 0);
  {
    std::vector<std::jthread> threads;
    for (std::size_t t = 0; t < wrong.size(); ++t) {
      threads.emplace_back([t, &wrong] {
        const std::string message(100 + t, static_cast<char>('a' + t));
        const Digest expected = oracle(asBytes(message));
        for (int i = 0; i < 5'000; ++i) wrong[t] += sha256(asBytes(message)) == expected ? 0 : 1;
      });
    }
  }
  EXPECT_EQ(wrong, std::vector<int>(4, 0));
}

}  // namespace
}  // namespace counterfoil::crypto
