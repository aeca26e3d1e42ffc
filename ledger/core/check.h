// Assertions that stay on in release: where a wrong value would be sealed into the ledger, the process stops instead.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace counterfoil {

// Ends the process with the place of the broken assertion. Never prints operands: they may hold values.
[[noreturn]] inline void checkFailed(const char* what, const char* file, int line) {
  std::fprintf(stderr, "counterfoil: internal check failed: %s (%s:%d)\n", what, file, line);
  std::abort();
}

}  // namespace counterfoil

#define COUNTERFOIL_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::counterfoil::checkFailed(#condition, __FILE__, __LINE__))
