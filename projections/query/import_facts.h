// What an import through a server asks of a view: which of its facts are on the record, and what the ledger recorded because of them.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/ids.h"
#include "projections/query/view_connection.h"

namespace counterfoil::query {

// A fact as its importer made it: the same record of the other system always gives the same id at the same time.
struct ImportedFact {
  EntryId id;
  Timestamp occurredAt;
};

struct RecordedFact {
  EntryId id;
  Sequence seq;
  LeafHash leaf;
  Timestamp recordedAt;
};

struct RecordedFacts {
  std::uint64_t size = 0;           // of the view when it was asked: entries from here on were not looked at
  std::vector<RecordedFact> found;  // by id
};

// Those of `facts` that the view holds. Costs a look at every entry of their times: cheap for facts in the order of time.
RecordedFacts findRecorded(ViewConnection& view, std::span<const ImportedFact> facts);

// Entries from `since` on that the ledger made itself because of facts of `source`, by kind: ends of reported leases, import.finished.
std::map<std::string, std::uint64_t> countCaused(ViewConnection& view, std::string_view source, Sequence since);

}  // namespace counterfoil::query
