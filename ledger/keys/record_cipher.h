// Record values: an entry with its disclosures, sealed under K_log, and the wrapped keys that first appear with it (FORMATS: Record).
#pragma once

#include <vector>

#include "ledger/core/entry.h"
#include "ledger/keys/key_ring.h"

namespace counterfoil::keys {

// Canonical Record bytes. Thread safe; runs outside the sequencer's thread. `nonce` must be fresh.
std::vector<std::uint8_t> sealRecord(const Entry& entry, const LogKey& key, const std::vector<WrappedKey>& newKeys,
                                     const crypto::AeadNonce& nonce);

// Content of a record of kind keys: wrapped keys that no entry carries.
std::vector<std::uint8_t> keysRecord(const std::vector<WrappedKey>& newKeys);

struct OpenedRecord {
  KeyId logKey;  // that of its month; also of a record that is withheld
  std::vector<std::uint8_t> entry;
  crypto::Digest requestDigest{};
  std::uint32_t fingerprintGeneration = 0;
  std::vector<SealedDisclosure> disclosures;
};

enum class OpenOutcome : std::uint8_t {
  opened,
  withheld,  // its key is not there (erased, or not ours to have)
  damaged,   // it does not authenticate, is not in canonical form, or contradicts its header
};

// Whether openRecord hashes the entry to compare it with the header's leaf. `callerHashes`: for a verifier that does so anyway; the leaf is
// then only authenticated as associated data.
enum class LeafCheck : std::uint8_t { hash, callerHashes };

// Opens an entry record and checks it against its header (number, seq, leaf). Applies `newKeys` to `keys` first; those whose key-encryption
// key is gone are passed over. `opened` is unspecified unless the outcome is opened; its buffers are re-used. Other faults of the provider
// pass (notReady, keyPermissions, keyDamaged).
OpenOutcome openRecord(WorkspaceKeys& keys, Sequence seq, const LeafHash& leaf, crypto::Bytes value, OpenedRecord& opened,
                       LeafCheck check = LeafCheck::hash);

// As openRecord(), for a record that was opened before: with the keys that are known now. It applies none, so that one that was forgotten
// since stays so. Asks the provider for nothing.
OpenOutcome reopenRecord(WorkspaceKeys& keys, Sequence seq, const LeafHash& leaf, crypto::Bytes value, OpenedRecord& opened);

// Applies the keys of a record of kind keys. False if its bytes are damaged. Faults as above.
bool openKeysRecord(WorkspaceKeys& keys, crypto::Bytes value);

// The wrapped keys of a record of kind keys; false if its bytes are damaged.
bool readKeysRecord(crypto::Bytes value, std::vector<WrappedKey>& keys);

// The wrapped keys' ids in a record, without opening it; false if its bytes are damaged.
bool newKeyIds(crypto::Bytes value, std::vector<KeyId>& ids);

}  // namespace counterfoil::keys
