// The program's version, as recorded in ledger.started.
#pragma once

#include <string_view>

namespace counterfoil::cmd {

inline constexpr std::string_view kVersion = "0.1.0";

}  // namespace counterfoil::cmd
