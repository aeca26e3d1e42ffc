// A compact JWS (RFC 7515) with JWT claims (RFC 7519) taken apart by our own strict reader, before any library looks at it.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "server/auth/token_keys.h"

namespace counterfoil::server {

inline constexpr std::size_t kTokenBytesMax = 8 * 1024;

struct ReadToken {
  std::string keyId;
  TokenClaims claims;
};

// What an unverified token says of itself; nullopt unless every part is exactly as TokenKeys::sign() writes it:
//   form    three parts of canonical base64url (RFC 4648 5, no padding, unused bits zero), at most kTokenBytesMax; a signature of 64 bytes
//   header  {"alg":"ES256","kid":...,"typ":"JWT"} in any order and nothing else: no extension is understood, so `crit` is refused with the
//   rest claims  iss, sub, aud, role, workspace, jti as texts; iat, nbf, exp as whole numbers; cnf {"x5t#S256"} or absent; nothing else
// The times are in no order yet, the names are those of nobody. Pure.
std::optional<ReadToken> readToken(std::string_view token);

}  // namespace counterfoil::server
