// Entries by their filters. One index a filter, all ordered by seq; what has no index is looked up row by row in what the others leave.
#include <algorithm>
#include <climits>
#include <map>
#include <span>
#include <vector>

#include "ledger/core/arena.h"
#include "ledger/core/entry.h"
#include "ledger/core/json.h"
#include "projections/query/lists.h"
#include "projections/query/page_json.h"
#include "projections/views/view_schema.h"

namespace counterfoil::query {
namespace {

// A time range with fewer entries than this is read whole from its index; a larger one only narrows the walk.
constexpr std::int64_t kRangeKeysMax = 8'192;
// A prefix of at most so many words is searched as these words.
constexpr std::size_t kPrefixWordsMax = 32;

struct ColumnFilter {
  Match match;
  const char* column;
  const char* index;
};
constexpr ColumnFilter kColumns[] = {
    {Match::actor, "actor", "entry_actor"},
    {Match::principal, "principal", "entry_principal"},
    {Match::run, "run", "entry_run"},
    {Match::host, "host", "entry_host"},
    {Match::sandbox, "sandbox", "entry_sandbox"},
    {Match::lease, "lease", "entry_lease"},
    {Match::bundle, "bundle", "entry_bundle"},
    {Match::state, "state", nullptr},  // entry_state, which older views do not have
};

std::unique_ptr<KeyList> columnKeys(ViewConnection& view, const char* column, const char* index, std::int64_t name, Order order,
                                    Budget& budget) {
  const std::string indexed = index == nullptr ? std::string() : " INDEXED BY " + std::string(index);
  LentStatement statement = view.statement("SELECT seq FROM entry" + indexed + " WHERE " + column + " = ?2" + keyBound("seq", order));
  statement->bindNumber(2, name);
  return std::make_unique<StatementKeys>(std::move(statement), order, budget);
}

// Words of the text index that begin with `prefix`; none if there are more than kPrefixWordsMax.
std::vector<std::string> wordsWith(ViewConnection& view, const std::string& prefix) {
  view.openWords();
  LentStatement next = view.statement("SELECT term FROM temp.entry_word WHERE term >= ?1 AND term < ?2 LIMIT 1");
  const std::string end = prefix + "\U0010FFFF";
  std::vector<std::string> words;
  for (std::string from = prefix; words.size() <= kPrefixWordsMax; from = words.back() + '\x01') {  // no word goes on with that
    next->bindText(1, from);
    next->bindText(2, end);
    if (!next->step()) return words;
    words.emplace_back(next->text(0));
    next->reset();
  }
  return {};
}

class EntrySearch {
 public:
  EntrySearch(ViewConnection& view, const Filters& filters) : view_(view), filters_(filters) {}

  KeyPage find(ListKind list, const Page& page) {
    const std::vector<std::string> kinds = list == ListKind::denials ? std::vector<std::string>{"lease.denied"} : expandKinds(filters_);
    if (page.pinned < 0 || !addColumns() || !addValues() || !addKinds(kinds)) return {};
    addTime();
    if (lists_.empty()) lists_.push_back(std::make_unique<DenseKeys>(page.pinned, filters_.order));
    const bool ascending = filters_.order == Order::ascending;
    Key first = ascending ? 0 : page.pinned;
    if (page.cursor) first = ascending ? page.cursor->key + 1 : std::min(page.cursor->key - 1, page.pinned);
    KeyWalk walk(std::move(lists_), filters_.order, first, ascending ? page.pinned : 0, budget_);
    return collectPage(walk, filters_.order, filters_.limit, [this](Key key) { return occurredInRange(key); });
  }

 private:
  bool add(std::unique_ptr<KeyList> list) {
    if (list == nullptr) return false;
    lists_.push_back(std::move(list));
    return true;
  }

  bool addColumns() {
    for (const ColumnFilter& filter : kColumns) {
      if (filters_[filter.match].empty()) continue;
      const auto name = view_.findName(filters_[filter.match]);
      if (!name || !add(columnKeys(view_, filter.column, filter.index, *name, filters_.order, budget_))) return false;
    }
    return true;
  }

  bool addValues() {
    const auto values = [&](Match match, const char* table) {
      return filters_[match].empty() || add(valueKeys(view_, table, Granted::whether, filters_[match], filters_.order, budget_));
    };
    if (!values(Match::resource, "entry_resource") || !values(Match::scope, "entry_scope")) return false;
    if (!filters_[Match::fingerprint].empty()) {
      const auto shown = view_.findName(filters_[Match::fingerprint]);
      if (!shown) return false;
      LentStatement statement = view_.statement("SELECT seq FROM entry_fingerprint WHERE value = ?2" + keyBound("seq", filters_.order));
      statement->bindNumber(2, *shown);
      lists_.push_back(std::make_unique<StatementKeys>(std::move(statement), filters_.order, budget_));
    }
    if (!filters_[Match::reason].empty()) {
      const auto reason = view_.findName(filters_[Match::reason]);
      if (!reason) return false;
      LentStatement statement =
          view_.statement("SELECT seq FROM denial INDEXED BY denial_reason WHERE reason = ?2" + keyBound("seq", filters_.order));
      statement->bindNumber(2, *reason);
      lists_.push_back(std::make_unique<StatementKeys>(std::move(statement), filters_.order, budget_));
    }
    return filters_[Match::text].empty() || add(fullTextKeys(view_, filters_, budget_));
  }

  bool addKinds(const std::vector<std::string>& kinds) {
    if (kinds.empty()) return true;
    std::vector<std::unique_ptr<KeyList>> lists;
    for (const std::string& kind : kinds) {
      if (const auto name = view_.findName(kind)) lists.push_back(columnKeys(view_, "kind", "entry_kind", *name, filters_.order, budget_));
    }
    if (lists.empty()) return false;
    return add(lists.size() == 1 ? std::move(lists.front()) : std::make_unique<UnionKeys>(std::move(lists), filters_.order));
  }

  void addTime() {
    if (!filters_.from && !filters_.to && !filters_.at) return;
    if (filters_.from) earliest_ = filters_.from->nanoseconds;
    if (filters_.to) latest_ = std::min(latest_, filters_.to->nanoseconds - 1);
    if (filters_.at) latest_ = std::min(latest_, filters_.at->nanoseconds);
    LentStatement range =
        view_.statement("SELECT seq FROM entry INDEXED BY entry_occurred WHERE occurred_at >= ?1 AND occurred_at <= ?2 LIMIT ?3");
    range->bindNumber(1, earliest_);
    range->bindNumber(2, latest_);
    range->bindNumber(3, kRangeKeysMax + 1);
    std::vector<Key> keys;
    while (range->step()) keys.push_back(range->number(0));
    if (keys.size() <= kRangeKeysMax) {
      lists_.push_back(std::make_unique<KnownKeys>(std::move(keys), filters_.order));
      return;
    }
    lists_.push_back(std::make_unique<BlockKeys>(view_, earliest_, latest_, filters_.order, budget_));
    checkTime_ = true;
  }

  bool occurredInRange(Key key) {
    if (!checkTime_) return true;
    if (!occurred_) occurred_.emplace(view_.statement("SELECT occurred_at FROM entry WHERE seq = ?1"));
    Statement& statement = **occurred_;
    statement.bindNumber(1, key);
    const bool there = statement.step() && !statement.isNull(0);
    const std::int64_t time = there ? statement.number(0) : 0;
    statement.reset();
    return there && time >= earliest_ && time <= latest_;
  }

  ViewConnection& view_;
  const Filters& filters_;
  Budget budget_{kPageSteps};
  std::vector<std::unique_ptr<KeyList>> lists_;
  std::int64_t earliest_ = INT64_MIN;
  std::int64_t latest_ = INT64_MAX;
  bool checkTime_ = false;
  std::optional<LentStatement> occurred_;
};

class EntryWriter {
 public:
  // `disclosures` may be null.
  EntryWriter(ViewConnection& view, Disclosures* disclosures)
      : view_(view),
        select_(view.statement("SELECT leaf, bytes FROM entry LEFT JOIN content USING (seq) WHERE entry.seq = ?1")),
        disclosures_(disclosures) {}

  // Gets the personal values of the entries that are written next, if they are wanted. False: there was no time for them.
  bool disclose(std::span<const Key> keys) {
    if (disclosures_ == nullptr) return true;
    std::vector<EntryPlace> places;
    LentStatement find = view_.statement("SELECT leaf, log_position, flags FROM entry JOIN content USING (seq) WHERE entry.seq = ?1");
    for (const Key key : keys) {
      find->bindNumber(1, key);
      if (find->step() && (find->number(2) & views::kFlagCommitments) != 0) {
        places.push_back(
            {Sequence{static_cast<std::uint64_t>(key)}, leafOf(find->blob(0)), Position{static_cast<std::uint64_t>(find->number(1))}});
      }
      find->reset();
    }
    auto values = disclosures_->of(places);
    if (!values) return false;
    values_.clear();
    for (std::size_t index = 0; index < places.size(); ++index) {
      values_[static_cast<Key>(places[index].seq.value)] = std::move((*values)[index]);
    }
    return true;
  }

  // False: there is no such entry.
  bool write(Key seq, std::string& out) {
    select_->bindNumber(1, seq);
    if (!select_->step()) return false;
    const LeafHash leaf = leafOf(select_->blob(0));
    if (select_->isNull(1)) {
      writeWithheldJson(Sequence{static_cast<std::uint64_t>(seq)}, leaf, out);
    } else {
      writePresent(seq, leaf, select_->blob(1), out);
    }
    select_->reset();
    return true;
  }

 private:
  Fault damaged() const {
    return {ErrorCode::viewDamaged, "the view file " + view_.database().file() + " holds an entry that is not what was chained",
            "run `counterfoil rebuild`, then `counterfoil verify`"};
  }

  LeafHash leafOf(crypto::Bytes stored) const {
    LeafHash leaf;
    if (stored.size() != leaf.bytes.size()) throw damaged();
    std::copy(stored.begin(), stored.end(), leaf.bytes.begin());
    return leaf;
  }

  void writePresent(Key seq, const LeafHash& leaf, crypto::Bytes bytes, std::string& out) {
    // A view is a cache on disk: nothing of it is shown as the record unless it is what was chained.
    if (leafHash(bytes) != leaf) throw damaged();
    EntryView entry;
    arena_.reset();
    if (readEntry(bytes, Strictness::lenient, arena_, entry) != nullptr || entry.seq.value != static_cast<std::uint64_t>(seq))
      throw damaged();
    static const std::vector<DisclosedValue> kNone;
    const auto found = values_.find(seq);
    // Values that the view's flags kept from being looked for must not be missing in silence.
    if (disclosures_ != nullptr && found == values_.end() && entry.entry.get(Field::commitments).count != 0) throw damaged();
    writeEntryJson(entry, leaf, found == values_.end() ? kNone : found->second, out);
  }

  ViewConnection& view_;
  LentStatement select_;
  Disclosures* const disclosures_;
  std::map<Key, std::vector<DisclosedValue>> values_;
  Arena arena_;
};

Fault tooSlow() {
  return {ErrorCode::logUnavailable, "the log did not give the records of this page in time", "ask again, or for fewer entries"};
}

}  // namespace

Page openPage(ViewConnection& view, ListKind list, const Filters& filters) {
  Page page;
  if (!filters.after.empty()) page.cursor = decodeCursor(list, filters);
  page.pinned = pinnedSeq(view, filters, page.cursor);
  return page;
}

std::unique_ptr<KeyList> valueKeys(ViewConnection& view, std::string_view table, Granted granted, std::string_view value, Order order,
                                   Budget& budget) {
  const auto name = view.findName(value);
  if (!name) return nullptr;
  const std::string from(table);
  const std::string sql =
      "SELECT seq FROM " + from + " INDEXED BY " + from + "_value WHERE value = ?2 AND granted = ?3" + keyBound("seq", order);
  const auto keys = [&](std::int64_t which) {
    LentStatement statement = view.statement(sql);
    statement->bindNumber(2, *name);
    statement->bindNumber(3, which);
    return std::make_unique<StatementKeys>(std::move(statement), order, budget);
  };
  if (granted == Granted::only) return keys(1);
  std::vector<std::unique_ptr<KeyList>> both;
  both.push_back(keys(0));
  both.push_back(keys(1));
  return std::make_unique<UnionKeys>(std::move(both), order);
}

std::unique_ptr<KeyList> fullTextKeys(ViewConnection& view, const Filters& filters, Budget& budget) {
  LentStatement statement = view.statement("SELECT rowid FROM entry_text WHERE entry_text MATCH ?2" + keyBound("rowid", filters.order));
  // Bound, but not copied by SQLite: it has to live as long as the statement is on loan.
  const std::string expression =
      fullTextExpression(filters[Match::text], [&view](const std::string& prefix) { return wordsWith(view, prefix); });
  sqlite3_bind_text64(statement->get(), 2, expression.data(), expression.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
  // What FTS5 had to gather first is walked once, never asked for anew.
  const bool gathered = expression.find("\" *") != std::string::npos;
  const auto words = static_cast<int>(std::count(expression.begin(), expression.end(), '"') / 2);
  return std::make_unique<StatementKeys>(std::move(statement), filters.order, budget, gathered ? INT_MAX : 128 * words, 64 * words);
}

std::string listEntries(ViewConnection& view, ListKind list, const Filters& filters, Disclosures* disclosures) {
  const Page page = openPage(view, list, filters);
  EntrySearch search(view, filters);
  KeyPage found = search.find(list, page);
  PageJson json;
  EntryWriter writer(view, disclosures);
  std::span<const Key> left = found.keys;
  while (!left.empty()) {
    const std::span<const Key> next = left.first(std::min(left.size(), Disclosures::kAtOnce));
    if (!writer.disclose(next)) {
      if (left.size() == found.keys.size()) throw tooSlow();
      break;
    }
    for (const Key key : next) {
      if (!writer.write(key, json.item())) {
        throw Fault(ErrorCode::viewDamaged, "the view file " + view.database().file() + " lacks an entry that its indexes name",
                    "run `counterfoil rebuild`");
      }
    }
    left = left.subspan(next.size());
    if (disclosures != nullptr && disclosures->spent()) break;
  }
  if (!left.empty()) found.lastSeen = found.keys[found.keys.size() - left.size() - 1];
  std::string next;
  if (found.lastSeen) next = encodeCursor(list, filters, {*found.lastSeen, page.pinned, {}});
  return json.finish(view, next, page.pinned);
}

std::optional<std::string> showEntry(ViewConnection& view, Sequence seq, Disclosures* disclosures) {
  std::string out;
  EntryWriter writer(view, disclosures);
  const Key key = static_cast<Key>(seq.value);
  if (!writer.disclose({&key, 1})) throw tooSlow();
  if (!writer.write(key, out)) return std::nullopt;
  return out;
}

}  // namespace counterfoil::query
