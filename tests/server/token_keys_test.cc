// Keys that sign tokens: their files, their rotation, what verifies under them.
#include "server/auth/token_keys.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <sstream>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"
#include "server/auth/strict_jwt.h"
#include "server/auth/token_key_file.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::server {
namespace {

// RFC 7517 A.2: the example P-256 key.
constexpr std::string_view kD = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE";
constexpr std::string_view kX = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
constexpr std::string_view kY = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";

std::array<std::uint8_t, 32> number(std::string_view text) {
  const auto bytes = fromBase64Url(text);
  std::array<std::uint8_t, 32> result{};
  std::copy(bytes->begin(), bytes->end(), result.begin());
  return result;
}

TokenKeyNumbers exampleKey() {
  TokenKeyNumbers key;
  key.secret = number(kD);
  key.x = number(kX);
  key.y = number(kY);
  return key;
}

TokenClaims someClaims() {
  TokenClaims claims;
  claims.issuer = "ledger.example";
  claims.audience = "ledger.example";
  claims.subject = "human:alice";
  claims.role = "reader";
  claims.workspace = "alpha";
  claims.tokenId = "01890000-0000-7000-8000-000000000001";
  claims.issuedAt = 1'772'000'000;
  claims.notBefore = 1'772'000'001;
  claims.expiresAt = 1'772'000'600;
  return claims;
}

class TokenKeysTest : public testing::Test {
 protected:
  std::filesystem::path folder() const { return scratch_.path() / "keys"; }
  std::filesystem::path file(int number) const { return folder() / ("token-" + std::to_string(number) + ".pem"); }
  static mode_t modeOf(const std::filesystem::path& path) {
    struct stat facts {};
    EXPECT_EQ(::stat(path.c_str(), &facts), 0) << path;
    return facts.st_mode & 07777;
  }
  static std::string contentOf(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return text.str();
  }
  void write(const std::filesystem::path& path, const std::string& content) {
    std::filesystem::create_directories(folder());
    ::chmod(folder().c_str(), 0700);
    std::ofstream(path, std::ios::binary) << content;
    ::chmod(path.c_str(), 0600);
  }
  TokenKeys open() { return TokenKeys(folder(), random_); }
  std::optional<ErrorCode> faultOfOpening() {
    try {
      open();
      return std::nullopt;
    } catch (const Fault& fault) {
      return fault.code();
    }
  }

  test::TemporaryFolder scratch_;
  crypto::SystemRandom random_;
};

std::string keyIdOf(const std::string& token) {
  const auto read = readToken(token);
  return read ? read->keyId : "";
}

TEST_F(TokenKeysTest, TheFirstKeyIsMadeInAPrivateFile) {
  const ::mode_t before = ::umask(0);
  const TokenKeys keys = open();
  ::umask(before);
  EXPECT_EQ(modeOf(folder()), 0700U);
  EXPECT_EQ(modeOf(file(1)), 0600U);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder()), {}), 1);
  EXPECT_EQ(keys.keyIds().size(), 1U);
}

TEST_F(TokenKeysTest, WhatIsSignedSaysWhatWasClaimedAndVerifies) {
  const TokenKeys keys = open();
  TokenClaims claims = someClaims();
  claims.certificate = std::string(64, 'a');
  const std::string token = keys.sign(claims);
  const auto read = readToken(token);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->keyId, keys.keyIds().front());
  EXPECT_EQ(read->claims.issuer, claims.issuer);
  EXPECT_EQ(read->claims.audience, claims.audience);
  EXPECT_EQ(read->claims.subject, claims.subject);
  EXPECT_EQ(read->claims.role, claims.role);
  EXPECT_EQ(read->claims.workspace, claims.workspace);
  EXPECT_EQ(read->claims.tokenId, claims.tokenId);
  EXPECT_EQ(read->claims.issuedAt, claims.issuedAt);
  EXPECT_EQ(read->claims.notBefore, claims.notBefore);
  EXPECT_EQ(read->claims.expiresAt, claims.expiresAt);
  EXPECT_EQ(read->claims.certificate, claims.certificate);
  EXPECT_TRUE(keys.verify(token, read->keyId));
  EXPECT_FALSE(keys.verify(token, "another"));
}

TEST_F(TokenKeysTest, SignaturesAreAlwaysWholeAndVerify) {
  // r or s with leading zeros comes once in 128 signatures.
  const TokenKeys keys = open();
  TokenClaims claims = someClaims();
  for (int index = 0; index < 600; ++index) {
    claims.issuedAt = index;
    const std::string token = keys.sign(claims);
    ASSERT_TRUE(readToken(token)) << index;
    ASSERT_TRUE(keys.verify(token, keys.keyIds().front())) << index;
  }
}

TEST_F(TokenKeysTest, NoChangedByteVerifies) {
  const TokenKeys keys = open();
  const std::string token = keys.sign(someClaims());
  const std::string id = keys.keyIds().front();
  ASSERT_TRUE(keys.verify(token, id));
  const std::size_t signature = token.rfind('.');
  for (std::size_t at = 0; at < token.size(); at += 3) {
    std::string changed = token;
    changed[at] = changed[at] == 'A' ? 'B' : 'A';
    // The last digit of a part may hold unused bits; canonical form is the reader's business.
    if (at + 1 == signature || at + 1 == token.size() || token[at + 1] == '.') continue;
    EXPECT_FALSE(keys.verify(changed, id)) << at;
  }
}

TEST_F(TokenKeysTest, TheLastKeyStillVerifiesAndTheOneBeforeIsDestroyed) {
  TokenKeys keys = open();
  const std::string first = keys.sign(someClaims());
  keys.rotate();
  const std::string second = keys.sign(someClaims());
  EXPECT_NE(keyIdOf(first), keyIdOf(second));
  EXPECT_TRUE(keys.verify(first, keyIdOf(first)));
  EXPECT_TRUE(keys.verify(second, keyIdOf(second)));
  // Each under its own key only.
  EXPECT_FALSE(keys.verify(first, keyIdOf(second)));
  EXPECT_FALSE(keys.verify(second, keyIdOf(first)));
  EXPECT_TRUE(std::filesystem::exists(file(1)));
  keys.rotate();
  EXPECT_FALSE(keys.known(keyIdOf(first)));
  EXPECT_FALSE(keys.verify(first, keyIdOf(first)));
  EXPECT_TRUE(keys.verify(second, keyIdOf(second)));
  EXPECT_FALSE(std::filesystem::exists(file(1)));
  EXPECT_EQ(modeOf(file(3)), 0600U);
  // The same after a restart.
  const TokenKeys again = open();
  EXPECT_EQ(again.keyIds(), keys.keyIds());
  EXPECT_TRUE(again.verify(second, keyIdOf(second)));
  EXPECT_FALSE(again.verify(first, keyIdOf(first)));
}

TEST_F(TokenKeysTest, AnOldKeyThatACrashLeftIsNotRead) {
  std::string oldest;
  {
    TokenKeys keys = open();
    oldest = contentOf(file(1));
    keys.rotate();
    keys.rotate();
  }
  write(file(1), oldest);
  TokenKeys keys = open();
  EXPECT_EQ(keys.keyIds().size(), 2U);
  keys.rotate();
  EXPECT_FALSE(std::filesystem::exists(file(1)));
  EXPECT_FALSE(std::filesystem::exists(file(2)));
  EXPECT_TRUE(std::filesystem::exists(file(4)));
}

TEST_F(TokenKeysTest, AWriteThatWasInterruptedIsClearedAway) {
  write(folder() / ".new-0011223344556677", "half a key");
  const TokenKeys keys = open();
  EXPECT_FALSE(std::filesystem::exists(folder() / ".new-0011223344556677"));
  EXPECT_TRUE(std::filesystem::exists(file(1)));
}

TEST_F(TokenKeysTest, TakesAKeyOfAnotherToolAndNamesItByItsThumbprint) {
  write(file(7), std::string(tokenKeyPem(exampleKey()).text()));
  const TokenKeys keys = open();
  const std::string text = R"({"crv":"P-256","kty":"EC","x":")" + std::string(kX) + R"(","y":")" + std::string(kY) + R"("})";
  const crypto::Digest digest = crypto::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  EXPECT_EQ(keys.keyIds(), std::vector<std::string>{toBase64Url(digest)});
}

TEST_F(TokenKeysTest, RefusesKeysThatOthersCanRead) {
  { open(); }
  ::chmod(file(1).c_str(), 0640);
  EXPECT_EQ(faultOfOpening(), ErrorCode::keyPermissions);
  ::chmod(file(1).c_str(), 0600);
  EXPECT_EQ(faultOfOpening(), std::nullopt);
  ::chmod(folder().c_str(), 0755);
  EXPECT_EQ(faultOfOpening(), ErrorCode::keyPermissions);
  ::chmod(folder().c_str(), 0700);
  std::filesystem::rename(file(1), scratch_.path() / "elsewhere");
  std::filesystem::create_symlink(scratch_.path() / "elsewhere", file(1));
  EXPECT_EQ(faultOfOpening(), ErrorCode::keyPermissions);
}

TEST_F(TokenKeysTest, RefusesWhatIsNoKey) {
  const std::string good(tokenKeyPem(exampleKey()).text());
  TokenKeyNumbers foreignPoint = exampleKey();
  foreignPoint.secret[31] ^= 1;
  TokenKeyNumbers offTheCurve = exampleKey();
  offTheCurve.y[31] ^= 1;
  TokenKeyNumbers zero = exampleKey();
  zero.secret = {};
  std::string wrongCurve = good;
  wrongCurve[good.find('\n') + 30] ^= 1;
  for (const std::string& content : {std::string(), std::string("\n"), std::string("not a key"), good.substr(0, good.size() / 2),
                                     good + good, "x" + good, wrongCurve, std::string(tokenKeyPem(foreignPoint).text()),
                                     std::string(tokenKeyPem(offTheCurve).text()), std::string(tokenKeyPem(zero).text())}) {
    write(file(1), content);
    EXPECT_EQ(faultOfOpening(), ErrorCode::keyDamaged) << content.size();
  }
  write(file(1), "\n " + good + "\n\n");
  EXPECT_EQ(faultOfOpening(), std::nullopt);
  std::filesystem::remove_all(folder());
  std::filesystem::remove_all(scratch_.path());
  EXPECT_EQ(faultOfOpening(), ErrorCode::keyMissing);
}

}  // namespace
}  // namespace counterfoil::server
