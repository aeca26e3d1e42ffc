// The entry: the immutable, redacted, chained unit (FORMATS: Entry).
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "ledger/core/codec.h"
#include "ledger/core/event.h"
#include "ledger/core/ids.h"
#include "ledger/core/merkle.h"

namespace counterfoil {

inline constexpr std::uint16_t kEntryVersion = 1;

// The end of one workspace's chain: what the next entry must follow. Copyable, so that speculation can be rolled back.
struct ChainHead {
  TreeFrontier tree;
  LeafHash last;             // of the last entry; zero before the first
  Timestamp lastRecordedAt;  // never decreases
  std::uint64_t size() const { return tree.size(); }
};

// An entry as read back. The views point into `bytes` given to read() and into the arena.
struct EntryView {
  StructValue entry;  // the common fields
  StructValue body;   // of the kind; absent if the kind is unknown or all fields are default
  std::uint16_t kindNumber = 0;
  bool known = false;  // the kind is one of ours
  WorkspaceNumber workspace;
  Sequence seq;
  LeafHash previous;
  EntryId id;
  Timestamp recordedAt;
  Timestamp occurredAt;
  Kind kind() const { return known ? static_cast<Kind>(kindNumber) : Kind::none; }
};

// Canonical bytes of one entry with what chaining decided. Made by chain() only; immutable.
class Entry {
 public:
  crypto::Bytes bytes() const { return bytes_; }
  WorkspaceNumber workspace() const { return workspace_; }
  Sequence seq() const { return seq_; }
  const LeafHash& previous() const { return previous_; }
  const LeafHash& leaf() const { return leaf_; }
  Timestamp recordedAt() const { return recordedAt_; }
  const EntryId& id() const { return id_; }
  Kind kind() const { return kind_; }
  const RedactionResult& redaction() const { return redaction_; }
  // Read back from bytes() by the strict rules of every reader. Lives as long as the entry, moves included.
  const EntryView& view() const { return view_; }

 private:
  friend Entry chain(RedactedEvent event, WorkspaceNumber workspace, Timestamp recordedAt, const std::array<std::uint8_t, 16>& nonce,
                     ChainHead& head);
  Entry() = default;
  std::vector<std::uint8_t> bytes_;
  WorkspaceNumber workspace_;
  Sequence seq_;
  LeafHash previous_;
  LeafHash leaf_;
  Timestamp recordedAt_;
  EntryId id_;
  Kind kind_ = Kind::none;
  RedactionResult redaction_;
  Arena arena_;  // of the view
  EntryView view_;
};

// Gives the event its place: seq, previous, recordedAt (not before the head's), nonce; occurredAt = recordedAt if none is given. Advances
// `head`. Throws Fault(tooLarge) and leaves `head` untouched when the entry would pass limits::kEntryBytesMax.
Entry chain(RedactedEvent event, WorkspaceNumber workspace, Timestamp recordedAt, const std::array<std::uint8_t, 16>& nonce,
            ChainHead& head);

// Reads and checks one entry's bytes by the reader's rules of FORMATS. On a problem returns a static text, and `view` is unspecified.
const char* readEntry(crypto::Bytes bytes, Strictness strictness, Arena& arena, EntryView& view);

}  // namespace counterfoil
