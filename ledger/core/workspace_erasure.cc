// The erasure of a workspace. `_system` holds the order and its end; the workspace itself ends with an entry that says so, behind which
// nothing is recorded: whoever finds it destroys no key that is still in use.
#include <charconv>

#include "ledger/core/workspace_state.h"

namespace counterfoil {
namespace {

constexpr std::string_view kLastKeyPrefix = "kek/";

}  // namespace

std::string lastKeyName(WorkspaceNumber number) {
  return std::string(kLastKeyPrefix) + std::to_string(number.value);
}

std::optional<WorkspaceNumber> workspaceOfLastKey(std::string_view name) {
  if (!name.starts_with(kLastKeyPrefix)) return std::nullopt;
  name.remove_prefix(kLastKeyPrefix.size());
  std::uint64_t number = 0;
  const auto [end, problem] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (problem != std::errc{} || end != name.data() + name.size()) return std::nullopt;
  return WorkspaceNumber{number};
}

bool isLastWord(const EntryView& view) {
  return view.known && view.kind() == Kind::workspaceErased && view.workspace != kSystemWorkspace &&
         view.body.number(Field::number) == view.workspace.value;
}

void WorkspaceState::noteErasure(const std::string& id, Erasure erasure) {
  if (!allocated_.contains(id)) return;
  Allocation& allocation = changeIn(allocated_, id);
  allocation.erasure = erasure;
  changeValue(erasing_);
  if (erasure == Erasure::ordered) {
    erasing_.insert(allocation.number);
  } else {
    erasing_.erase(allocation.number);
  }
}

void WorkspaceState::applyWorkspaceErased(const EntryView& view) {
  if (number_ == kSystemWorkspace) return noteErasure(std::string(view.body.text(Field::scope)), Erasure::ordered);
  if (!isLastWord(view)) return;
  changeValue(closed_) = true;
  changeValue(erased_) = true;
}

void WorkspaceState::markErased() {
  const ChainHead head = head_;
  clear();
  head_ = head;
  closed_ = true;
  erased_ = true;
}

}  // namespace counterfoil
