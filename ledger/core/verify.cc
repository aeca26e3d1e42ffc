#include "ledger/core/verify.h"

#include "ledger/core/encoding.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil {
namespace {

constexpr std::uint64_t kProgressEvery = 8'192;

class Verifier {
 public:
  explicit Verifier(Strictness strictness) : strictness_(strictness) {}

  void check(const VerifyItem& item) {
    ++report_.entries;
    VerifiedWorkspace& workspace = workspaceOf(item.workspace);
    const std::uint64_t expected = workspace.tree.size();
    if (item.seq.value != expected) {
      problem(item, item.seq.value > expected ? "entries are missing" : "an entry stands twice or out of order", std::to_string(expected),
              std::to_string(item.seq.value));
    }
    if (item.previous != workspace.last) problem(item, "previous is not the hash of the entry before", toHex(workspace.last.bytes), toHex(item.previous.bytes));
    checkContent(item, workspace);
    workspace.tree.append(item.leaf);
    workspace.last = item.leaf;
  }

  VerifyReport take() {
    for (const auto& [number, held] : withheld_) judge(number, held);
    return std::move(report_);
  }
  std::uint64_t entries() const { return report_.entries; }

 private:
  // Content that one key would open.
  struct UnderKey {
    VerifyItem first;
    std::uint64_t entries = 0;
    std::uint64_t last = 0;     // the greatest seq
    Timestamp recordedBefore;  // the latest readable entry before any of them
  };
  struct Withheld {
    explicit Withheld(WorkspaceNumber number) : record(number, nobody) {}
    NobodyElse nobody;
    WorkspaceState record;  // what the workspace's entries say of keys of months; nothing else is folded
    std::map<KeyId, UnderKey> underKeys;
    std::map<std::string, std::uint64_t> doomedAt;  // ids of keys in hex: the first entry that speaks of their end
  };

  void noteWithheld(const VerifyItem& item) {
    Withheld& held = withheld_.try_emplace(item.workspace.value, item.workspace).first->second;
    held.record.applyWithheld(item.seq, item.leaf, item.key);
    UnderKey& under = held.underKeys.try_emplace(item.key, UnderKey{item, 0, 0, {}}).first->second;
    ++under.entries;
    under.last = item.seq.value;
    under.recordedBefore = std::max(under.recordedBefore, report_.workspaces[item.workspace.value].lastRecordedAt);
  }

  void noteDestruction(const EntryView& view, const LeafHash& leaf) {
    if (!view.known) return;
    if (view.workspace == kSystemWorkspace) {
      if (view.kind() == Kind::workspaceErased) ordered_.insert(view.body.number(Field::number));
      const auto gone = view.kind() == Kind::keyDestroyed ? workspaceOfLastKey(view.body.text(Field::keyId)) : std::nullopt;
      if (gone) erased_.insert(gone->value);
    }
    if (view.kind() != Kind::stateCarried && view.kind() != Kind::keyDestroyed) return;
    const auto found = withheld_.find(view.workspace.value);
    if (found == withheld_.end()) return;
    Withheld& held = found->second;
    held.record.apply(view, leaf);
    // What was recorded after a key was on its way out was never recorded under it.
    for (const MonthKeys* keys : {&held.record.retention().doomed, &held.record.retention().destroyed}) {
      for (const auto& [id, month] : *keys) held.doomedAt.try_emplace(id, view.seq.value);
    }
  }

  // Did the record say that this would not open any more? A key that is gone explains the entries of its month, and no others.
  static bool isExplained(const Withheld& held, const std::string& id, const UnderKey& under) {
    const Retention& retention = held.record.retention();
    const auto destroyed = retention.destroyed.find(id);
    const auto doomed = retention.doomed.find(id);
    if (destroyed == retention.destroyed.end() && doomed == retention.doomed.end()) return false;
    const std::uint64_t month = destroyed != retention.destroyed.end() ? destroyed->second : doomed->second;
    const auto at = held.doomedAt.find(id);
    return at != held.doomedAt.end() && under.last < at->second && under.recordedBefore < endOfMonth(month);
  }

  void judge(std::uint64_t number, const Withheld& held) {
    for (const auto& [key, under] : held.underKeys) {
      const std::string id = toHex(key.bytes);
      // Ordered is not done: as long as its key-encryption key is there, an erased workspace opens.
      const bool gone = erased_.contains(number) || (ordered_.contains(number) && !under.first.keyExpected);
      if (gone || isExplained(held, id, under)) {
        report_.workspaces[number].erased += under.entries;
      } else if (under.first.keyExpected) {
        problem(under.first, "the content does not open: its key is not there, and no entry says that it was destroyed", toHex(under.first.leaf.bytes), "");
        report_.problemCount += under.entries - 1;
      } else {
        report_.workspaces[number].notChecked += under.entries;
      }
    }
  }

  VerifiedWorkspace& workspaceOf(WorkspaceNumber number) {
    // Entries of one workspace often follow each other: look up once a run.
    if (current_ == nullptr || currentNumber_ != number) {
      current_ = &report_.workspaces[number.value];
      currentNumber_ = number;
    }
    return *current_;
  }

  void checkContent(const VerifyItem& item, VerifiedWorkspace& workspace) {
    switch (item.content) {
      case VerifyItem::Content::withheld: noteWithheld(item); return;
      case VerifyItem::Content::notChecked: ++workspace.notChecked; return;
      case VerifyItem::Content::damaged:
        problem(item, "the content does not open: it was changed, or the key at hand is not the one it was sealed with", toHex(item.leaf.bytes), "");
        return;
      case VerifyItem::Content::present: break;
    }
    const LeafHash found = leafHash(item.bytes);
    if (found != item.leaf) {
      problem(item, "the entry does not match its leaf hash", toHex(item.leaf.bytes), toHex(found.bytes));
      return;
    }
    EntryView view;
    arena_.reset();
    if (const char* what = readEntry(item.bytes, strictness_, arena_, view)) {
      problem(item, what, "", "");
      return;
    }
    if (!view.known) ++workspace.unknownKinds;
    noteDestruction(view, item.leaf);
    if (view.workspace != item.workspace) problem(item, "the entry belongs to another workspace", std::to_string(item.workspace.value), std::to_string(view.workspace.value));
    if (view.seq != item.seq) problem(item, "the entry names another seq than its header", std::to_string(item.seq.value), std::to_string(view.seq.value));
    if (view.previous != item.previous) problem(item, "the entry names another predecessor than its header", toHex(item.previous.bytes), toHex(view.previous.bytes));
    if (view.recordedAt < workspace.lastRecordedAt) problem(item, "recordedAt goes back", toRfc3339(workspace.lastRecordedAt), toRfc3339(view.recordedAt));
    workspace.lastRecordedAt = std::max(workspace.lastRecordedAt, view.recordedAt);
  }

  void problem(const VerifyItem& item, std::string what, std::string expected, std::string found) {
    ++report_.problemCount;
    if (report_.problems.size() == kVerifyProblemsMax) return;
    report_.problems.push_back({item.workspace, item.seq.value, std::move(what), std::move(expected), std::move(found)});
  }

  Strictness strictness_;
  VerifyReport report_;
  VerifiedWorkspace* current_ = nullptr;
  WorkspaceNumber currentNumber_;
  Arena arena_;
  std::map<std::uint64_t, Withheld> withheld_;  // by number
  std::set<std::uint64_t> ordered_, erased_;    // workspaces, as `_system` says
};

}  // namespace

VerifyReport verify(VerifySource& source, Strictness strictness, const std::function<void(std::uint64_t)>& progress) {
  Verifier verifier(strictness);
  VerifyItem item;
  while (source.next(item)) {
    verifier.check(item);
    if (progress && verifier.entries() % kProgressEvery == 0) progress(verifier.entries());
  }
  if (progress) progress(verifier.entries());
  return verifier.take();
}

}  // namespace counterfoil
