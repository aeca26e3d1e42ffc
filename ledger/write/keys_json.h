// What may be told of a workspace's keys (INTERFACE: key list).
#pragma once

#include <string>

#include "ledger/keys/key_ring.h"

namespace counterfoil::write {

// {"items":[{"keyId","purpose","generation","kek"}],"persons"}: kek is the version of the key-encryption key that each is wrapped under.
// Persons' keys are counted and not named: there may be millions, and an id says nothing without its person.
std::string keysJson(const keys::WorkspaceKeys& keys);

}  // namespace counterfoil::write
