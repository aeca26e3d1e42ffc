// Keys of months as the writer's state saves them.
#pragma once

#include "ledger/core/bytes.h"
#include "ledger/core/workspace_parts.h"

namespace counterfoil {

void saveMonths(ByteWriter& writer, const MonthKeys& months);
// Into an empty map. False if the bytes are not what saveMonths() writes.
bool loadMonths(ByteReader& reader, MonthKeys& months);

}  // namespace counterfoil
