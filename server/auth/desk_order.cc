#include "server/auth/desk_order.h"

#include <optional>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"
#include "server/auth/roles.h"
#include "server/auth/strict_jwt.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kRole = "node";  // no role of the API (roles.h)
constexpr std::int64_t kLeewaySeconds = 5;

std::string audienceOf(std::string_view origin, std::string_view order) {
  return std::string(origin) + "/token-desk/" + toHex(crypto::sha256(crypto::bytesOf(order)));
}

}  // namespace

std::string signDeskOrder(const TokenKeys& keys, const Clock& clock, crypto::RandomSource& random, std::string_view origin,
                          std::string_view order, std::string_view by) {
  TokenClaims claims;
  claims.issuer = origin;
  claims.audience = audienceOf(origin, order);
  claims.subject = by;
  claims.role = kRole;
  claims.workspace = "*";
  claims.tokenId = toUuid(makeUuidV7(clock.wall(), random.bytes<10>()));
  claims.issuedAt = claims.notBefore = clock.wall().nanoseconds / kNanosecondsPerSecond;
  claims.expiresAt = claims.issuedAt + kDeskOrderSeconds;
  return keys.sign(claims);
}

std::string whoOrdered(const TokenKeys& keys, const Clock& clock, std::string_view origin, std::string_view order, std::string_view token) {
  if (token.empty()) throw Fault(ErrorCode::noToken, "this is for nodes of this ledger");
  const std::optional<ReadToken> read = readToken(token);
  const auto refuse = [](bool unless) {
    if (!unless) {
      throw Fault(ErrorCode::badToken, "the node that passed this on is not known as one to the node that writes",
                  "all nodes of a ledger have the same token keys in their keys folders");
    }
  };
  refuse(read && keys.known(read->keyId) && keys.verify(token, read->keyId));
  const TokenClaims& claims = read->claims;
  const std::string audience = audienceOf(origin, order);
  refuse(claims.issuer == origin && crypto::equalConstantTime(crypto::bytesOf(claims.audience), crypto::bytesOf(audience)) &&
         claims.role == kRole && claims.workspace == "*" && claims.certificate.empty() && parseSubject(claims.subject));
  const std::int64_t lifetime = claims.expiresAt - claims.issuedAt;
  const std::int64_t now = clock.wall().nanoseconds / kNanosecondsPerSecond;
  refuse(lifetime > 0 && lifetime <= kDeskOrderSeconds && claims.notBefore == claims.issuedAt && claims.issuedAt <= now + kLeewaySeconds);
  if (now >= claims.expiresAt) {
    throw Fault(ErrorCode::expiredToken, "the order came too late, or the nodes' clocks differ", "ask again; compare the clocks");
  }
  return claims.subject;
}

}  // namespace counterfoil::server
