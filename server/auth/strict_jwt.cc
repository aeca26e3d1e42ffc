#include "server/auth/strict_jwt.h"

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "server/auth/strict_json.h"

namespace counterfoil::server {
namespace {

constexpr std::size_t kSignatureBytes = 64;  // r and s of P-256, RFC 7518 3.4

// Takes the members of one object by name, each once; whatever is left over at the end was not expected.
class Members {
 public:
  explicit Members(const StrictJson& object) : object_(object) {}
  bool text(std::string_view name, std::string& to) {
    const StrictJson* found = take(name, StrictJson::Type::text);
    if (found != nullptr) to = found->text;
    return found != nullptr && !to.empty();
  }
  bool number(std::string_view name, std::int64_t& to) {
    const StrictJson* found = take(name, StrictJson::Type::number);
    if (found != nullptr) to = found->number;
    return found != nullptr;
  }
  const StrictJson* object(std::string_view name) { return take(name, StrictJson::Type::object); }
  bool allTaken() const { return taken_ == object_.members.size(); }

 private:
  const StrictJson* take(std::string_view name, StrictJson::Type type) {
    const StrictJson* found = object_.find(name);
    if (found == nullptr || found->type != type) return nullptr;
    ++taken_;
    return found;
  }
  const StrictJson& object_;
  std::size_t taken_ = 0;
};

std::optional<StrictJson> decodePart(std::string_view part) {
  const std::optional<std::vector<std::uint8_t>> bytes = fromBase64Url(part);
  if (!bytes || bytes->empty()) return std::nullopt;
  try {
    return parseStrictJson({reinterpret_cast<const char*>(bytes->data()), bytes->size()});
  } catch (const Fault&) {
    return std::nullopt;
  }
}

bool readHeader(const StrictJson& header, std::string& keyId) {
  Members members(header);
  std::string algorithm;
  std::string type;
  return members.text("alg", algorithm) && algorithm == "ES256" && members.text("typ", type) && type == "JWT" &&
         members.text("kid", keyId) && members.allTaken();
}

bool readConfirmation(const StrictJson& confirmation, std::string& certificate) {
  Members members(confirmation);
  std::string thumbprint;
  if (!members.text("x5t#S256", thumbprint) || !members.allTaken()) return false;
  const std::optional<std::vector<std::uint8_t>> digest = fromBase64Url(thumbprint);
  if (!digest || digest->size() != crypto::kDigestSize) return false;
  certificate = toHex(*digest);
  return true;
}

bool readClaims(const StrictJson& json, TokenClaims& claims) {
  Members members(json);
  const bool complete = members.text("iss", claims.issuer) && members.text("sub", claims.subject) && members.text("aud", claims.audience) &&
                        members.text("role", claims.role) && members.text("workspace", claims.workspace) &&
                        members.text("jti", claims.tokenId) && members.number("iat", claims.issuedAt) &&
                        members.number("nbf", claims.notBefore) && members.number("exp", claims.expiresAt);
  if (!complete) return false;
  const StrictJson* confirmation = members.object("cnf");
  if (confirmation != nullptr && !readConfirmation(*confirmation, claims.certificate)) return false;
  return members.allTaken();
}

}  // namespace

std::optional<ReadToken> readToken(std::string_view token) {
  if (token.size() > kTokenBytesMax) return std::nullopt;
  const std::size_t first = token.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = token.find('.', first + 1);
  if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) return std::nullopt;
  const std::optional<std::vector<std::uint8_t>> signature = fromBase64Url(token.substr(second + 1));
  if (!signature || signature->size() != kSignatureBytes) return std::nullopt;
  const std::optional<StrictJson> header = decodePart(token.substr(0, first));
  ReadToken result;
  if (!header || !readHeader(*header, result.keyId)) return std::nullopt;
  const std::optional<StrictJson> claims = decodePart(token.substr(first + 1, second - first - 1));
  if (!claims || !readClaims(*claims, result.claims)) return std::nullopt;
  return result;
}

}  // namespace counterfoil::server
