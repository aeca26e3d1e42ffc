// Where key-encryption keys live. The seam between the ledger and a file, an HTTP KMS or an HSM. One contract suite: tests/contract.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "ledger/core/ids.h"
#include "ledger/crypto/aead.h"

namespace counterfoil::keys {

// Thread safe. Every method may block on I/O. Faults: keyMissing, keyDamaged, keyPermissions, notReady (ask again), diskFull.
class KeyProvider {
 public:
  virtual ~KeyProvider() = default;
  // The newest living version of the workspace's key-encryption key; 0 if there is none.
  virtual std::uint32_t currentVersion(WorkspaceNumber workspace) = 0;
  // Makes the version after the greatest there ever was (destroyed ones count: a number never means two keys). It is durable at the
  // provider when this returns; on a fault nothing usable is left behind.
  virtual std::uint32_t createVersion(WorkspaceNumber workspace) = 0;
  // AES-256-GCM under that version: ciphertext || tag. Fault(keyMissing) if the version is not there.
  virtual std::vector<std::uint8_t> wrap(WorkspaceNumber workspace, std::uint32_t version, const crypto::AeadNonce& nonce,
                                         crypto::Bytes associatedData, crypto::Bytes plaintext) = 0;
  // nullopt if `sealed` does not authenticate. Fault(keyMissing) if the version is not there, Fault(keyDamaged) if the provider's own copy
  // of it is damaged.
  virtual std::optional<crypto::SecretBytes> unwrap(WorkspaceNumber workspace, std::uint32_t version, const crypto::AeadNonce& nonce,
                                                    crypto::Bytes associatedData, crypto::Bytes sealed) = 0;
  // Gone for good, here and in whatever the provider keeps. Unknown versions are no fault.
  virtual void destroyVersion(WorkspaceNumber workspace, std::uint32_t version) = 0;
};

}  // namespace counterfoil::keys
