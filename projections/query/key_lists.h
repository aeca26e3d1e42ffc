// Rows that match several filters at once, found by walking the filters' indexes side by side: each gives its rows' keys in order and can
// skip, so a page costs what lies between its first and last row in the rarest filter, however large the table is.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "projections/query/filters.h"
#include "projections/query/view_connection.h"

namespace counterfoil::query {

using Key = std::int64_t;

// What a page may cost at most. When it is used up, the page ends early, with a cursor.
class Budget {
 public:
  explicit Budget(std::int64_t steps) : left_(steps) {}
  void spend(std::int64_t steps = 1) { left_ -= steps; }
  bool spent() const { return left_ <= 0; }

 private:
  std::int64_t left_;
};
// Some 0.2 s of a current machine.
inline constexpr std::int64_t kPageSteps = 200'000;

// Keys of one filter in the order asked for. seek() gives the first one at `key` or behind it; calls only ever move on.
class KeyList {
 public:
  virtual ~KeyList() = default;
  virtual std::optional<Key> seek(Key key) = 0;
};

// The keys that a statement gives: ?1 is the bound key, other parameters are bound before. `sql` is written for one order, with its
// comparison and ORDER BY (keyBound()).
class StatementKeys final : public KeyList {
 public:
  // `gallop`: rows to step over before asking anew; `cost`: of asking, in steps.
  StatementKeys(LentStatement statement, Order order, Budget& budget, int gallop = 8, int cost = 1);
  std::optional<Key> seek(Key key) override;

 private:
  bool reached(Key key) const { return order_ == Order::ascending ? current_ >= key : current_ <= key; }
  bool step();

  LentStatement statement_;
  const Order order_;
  Budget& budget_;
  const int gallop_;
  const int cost_;
  bool running_ = false;
  bool ended_ = false;
  Key current_ = 0;
};

// " AND <column> >= ?1 ORDER BY <column>", or its mirror.
std::string keyBound(const char* column, Order order);

// Keys known one by one, in any order, without doubles.
class KnownKeys final : public KeyList {
 public:
  KnownKeys(std::vector<Key> keys, Order order);
  std::optional<Key> seek(Key key) override;

 private:
  std::vector<Key> keys_;
  std::size_t at_ = 0;
  const Order order_;
};

// Every number from 0 to `last`.
class DenseKeys final : public KeyList {
 public:
  DenseKeys(Key last, Order order) : last_(last), order_(order) {}
  std::optional<Key> seek(Key key) override;

 private:
  const Key last_;
  const Order order_;
};

// What any of several lists gives.
class UnionKeys final : public KeyList {
 public:
  UnionKeys(std::vector<std::unique_ptr<KeyList>> lists, Order order);
  std::optional<Key> seek(Key key) override;

 private:
  std::vector<std::unique_ptr<KeyList>> lists_;
  std::vector<std::optional<Key>> heads_;
  bool started_ = false;
  const Order order_;
};

// Keys whose block may hold something of [earliest, latest] (table entry_block): no more than a hint, but one that skips.
class BlockKeys final : public KeyList {
 public:
  BlockKeys(ViewConnection& view, std::int64_t earliest, std::int64_t latest, Order order, Budget& budget);
  std::optional<Key> seek(Key key) override;

 private:
  std::unique_ptr<KeyList> blocks_;
  const Order order_;
};

// Keys that all lists give.
class KeyWalk {
 public:
  // At least one list. From `first` on, in `order`, at most to `last`.
  KeyWalk(std::vector<std::unique_ptr<KeyList>> lists, Order order, Key first, Key last, Budget& budget);
  // The next key; nullopt at the end, or when the budget is spent.
  std::optional<Key> next();
  // True if the budget ended the walk; everything before resumeAt() was looked at.
  bool cutShort() const { return cutShort_; }
  Key resumeAt() const { return at_; }

 private:
  bool behindLast(Key key) const { return order_ == Order::ascending ? key > last_ : key < last_; }

  std::vector<std::unique_ptr<KeyList>> lists_;
  const Order order_;
  Key at_;
  const Key last_;
  Budget& budget_;
  bool ended_ = false;
  bool cutShort_ = false;
};

// One page of a walk: the keys that `accept` takes, at most `limit`; and where the next page starts, if there may be one.
struct KeyPage {
  std::vector<Key> keys;
  std::optional<Key> lastSeen;  // the next page is strictly behind it
};
template <class Accept>
KeyPage collectPage(KeyWalk& walk, Order order, unsigned limit, Accept&& accept) {
  KeyPage page;
  while (const auto key = walk.next()) {
    if (!accept(*key)) continue;
    if (page.keys.size() == limit) {
      page.lastSeen = page.keys.back();
      return page;
    }
    page.keys.push_back(*key);
  }
  if (walk.cutShort()) page.lastSeen = walk.resumeAt() - (order == Order::ascending ? 1 : -1);
  return page;
}

}  // namespace counterfoil::query
