// Where key-encryption keys live. The seam between the ledger and a file, a key service or an HSM. One contract suite: tests/contract.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "ledger/core/ids.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/aead.h"

namespace counterfoil::keys {

// In place of a version: the newest living one, whichever that is.
inline constexpr std::uint32_t kNewestVersion = 0;

struct WrapRequest {
  crypto::Bytes associatedData;
  crypto::Bytes plaintext;
};

// AES-256-GCM under the key-encryption key of that version: ciphertext || tag. The nonce is the provider's.
struct Wrapped {
  std::uint32_t version = 0;
  crypto::AeadNonce nonce{};
  std::vector<std::uint8_t> sealed;
};

struct UnwrapRequest {
  WorkspaceNumber workspace;
  std::uint32_t version = 0;
  crypto::AeadNonce nonce{};
  crypto::Bytes associatedData;
  crypto::Bytes sealed;
};

enum class UnwrapOutcome : std::uint8_t {
  opened,
  notAuthentic,  // it was changed, or was sealed with something else
  missing,       // that version is not there: destroyed, or never made here
};

struct Unwrapped {
  UnwrapOutcome outcome = UnwrapOutcome::missing;
  crypto::SecretBytes plaintext;  // if opened
};

// Thread safe. Every method may block on I/O, but for trouble(). Faults: keyMissing, keyDamaged, keyPermissions (also a service that
// refuses), notReady (ask again), diskFull.
class KeyProvider {
 public:
  virtual ~KeyProvider() = default;
  // The newest living version of the workspace's key-encryption key; 0 if there is none.
  virtual std::uint32_t currentVersion(WorkspaceNumber workspace) = 0;
  // Makes the version after the greatest there ever was (destroyed ones count: a number never means two keys). It is durable at the
  // provider when this returns. On a fault there may be one that nothing uses yet.
  virtual std::uint32_t createVersion(WorkspaceNumber workspace) = 0;
  // One answer for each request, all under one version: the one asked for, or the newest. Fault(keyMissing) if there is none.
  virtual std::vector<Wrapped> wrap(WorkspaceNumber workspace, std::uint32_t version, std::span<const WrapRequest> requests) = 0;
  // One answer for each request, of any workspaces: however many, a provider elsewhere is asked in few and parallel steps. On a fault
  // nothing is said of any. Fault(keyDamaged) if the provider's own copy of a key is damaged.
  virtual std::vector<Unwrapped> unwrap(std::span<const UnwrapRequest> requests) = 0;
  // That version and all before it: gone for good, here and in whatever the provider keeps. What survives was wrapped anew under a later
  // one before. A version that there never was is no fault and destroys nothing.
  virtual void destroyVersion(WorkspaceNumber workspace, std::uint32_t version) = 0;

  // Why the last request failed, while none has succeeded since; nullopt for a provider that does not wait for others.
  virtual std::optional<Fault> trouble() const { return std::nullopt; }
  // Asks whether the provider answers, if it is time to ask again. Throws what is the matter.
  virtual void probe() {}
};

}  // namespace counterfoil::keys
