// The ES256 keys that sign tokens: files in the keys folder. The newest signs; it and the one before it verify (FORMATS: signing keys).
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/crypto/random.h"

namespace counterfoil::server {

// What a token says. Times in whole seconds, as JWT has them.
struct TokenClaims {
  std::string issuer, audience;
  std::string subject;        // "human:alice"
  std::string role;
  std::string workspace;      // id or "*"
  std::string tokenId;        // jti, a UUIDv7
  std::int64_t issuedAt = 0, notBefore = 0, expiresAt = 0;  // seconds since 1970
  std::string certificate;    // cnf x5t#S256 as hex, or empty
};

// Thread safe. Keys are PEM files `token-<number>.pem`, mode 0600, beside the key-encryption keys.
class TokenKeys {
 public:
  // Makes the first key if there is none. Throws Fault: keyMissing, keyPermissions, keyDamaged, diskFull.
  explicit TokenKeys(std::filesystem::path folder);
  ~TokenKeys();
  // A new key signs from now on; the one before it still verifies, older ones are deleted.
  void rotate();
  // A compact JWS over `claims`: {"alg":"ES256","kid":...,"typ":"JWT"}.
  std::string sign(const TokenClaims& claims) const;
  // True for a valid ES256 signature of a known key over exactly these bytes.
  bool verify(std::string_view compactToken, std::string_view keyId) const;
  bool known(std::string_view keyId) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
