#include "projections/keys_ahead.h"

#include <string>
#include <utility>

#include "ledger/core/outcome.h"
#include "ledger/keys/record_cipher.h"

namespace counterfoil::views {

bool KeysAhead::learn() {
  const std::lock_guard lock(mutex_);
  if (std::exchange(learnt_, true)) return false;
  log::forEachKeysRecord(log_, partition_, log::FoldState{}, [this](const log::ValidRecord& record) {
    if (keys::openKeysRecord(*ring_.workspace(record.workspace), record.value)) return;
    throw Fault(ErrorCode::logDamaged, "a record of keys is damaged (position " + std::to_string(record.position.value) + ")",
                "restore the log from a copy that verifies");
  });
  return true;
}

}  // namespace counterfoil::views
