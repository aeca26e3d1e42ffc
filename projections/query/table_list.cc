// Bundles, hosts, vault secrets, runs, principals, approvals, findings and holds: tables with one row a thing, listed in the order in which
// the record first named them.
#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "projections/query/lists.h"
#include "projections/query/page_json.h"

namespace counterfoil::query {
namespace {

constexpr std::int64_t kReachedMax = 1'000;

enum class Shape : std::uint8_t { name, principal, time, count, text };

struct Column {
  const char* json;
  const char* column;
  Shape shape;
  const char* since = nullptr;  // the column with the seq that brought the value: hidden from a viewpoint before it
};

struct TableList {
  ListKind list;
  const char* table;
  const char* key;    // its primary key, the id of a name
  const char* time;   // what `from` and `to` mean; nullptr: no such filter
  const char* since;  // the seq from which a row is there, for lists with `asOf`; else nullptr
  std::vector<Column> columns;
};

// What leases are given to and reach.
const std::vector<TableList>& thingLists() {
  static const std::vector<TableList> lists = {
      {ListKind::bundles,
       "bundle",
       "bundle",
       "issued_at",
       "issued_seq",
       {{"host", "host", Shape::name},
        {"operatorVersion", "operator_version", Shape::name},
        {"fingerprint", "fingerprint", Shape::name},
        {"retires", "retires", Shape::name},
        {"issuedBy", "issued_by", Shape::principal},
        {"manifestDigest", "manifest_digest", Shape::text},
        {"issuedAt", "issued_at", Shape::time},
        {"expiresAt", "expires_at", Shape::time},
        {"redeemedAt", "redeemed_at", Shape::time, "redeemed_seq"},
        {"redemptions", "redemptions", Shape::count, "last_seq"},
        {"refusals", "refusals", Shape::count, "last_seq"},
        {"retiredAt", "retired_at", Shape::time, "retired_seq"},
        {"retiredBy", "retired_by", Shape::principal, "retired_seq"},
        {"issuedSeq", "issued_seq", Shape::count},
        {"lastSeq", "last_seq", Shape::count, "last_seq"}}},
      {ListKind::hosts,
       "host",
       "host",
       "last_at",
       nullptr,
       {{"connection", "connection", Shape::name},
        {"connectedAt", "connected_at", Shape::time},
        {"disconnectedAt", "disconnected_at", Shape::time},
        {"cause", "cause", Shape::name},
        {"tokenExpiresAt", "token_expires_at", Shape::time},
        {"sandboxesAlive", "sandboxes_alive", Shape::count},
        {"sandboxesCleaned", "sandboxes_cleaned", Shape::count},
        {"entries", "entries", Shape::count},
        {"lastAt", "last_at", Shape::time},
        {"firstSeq", "first_seq", Shape::count},
        {"lastSeq", "last_seq", Shape::count}}},
      {ListKind::vault,
       "vault_secret",
       "secret",
       "written_at",
       nullptr,
       {{"version", "version", Shape::name},
        {"fingerprint", "fingerprint", Shape::name},
        {"scheduledPurgeAt", "scheduled_purge_at", Shape::time},
        {"writes", "writes", Shape::count},
        {"reads", "reads", Shape::count},
        {"failures", "failures", Shape::count},
        {"writtenAt", "written_at", Shape::time},
        {"readAt", "read_at", Shape::time},
        {"firstSeq", "first_seq", Shape::count},
        {"lastSeq", "last_seq", Shape::count}}},
      {ListKind::runs,
       "run",
       "run",
       "started_at",
       nullptr,
       {{"agent", "agent", Shape::name},
        {"trigger", "trigger", Shape::name},
        {"outcome", "outcome", Shape::name},
        {"startedAt", "started_at", Shape::time},
        {"finishedAt", "finished_at", Shape::time},
        {"entries", "entries", Shape::count},
        {"leases", "leases", Shape::count},
        {"denials", "denials", Shape::count},
        {"firstSeq", "first_seq", Shape::count},
        {"lastSeq", "last_seq", Shape::count}}},
      {ListKind::principals,
       "principal",
       "principal",
       nullptr,
       nullptr,
       {{"entries", "entries", Shape::count},
        {"grants", "grants", Shape::count},
        {"live", "live", Shape::count},
        {"uses", "uses", Shape::count},
        {"denials", "denials", Shape::count},
        {"firstSeq", "first_seq", Shape::count},
        {"lastSeq", "last_seq", Shape::count}}},
  };
  return lists;
}

// What people decided or must look at.
const std::vector<TableList>& decisionLists() {
  static const std::vector<TableList> lists = {
      {ListKind::approvals,
       "approval",
       "approval",
       "requested_at",
       "requested_seq",
       {{"requestedBy", "requested_by", Shape::principal},
        {"onBehalfOf", "on_behalf_of", Shape::principal},
        {"operation", "operation", Shape::name},
        {"requestedAt", "requested_at", Shape::time},
        {"expiresAt", "expires_at", Shape::time},
        {"decision", "decision", Shape::name, "decided_seq"},
        {"decidedBy", "decided_by", Shape::principal, "decided_seq"},
        {"decidedAt", "decided_at", Shape::time, "decided_seq"},
        {"lease", "lease", Shape::name, "last_seq"},
        {"requestDigest", "request_digest", Shape::text},
        {"requestedSeq", "requested_seq", Shape::count},
        {"decidedSeq", "decided_seq", Shape::count, "decided_seq"}}},
      {ListKind::findings,
       "finding",
       "finding",
       "raised_at",
       "raised_seq",
       {{"rule", "rule", Shape::name},
        {"severity", "severity", Shape::name},
        {"explanation", "explanation", Shape::text},
        {"raisedAt", "raised_at", Shape::time},
        {"resolvedAt", "resolved_at", Shape::time, "resolved_seq"},
        {"raisedSeq", "raised_seq", Shape::count},
        {"resolvedSeq", "resolved_seq", Shape::count, "resolved_seq"}}},
      {ListKind::holds,
       "hold",
       "hold",
       "placed_at",
       "placed_seq",
       {{"scope", "scope", Shape::name},
        {"days", "days", Shape::count},
        {"placedAt", "placed_at", Shape::time},
        {"placedBy", "placed_by", Shape::principal},
        {"releasedAt", "released_at", Shape::time, "released_seq"},
        {"releasedBy", "released_by", Shape::principal, "released_seq"},
        {"placedSeq", "placed_seq", Shape::count},
        {"releasedSeq", "released_seq", Shape::count, "released_seq"}}},
  };
  return lists;
}

const TableList& tableListOf(ListKind list) {
  for (const auto* lists : {&thingLists(), &decisionLists()}) {
    const auto found = std::find_if(lists->begin(), lists->end(), [&](const TableList& one) { return one.list == list; });
    if (found != lists->end()) return *found;
  }
  throw Fault(ErrorCode::internal, "a list without a table");
}

// A query under construction: our own words, and values that are only ever bound.
class TableQuery {
 public:
  TableQuery(ViewConnection& view, const TableList& table, const Filters& filters, const Page& page)
      : view_(view), table_(table), filters_(filters), page_(page), historic_(table.since != nullptr && page.pinned < view.size() - 1) {}

  // False: a value that no row can have.
  bool build() {
    for (const auto& [match, column] : {std::pair{Match::run, "run"},
                                        {Match::host, "host"},
                                        {Match::bundle, "bundle"},
                                        {Match::resource, "secret"},
                                        {Match::lease, "lease"}}) {
      if (!filters_[match].empty() && !equal(column, filters_[match])) return false;
    }
    if (const std::string& actor = filters_[Match::actor]; !actor.empty()) {
      const auto name = view_.findName(actor);
      if (!name) return false;
      const std::string value = bind(*name);
      where_ += table_.list == ListKind::approvals ? " AND (requested_by = " + value + " OR decided_by = " + value + ")"
                : table_.list == ListKind::holds   ? " AND (placed_by = " + value + " OR released_by = " + value + ")"
                                                   : " AND principal = " + value;
    }
    state_ = historic_ ? stateThen() : std::string(hasState() ? "state" : "NULL");
    if (!filters_[Match::state].empty()) {
      const auto name = view_.findName(filters_[Match::state]);
      if (!name) return false;
      where_ += " AND " + state_ + " = " + bind(*name);
    }
    if (historic_) where_ += " AND " + std::string(table_.since) + " <= " + bind(page_.pinned);
    if (filters_.from) where_ += " AND " + std::string(table_.time) + " >= " + bind(filters_.from->nanoseconds);
    if (filters_.to) where_ += " AND " + std::string(table_.time) + " < " + bind(filters_.to->nanoseconds);
    if (page_.cursor) where_ += " AND " + std::string(table_.key) + (ascending() ? " > " : " < ") + bind(page_.cursor->key);
    return true;
  }

  LentStatement run() {
    std::string sql = "SELECT " + std::string(table_.key) + ", " + state_;
    for (const Column& column : table_.columns) {
      const std::string name(column.column);
      sql += ", " + (historic_ && column.since != nullptr
                         ? "CASE WHEN " + std::string(column.since) + " <= " + bind(page_.pinned) + " THEN " + name + " END"
                         : name);
    }
    sql += " FROM " + std::string(table_.table) + " WHERE 1" + where_ + " ORDER BY " + table_.key + (ascending() ? "" : " DESC") +
           " LIMIT " + bind(filters_.limit + 1);
    LentStatement statement = view_.statement(sql);
    for (std::size_t index = 0; index < values_.size(); ++index) statement->bindNumber(static_cast<int>(index) + 1, values_[index]);
    return statement;
  }

 private:
  bool ascending() const { return filters_.order == Order::ascending; }
  bool hasState() const { return table_.list != ListKind::runs && table_.list != ListKind::principals; }
  std::string bind(std::int64_t value) {
    values_.push_back(value);
    return "?" + std::to_string(values_.size());
  }
  bool equal(const char* column, const std::string& text) {
    const auto name = view_.findName(text);
    if (name) where_ += " AND " + std::string(column) + " = " + bind(*name);
    return name.has_value();
  }
  std::string nameOr0(std::string_view text) { return bind(view_.findName(text).value_or(0)); }
  // The state as of the pinned seq, from the seqs at which it changed.
  std::string stateThen() {
    const std::string pinned = bind(page_.pinned);
    if (table_.list == ListKind::bundles) {
      return "CASE WHEN retired_seq <= " + pinned + " THEN " + nameOr0("retired") + " WHEN redeemed_seq <= " + pinned + " THEN " +
             nameOr0("redeemed") + " ELSE " + nameOr0("issued") + " END";
    }
    if (table_.list == ListKind::findings || table_.list == ListKind::holds) {
      const bool finding = table_.list == ListKind::findings;
      return std::string("CASE WHEN ") + (finding ? "resolved_seq" : "released_seq") + " <= " + pinned + " THEN " +
             nameOr0(finding ? "resolved" : "released") + " ELSE " + nameOr0(finding ? "raised" : "placed") + " END";
    }
    return "CASE WHEN last_seq <= " + pinned + " THEN state WHEN decided_seq <= " + pinned + " THEN decision ELSE " + nameOr0("requested") +
           " END";
  }

  ViewConnection& view_;
  const TableList& table_;
  const Filters& filters_;
  const Page& page_;
  const bool historic_;
  std::string where_;
  std::string state_;
  std::vector<std::int64_t> values_;
};

void writeColumn(ViewConnection& view, JsonObject& object, const Column& column, Statement& row, int index) {
  if (row.isNull(index)) return;
  switch (column.shape) {
    case Shape::name:
      object.text(column.json, view.name(row.number(index)));
      break;
    case Shape::principal:
      principalMember(object, column.json, view.name(row.number(index)));
      break;
    case Shape::time:
      object.time(column.json, {row.number(index)});
      break;
    case Shape::count:
      member(object, column.json, row.number(index));
      break;
    case Shape::text:
      object.text(column.json, row.text(index));
      break;
  }
}

void writeReached(ViewConnection& view, JsonObject& object, std::int64_t run) {
  LentStatement reached =
      view.statement("SELECT what, value, count, refused, first_seq, last_seq FROM run_reach WHERE run = ?1 ORDER BY what, value LIMIT ?2");
  reached->bindNumber(1, run);
  reached->bindNumber(2, kReachedMax + 1);
  std::string list = "[";
  std::int64_t count = 0;
  while (reached->step() && ++count <= kReachedMax) {
    if (list.size() > 1) list += ',';
    JsonObject item(list);
    item.text("what", view.name(reached->number(0))).text("value", view.name(reached->number(1)));
    member(item, "count", reached->number(2));
    member(item, "refused", reached->number(3));
    member(item, "firstSeq", reached->number(4));
    member(item, "lastSeq", reached->number(5));
    item.end();
  }
  object.raw("reached", list + "]");
  if (count > kReachedMax) object.boolean("reachedMore", true);
}

// What the finding cites, and the hash of each so that a proof can follow.
void writeEvidence(ViewConnection& view, JsonObject& object, std::int64_t finding) {
  LentStatement rows = view.statement("SELECT seq, leaf FROM finding_evidence WHERE finding = ?1 ORDER BY seq LIMIT ?2");
  rows->bindNumber(1, finding);
  rows->bindNumber(2, kReachedMax);
  std::string list = "[";
  while (rows->step()) {
    if (list.size() > 1) list += ',';
    JsonObject item(list);
    member(item, "seq", rows->number(0));
    if (!rows->isNull(1)) item.text("leafHash", toHex(rows->blob(1)));
    item.end();
  }
  object.raw("evidence", list + "]");
}

void checkCursor(ViewConnection& view, const Cursor& cursor) {
  // A rebuilt view numbers its names anew.
  const auto name = view.findName(cursor.name);
  if (!name || *name != cursor.key) {
    throw Fault(ErrorCode::badCursor, "the view was rebuilt since the cursor was given", "start again without `after`", "after");
  }
}

}  // namespace

std::string listTable(ViewConnection& view, ListKind list, const Filters& filters) {
  const TableList& table = tableListOf(list);
  Page page = openPage(view, list, filters);
  if (page.cursor) checkCursor(view, *page.cursor);
  if (table.since == nullptr) page.pinned = view.size() - 1;
  PageJson json;
  std::string next;
  TableQuery query(view, table, filters, page);
  if (page.pinned >= 0 && query.build()) {
    LentStatement rows = query.run();
    unsigned count = 0;
    std::int64_t last = 0;
    while (rows->step()) {
      if (count++ == filters.limit) {
        next = encodeCursor(list, filters, {last, page.pinned, view.name(last)});
        break;
      }
      last = rows->number(0);
      JsonObject object(json.item());
      writeColumn(view, object, {table.key, table.key, list == ListKind::principals ? Shape::principal : Shape::name}, *rows, 0);
      writeColumn(view, object, {"state", "state", Shape::name}, *rows, 1);
      for (std::size_t index = 0; index < table.columns.size(); ++index)
        writeColumn(view, object, table.columns[index], *rows, static_cast<int>(index) + 2);
      if (list == ListKind::runs && !filters[Match::run].empty()) writeReached(view, object, last);
      if (list == ListKind::findings) writeEvidence(view, object, last);
      object.end();
    }
  }
  return json.finish(view, next, page.pinned);
}

std::string stats(ViewConnection& view) {
  struct Group {
    std::string_view prefix;
    const char* name;
    std::string json;
  };
  Group groups[] = {{"kind ", "kinds", "{"}, {"leases ", "leases", "{"}, {"denials ", "denials", "{"}};
  std::int64_t withheld = 0;
  std::int64_t redactions = 0;
  LentStatement counters = view.statement("SELECT name.text, value FROM counter JOIN name ON name.id = what ORDER BY name.text");
  while (counters->step()) {
    const std::string_view what = counters->text(0);
    if (what == "withheld") withheld = counters->number(1);
    if (what == "redactions") redactions = counters->number(1);
    for (Group& group : groups) {
      if (!what.starts_with(group.prefix)) continue;
      if (group.json.size() > 1) group.json += ',';
      appendJsonString(what.substr(group.prefix.size()), group.json);
      group.json += ':' + std::to_string(counters->number(1));
    }
  }
  std::string out;
  JsonObject object(out);
  member(object, "entries", view.size());
  member(object, "withheld", withheld);
  member(object, "redactions", redactions);
  for (const Group& group : groups) object.raw(group.name, group.json + "}");
  if (view.size() > 0) member(object, "seq", view.size() - 1);
  object.text("digest", toHex(view.digest()));
  std::string asOf;
  writeAsOf(view, view.size() - 1, asOf);
  object.raw("asOf", asOf);
  object.end();
  return out;
}

}  // namespace counterfoil::query
