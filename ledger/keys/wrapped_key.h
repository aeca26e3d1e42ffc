// A data key as it travels in the log (FORMATS: Keys).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "ledger/core/ids.h"
#include "ledger/core/value.h"

namespace counterfoil::keys {

enum class KeyPurpose : std::uint8_t { log = 1, subject = 2, directory = 3, fingerprint = 4, digest = 5, state = 6 };

// Sealed is the 32-byte key, and for a subject its directory tag behind it: HMAC(K_directory, kind "\n" id), or 32 zero bytes for the
// workspace's own subject, which no directory needs to find.
struct WrappedKey {
  KeyId keyId;
  KeyPurpose purpose{};
  std::uint64_t generation = 0;  // log: year * 12 + month - 1
  std::uint32_t kek = 0;
  std::array<std::uint8_t, 12> nonce{};
  std::vector<std::uint8_t> sealed;
};

// The generation of K_log for a time: UTC year * 12 + month - 1.
std::uint64_t monthGeneration(Timestamp recordedAt);

// What the key-encryption key authenticates beside the key: number, keyId, purpose, generation (40 bytes).
std::array<std::uint8_t, 40> wrapAssociatedData(WorkspaceNumber workspace, const WrappedKey& key);

// To and from schema values (List(WrappedKey) of Record and Keys). fromValue returns false if a length, the purpose or the version of the
// key-encryption key cannot be. The data of toValue() points into `key`.
StructValue toValue(Arena& arena, const WrappedKey& key);
bool fromValue(const StructValue& value, WrappedKey& key);

}  // namespace counterfoil::keys
