// Tokens as attackers bend them: what is read, what verifies, what is refused and why nobody learns more.
#include "server/auth/authenticator.h"

#include <cjose/cjose.h>
#include <gtest/gtest.h>

#include <fstream>
#include <optional>
#include <sstream>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "server/auth/strict_jwt.h"
#include "server/auth/token_key_file.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kOrigin = "ledger.example/prod";
constexpr std::string_view kTokenId = "01890000-0000-7000-8000-000000000001";
constexpr std::string_view kOtherTokenId = "01890000-0000-7000-8000-000000000002";
const std::string kCertificate(64, 'c');

std::string part(std::string_view text) {
  return toBase64Url({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

std::string nested(int levels) {
  std::string text = "1";
  for (int level = 0; level < levels; ++level) text = R"({"a":)" + text + "}";
  return text;
}

class AuthenticatorTest : public testing::Test {
 protected:
  std::int64_t now() const { return clock_.wall().nanoseconds / kNanosecondsPerSecond; }
  TokenClaims claims() const {
    TokenClaims result;
    result.issuer = kOrigin;
    result.audience = kOrigin;
    result.subject = "human:alice";
    result.role = "member";
    result.workspace = "alpha";
    result.tokenId = kTokenId;
    result.issuedAt = now();
    result.notBefore = now();
    result.expiresAt = now() + 600;
    return result;
  }
  // The claims as JSON, to be bent.
  std::string claimsText() const {
    const std::string time = std::to_string(now());
    return R"({"iss":"ledger.example/prod","sub":"human:alice","aud":"ledger.example/prod","role":"member","workspace":"alpha",)"
           R"("jti":"01890000-0000-7000-8000-000000000001","iat":)" +
           time + R"(,"nbf":)" + time + R"(,"exp":)" + std::to_string(now() + 600) + "}";
  }
  std::string headerText() const { return R"({"alg":"ES256","kid":")" + keys_.keyIds().front() + R"(","typ":"JWT"})"; }

  // A token over any payload, truly signed with the server's own key.
  std::string signedOver(const std::string& payload) const {
    std::ifstream stream(folder_.path() / "keys" / "token-1.pem", std::ios::binary);
    std::ostringstream pem;
    pem << stream.rdbuf();
    auto numbers = parseTokenKeyPem(pem.str());
    EXPECT_TRUE(numbers);
    cjose_jwk_ec_keyspec specification{};
    specification.crv = CJOSE_JWK_EC_P_256;
    specification.d = numbers->secret.data();
    specification.dlen = 32;
    specification.x = numbers->x.data();
    specification.xlen = 32;
    specification.y = numbers->y.data();
    specification.ylen = 32;
    return jws(cjose_jwk_create_EC_spec(&specification, nullptr), CJOSE_HDR_ALG_ES256, payload);
  }
  // Takes `key`.
  std::string jws(cjose_jwk_t* key, const char* algorithm, const std::string& payload) const {
    EXPECT_NE(key, nullptr);
    cjose_header_t* header = cjose_header_new(nullptr);
    cjose_header_set(header, "alg", algorithm, nullptr);
    cjose_header_set(header, "kid", keys_.keyIds().front().c_str(), nullptr);
    cjose_header_set(header, "typ", "JWT", nullptr);
    cjose_jws_t* made = cjose_jws_sign(key, header, reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size(), nullptr);
    EXPECT_NE(made, nullptr);
    const char* text = nullptr;
    EXPECT_TRUE(cjose_jws_export(made, &text, nullptr));
    std::string result = text;
    cjose_jws_release(made);
    cjose_header_release(header);
    cjose_jwk_release(key);
    return result;
  }

  // What authenticating says: nullopt for yes.
  std::optional<ErrorCode> refusal(std::string_view token, std::string_view certificate = {}) {
    try {
      authenticator_.authenticate(token, certificate);
      return std::nullopt;
    } catch (const Fault& fault) {
      // Nobody learns from the answer which check it was, nor sees the token again.
      if (fault.code() == ErrorCode::badToken) {
        EXPECT_EQ(fault.detail(), "the token is not valid here");
      }
      return fault.code();
    }
  }

  test::TemporaryFolder folder_;
  test::ManualClock clock_{{1'772'000'000LL * kNanosecondsPerSecond + 500}};
  crypto::SystemRandom random_;
  TokenKeys keys_{folder_.path() / "keys", random_};
  Authenticator authenticator_{keys_, clock_, {std::string(kOrigin), 100, 5, {}}};
};

#define EXPECT_ACCEPTED(...) EXPECT_EQ(refusal(__VA_ARGS__), std::nullopt)
#define EXPECT_BAD(...) EXPECT_EQ(refusal(__VA_ARGS__), ErrorCode::badToken)

TEST_F(AuthenticatorTest, GivesTheCallerOfAGoodToken) {
  const Caller caller = authenticator_.authenticate(keys_.sign(claims()), "");
  EXPECT_TRUE(caller.authenticated);
  EXPECT_EQ(caller.role, Role::member);
  EXPECT_EQ(caller.kind, PrincipalKind::human);
  EXPECT_EQ(caller.subject, "human:alice");
  EXPECT_EQ(caller.subjectId, "alice");
  EXPECT_EQ(caller.workspace, "alpha");
  EXPECT_EQ(caller.tokenId, kTokenId);
  EXPECT_EQ(caller.expiresAt.nanoseconds, (now() + 600) * kNanosecondsPerSecond);
}

TEST_F(AuthenticatorTest, ThePayloadsThatTheseTestsBendAreGoodUnbent) {
  EXPECT_ACCEPTED(signedOver(claimsText()));
}

TEST_F(AuthenticatorTest, NoTokenIsNoBadToken) {
  EXPECT_EQ(refusal(""), ErrorCode::noToken);
}

// ---- signatures ----

TEST_F(AuthenticatorTest, RefusesTokensWithoutASignature) {
  const std::string none = part(R"({"alg":"none"})");
  const std::string noneWithKey = part(replaced(headerText(), "ES256", "none"));
  const std::string payload = part(claimsText());
  const std::string good = signedOver(claimsText());
  const std::string signature = good.substr(good.rfind('.'));
  for (const std::string& header : {none, noneWithKey, part(replaced(headerText(), "ES256", "NONE")), part(headerText())}) {
    EXPECT_BAD(header + "." + payload + ".");
    EXPECT_BAD(header + "." + payload);
    EXPECT_BAD(header + "." + payload + "." + std::string(86, 'A'));
    if (header != part(headerText())) {
      EXPECT_BAD(header + "." + payload + signature);
    }
  }
}

TEST_F(AuthenticatorTest, RefusesAMacUnderThePublicKey) {
  std::ifstream stream(folder_.path() / "keys" / "token-1.pem", std::ios::binary);
  std::ostringstream pem;
  pem << stream.rdbuf();
  const auto numbers = parseTokenKeyPem(pem.str());
  ASSERT_TRUE(numbers);
  std::string point("\x04");
  point.append(numbers->x.begin(), numbers->x.end()).append(numbers->y.begin(), numbers->y.end());
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(point.data());
  for (const char* algorithm : {"HS256", "HS512"}) {
    EXPECT_BAD(jws(cjose_jwk_create_oct_spec(bytes, point.size(), nullptr), algorithm, claimsText()));
  }
}

TEST_F(AuthenticatorTest, RefusesASignatureOfAnotherTokenKeyOrNobody) {
  TokenClaims other = claims();
  other.subject = "human:mallory";
  const std::string good = keys_.sign(claims());
  const std::string second = keys_.sign(other);
  EXPECT_ACCEPTED(good);
  EXPECT_BAD(good.substr(0, good.rfind('.')) + second.substr(second.rfind('.')));
  EXPECT_BAD(good.substr(0, good.rfind('.') + 1) + std::string(86, 'A'));  // r = s = 0
  const TokenKeys foreign(folder_.path() / "foreign", random_);
  const std::string forged = foreign.sign(claims());
  EXPECT_BAD(forged);
  // The foreign signature under our key's name.
  const std::string renamed = part(headerText()) + forged.substr(forged.find('.'));
  EXPECT_BAD(renamed);
}

TEST_F(AuthenticatorTest, RefusesAKeyNobodyKnows) {
  const std::string good = signedOver(claimsText());
  const std::string rest = good.substr(good.find('.'));
  for (const std::string& id : {std::string("unknown"), keys_.keyIds().front() + "A", std::string("../token-1.pem")}) {
    EXPECT_BAD(part(R"({"alg":"ES256","kid":")" + id + R"(","typ":"JWT"})") + rest);
  }
}

TEST_F(AuthenticatorTest, TheLastKeyIsGoodAfterARotationAndTheOneBeforeIsNot) {
  const std::string first = keys_.sign(claims());
  EXPECT_ACCEPTED(first);
  keys_.rotate();
  EXPECT_ACCEPTED(first);
  EXPECT_ACCEPTED(keys_.sign(claims()));
  keys_.rotate();
  EXPECT_BAD(first);  // although it was seen before
}

// ---- form: of what is read before any signature is looked at ----

class TokenFormTest : public AuthenticatorTest {
 protected:
  bool reads(const std::string& header, const std::string& payload) const {
    return readToken(part(header) + "." + part(payload) + "." + std::string(86, 'A')).has_value();
  }
};

TEST_F(TokenFormTest, ReadsHeadersOfExactlyThreeMembers) {
  const std::string payload = claimsText();
  EXPECT_TRUE(reads(headerText(), payload));
  EXPECT_TRUE(reads(R"( { "typ" : "JWT" , "kid" : "k" , "\u0061lg" : "ES256" } )", payload));
  for (const char* header : {
           R"({"alg":"ES256","kid":"k"})",
           R"({"alg":"ES256","typ":"JWT"})",
           R"({"kid":"k","typ":"JWT"})",
           R"({"alg":"es256","kid":"k","typ":"JWT"})",
           R"({"alg":"ES256K","kid":"k","typ":"JWT"})",
           R"({"alg":"none","kid":"k","typ":"JWT"})",
           R"({"alg":"ES256","kid":"k","typ":"jwt"})",
           R"({"alg":"ES256","kid":"k","typ":"at+jwt"})",
           R"({"alg":"ES256","kid":"","typ":"JWT"})",
           R"({"alg":["ES256"],"kid":"k","typ":"JWT"})",
           R"({"alg":"ES256","kid":7,"typ":"JWT"})",
           R"({"alg":"ES256","kid":"k","typ":"JWT","crit":["exp"]})",
           R"({"alg":"ES256","kid":"k","typ":"JWT","crit":[]})",
           R"({"alg":"ES256","kid":"k","typ":"JWT","b64":false})",
           R"({"alg":"ES256","kid":"k","typ":"JWT","jku":"https://evil.example/keys"})",
           R"({"alg":"ES256","kid":"k","typ":"JWT","jwk":{"kty":"EC"}})",
           R"({"alg":"ES256","kid":"k","typ":"JWT","x5u":"u"})",
           R"({"alg":"none","alg":"ES256","kid":"k","typ":"JWT"})",
           R"({"alg":"ES256","kid":"k","typ":"JWT","\u0061lg":"ES256"})",
           R"({"alg":"ES256","kid":"k","kid":"k","typ":"JWT"})",
           R"({"alg":"ES256","kid":"k","typ":"JWT"}{})",
           R"({"alg":"ES256","kid":"k","typ":"JWT"},)",
           R"(["ES256","k","JWT"])",
           R"("ES256")",
           "{}",
           "null",
           " ",
       }) {
    EXPECT_FALSE(reads(header, payload)) << header;
  }
  std::string withNul = R"({"alg":"ES256","kid":"k","typ":"JWT"})";
  EXPECT_TRUE(reads(withNul, payload));
  withNul.push_back('\0');
  EXPECT_FALSE(reads(withNul, payload));
}

TEST_F(TokenFormTest, ReadsOnlyThreePartsOfCanonicalBase64Url) {
  const std::string header = part(headerText());
  const std::string payload = part(claimsText());
  const std::string signature(86, 'A');
  ASSERT_TRUE(readToken(header + "." + payload + "." + signature));
  for (const std::string& text : {
           header + payload + signature,
           header + "." + payload,
           header + "." + payload + ".",
           header + ".." + signature,
           "." + payload + "." + signature,
           std::string(".."),
           std::string("."),
           header + "." + payload + "." + signature + ".",
           "." + header + "." + payload + "." + signature,
           header + "." + payload + "." + signature + "." + signature,
           header + "..." + signature,
           header + "=." + payload + "." + signature,
           header + "==." + payload + "." + signature,
           header + "." + payload + "=." + signature,
           header + "." + payload + "." + signature + "==",
           header + "." + payload + "." + signature.substr(1),
           header + "." + payload + "." + signature + "A",
           header + "." + payload + "." + std::string(85, 'A') + "B",  // unused bits are set
           header + "." + payload + "." + std::string(85, 'A') + "+",
           header + "." + payload + "." + std::string(85, 'A') + "/",
           " " + header + "." + payload + "." + signature,
           header + "." + payload + "." + signature + "\n",
           header + "." + payload + "." + signature + std::string(1, '\0'),
       }) {
    EXPECT_FALSE(readToken(text)) << text;
  }
}

TEST_F(AuthenticatorTest, OneTokenHasOneText) {
  // 70 bytes of header: its last digit has unused bits. Whatever they say, only zeros are taken, also for a token that is in the cache.
  const std::string good = keys_.sign(claims());
  EXPECT_ACCEPTED(good);
  const std::size_t last = good.size() - 1;
  int others = 0;
  for (const char digit : std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")) {
    if (digit == good[last]) continue;
    std::string changed = good;
    changed[last] = digit;
    EXPECT_BAD(changed) << digit;
    ++others;
  }
  EXPECT_EQ(others, 63);
  EXPECT_BAD(good + "=");
  EXPECT_BAD(good + ".");
  EXPECT_BAD(good.substr(0, last));
}

TEST_F(AuthenticatorTest, RefusesWhatIsTooLongWithoutReadingIt) {
  EXPECT_BAD(std::string(1024 * 1024, 'A'));
  EXPECT_BAD(keys_.sign(claims()) + std::string(1024 * 1024, 'A'));
  TokenClaims longOne = claims();
  longOne.audience = std::string(7000, 'a');
  const std::string token = keys_.sign(longOne);
  ASSERT_GT(token.size(), kTokenBytesMax);
  EXPECT_FALSE(readToken(token));
  longOne.audience = std::string(5000, 'a');
  EXPECT_TRUE(readToken(keys_.sign(longOne)));
}

// ---- claims, truly signed ----

TEST_F(AuthenticatorTest, RefusesClaimsThatAreNotExactlyOurs) {
  const std::string good = claimsText();
  const std::string time = std::to_string(now());
  const std::string iat = "\"iat\":" + time;
  const std::string nbf = "\"nbf\":" + time;
  const std::string exp = "\"exp\":" + std::to_string(now() + 600);
  const auto bent = [&](std::string_view from, std::string_view to) { return replaced(good, from, to); };
  for (const std::string& payload : {
           // twice, also under another spelling
           bent("{", R"({"role":"owner",)"),
           bent("}", R"(,"role":"owner"})"),
           bent("}", R"(,"r\u006fle":"owner"})"),
           bent("}", R"(,"\u0073ub":"human:alice"})"),
           bent("}", "," + exp + "}"),
           // missing or empty
           bent(R"("jti":"01890000-0000-7000-8000-000000000001",)", ""),
           bent(R"("iss":"ledger.example/prod",)", ""),
           bent(R"("aud":"ledger.example/prod",)", ""),
           bent(R"("sub":"human:alice",)", ""),
           bent(R"("role":"member",)", ""),
           bent(R"("workspace":"alpha",)", ""),
           bent(iat + ",", ""),
           bent(nbf + ",", ""),
           bent("," + exp, ""),
           bent(R"("workspace":"alpha")", R"("workspace":"")"),
           // other types and forms
           bent(R"("aud":"ledger.example/prod")", R"("aud":["ledger.example/prod"])"),
           bent(R"("role":"member")", R"("role":null)"),
           bent(R"("role":"member")", R"("role":true)"),
           bent(iat, "\"iat\":\"" + time + "\""),
           bent(exp, exp + ".0"),
           bent(exp, exp + "e0"),
           bent(exp, "\"exp\":1e12"),
           bent(exp, "\"exp\":-1"),
           bent(exp, "\"exp\":99999999999999999999999999"),
           bent(exp, "\"exp\":9007199254740993"),
           bent(exp, "\"exp\":18446744073709551615"),
           bent(iat, "\"iat\":-0"),
           bent(iat, "\"iat\":0" + time),
           // others' values
           bent(R"("role":"member")", R"("role":"root")"),
           bent(R"("role":"member")", R"("role":"Member")"),
           bent("human:alice", "alice"),
           bent("human:alice", "ledger:alice"),
           bent("human:alice", "human:al\\nice"),
           bent("human:alice", "human:al\\u0000ice"),
           bent("human:alice", "human:\\ud800"),
           bent(R"("alpha")", R"("_system")"),
           bent(R"("alpha")", R"("alpha*")"),
           bent(std::string(kTokenId), "7"),
           bent(std::string(kTokenId), "01890000-0000-7000-8000-00000000000A"),
           bent(R"("iss":"ledger.example/prod")", R"("iss":"ledger.example")"),
           bent(R"("iss":"ledger.example/prod")", R"("iss":"ledger.example/prod/")"),
           bent(R"("aud":"ledger.example/prod")", R"("aud":"other.example/prod")"),
           // more than there is, and deeper
           bent("}", R"(,"admin":1})"),
           bent("}", R"(,"cnf":{}})"),
           bent("}", R"(,"cnf":"x"})"),
           bent("}", R"(,"cnf":{"x5t#S256":"AAAA"}})"),
           bent("}", R"(,"cnf":{"jkt":"AAAA"}})"),
           bent("}", R"(,"cnf":{"x5t#S256":{"x5t#S256":{}}}})"),
           bent("}", ",\"deep\":" + std::string(1000, '[') + std::string(1000, ']') + "}"),
           bent("}", ",\"deep\":" + nested(500) + "}"),
           good + good,
           good + "x",
           "[" + good + "]",
           good.substr(0, good.size() - 1),
           "\xef\xbb\xbf" + good,
           std::string("{}"),
           std::string(),
       }) {
    EXPECT_BAD(signedOver(payload)) << payload.substr(0, 400);
  }
}

TEST_F(AuthenticatorTest, TimesDecide) {
  TokenClaims token = claims();
  token.notBefore = now() + 5;
  EXPECT_ACCEPTED(keys_.sign(token));
  token.notBefore = now() + 6;
  const std::string early = keys_.sign(token);
  EXPECT_BAD(early);
  clock_.advanceSeconds(1);
  EXPECT_ACCEPTED(early);

  token = claims();
  token.issuedAt = now() + 6;
  EXPECT_BAD(keys_.sign(token));

  token = claims();
  token.expiresAt = now() + 1;
  const std::string shortLived = keys_.sign(token);
  EXPECT_ACCEPTED(shortLived);
  clock_.advanceSeconds(1);
  EXPECT_EQ(refusal(shortLived), ErrorCode::expiredToken);  // seen before
  EXPECT_EQ(refusal(keys_.sign(token)), ErrorCode::expiredToken);
  // A bad token that has expired as well is bad: nothing is told of it.
  token.audience = "other";
  EXPECT_BAD(keys_.sign(token));
}

TEST_F(AuthenticatorTest, NoTokenLivesLongerThanItsRoleAllows) {
  const auto lasting = [&](std::string_view role, std::int64_t seconds) {
    TokenClaims token = claims();
    token.role = role;
    token.expiresAt = token.issuedAt + seconds;
    return keys_.sign(token);
  };
  for (const char* role : {"owner", "admin", "member", "reader", "auditor"}) {
    EXPECT_ACCEPTED(lasting(role, 3600)) << role;
    EXPECT_BAD(lasting(role, 3601)) << role;
  }
  EXPECT_ACCEPTED(lasting("producer", 900));
  EXPECT_BAD(lasting("producer", 901));
  EXPECT_BAD(lasting("member", 0));
  EXPECT_BAD(lasting("member", -1));
  TokenClaims token = claims();
  token.issuedAt = now() - 3599;
  token.notBefore = now() - 3599;
  token.expiresAt = now() + 2;
  EXPECT_BAD(keys_.sign(token));
  // Far beyond every clock.
  token = claims();
  token.issuedAt = token.notBefore = 9'007'199'254'740'000;
  token.expiresAt = 9'007'199'254'740'991;
  EXPECT_BAD(keys_.sign(token));
}

TEST_F(AuthenticatorTest, ABoundTokenNeedsItsCertificate) {
  TokenClaims token = claims();
  token.certificate = kCertificate;
  const std::string bound = keys_.sign(token);
  const std::string free = keys_.sign(claims());
  for (int round = 0; round < 2; ++round) {  // the second time from the cache
    EXPECT_BAD(bound, "");
    EXPECT_BAD(bound, std::string(64, 'd'));
    EXPECT_BAD(bound, kCertificate.substr(1));
    EXPECT_BAD(bound, kCertificate + "c");
    EXPECT_ACCEPTED(bound, kCertificate);
    EXPECT_ACCEPTED(free, "");
    EXPECT_ACCEPTED(free, kCertificate);
  }
}

// ---- revocation ----

TEST_F(AuthenticatorTest, ARevokedTokenIsRefusedAtOnceAndAloneOfItsSubject) {
  const std::string first = keys_.sign(claims());
  TokenClaims other = claims();
  other.tokenId = kOtherTokenId;
  const std::string second = keys_.sign(other);
  EXPECT_ACCEPTED(first);
  authenticator_.revokeToken(kTokenId);
  authenticator_.revokeToken(kTokenId);
  EXPECT_BAD(first);
  EXPECT_ACCEPTED(second);
  clock_.jump(-3000 * kNanosecondsPerSecond);
  clock_.advanceSeconds(3001);
  EXPECT_BAD(first);
}

TEST_F(AuthenticatorTest, ARevokedSubjectLosesWhatItWasGivenUntilThen) {
  const std::string before = keys_.sign(claims());
  TokenClaims other = claims();
  other.subject = "human:alicia";
  other.tokenId = kOtherTokenId;
  const std::string others = keys_.sign(other);
  EXPECT_ACCEPTED(before);
  authenticator_.revokeSubject("human:alice", clock_.wall());
  EXPECT_BAD(before);
  EXPECT_ACCEPTED(others);
  EXPECT_BAD(keys_.sign(claims()));  // issued within the second of the revocation
  clock_.advanceSeconds(1);
  EXPECT_ACCEPTED(keys_.sign(claims()));
  EXPECT_BAD(before);
  // An older revocation that comes late takes nothing back.
  authenticator_.revokeSubject("human:alice", {0});
  EXPECT_BAD(before);
}

TEST_F(AuthenticatorTest, ASubjectRevokedUnderItsRecordedNameIsRefused) {
  std::string asked;
  AuthenticatorOptions options;
  options.audience = kOrigin;
  options.recordedName = [&asked](const std::string& subject) {
    asked = subject;
    return subject == "human:alice" ? std::string("human:p2:pseudonym") : std::string();
  };
  Authenticator restarted(keys_, clock_, options);
  const std::string before = keys_.sign(claims());
  TokenClaims other = claims();
  other.subject = "human:nobody";
  restarted.revokeRecordedSubject("human:p2:pseudonym", clock_.wall());
  restarted.revokeRecordedSubject("", clock_.wall());
  EXPECT_THROW(restarted.authenticate(before, ""), Fault);
  EXPECT_EQ(restarted.authenticate(keys_.sign(other), "").subject, "human:nobody");
  EXPECT_EQ(asked, "human:nobody");
  // Later tokens are no business of it, and cost no look-up.
  clock_.advanceSeconds(1);
  asked.clear();
  EXPECT_EQ(restarted.authenticate(keys_.sign(claims()), "").subject, "human:alice");
  EXPECT_EQ(asked, "");
}

TEST_F(AuthenticatorTest, ManyRevocationsAreForgottenOnlyWhenTheirTokensAre) {
  const std::string token = keys_.sign(claims());
  authenticator_.revokeToken(kTokenId);
  authenticator_.revokeSubject("human:bob", clock_.wall());
  for (int index = 0; index < 5000; ++index) {
    authenticator_.revokeToken("t" + std::to_string(index));
    authenticator_.revokeSubject("human:h" + std::to_string(index), clock_.wall());
  }
  EXPECT_BAD(token);
  EXPECT_TRUE(authenticator_.isRevoked("x", "human:bob", clock_.wall()));
  EXPECT_TRUE(authenticator_.isRevoked("t0", "x", clock_.wall()));
  EXPECT_FALSE(authenticator_.isRevoked("x", "x", clock_.wall()));
}

// ---- the cache ----

TEST_F(AuthenticatorTest, KnowsATokenAgainAndOnlyThat) {
  const std::string token = keys_.sign(claims());
  bool cached = true;
  authenticator_.authenticate(token, "", &cached);
  EXPECT_FALSE(cached);
  EXPECT_EQ(authenticator_.authenticate(token, "", &cached).subject, "human:alice");
  EXPECT_TRUE(cached);
  // What was refused is not kept.
  const std::string bad = token.substr(0, token.rfind('.') + 1) + std::string(86, 'A');
  for (int round = 0; round < 2; ++round) {
    EXPECT_THROW(authenticator_.authenticate(bad, "", &cached), Fault);
    EXPECT_FALSE(cached);
  }
}

TEST_F(AuthenticatorTest, TheCacheForgetsTheOldestWhenItIsFull) {
  std::vector<std::string> tokens;
  for (int index = 0; index <= 100; ++index) {
    TokenClaims token = claims();
    token.expiresAt += index;
    tokens.push_back(keys_.sign(token));
    EXPECT_ACCEPTED(tokens.back());
  }
  bool cached = true;
  EXPECT_EQ(authenticator_.authenticate(tokens[100], "", &cached).subject, "human:alice");
  EXPECT_TRUE(cached);
  authenticator_.authenticate(tokens[1], "", &cached);
  EXPECT_TRUE(cached);
  authenticator_.authenticate(tokens[0], "", &cached);  // forgotten, and good all the same
  EXPECT_FALSE(cached);
}

}  // namespace
}  // namespace counterfoil::server
