// The requests a repeat of which gets the first answer (FORMATS: Idempotency). Part of the sequencer's speculative state.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "ledger/write/answer.h"

namespace counterfoil::write {

struct WindowEntry {
  WorkspaceNumber workspace;
  crypto::Digest requestDigest{};
  Answer answer;
};

// Not thread safe. Ordered by the time inside the ids (UUIDv7), which is why late and replayed records give the same window.
class IdWindow {
 public:
  explicit IdWindow(std::size_t entriesMax);

  std::optional<WindowEntry> find(const EntryId& id) const;
  // Ids at or before this time are refused: they may have been forgotten.
  Timestamp floor(Timestamp now) const;
  // Remembers `entry`. A repeat of the id is ignored.
  void add(const EntryId& id, const WindowEntry& entry);
  // Replaces the answer of `id` (the second entry of one command changes what the first answers).
  void amend(const EntryId& id, const Answer& answer);

  // Of an erased workspace: nothing of it is kept.
  void forget(WorkspaceNumber workspace);

  // Speculation, as in WorkspaceState. Evictions happen in commitTo() only, so that a rollback finds everything.
  std::uint64_t mark() const { return journalStart_ + journal_.size(); }
  void commitTo(std::uint64_t mark);
  void rollback();

  void save(std::vector<std::uint8_t>& out) const;
  bool load(crypto::Bytes bytes);
  std::size_t size() const { return entries_.size(); }

 private:
  // An answer takes a third of a kilobyte, a quarter of that as a snapshot has it; hardly any is ever asked for again.
  struct Kept {
    WorkspaceNumber workspace;
    crypto::Digest requestDigest;
    std::string answer;
  };
  struct Change {
    EntryId id;
    std::optional<std::string> before;  // as Kept::answer; nullopt: was added
  };

  void evict();
  std::string packed(const Answer& answer);

  std::size_t entriesMax_;
  Timestamp evicted_;  // greatest time among what was evicted
  std::unordered_map<EntryId, Kept, IdHash<EntryId>> entries_;
  std::set<EntryId> byTime_;  // UUIDv7 sorts by its time
  std::uint64_t journalStart_ = 0;
  std::deque<Change> journal_;
  std::vector<std::uint8_t> work_;
};

}  // namespace counterfoil::write
