#include "projections/query/page_json.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"

namespace counterfoil::query {

std::int64_t pinnedSeq(ViewConnection& view, const Filters& filters, const std::optional<Cursor>& cursor) {
  const std::int64_t newest = view.size() - 1;
  if (cursor) {
    if (cursor->pinned > newest) {
      throw Fault(ErrorCode::badCursor, "the cursor is of a later state than this view holds", "start again without `after`", "after");
    }
    return cursor->pinned;
  }
  if (filters.asOfSeq) return std::min(newest, static_cast<std::int64_t>(filters.asOfSeq->value));
  if (!filters.asOfTime) return newest;
  LentStatement find =
      view.statement("SELECT seq FROM entry INDEXED BY entry_recorded WHERE recorded_at <= ?1 ORDER BY recorded_at DESC, seq DESC LIMIT 1");
  find->bindNumber(1, filters.asOfTime->nanoseconds);
  return find->step() ? find->number(0) : -1;
}

void writeAsOf(ViewConnection& view, std::int64_t pinned, std::string& out) {
  JsonObject object(out);
  if (pinned >= 0) {
    LentStatement entry = view.statement("SELECT leaf, recorded_at FROM entry WHERE seq = ?1");
    entry->bindNumber(1, pinned);
    if (entry->step()) {
      object.number("seq", static_cast<std::uint64_t>(pinned)).text("leafHash", toHex(entry->blob(0)));
      if (!entry->isNull(1)) object.time("recordedAt", {entry->number(1)});
    }
  }
  if (view.size() > 0) object.number("viewSeq", static_cast<std::uint64_t>(view.size() - 1));
  object.end();
}

std::string PageJson::finish(ViewConnection& view, const std::string& next, std::int64_t pinned) {
  out_ += "],\"next\":";
  if (next.empty()) {
    out_ += "null";
  } else {
    appendJsonString(next, out_);
  }
  out_ += ",\"asOf\":";
  writeAsOf(view, pinned, out_);
  out_ += '}';
  return std::move(out_);
}

void member(JsonObject& object, std::string_view name, std::int64_t number) {
  object.raw(name, std::to_string(number));
}

void principalMember(JsonObject& object, std::string_view name, std::string_view principal) {
  const std::size_t colon = std::min(principal.find(':'), principal.size());
  std::string value;
  JsonObject inner(value);
  inner.text("kind", principal.substr(0, colon));
  if (colon < principal.size()) inner.text("id", principal.substr(colon + 1));
  inner.end();
  object.raw(name, value);
}

}  // namespace counterfoil::query
