// The body of a list, put together: {"items":[...],"next":cursor,"asOf":{"seq","leafHash","recordedAt","viewSeq"}} (INTERFACE: Lists).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ledger/core/ids.h"
#include "ledger/core/json.h"
#include "projections/query/filters.h"
#include "projections/query/view_connection.h"

namespace counterfoil::query {

// Up to which seq a list looks; -1: nothing is on the record yet at the point asked for.
// Throws Fault(badCursor) if the cursor's point is not in this view.
std::int64_t pinnedSeq(ViewConnection& view, const Filters& filters, const std::optional<Cursor>& cursor);

// Appends the object for `asOf`; "seq", "leafHash" and "recordedAt" are left out for -1, and "recordedAt" for an entry that is withheld.
void writeAsOf(ViewConnection& view, std::int64_t pinned, std::string& out);

// Collects items and closes the page.
class PageJson {
 public:
  PageJson() : out_("{\"items\":[") {}
  // Where the next item is to be written.
  std::string& item() {
    if (any_) out_ += ',';
    any_ = true;
    return out_;
  }
  // `next` empty: the last page.
  std::string finish(ViewConnection& view, const std::string& next, std::int64_t pinned);

 private:
  std::string out_;
  bool any_ = false;
};

// Members of an object, left out when the column is NULL. Numbers may be negative, unlike JsonObject's.
void member(JsonObject& object, std::string_view name, std::int64_t number);
// "kind:id" as {"kind","id"}.
void principalMember(JsonObject& object, std::string_view name, std::string_view principal);

}  // namespace counterfoil::query
