// Holds, erasures and keys in the writer's state.
#include <algorithm>

#include "ledger/core/bytes.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/month_keys.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil {
namespace {

constexpr std::int64_t kNanosecondsPerDay = 24 * 3600 * kNanosecondsPerSecond;

}  // namespace

std::vector<KeyId> erasedKeys(const StructValue& body) {
  return keyIdsIn(body.texts(Field::keyIds));
}

std::vector<KeyId> keyIdsIn(std::span<const std::string_view> texts) {
  std::vector<KeyId> result;
  for (const std::string_view text : texts) {
    const auto bytes = fromHex(text);
    KeyId id;
    if (!bytes || bytes->size() != id.bytes.size()) continue;
    std::copy(bytes->begin(), bytes->end(), id.bytes.begin());
    result.push_back(id);
  }
  return result;
}

// So that they cannot pile up.
void WorkspaceState::forgetPastHolds(Timestamp now) {
  for (auto next = holds_.begin(); next != holds_.end();) {
    if (next->second.standsAt(now)) {
      ++next;
      continue;
    }
    undoable([this, before = *next] { holds_.insert(before); });
    next = holds_.erase(next);
  }
}

void WorkspaceState::applyHold(const EntryView& view) {
  const std::string id(view.body.text(Field::holdId));
  if (view.kind() == Kind::holdPlaced) {
    forgetPastHolds(view.recordedAt);
    const std::uint64_t days = view.body.number(Field::days);
    Hold& hold = changeIn(holds_, id);
    hold.scope = view.body.text(Field::scope);
    hold.until = {};
    if (days != 0) hold.until.nanoseconds = view.recordedAt.nanoseconds + static_cast<std::int64_t>(days) * kNanosecondsPerDay;
    return;
  }
  const auto found = holds_.find(id);
  if (found == holds_.end()) return;
  undoable([this, before = *found] { holds_.insert(before); });
  holds_.erase(found);
}

void WorkspaceState::applyErasure(const EntryView& view) {
  for (const std::string_view id : view.body.texts(Field::keyIds)) {
    const auto [place, added] = doomedKeys_.emplace(id);
    if (added) undoable([this, key = *place] { doomedKeys_.erase(key); });
  }
}

void WorkspaceState::applyKey(const EntryView& view) {
  const std::string_view purpose = view.body.text(Field::purpose);
  if (view.kind() == Kind::keyRotated) {
    if (purpose == kKeyEncryptionPurpose) changeValue(renewalAsked_) = true;
    return;
  }
  const std::string id(view.body.text(Field::keyId));
  if (const auto erased = workspaceOfLastKey(id)) {
    for (const auto& [name, allocation] : allocated_) {
      if (allocation.number == erased->value) return noteErasure(std::string(name), Erasure::done);
    }
    return;
  }
  if (purpose == kKeyEncryptionPurpose) changeValue(renewalAsked_) = false;
  if (purpose == kLogPurpose) {
    Retention& retention = changeValue(retention_);
    retention.doomed.erase(id);
    retention.destroyed[id] = view.body.number(Field::generation);
  }
  if (purpose != kSubjectPurpose) return;
  if (doomedKeys_.erase(id) != 0) undoable([this, id] { doomedKeys_.insert(id); });
}

void WorkspaceState::saveSettings(ByteWriter& writer) const {
  writer.number(holds_.size());
  for (const auto& [id, hold] : holds_) {
    writer.text(id);
    writer.text(hold.scope);
    writer.integer(hold.until.nanoseconds);
  }
  writer.number(doomedKeys_.size());
  for (const std::string& id : doomedKeys_) writer.text(id);
  writer.flag(renewalAsked_);
  writer.number(retention_.days);
  writer.integer(retention_.inForceFrom.nanoseconds);
  for (const MonthKeys* months : {&retention_.doomed, &retention_.destroyed}) saveMonths(writer, *months);
}

bool WorkspaceState::loadSettings(ByteReader& reader) {
  constexpr std::size_t kHoldBytes = 3;
  for (std::uint64_t left = reader.count(kHoldBytes); left > 0; --left) {
    std::string id(reader.text());
    if (reader.failed() || (!holds_.empty() && !(holds_.rbegin()->first < id))) return false;
    Hold& hold = holds_[std::move(id)];
    hold.scope = reader.text();
    hold.until.nanoseconds = reader.integer();
  }
  for (std::uint64_t left = reader.count(1); left > 0; --left) {
    const std::string id(reader.text());
    if (reader.failed() || (!doomedKeys_.empty() && !(*doomedKeys_.rbegin() < id))) return false;
    doomedKeys_.insert(id);
  }
  renewalAsked_ = reader.flag();
  retention_.days = reader.number();
  retention_.inForceFrom.nanoseconds = reader.integer();
  return loadMonths(reader, retention_.doomed) && loadMonths(reader, retention_.destroyed);
}

}  // namespace counterfoil
