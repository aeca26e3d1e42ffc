#include "ledger/write/retention.h"

#include <algorithm>

#include "ledger/core/encoding.h"

namespace counterfoil::write {
namespace {

constexpr std::int64_t kDayNanoseconds = 24 * 3600 * kNanosecondsPerSecond;

}  // namespace

bool isHeld(const WorkspaceState& workspace, Timestamp now) {
  const auto& holds = workspace.holds();
  return std::any_of(holds.begin(), holds.end(), [&](const auto& hold) { return hold.second.standsAt(now); });
}

Timestamp keptUntil(const Retention& retention, std::uint64_t month) {
  const Timestamp over{endOfMonth(month).nanoseconds + static_cast<std::int64_t>(retention.days) * kDayNanoseconds};
  return std::max(over, retention.inForceFrom);
}

MonthKeys monthsDue(const WorkspaceState& workspace, const keys::WorkspaceKeys& keys, Timestamp now) {
  const Retention& retention = workspace.retention();
  MonthKeys due;
  if (retention.days == 0 || isHeld(workspace, now)) return due;
  if (workspace.owesKeyRenewal() || workspace.hasOwed()) return due;
  for (const auto& [month, id] : keys.months()) {
    if (keptUntil(retention, month) <= now) due[toHex(id.bytes)] = month;
  }
  return due;
}

}  // namespace counterfoil::write
