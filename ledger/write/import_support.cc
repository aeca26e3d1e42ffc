#include "ledger/write/import_support.h"

#include <algorithm>
#include <vector>

#include "ledger/core/schema_tables.h"

namespace counterfoil::write {
namespace {

// As many as are looked at: those of other sources among them hide the rest only until they are recorded themselves.
constexpr std::size_t kDueLookedAtMax = 10'000;

}  // namespace

void ImportCounts::reached(const StructValue& common) {
  lastOccurredAt = std::max(lastOccurredAt, common.time(Field::occurredAt));
  lastProducerSeq = std::max(lastProducerSeq, common.number(Field::producerSeq));
}

std::optional<std::string> reportedLeaseOf(const WorkspaceState& workspace, std::span<const std::string> fingerprints,
                                           std::string_view source) {
  for (const std::string& fingerprint : fingerprints) {
    const LeaseSlot slot = workspace.slotOfFingerprint(fingerprint);
    if (slot != kNoLease && unpackTerms(workspace.lease(slot).terms).source == source) return workspace.lease(slot).id;
  }
  return std::nullopt;
}

bool isUnfinished(const WorkspaceState& workspace, std::string_view source, std::string_view producer) {
  const ProducerState* state = workspace.findProducer(source, producer);
  return state != nullptr && !state->finished;
}

bool hasLeasesDue(const WorkspaceState& workspace, std::string_view source, Timestamp recordedAt) {
  std::vector<LeaseSlot> due;
  workspace.collectReportedDue(recordedAt, kDueLookedAtMax, due);
  return std::any_of(due.begin(), due.end(), [&](LeaseSlot slot) { return unpackTerms(workspace.lease(slot).terms).source == source; });
}

RedactedEvent importFinished(std::string_view source, std::string_view producer, const ImportCounts& counts, const EntryId& id) {
  RedactedEvent event = RedactedEvent::ofLedger(Kind::importFinished, id);
  Arena& arena = event.arena();
  StructValue& body = event.body();
  body.setText(arena, Field::producer, producer);
  body.setText(arena, Field::source, source);
  std::vector<StructValue> items;
  const StructTable& table = *body.table->find(Field::counts)->structure;
  for (const auto& [kind, count] : counts.kinds) {
    StructValue item = makeStruct(arena, table);
    item.setText(arena, Field::name, kind);
    item.setNumber(Field::count, count);
    items.push_back(item);
  }
  body.setStructures(arena, Field::counts, items);
  body.setTime(Field::lastOccurredAt, counts.lastOccurredAt);
  body.setNumber(Field::lastProducerSeq, counts.lastProducerSeq);
  return event;
}

}  // namespace counterfoil::write
