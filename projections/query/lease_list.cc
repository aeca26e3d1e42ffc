// Leases as they are, as they were at a time (`at`), and as they were known to be (`asOf`).
#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "projections/query/lists.h"
#include "projections/query/page_json.h"
#include "projections/views/view_schema.h"

namespace counterfoil::query {
namespace {

constexpr std::int64_t kLeaseRangeKeysMax = 8'192;
constexpr std::int64_t kHistoryMax = 1'000;

struct LeaseColumnFilter {
  Match match;
  const char* column;
  const char* index;
};
constexpr LeaseColumnFilter kLeaseColumns[] = {
    {Match::actor, "grantee", "lease_grantee"},
    {Match::run, "run", "lease_run"},
    {Match::host, "host", "lease_host"},
    {Match::lease, "lease", "lease_lease"},
    {Match::bundle, "bundle", "lease_bundle"},
    {Match::credential, "credential", "lease_credential"},
    {Match::fingerprint, "fingerprint", "lease_fingerprint"},
};

bool isLive(std::string_view state) {
  return state == "granted" || state == "active";
}

// The point a lease is looked at from.
struct Viewpoint {
  std::int64_t pinned = -1;
  bool historic = false;  // `asOf` or a cursor may hide what the row already knows
  std::optional<std::int64_t> at;
};

// One row of `lease`, and what changes of it as seen from the viewpoint.
class LeaseReader {
 public:
  LeaseReader(ViewConnection& view, const Viewpoint& from)
      : view_(view),
        from_(from),
        row_(view.statement(
            "SELECT lease, reported, credential, credential_name, grantee, run, host, sandbox, source, producer, parent, bundle, "
            "approval, issuer, policy, policy_version, fingerprint, upstream, valid_from, expires_at, renewable_until, max_uses, "
            "uses, state, issued_seq, renewals, ended_seq, ended_at, end_reason, cascade_of, upstream_outcome, "
            "upstream_attempts, last_seq FROM lease WHERE granted_seq = ?1")),
        history_(
            view.statement("SELECT state, uses, expires_at FROM entry INDEXED BY entry_lease WHERE lease = ?1 AND seq BETWEEN ?2 AND ?3 "
                           "AND state IS NOT NULL AND occurred_at <= ?4 ORDER BY seq DESC LIMIT 1")),
        occurred_(view.statement("SELECT occurred_at FROM entry WHERE seq = ?1")) {}

  // False: there is no such lease.
  bool load(Key grantedSeq) {
    if (!loadRow(grantedSeq)) return false;
    look();
    return true;
  }
  // The two halves of load(). Most leases that are not wanted are refused by their row alone; their history costs far more.
  bool loadRow(Key grantedSeq) {
    row_->reset();
    row_->bindNumber(1, grantedSeq);
    grantedSeq_ = grantedSeq;
    if (!row_->step()) return false;
    const bool endedBy = !row_->isNull(kEndedSeq) && row_->number(kEndedSeq) <= from_.pinned;
    ended_ = endedBy && (!from_.at || row_->number(kEndedAt) <= *from_.at);
    return true;
  }
  void look() {
    current_ = !from_.at && row_->number(kLastSeq) <= from_.pinned;
    state_ = view_.name(row_->number(kState));
    uses_ = row_->number(kUses);
    expiresAt_ = row_->isNull(kExpiresAt) ? 0 : row_->number(kExpiresAt);
    if (!current_) lookBack();
  }
  // After loadRow(): false if the lease cannot be valid() whatever its history.
  bool mayBeValid() { return validFrom() <= *from_.at && !ended_; }
  // After loadRow(): false if no entry up to the viewpoint gave it a state that is an end.
  bool mayHaveEnded() {
    if (row_->isNull(kEndedSeq) || row_->number(kEndedSeq) > from_.pinned) return false;
    if (!from_.at) return true;
    occurred_->bindNumber(1, row_->number(kEndedSeq));
    const bool before = !occurred_->step() || occurred_->isNull(0) || occurred_->number(0) <= *from_.at;
    occurred_->reset();
    return before;
  }
  const std::string& state() const { return state_; }
  std::int64_t validFrom() { return row_->number(kValidFrom); }
  // At the viewpoint's `at`: begun, neither ended nor run out.
  bool valid() { return validFrom() <= *from_.at && !ended_ && (expiresAt_ == 0 || *from_.at < expiresAt_); }

  // Members of the item; the object stays open.
  void write(JsonObject& object) {
    text(object, "id", kLease);
    object.text("state", state_);
    if (row_->number(kReported) != 0) object.boolean("reported", true);
    text(object, "credential", kCredential);
    text(object, "credentialName", kCredentialName);
    if (!row_->isNull(kGrantee)) principalMember(object, "grantee", view_.name(row_->number(kGrantee)));
    writeValues(object, "scope", "entry_scope");
    writeValues(object, "resources", "entry_resource");
    for (const auto& [name, column] : {std::pair{"run", kRun},
                                       {"host", kHost},
                                       {"sandbox", kSandbox},
                                       {"bundle", kBundle},
                                       {"parentLease", kParent},
                                       {"approval", kApproval},
                                       {"issuer", kIssuer}}) {
      text(object, name, column);
    }
    if (!row_->isNull(kPolicy)) {
      std::string policy;
      JsonObject inner(policy);
      inner.text("name", view_.name(row_->number(kPolicy)));
      member(inner, "version", row_->number(kPolicyVersion));
      inner.end();
      object.raw("policy", policy);
    }
    object.time("issuedAt", {validFrom()});
    if (expiresAt_ != 0) object.time("expiresAt", {expiresAt_});
    if (!row_->isNull(kRenewableUntil)) object.time("renewableUntil", {row_->number(kRenewableUntil)});
    writeEnd(object);
    member(object, "uses", uses_);
    if (!row_->isNull(kMaxUses)) member(object, "maxUses", row_->number(kMaxUses));
    if (current_) writeCurrent(object);
    text(object, "source", kSource);
    text(object, "producer", kProducer);
    member(object, "grantedSeq", grantedSeq_);
    if (ended_) member(object, "endedSeq", row_->number(kEndedSeq));
    member(object, "lastSeq", std::min(row_->number(kLastSeq), from_.pinned));
  }
  std::int64_t leaseName() { return row_->number(kLease); }
  std::int64_t lastSeq() { return std::min(row_->number(kLastSeq), from_.pinned); }

 private:
  enum Column {
    kLease,
    kReported,
    kCredential,
    kCredentialName,
    kGrantee,
    kRun,
    kHost,
    kSandbox,
    kSource,
    kProducer,
    kParent,
    kBundle,
    kApproval,
    kIssuer,
    kPolicy,
    kPolicyVersion,
    kFingerprint,
    kUpstream,
    kValidFrom,
    kExpiresAt,
    kRenewableUntil,
    kMaxUses,
    kUses,
    kState,
    kIssuedSeq,
    kRenewals,
    kEndedSeq,
    kEndedAt,
    kEndReason,
    kCascadeOf,
    kUpstreamOutcome,
    kUpstreamAttempts,
    kLastSeq
  };

  // The lease's state is on every entry that touched it: the last one before the viewpoint tells.
  void lookBack() {
    history_->reset();
    history_->bindNumber(1, row_->number(kLease));
    history_->bindNumber(2, grantedSeq_);
    history_->bindNumber(3, std::min(from_.pinned, row_->number(kLastSeq)));
    history_->bindNumber(4, from_.at.value_or(INT64_MAX));
    if (history_->step()) {
      state_ = view_.name(history_->number(0));
      uses_ = history_->number(1);
      expiresAt_ = history_->isNull(2) ? 0 : history_->number(2);
      history_->reset();
    } else {
      // Reported after the fact, with an issue time before the report's own: valid, and nothing had happened to it yet.
      state_ = row_->number(kReported) != 0 ? "active" : "granted";
      uses_ = 0;
    }
  }
  void text(JsonObject& object, std::string_view name, int column) {
    if (!row_->isNull(column)) object.text(name, view_.name(row_->number(column)));
  }
  void writeEnd(JsonObject& object) {
    if (!ended_) return;
    object.time("endedAt", {row_->number(kEndedAt)});
    text(object, "endReason", kEndReason);
    text(object, "cascadeOf", kCascadeOf);
  }
  // What the row knows as of now only.
  void writeCurrent(JsonObject& object) {
    if (row_->number(kRenewals) != 0) member(object, "renewals", row_->number(kRenewals));
    text(object, "fingerprint", kFingerprint);
    text(object, "upstreamId", kUpstream);
    text(object, "upstreamOutcome", kUpstreamOutcome);
    if (!row_->isNull(kUpstreamAttempts)) member(object, "upstreamAttempts", row_->number(kUpstreamAttempts));
  }
  void writeValues(JsonObject& object, std::string_view name, const std::string& table) {
    LentStatement values = view_.statement("SELECT value FROM " + table + " WHERE seq = ?1 AND granted = 1");
    values->bindNumber(1, grantedSeq_);
    std::vector<std::string> texts;
    while (values->step()) texts.push_back(view_.name(values->number(0)));
    std::sort(texts.begin(), texts.end());
    std::string list = "[";
    for (const std::string& text : texts) {
      if (list.size() > 1) list += ',';
      appendJsonString(text, list);
    }
    if (!texts.empty()) object.raw(name, list + "]");
  }

  ViewConnection& view_;
  const Viewpoint from_;
  LentStatement row_;
  LentStatement history_;
  LentStatement occurred_;
  Key grantedSeq_ = 0;
  bool current_ = true;
  bool ended_ = false;
  std::string state_;
  std::int64_t uses_ = 0;
  std::int64_t expiresAt_ = 0;
};

class LeaseSearch {
 public:
  LeaseSearch(ViewConnection& view, const Filters& filters, const Viewpoint& from, LeaseReader& reader)
      : view_(view), filters_(filters), from_(from), reader_(reader) {}

  KeyPage find(const Page& page) {
    if (page.pinned < 0 || !addColumns() || !addValues() || !addState()) return {};
    addAt();
    addRange();
    if (!based_) lists_.push_back(leaseKeys("1", "", 0));
    const bool ascending = filters_.order == Order::ascending;
    Key first = ascending ? 0 : page.pinned;
    if (page.cursor) first = ascending ? page.cursor->key + 1 : std::min(page.cursor->key - 1, page.pinned);
    KeyWalk walk(std::move(lists_), filters_.order, first, ascending ? page.pinned : 0, budget_);
    return collectPage(walk, filters_.order, filters_.limit, [this](Key key) { return accept(key); });
  }

 private:
  std::unique_ptr<KeyList> leaseKeys(const std::string& condition, const char* index, std::int64_t name) {
    std::string sql = "SELECT granted_seq FROM lease ";
    if (*index != '\0') sql += "INDEXED BY " + std::string(index);
    LentStatement statement = view_.statement(sql + " WHERE " + condition + keyBound("granted_seq", filters_.order));
    if (*index != '\0') statement->bindNumber(2, name);
    return std::make_unique<StatementKeys>(std::move(statement), filters_.order, budget_);
  }
  // `based`: every key of the list is a lease's.
  bool add(std::unique_ptr<KeyList> list, bool based) {
    if (list == nullptr) return false;
    based_ = based_ || based;
    lists_.push_back(std::move(list));
    return true;
  }
  bool addColumns() {
    for (const LeaseColumnFilter& filter : kLeaseColumns) {
      if (filters_[filter.match].empty()) continue;
      const auto name = view_.findName(filters_[filter.match]);
      if (!name || !add(leaseKeys(std::string(filter.column) + " = ?2", filter.index, *name), true)) return false;
    }
    return true;
  }
  bool addValues() {
    const auto values = [&](Match match, const char* table) {
      return filters_[match].empty() || add(valueKeys(view_, table, Granted::only, filters_[match], filters_.order, budget_), false);
    };
    return values(Match::resource, "entry_resource") && values(Match::scope, "entry_scope") &&
           (filters_[Match::text].empty() || add(fullTextKeys(view_, filters_, budget_), false));
  }
  bool addState() {
    const std::string& state = filters_[Match::state];
    if (state.empty()) return true;
    checkState_ = from_.historic || from_.at.has_value();
    if (checkState_) return true;
    std::vector<std::unique_ptr<KeyList>> lists;
    for (const char* one : {"granted", "active", "consumed_out", "revoked", "expired", "failed"}) {
      if (state != one && state != (isLive(one) ? "live" : "ended")) continue;
      if (const auto name = view_.findName(one)) lists.push_back(leaseKeys("state = ?2", "lease_state", *name));
    }
    if (lists.empty()) return false;
    return add(lists.size() == 1 ? std::move(lists.front()) : std::make_unique<UnionKeys>(std::move(lists), filters_.order), true);
  }

  // Leases that can be valid at a time lie, for each class of length, in one stretch of (span, valid_from).
  void addAt() {
    if (!from_.at) return;
    LentStatement stretch = view_.statement(
        "SELECT granted_seq FROM lease INDEXED BY lease_span WHERE span = ?1 AND valid_from > ?2 AND valid_from <= ?3 LIMIT ?4");
    std::vector<Key> keys;
    for (std::int64_t span = 0; span <= views::kOpenSpan && static_cast<std::int64_t>(keys.size()) <= kLeaseRangeKeysMax; ++span) {
      std::int64_t least = 0;
      const bool open = span >= 34 || __builtin_sub_overflow(*from_.at, (std::int64_t{1} << span) * kNanosecondsPerSecond, &least);
      stretch->bindNumber(1, span);
      stretch->bindNumber(2, open ? INT64_MIN : least);
      stretch->bindNumber(3, *from_.at);
      stretch->bindNumber(4, kLeaseRangeKeysMax + 1);
      while (stretch->step()) keys.push_back(stretch->number(0));
    }
    addStretch(std::move(keys), INT64_MIN, *from_.at);
  }
  // Few keys: these. Many: where in the record to look for them, and every row is looked at.
  bool addStretch(std::vector<Key> keys, std::int64_t earliest, std::int64_t latest) {
    const bool few = static_cast<std::int64_t>(keys.size()) <= kLeaseRangeKeysMax;
    if (few) {
      add(std::make_unique<KnownKeys>(std::move(keys), filters_.order), true);
    } else {
      add(std::make_unique<BlockKeys>(view_, earliest, latest, filters_.order, budget_), false);
    }
    return few;
  }
  void addRange() {
    if (!filters_.from && !filters_.to) return;
    if (filters_.from) earliest_ = filters_.from->nanoseconds;
    if (filters_.to) latest_ = filters_.to->nanoseconds - 1;
    LentStatement range =
        view_.statement("SELECT granted_seq FROM lease INDEXED BY lease_valid WHERE valid_from >= ?1 AND valid_from <= ?2 LIMIT ?3");
    range->bindNumber(1, earliest_);
    range->bindNumber(2, latest_);
    range->bindNumber(3, kLeaseRangeKeysMax + 1);
    std::vector<Key> keys;
    while (range->step()) keys.push_back(range->number(0));
    checkRange_ = !addStretch(std::move(keys), earliest_, latest_);
  }

  bool accept(Key key) {
    if (!checkState_ && !from_.at && !checkRange_) return true;
    budget_.spend(2);
    if (!reader_.loadRow(key)) return false;
    if (checkRange_ && (reader_.validFrom() < earliest_ || reader_.validFrom() > latest_)) return false;
    if (from_.at && !reader_.mayBeValid()) return false;
    const std::string& wanted = filters_[Match::state];
    if (checkState_ && wanted != "live" && !isLive(wanted) && !reader_.mayHaveEnded()) return false;
    if (!from_.at && !checkState_) return true;
    budget_.spend(8);
    reader_.look();
    if (from_.at && !reader_.valid()) return false;
    if (!checkState_) return true;
    if (wanted == "live" || wanted == "ended") return isLive(reader_.state()) == (wanted == "live");
    return reader_.state() == wanted;
  }

  ViewConnection& view_;
  const Filters& filters_;
  const Viewpoint from_;
  LeaseReader& reader_;
  Budget budget_{kPageSteps};
  std::vector<std::unique_ptr<KeyList>> lists_;
  bool based_ = false;
  bool checkState_ = false;
  bool checkRange_ = false;
  std::int64_t earliest_ = INT64_MIN;
  std::int64_t latest_ = INT64_MAX;
};

Viewpoint viewpointOf(ViewConnection& view, const Filters& filters, std::int64_t pinned) {
  Viewpoint from;
  from.pinned = pinned;
  from.historic = pinned < view.size() - 1;
  if (filters.at) from.at = filters.at->nanoseconds;
  return from;
}

void writeHistory(ViewConnection& view, LeaseReader& reader, Key grantedSeq, JsonObject& object) {
  LentStatement entries = view.statement(
      "SELECT seq, kind, occurred_at, recorded_at, state, uses, expires_at, outcome, reason, flags FROM entry INDEXED BY entry_lease "
      "WHERE lease = ?1 AND seq BETWEEN ?2 AND ?3 ORDER BY seq LIMIT ?4");
  entries->bindNumber(1, reader.leaseName());
  entries->bindNumber(2, grantedSeq);
  entries->bindNumber(3, reader.lastSeq());
  entries->bindNumber(4, kHistoryMax);
  std::string list = "[";
  while (entries->step()) {
    if (list.size() > 1) list += ',';
    JsonObject entry(list);
    member(entry, "seq", entries->number(0));
    entry.text("kind", view.name(entries->number(1)));
    entry.time("occurredAt", {entries->number(2)}).time("recordedAt", {entries->number(3)});
    const auto text = [&](std::string_view name, int column) {
      if (!entries->isNull(column)) entry.text(name, view.name(entries->number(column)));
    };
    text("state", 4);
    if (!entries->isNull(5)) member(entry, "uses", entries->number(5));
    if (!entries->isNull(6)) entry.time("expiresAt", {entries->number(6)});
    text("outcome", 7);
    text("reasonCode", 8);
    if ((entries->number(9) & views::kFlagTerminal) != 0) entry.boolean("terminal", true);
    if ((entries->number(9) & views::kFlagLate) != 0) entry.boolean("late", true);
    entry.end();
  }
  object.raw("history", list + "]");
}

void writeChildren(ViewConnection& view, LeaseReader& reader, std::int64_t pinned, JsonObject& object) {
  LentStatement children = view.statement(
      "SELECT lease FROM lease INDEXED BY lease_parent WHERE parent = ?1 AND granted_seq <= ?2 ORDER BY granted_seq LIMIT ?3");
  children->bindNumber(1, reader.leaseName());
  children->bindNumber(2, pinned);
  children->bindNumber(3, kHistoryMax);
  std::string list = "[";
  while (children->step()) {
    if (list.size() > 1) list += ',';
    appendJsonString(view.name(children->number(0)), list);
  }
  if (list.size() > 1) object.raw("children", list + "]");
}

}  // namespace

std::string listLeases(ViewConnection& view, const Filters& filters) {
  const Page page = openPage(view, ListKind::leases, filters);
  const Viewpoint from = viewpointOf(view, filters, page.pinned);
  LeaseReader reader(view, from);
  const KeyPage found = LeaseSearch(view, filters, from, reader).find(page);
  PageJson json;
  for (const Key key : found.keys) {
    if (!reader.load(key)) continue;
    JsonObject object(json.item());
    reader.write(object);
    object.end();
  }
  std::string next;
  if (found.lastSeen) next = encodeCursor(ListKind::leases, filters, {*found.lastSeen, page.pinned, {}});
  return json.finish(view, next, page.pinned);
}

std::optional<std::string> showLease(ViewConnection& view, std::string_view lease, const Filters& filters) {
  const std::int64_t pinned = pinnedSeq(view, filters, std::nullopt);
  const auto name = view.findName(lease);
  if (!name) return std::nullopt;
  std::optional<Key> granted;
  {
    LentStatement find = view.statement("SELECT max(granted_seq) FROM lease INDEXED BY lease_lease WHERE lease = ?1 AND granted_seq <= ?2");
    find->bindNumber(1, *name);
    find->bindNumber(2, pinned);
    if (find->step() && !find->isNull(0)) granted = find->number(0);
  }
  LeaseReader reader(view, viewpointOf(view, filters, pinned));
  if (!granted || !reader.load(*granted)) return std::nullopt;
  if (filters.at && reader.validFrom() > filters.at->nanoseconds) return std::nullopt;
  std::string out;
  JsonObject object(out);
  reader.write(object);
  writeHistory(view, reader, *granted, object);
  writeChildren(view, reader, pinned, object);
  std::string asOf;
  writeAsOf(view, pinned, asOf);
  object.raw("asOf", asOf);
  object.end();
  return out;
}

}  // namespace counterfoil::query
