// The reading halves of `lease` and `approval`.
#pragma once

#include "cmd/options.h"

namespace counterfoil::cmd {

// `lease show`, `lease list`.
void addLeaseReads(CLI::App& lease, Program& program);
// `approval list`.
void addApprovalList(CLI::App& approval, Program& program);

}  // namespace counterfoil::cmd
