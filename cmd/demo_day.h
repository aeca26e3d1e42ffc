// The believable past day that `demo` records: facts as JSON lines, as a platform would send them.
#pragma once

#include <string>
#include <vector>

#include "ledger/core/ids.h"

namespace counterfoil::cmd {

// In order of occurrence, all before `now`. The secrets in them are made up and belong to nobody.
std::vector<std::string> demoFacts(Timestamp now);

// The policy of the demo workspace.
std::string_view demoPolicy();

}  // namespace counterfoil::cmd
