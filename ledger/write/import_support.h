// What every way of importing has in common, from a folder or through a server: what is asked of the ledger's state, and the entry that
// ends an import. Pure.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ledger/core/event.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil::write {

// What one producer's facts came to in one import.
struct ImportCounts {
  std::map<std::string, std::uint64_t> kinds;  // facts, by kind
  Timestamp lastOccurredAt;
  std::uint64_t lastProducerSeq = 0;

  // Of a fact that was given, recorded or known already: how far the producer has told.
  void reached(const StructValue& common);
};

// The reported lease of `source` to which a credential belongs, by its fingerprints; nullopt if none is known. A lease of another source,
// or one that the ledger granted itself, is none.
std::optional<std::string> reportedLeaseOf(const WorkspaceState& workspace, std::span<const std::string> fingerprints,
                                           std::string_view source);

// Facts of this producer were recorded, and no import.finished since.
bool isUnfinished(const WorkspaceState& workspace, std::string_view source, std::string_view producer);

// Reported leases of `source` whose producer has told more than their end, and whose end is not recorded yet: some are left.
bool hasLeasesDue(const WorkspaceState& workspace, std::string_view source, Timestamp recordedAt);

// import.finished of one producer.
RedactedEvent importFinished(std::string_view source, std::string_view producer, const ImportCounts& counts, const EntryId& id);

}  // namespace counterfoil::write
