// The newest form of each key of some records of kind keys: what was wrapped under a version that is gone need not be asked for.
#pragma once

#include <unordered_map>

#include "ledger/keys/key_ring.h"

namespace counterfoil::keys {

class NewestForms {
 public:
  // Throws Fault(logDamaged) if the bytes of the record are damaged.
  void add(WorkspaceNumber workspace, crypto::Bytes record);
  // All of them in one request to the provider. Throws Fault(logDamaged) if one does not authenticate; the provider's faults pass.
  void applyTo(KeyRing& ring) const;

 private:
  std::unordered_map<WorkspaceNumber, std::unordered_map<KeyId, WrappedKey, IdHash<KeyId>>, WorkspaceNumberHash> forms_;
};

}  // namespace counterfoil::keys
