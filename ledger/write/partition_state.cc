#include "ledger/write/partition_state.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/ruling.h"

namespace counterfoil::write {
namespace {

[[noreturn]] void damaged(const log::ValidRecord& record, const char* what) {
  throw Fault(ErrorCode::logDamaged,
              std::string(what) + " (position " + std::to_string(record.position.value) + ", workspace " +
                  std::to_string(record.workspace.value) + ", seq " + std::to_string(record.seq.value) + ")",
              "stop, keep the files as they are, run `counterfoil verify`, and restore the log from a copy that verifies");
}

}  // namespace

PartitionState::PartitionState(keys::KeyRing& ring, KnownSecretStore& known, std::size_t windowEntriesMax)
    : ring_(ring), known_(known), window_(windowEntriesMax) {}

WorkspaceState& PartitionState::workspace(WorkspaceNumber number) {
  auto& state = workspaces_[number];
  if (!state) state = std::make_unique<WorkspaceState>(number, *this);
  return *state;
}

const WorkspaceState* PartitionState::findWorkspace(WorkspaceNumber number) const {
  const auto found = workspaces_.find(number);
  return found == workspaces_.end() ? nullptr : found->second.get();
}

std::vector<WorkspaceNumber> PartitionState::workspaces() const {
  std::vector<WorkspaceNumber> numbers;
  for (const auto& [number, state] : workspaces_) numbers.push_back(number);
  std::sort(numbers.begin(), numbers.end());
  return numbers;
}

void PartitionState::armTimer(WorkspaceNumber workspace, LeaseSlot slot, std::uint32_t stamp, Timestamp time) {
  timers_.arm({time, workspace, slot, stamp});
}

void PartitionState::secretSeen(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) {
  known_.add(workspace, generation, tag);
}

Answer PartitionState::fold(WorkspaceState& state, const EntryView& view, const LeafHash& leaf, const crypto::Digest& requestDigest) {
  state.apply(view, leaf);
  lastRecordedAt_ = std::max(lastRecordedAt_.load(), view.recordedAt.nanoseconds);
  Answer answer = answerOf(view, leaf, state);
  if (view.known && view.kind() == Kind::leaseIssued && answer.lease) {
    // A grant that carried its secret is two entries of one command: the first one's answer shows the lease after both.
    const Lease* lease = state.findLease(answer.lease->id);
    if (!lease->reported && view.id == derivedId(lease->grantEntry, lease->id, 1)) {
      if (const std::optional<WindowEntry> first = window_.find(lease->grantEntry)) {
        Answer amended = first->answer;
        amended.lease = answer.lease;
        window_.amend(lease->grantEntry, amended);
      }
    }
  }
  if (requestDigest != crypto::Digest{} && isUuidV7(view.id)) window_.add(view.id, {state.number(), requestDigest, answer});
  return answer;
}

keys::OpenOutcome PartitionState::open(const log::ValidRecord& record) {
  const auto attempt = [&] {
    return keys::openRecord(*ring_.workspace(record.workspace), record.seq, record.leaf, record.value, opened_,
                            keys::LeafCheck::callerHashes);
  };
  const keys::OpenOutcome outcome = attempt();
  if (outcome != keys::OpenOutcome::withheld || !learnKeys_ || absent_.contains(opened_.logKey)) return outcome;
  learnKeys_();
  const keys::OpenOutcome again = attempt();
  if (again == keys::OpenOutcome::withheld) absent_.insert(opened_.logKey);
  return again;
}

namespace {

Fault keyMissing(WorkspaceNumber workspace) {
  return {ErrorCode::keyMissing,
          "no key at hand opens the records of workspace number " + std::to_string(workspace.value) +
              ": its key-encryption key is neither in the keys folder nor in the key service",
          "restore the keys folder, or the key service, from its backup (if it is whole, `counterfoil verify` says what was changed); "
          "nothing was written"};
}

}  // namespace

// Whether it had to be so is known further on.
void PartitionState::noteWithheld(const log::ValidRecord& record) {
  if (record.workspace == kSystemWorkspace) throw keyMissing(record.workspace);
  workspace(record.workspace).applyWithheld(record.seq, record.leaf, opened_.logKey);
  withheld_.insert(record.workspace);
}

void PartitionState::requireWhole() {
  while (!withheld_.empty()) {
    const WorkspaceNumber number = *withheld_.begin();
    WorkspaceState& state = *workspaces_.at(number);
    if (!state.isWhole() && !state.erased()) {
      if (erased_ == nullptr || !erased_->contains(number)) throw keyMissing(number);
      // Ordered is not done: as long as there is a key-encryption key, what does not open was lost in another way.
      if (!ring_.workspace(number)->gone() && ring_.workspace(number)->hasKeyEncryptionKey()) throw keyMissing(number);
      state.markErased();
      window_.forget(number);
      ring_.workspace(number)->forgetAll();
    }
    withheld_.erase(withheld_.begin());
  }
}

bool PartitionState::isWhole() const {
  return std::all_of(workspaces_.begin(), workspaces_.end(), [](const auto& workspace) {
    const WorkspaceState& state = *workspace.second;
    return state.erased() || (state.isWhole() && !state.isCarrying());
  });
}

void PartitionState::forgetWorkspace(WorkspaceNumber number, Erasure erasure) {
  if (erasure != Erasure::none && erased_ != nullptr) erased_->add(number);
  if (erasure == Erasure::done) ring_.workspace(number)->forgetAll();
}

// Read from the log it is durable: from here on nobody opens what the erased person's key protects.
void PartitionState::forgetErased(const EntryView& view) {
  if (!view.known) return;
  if (isLastWord(view)) {
    ring_.workspace(view.workspace)->forgetAll();
    workspace(view.workspace).markErased();
    window_.forget(view.workspace);
  }
  if (view.workspace == kSystemWorkspace) {
    if (view.kind() == Kind::workspaceErased) forgetWorkspace({view.body.number(Field::number)}, Erasure::ordered);
    const auto gone = view.kind() == Kind::keyDestroyed ? workspaceOfLastKey(view.body.text(Field::keyId)) : std::nullopt;
    if (gone) forgetWorkspace(*gone, Erasure::done);
  }
  if (view.kind() == Kind::stateCarried) {
    for (const KeyId& id : keyIdsOf(workspace(view.workspace).retention().doomed)) ring_.workspace(view.workspace)->forget(id);
  }
  if (view.kind() != Kind::subjectErased && view.kind() != Kind::keyDestroyed) return;
  const std::string_view destroyed = view.body.text(Field::keyId);
  const auto ids = view.kind() == Kind::subjectErased ? erasedKeys(view.body) : keyIdsIn({&destroyed, 1});
  for (const KeyId& id : ids) ring_.workspace(view.workspace)->forget(id);
}

void PartitionState::forgetDoomed() {
  for (const auto& [number, state] : workspaces_) {
    for (const std::string& text : state->doomedKeys()) {
      const std::string_view id = text;
      for (const KeyId& key : keyIdsIn({&id, 1})) ring_.workspace(number)->forget(key);
    }
    for (const KeyId& key : keyIdsOf(state->retention().doomed)) ring_.workspace(number)->forget(key);
    if (state->erased()) ring_.workspace(number)->forgetAll();
    for (const auto& [id, allocation] : state->allocated()) forgetWorkspace({allocation.number}, allocation.erasure);
  }
}

std::optional<EntryId> PartitionState::applyRecord(const log::ValidRecord& record) {
  if (record.kind == log::RecordKind::keys) {
    if (!keys::openKeysRecord(*ring_.workspace(record.workspace), record.value)) damaged(record, "a record of keys is damaged");
    return std::nullopt;
  }
  if (record.kind != log::RecordKind::entry) return std::nullopt;
  WorkspaceState& state = workspace(record.workspace);
  switch (open(record)) {
    case keys::OpenOutcome::withheld:
      noteWithheld(record);
      return std::nullopt;
    case keys::OpenOutcome::damaged:
      damaged(record, "a record does not open: it was changed, or the key in the keys folder is another than the one it was sealed with");
    case keys::OpenOutcome::opened:
      break;
  }
  if (leafHash(opened_.entry) != record.leaf) damaged(record, "an entry does not match its leaf hash");
  EntryView view;
  arena_.reset();
  if (const char* problem = readEntry(opened_.entry, Strictness::lenient, arena_, view)) damaged(record, problem);
  if (view.workspace != record.workspace || view.seq != record.seq || view.previous != record.previous) {
    damaged(record, "an entry contradicts its record's header");
  }
  fold(state, view, record.leaf, opened_.requestDigest);
  forgetErased(view);
  if (systemFeed_ != nullptr && record.workspace == kSystemWorkspace) systemFeed_->tell(view);
  return view.id;
}

Answer PartitionState::applyEntry(const Entry& entry, const crypto::Digest& requestDigest) {
  return fold(workspace(entry.workspace()), entry.view(), entry.leaf(), requestDigest);
}

void PartitionState::touch(WorkspaceState& state) {
  if (!batch_.insert(&state).second) return;
  touched_.insert(&state);
  state.mark();
}

BatchMark PartitionState::endBatch() {
  BatchMark mark;
  mark.window = window_.mark();
  for (WorkspaceState* state : batch_) mark.workspaces.emplace_back(state, state->mark());
  batch_.clear();
  return mark;
}

void PartitionState::commit(const BatchMark& mark) {
  window_.commitTo(mark.window);
  for (const auto& [state, place] : mark.workspaces) state->commitTo(place);
}

void PartitionState::rollback() {
  for (WorkspaceState* state : touched_) state->rollback();
  window_.rollback();
  touched_.clear();
  batch_.clear();
}

}  // namespace counterfoil::write
