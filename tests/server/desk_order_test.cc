// A node's word for an order: good for these bytes, for some seconds, and for nothing else.
#include "server/auth/desk_order.h"

#include <gtest/gtest.h>

#include <functional>
#include <optional>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"
#include "server/auth/authenticator.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kDeskOrigin = "ledger.example/prod";
constexpr std::string_view kOrder = R"({"request":"mint","role":"owner"})";
constexpr std::string_view kBy = "operator:alice";

class DeskOrderTest : public testing::Test {
 protected:
  std::string sign(std::string_view order = kOrder, std::string_view by = kBy) {
    return signDeskOrder(keys_, clock_, random_, kDeskOrigin, order, by);
  }
  // As sign() makes them.
  TokenClaims claims() {
    TokenClaims result;
    result.issuer = kDeskOrigin;
    const crypto::Bytes bytes(reinterpret_cast<const std::uint8_t*>(kOrder.data()), kOrder.size());
    result.audience = std::string(kDeskOrigin) + "/token-desk/" + toHex(crypto::sha256(bytes));
    result.subject = kBy;
    result.role = "node";
    result.workspace = "*";
    result.tokenId = toUuid(makeUuidV7(clock_.wall(), random_.bytes<10>()));
    result.issuedAt = result.notBefore = clock_.wall().nanoseconds / kNanosecondsPerSecond;
    result.expiresAt = result.issuedAt + kDeskOrderSeconds;
    return result;
  }
  std::optional<ErrorCode> refusal(const std::string& token, std::string_view order = kOrder) {
    try {
      EXPECT_EQ(whoOrdered(keys_, clock_, kDeskOrigin, order, token), kBy);
      return std::nullopt;
    } catch (const Fault& fault) {
      return fault.code();
    }
  }

  test::TemporaryFolder folder_;
  test::ManualClock clock_{{1'772'000'000LL * kNanosecondsPerSecond}};
  crypto::SystemRandom random_;
  TokenKeys keys_{folder_.path() / "keys", random_};
};

TEST_F(DeskOrderTest, NamesWhoAskedForASignedOrder) {
  EXPECT_EQ(refusal(sign()), std::nullopt);
  EXPECT_EQ(refusal(keys_.sign(claims())), std::nullopt);
  keys_.rotate();
  const std::string fresh = sign();
  EXPECT_EQ(refusal(fresh), std::nullopt);
}

TEST_F(DeskOrderTest, IsGoodForTheseBytesAlone) {
  const std::string token = sign();
  EXPECT_EQ(refusal(token, R"({"request":"mint","role":"admin"})"), ErrorCode::badToken);
  EXPECT_EQ(refusal(token, ""), ErrorCode::badToken);
}

TEST_F(DeskOrderTest, LastsForSomeSeconds) {
  const std::string token = sign();
  clock_.advanceSeconds(kDeskOrderSeconds - 1);
  EXPECT_EQ(refusal(token), std::nullopt);
  clock_.advanceSeconds(1);
  EXPECT_EQ(refusal(token), ErrorCode::expiredToken);
  TokenClaims lasting = claims();
  ++lasting.expiresAt;
  EXPECT_EQ(refusal(keys_.sign(lasting)), ErrorCode::badToken);
  TokenClaims ahead = claims();
  ahead.issuedAt = ahead.notBefore = ahead.issuedAt + 6;
  ahead.expiresAt = ahead.issuedAt + 10;
  EXPECT_EQ(refusal(keys_.sign(ahead)), ErrorCode::badToken);
  TokenClaims backwards = claims();
  backwards.expiresAt = backwards.issuedAt;
  EXPECT_EQ(refusal(keys_.sign(backwards)), ErrorCode::badToken);
}

TEST_F(DeskOrderTest, EveryClaimCounts) {
  EXPECT_EQ(refusal(""), ErrorCode::noToken);
  EXPECT_EQ(refusal("x.y.z"), ErrorCode::badToken);
  const auto changed = [&](const std::function<void(TokenClaims&)>& change) {
    TokenClaims made = claims();
    change(made);
    return refusal(keys_.sign(made));
  };
  EXPECT_EQ(changed([](TokenClaims&) {}), std::nullopt);
  EXPECT_EQ(changed([](TokenClaims& one) { one.issuer = "ledger.example/other"; }), ErrorCode::badToken);
  EXPECT_EQ(changed([](TokenClaims& one) { one.audience = kDeskOrigin; }), ErrorCode::badToken);
  EXPECT_EQ(changed([](TokenClaims& one) { one.role = "owner"; }), ErrorCode::badToken);
  EXPECT_EQ(changed([](TokenClaims& one) { one.workspace = "acme"; }), ErrorCode::badToken);
  EXPECT_EQ(changed([](TokenClaims& one) { one.subject = "alice"; }), ErrorCode::badToken);
  EXPECT_EQ(changed([](TokenClaims& one) { one.certificate = std::string(64, 'a'); }), ErrorCode::badToken);
  EXPECT_EQ(changed([](TokenClaims& one) { --one.notBefore; }), ErrorCode::badToken);
}

TEST_F(DeskOrderTest, AKeyOfOthersIsNotBelieved) {
  const TokenKeys others(folder_.path() / "others", random_);
  EXPECT_EQ(refusal(others.sign(claims())), ErrorCode::badToken);
}

TEST_F(DeskOrderTest, IsNoTokenOfTheApi) {
  AuthenticatorOptions options;
  options.audience = kDeskOrigin;
  Authenticator authenticator(keys_, clock_, options);
  try {
    authenticator.authenticate(sign(), "");
    FAIL() << "an order was taken for a token";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::badToken);
  }
}

}  // namespace
}  // namespace counterfoil::server
