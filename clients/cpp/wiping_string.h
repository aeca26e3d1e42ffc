// Text that may hold a secret, such as a request's body.
#pragma once

#include <string>

#include "ledger/crypto/wiping.h"

namespace counterfoil::client {

// A secret of the caller: no printer, no copy, wiped with its memory.
using Secret = crypto::SecretBytes;

// Wiped with its memory. Reserve before the first character: short texts lie inside the object and are not.
using WipingString = std::basic_string<char, std::char_traits<char>, crypto::WipingAllocator<char>>;

}  // namespace counterfoil::client
