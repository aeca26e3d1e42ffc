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
  std::string subject;  // "human:alice"
  std::string role;
  std::string workspace;                                    // id or "*"
  std::string tokenId;                                      // jti, a UUIDv7
  std::int64_t issuedAt = 0, notBefore = 0, expiresAt = 0;  // seconds since 1970
  std::string certificate;                                  // cnf x5t#S256 as hex, or empty
};

// Thread safe. Keys are PEM files `token-<number>.pem` (PKCS #8, as `openssl genpkey` writes them), mode 0600, in a folder of mode 0700. A
// key's id is its RFC 7638 thumbprint. Two processes may share the folder; each sees the other's rotation at its next start.
class TokenKeys {
 public:
  // `folder`: the keys folder, made if missing; its parent must exist. Makes the first key if there is none. `random` must outlive this;
  // the keys themselves come from the crypto library's own source. Throws Fault: keyMissing (no parent), keyPermissions (a file or folder
  // that others may read, or a link), keyDamaged (a file that holds no P-256 key), noFileLocks, diskFull.
  TokenKeys(std::filesystem::path folder, crypto::RandomSource& random);
  ~TokenKeys();
  // A new key signs from now on, and is durable before it does; the one before it still verifies, older ones are destroyed. Throws as the
  // constructor does: then the old key goes on signing.
  void rotate();
  // Reads the folder again: another process that shares it may have rotated. Throws as the constructor does; then all stays as it was.
  void reload();
  // A compact JWS over `claims`: {"alg":"ES256","kid":...,"typ":"JWT"}. Checks nothing that the claims say. Throws Fault(internal).
  std::string sign(const TokenClaims& claims) const;
  // True for a valid ES256 signature of the known key `keyId` over exactly these bytes. Does not look at header and claims.
  bool verify(std::string_view compactToken, std::string_view keyId) const;
  bool known(std::string_view keyId) const;
  // Ids of the keys that verify, the one that signs first.
  std::vector<std::string> keyIds() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
