// What crypto functions throw. Carries the name of the operation only, never a value.
#pragma once

#include <stdexcept>

namespace counterfoil::crypto {

class CryptoError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace counterfoil::crypto
