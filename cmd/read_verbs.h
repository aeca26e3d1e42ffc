// The reading halves of `lease`, `approval` and `hold`, and what verbs show of entries.
#pragma once

#include "cmd/list_verb.h"
#include "cmd/options.h"

namespace counterfoil::cmd {

// `lease show`, `lease list`.
void addLeaseReads(Verb lease, Program& program);
// `approval list`.
void addApprovalList(Verb approval, Program& program);
// `hold list`.
void addHoldList(Verb hold, Program& program);

// An entry as a row.
ListColumns entryColumns();

}  // namespace counterfoil::cmd
