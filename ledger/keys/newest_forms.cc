#include "ledger/keys/newest_forms.h"

#include <utility>

#include "ledger/core/outcome.h"
#include "ledger/keys/record_cipher.h"

namespace counterfoil::keys {
namespace {

Fault damaged() {
  return {ErrorCode::logDamaged, "a record of keys is damaged",
          "stop, keep the files as they are, run `counterfoil verify`, and restore the log from a copy that verifies"};
}

}  // namespace

void NewestForms::add(WorkspaceNumber workspace, crypto::Bytes record) {
  std::vector<WrappedKey> keys;
  if (!readKeysRecord(record, keys)) throw damaged();
  for (WrappedKey& key : keys) {
    WrappedKey& kept = forms_[workspace][key.keyId];
    if (kept.kek < key.kek) kept = std::move(key);
  }
}

void NewestForms::applyTo(KeyRing& ring) const {
  std::vector<WorkspaceWrappedKeys> all;
  for (const auto& [workspace, forms] : forms_) {
    WorkspaceWrappedKeys& each = all.emplace_back();
    each.workspace = workspace;
    for (const auto& [id, form] : forms) each.keys.push_back(form);
  }
  if (ring.applyWrapped(all) == ApplyOutcome::damaged) throw damaged();
}

}  // namespace counterfoil::keys
