#include "projections/keys_ahead.h"

#include <utility>

#include "ledger/keys/newest_forms.h"

namespace counterfoil::views {
namespace {

constexpr std::uint64_t kPassOver = 500;

}  // namespace

void KeysAhead::learn() {
  const std::lock_guard lock(mutex_);
  if (passOver_ > 0) {
    --passOver_;
    return;
  }
  keys::NewestForms forms;
  log::FoldState end =
      log::forEachKeysRecord(log_, partition_, from_, [&](const log::ValidRecord& record) { forms.add(record.workspace, record.value); });
  forms.applyTo(ring_);
  if (end.next == from_.next) passOver_ = kPassOver;
  from_ = std::move(end);
}

}  // namespace counterfoil::views
