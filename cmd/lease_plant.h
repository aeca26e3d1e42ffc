// `lease plant`: a decoy credential that nobody should ever use.
#pragma once

#include "cmd/options.h"

namespace counterfoil::cmd {

void addLeasePlant(Verb lease, Program& program);

}  // namespace counterfoil::cmd
