#include "cmd/log_source.h"

namespace counterfoil::cmd {

namespace {

void applyKeys(keys::KeyRing& ring, const log::ValidRecord& record) {
  if (keys::openKeysRecord(*ring.workspace(record.workspace), record.value)) return;
  throw Fault(ErrorCode::logDamaged, "a record of keys is damaged (position " + std::to_string(record.position.value) + ")",
              "restore the log from a copy that verifies");
}

}  // namespace

LogSource::LogSource(log::EventLog& eventLog, keys::KeyRing* ring, keys::KeyProvider* provider)
    : log_(eventLog), ring_(ring), provider_(provider) {
  const PartitionId first = log_.partitionOf(kSystemWorkspace);
  for (std::uint32_t index = log_.partitions(); index > 0; --index) {
    if (PartitionId{index - 1} != first) toRead_.push_back(PartitionId{index - 1});
  }
  toRead_.push_back(first);
}

bool LogSource::nextRecord() {
  for (;;) {
    if (reader_ != nullptr && reader_->next(record_)) return true;
    if (toRead_.empty()) return false;
    reader_ = log_.read(toRead_.back(), log::FoldState{});
    if (ring_ != nullptr) keysAhead_.emplace(log_, toRead_.back(), *ring_);
    toRead_.pop_back();
  }
}

bool LogSource::next(VerifyItem& item) {
  while (nextRecord()) {
    if (record_.kind == log::RecordKind::keys && ring_ != nullptr) applyKeys(*ring_, record_);
    if (record_.kind != log::RecordKind::entry) continue;
    item.workspace = record_.workspace;
    item.seq = record_.seq;
    item.previous = record_.previous;
    item.leaf = record_.leaf;
    openContent(item);
    return true;
  }
  return false;
}

keys::OpenOutcome LogSource::open() {
  const auto attempt = [&] {
    return keys::openRecord(*ring_->workspace(record_.workspace), record_.seq, record_.leaf, record_.value, opened_,
                            keys::LeafCheck::callerHashes);
  };
  const keys::OpenOutcome outcome = attempt();
  if (outcome != keys::OpenOutcome::withheld) return outcome;
  keysAhead_->learn();
  return attempt();
}

bool LogSource::hasKeyEncryptionKey(WorkspaceNumber workspace) {
  if (provider_ == nullptr) return false;
  const auto [found, fresh] = hasKey_.try_emplace(workspace);
  if (fresh) found->second = provider_->currentVersion(workspace) != 0;
  return found->second;
}

void LogSource::openContent(VerifyItem& item) {
  item.content = VerifyItem::Content::notChecked;
  if (ring_ == nullptr) return;
  try {
    switch (open()) {
      case keys::OpenOutcome::opened:
        item.content = VerifyItem::Content::present;
        item.bytes = opened_.entry;
        return;
      case keys::OpenOutcome::withheld:
        item.content = VerifyItem::Content::withheld;
        item.key = opened_.logKey;
        item.keyExpected = hasKeyEncryptionKey(record_.workspace);
        return;
      case keys::OpenOutcome::damaged:
        item.content = VerifyItem::Content::damaged;
        return;
    }
  } catch (const Fault& fault) {
    // Without its key-encryption key a workspace verifies by order, chain and tree; a damaged key is another matter.
    if (fault.code() != ErrorCode::keyMissing) throw;
  }
}

}  // namespace counterfoil::cmd
