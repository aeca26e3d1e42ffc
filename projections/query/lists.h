// The lists of one workspace, each as the JSON text of INTERFACE. Between begin() and end() of the connection; `filters` with persons
// resolved. Throw Fault: badCursor, noSuchItem, viewDamaged, notReady.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "projections/query/disclosures.h"
#include "projections/query/filters.h"
#include "projections/query/key_lists.h"
#include "projections/query/view_connection.h"

namespace counterfoil::query {

// What is asked, taken apart once: where the page starts and up to where the record is looked at.
struct Page {
  std::optional<Cursor> cursor;
  std::int64_t pinned = -1;
};
Page openPage(ViewConnection& view, ListKind list, const Filters& filters);

// Entries (INTERFACE: Entry), and the same for `lease.denied` alone.
// With `disclosures` its personal values too; it may be null. Throws what Disclosures::of() throws, logUnavailable if not even the page's
// first entries could be read in time.
std::string listEntries(ViewConnection& view, ListKind list, const Filters& filters, Disclosures* disclosures);
// One entry; nullopt if it is not in the view yet.
std::optional<std::string> showEntry(ViewConnection& view, Sequence seq, Disclosures* disclosures);

std::string listLeases(ViewConnection& view, const Filters& filters);
// One lease with "history" (every entry that touched it, oldest first, at most 1,000) and "children". nullopt if there is none.
std::optional<std::string> showLease(ViewConnection& view, std::string_view lease, const Filters& filters);

// bundles, hosts, vault, runs, principals, approvals, findings, holds. A run that is asked for by its id brings "reached"; a finding the
// entries it rests on as "evidence".
std::string listTable(ViewConnection& view, ListKind list, const Filters& filters);

// {"entries","withheld","kinds":{...},"leases":{...},"denials":{...},"redactions","seq","digest","asOf"}
std::string stats(ViewConnection& view);

// Keys of the entries whose text matches; nullptr: no entry's does.
std::unique_ptr<KeyList> fullTextKeys(ViewConnection& view, const Filters& filters, Budget& budget);
// Keys of the entries that `table` (entry_resource, entry_scope) gives the value, or of those among them that grant it; nullptr: none.
enum class Granted : std::uint8_t { whether, only };
std::unique_ptr<KeyList> valueKeys(ViewConnection& view, std::string_view table, Granted granted, std::string_view value, Order order,
                                   Budget& budget);

}  // namespace counterfoil::query
