#include "ledger/write/retention_json.h"

#include <algorithm>
#include <map>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/write/retention.h"

namespace counterfoil::write {
namespace {

// "2026-01" of a generation.
std::string monthText(std::uint64_t month) {
  const std::uint64_t number = month % 12 + 1;
  return std::to_string(month / 12) + (number < 10 ? "-0" : "-") + std::to_string(number);
}

}  // namespace

std::string retentionJson(const WorkspaceState& workspace, const keys::WorkspaceKeys& keys, Timestamp now) {
  const Retention& retention = workspace.retention();
  std::map<std::uint64_t, const char*> states;
  for (const auto& [id, month] : retention.destroyed) states[month] = "destroyed";
  for (const auto& [month, id] : keys.months()) states[month] = "kept";
  for (const auto& [id, month] : retention.doomed) states[month] = "due";
  std::string months = "[";
  for (const auto& [month, state] : states) {
    if (months.size() > 1) months += ',';
    JsonObject item(months);
    item.text("month", monthText(month)).text("state", state);
    if (state == std::string_view("kept") && retention.days != 0) item.time("keptUntil", keptUntil(retention, month));
    item.end();
  }
  std::string out;
  JsonObject object(out);
  object.number("days", retention.days);
  if (retention.days != 0) object.time("inForceFrom", retention.inForceFrom);
  object.boolean("held", isHeld(workspace, now)).raw("months", months + "]");
  object.end();
  return out;
}

}  // namespace counterfoil::write
