#include "ledger/write/retention.h"

#include <algorithm>

#include "ledger/core/encoding.h"

namespace counterfoil::write {
namespace {

constexpr std::int64_t kDayNanoseconds = 24 * 3600 * kNanosecondsPerSecond;

bool isHeld(const WorkspaceState& workspace, Timestamp now) {
  const auto& holds = workspace.holds();
  return std::any_of(holds.begin(), holds.end(), [&](const auto& hold) { return hold.second.standsAt(now); });
}

}  // namespace

MonthKeys monthsDue(const WorkspaceState& workspace, const keys::WorkspaceKeys& keys, Timestamp now) {
  const Retention& retention = workspace.retention();
  MonthKeys due;
  if (retention.days == 0 || now < retention.inForceFrom || isHeld(workspace, now)) return due;
  if (workspace.owesKeyRenewal() || workspace.hasOwed()) return due;
  const auto kept = static_cast<std::int64_t>(retention.days) * kDayNanoseconds;
  for (const auto& [month, id] : keys.months()) {
    if (keys::endOfMonth(month).nanoseconds <= now.nanoseconds - kept) due[toHex(id.bytes)] = month;
  }
  return due;
}

}  // namespace counterfoil::write
