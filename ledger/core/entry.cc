#include "ledger/core/entry.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil {
namespace {

const StructTable& listTable(const StructValue& value, Field field) {
  return *value.table->find(field)->structure;
}

// The arena's room for the items of a structure list.
std::span<StructValue> makeItems(Arena& arena, const StructTable& table, std::size_t count) {
  const std::span<StructValue> items = arena.array<StructValue>(count);
  for (StructValue& item : items) item = makeStruct(arena, table);
  return items;
}

void setCommitments(Arena& arena, StructValue& common, std::vector<FieldCommitment>& commitments) {
  std::sort(commitments.begin(), commitments.end(),
            [](const FieldCommitment& left, const FieldCommitment& right) { return left.path < right.path; });
  const std::span<StructValue> items = makeItems(arena, listTable(common, Field::commitments), commitments.size());
  for (std::size_t index = 0; index < items.size(); ++index) {
    items[index].setText(arena, Field::path, commitments[index].path);
    items[index].setData(arena, Field::digest, commitments[index].digest);
  }
  common.setStructures(arena, Field::commitments, items);
}

void setRedactions(Arena& arena, StructValue& common, const std::vector<FieldRedaction>& redactions) {
  const std::span<StructValue> items = makeItems(arena, listTable(common, Field::redactions), redactions.size());
  for (std::size_t index = 0; index < items.size(); ++index) {
    items[index].setText(arena, Field::path, redactions[index].path);
    items[index].setText(arena, Field::rule, redactions[index].rule);
  }
  common.setStructures(arena, Field::redactions, items);
}

void setEvent(Arena& arena, StructValue& common, Kind kind, const StructValue& body) {
  StructValue event = makeStruct(arena, listTable(common, Field::event));
  event.discriminant = static_cast<std::uint16_t>(kind);
  event.member = &body;
  common.setStructure(arena, Field::event, event);
}

// What would be sealed is read as every later reader reads it: an entry that none accepts would end its chain.
void readBack(crypto::Bytes bytes, Arena& arena, EntryView& view) {
  if (bytes.size() > limits::kEntryBytesMax) {
    throw Fault(ErrorCode::tooLarge, "the entry is over the limit of " + std::to_string(limits::kEntryBytesMax) + " bytes",
                "send shorter lists or texts");
  }
  if (const char* problem = readEntry(bytes, Strictness::strict, arena, view)) {
    throw Fault(ErrorCode::internal, std::string("an entry was made that no reader accepts: ") + problem);
  }
}

template <std::size_t size>
bool copyExact(std::string_view from, std::array<std::uint8_t, size>& to) {
  if (from.size() != size) return false;
  std::memcpy(to.data(), from.data(), size);
  return true;
}

const char* checkCommitments(const StructValue& entry) {
  std::string_view previous;
  for (const StructValue& commitment : entry.structures(Field::commitments)) {
    const std::string_view path = commitment.text(Field::path);
    // An empty path is not greater than the empty start either.
    if (path <= previous) return "commitments that are not sorted by path";
    if (commitment.text(Field::digest).size() != crypto::kDigestSize) return "a commitment of the wrong length";
    previous = path;
  }
  return nullptr;
}

}  // namespace

Entry chain(RedactedEvent event, WorkspaceNumber workspace, Timestamp recordedAt, const std::array<std::uint8_t, 16>& nonce,
            ChainHead& head) {
  Entry entry;
  entry.workspace_ = workspace;
  entry.seq_ = Sequence{head.size()};
  entry.previous_ = head.last;
  entry.recordedAt_ = std::max(recordedAt, head.lastRecordedAt);
  entry.id_ = event.id();
  entry.kind_ = event.kind();

  Arena& arena = event.arena();
  StructValue& common = event.common();
  common.setNumber(Field::version, kEntryVersion);
  common.setNumber(Field::workspace, workspace.value);
  common.setNumber(Field::seq, entry.seq_.value);
  common.setData(arena, Field::previous, entry.previous_.bytes);
  common.setData(arena, Field::id, entry.id_.bytes);
  common.setTime(Field::recordedAt, entry.recordedAt_);
  if (common.get(Field::occurredAt).absent()) common.setTime(Field::occurredAt, entry.recordedAt_);
  common.setData(arena, Field::nonce, nonce);
  setCommitments(arena, common, event.redaction().commitments);
  setRedactions(arena, common, event.redaction().redactions);
  setEvent(arena, common, event.kind(), event.body());

  encodeCanonical(common, entry.bytes_);
  readBack(entry.bytes_, entry.arena_, entry.view_);
  entry.leaf_ = leafHash(entry.bytes_);
  // Nothing was touched so far. What may fail comes first, so that a fault leaves the head as it was.
  head.tree.append(entry.leaf_);
  head.last = entry.leaf_;
  head.lastRecordedAt = entry.recordedAt_;
  entry.redaction_ = std::move(event.redaction());
  return entry;
}

const char* readEntry(crypto::Bytes bytes, Strictness strictness, Arena& arena, EntryView& view) {
  if (bytes.size() > limits::kEntryBytesMax) return "an entry over the size limit";
  const DecodeResult result = decodeCanonical(*schemaTables().entry, bytes, strictness, arena);
  if (!result) return result.problem;
  view = {};
  view.entry = result.value;
  if (view.entry.number(Field::version) != kEntryVersion) return "an unknown version";
  view.workspace = WorkspaceNumber{view.entry.number(Field::workspace)};
  view.seq = Sequence{view.entry.number(Field::seq)};
  view.recordedAt = view.entry.time(Field::recordedAt);
  view.occurredAt = view.entry.time(Field::occurredAt);
  if (!copyExact(view.entry.text(Field::previous), view.previous.bytes)) return "a previous hash of the wrong length";
  if (view.seq.value == 0 && view.previous != LeafHash{}) return "a first entry with a predecessor";
  if (!copyExact(view.entry.text(Field::id), view.id.bytes)) return "an id of the wrong length";
  if (view.entry.text(Field::nonce).size() != 16) return "a nonce of the wrong length";
  if (const char* problem = checkCommitments(view.entry)) return problem;
  const StructValue event = view.entry.structure(Field::event);
  if (event.discriminant == 0) return "an entry without a kind";
  view.kindNumber = event.discriminant;
  view.known = event.discriminant < kKindCount;
  if (event.member != nullptr) view.body = *event.member;
  return nullptr;
}

}  // namespace counterfoil
