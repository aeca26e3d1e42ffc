// The key provider that the configuration names.
#pragma once

#include <memory>

#include "cmd/config.h"
#include "ledger/core/clock.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/key_provider.h"

namespace counterfoil::cmd {

// Connects to nothing yet. `clock` and `random` must outlive it. Throws Fault(invalidValue): a setting of it.
std::unique_ptr<keys::KeyProvider> makeKeyProvider(const Config& config, const Clock& clock, crypto::RandomSource& random);

}  // namespace counterfoil::cmd
