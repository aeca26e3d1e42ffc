#include "projections/query/key_lists.h"

#include <algorithm>

#include "ledger/core/check.h"
#include "projections/views/view_schema.h"

namespace counterfoil::query {
namespace {

constexpr Key kBlockEntries = views::kBlockEntries;
constexpr int kGallopsAStep = 8;  // stepping to the next row costs less than looking one up

bool before(Order order, Key left, Key right) {
  return order == Order::ascending ? left < right : left > right;
}

}  // namespace

std::string keyBound(const char* column, Order order) {
  const std::string name(column);
  return order == Order::ascending ? " AND " + name + " >= ?1 ORDER BY " + name : " AND " + name + " <= ?1 ORDER BY " + name + " DESC";
}

StatementKeys::StatementKeys(LentStatement statement, Order order, Budget& budget, int gallop, int cost)
    : statement_(std::move(statement)), order_(order), budget_(budget), gallop_(gallop), cost_(cost) {}

bool StatementKeys::step() {
  if (!statement_->step()) {
    ended_ = true;
    return false;
  }
  current_ = statement_->number(0);
  return true;
}

std::optional<Key> StatementKeys::seek(Key key) {
  if (ended_) return std::nullopt;
  if (running_) {
    int stepped = 0;
    for (; !reached(key); ++stepped) {
      if (stepped == gallop_) {
        statement_->reset();
        running_ = false;
        break;
      }
      if (!step()) return std::nullopt;
    }
    budget_.spend(stepped / kGallopsAStep);
    if (running_) return current_;
  }
  budget_.spend(cost_);
  statement_->bindNumber(1, key);
  running_ = true;
  if (!step()) return std::nullopt;
  return current_;
}

KnownKeys::KnownKeys(std::vector<Key> keys, Order order) : keys_(std::move(keys)), order_(order) {
  std::sort(keys_.begin(), keys_.end(), [order](Key left, Key right) { return before(order, left, right); });
}

std::optional<Key> KnownKeys::seek(Key key) {
  const auto found = std::lower_bound(keys_.begin() + static_cast<std::ptrdiff_t>(at_), keys_.end(), key,
                                      [this](Key left, Key right) { return before(order_, left, right); });
  at_ = static_cast<std::size_t>(found - keys_.begin());
  if (found == keys_.end()) return std::nullopt;
  return *found;
}

std::optional<Key> DenseKeys::seek(Key key) {
  if (order_ == Order::ascending) return key > last_ ? std::nullopt : std::optional<Key>(std::max<Key>(key, 0));
  return key < 0 ? std::nullopt : std::optional<Key>(std::min(key, last_));
}

UnionKeys::UnionKeys(std::vector<std::unique_ptr<KeyList>> lists, Order order)
    : lists_(std::move(lists)), heads_(lists_.size()), order_(order) {}

std::optional<Key> UnionKeys::seek(Key key) {
  std::optional<Key> first;
  for (std::size_t index = 0; index < lists_.size(); ++index) {
    std::optional<Key>& head = heads_[index];
    if (!started_ || (head && before(order_, *head, key))) head = lists_[index]->seek(key);
    if (head && (!first || before(order_, *head, *first))) first = head;
  }
  started_ = true;
  return first;
}

BlockKeys::BlockKeys(ViewConnection& view, std::int64_t earliest, std::int64_t latest, Order order, Budget& budget) : order_(order) {
  LentStatement statement =
      view.statement("SELECT number FROM entry_block WHERE latest >= ?2 AND earliest <= ?3" + keyBound("number", order));
  statement->bindNumber(2, earliest);
  statement->bindNumber(3, latest);
  blocks_ = std::make_unique<StatementKeys>(std::move(statement), order, budget, 64);
}

std::optional<Key> BlockKeys::seek(Key key) {
  const Key block = key / kBlockEntries;
  const auto found = blocks_->seek(block);
  if (!found) return std::nullopt;
  if (*found == block) return key;
  return order_ == Order::ascending ? *found * kBlockEntries : *found * kBlockEntries + kBlockEntries - 1;
}

KeyWalk::KeyWalk(std::vector<std::unique_ptr<KeyList>> lists, Order order, Key first, Key last, Budget& budget)
    : lists_(std::move(lists)), order_(order), at_(first), last_(last), budget_(budget) {
  COUNTERFOIL_CHECK(!lists_.empty());
}

std::optional<Key> KeyWalk::next() {
  std::size_t agreed = 0;
  for (std::size_t index = 0; !ended_ && agreed < lists_.size(); index = (index + 1) % lists_.size()) {
    if (behindLast(at_)) break;
    if (budget_.spent()) {
      cutShort_ = true;
      break;
    }
    budget_.spend();
    const auto found = lists_[index]->seek(at_);
    if (!found) break;
    agreed = *found == at_ ? agreed + 1 : 1;
    at_ = *found;
  }
  if (agreed < lists_.size() || behindLast(at_)) {
    ended_ = true;
    return std::nullopt;
  }
  const Key key = at_;
  at_ += order_ == Order::ascending ? 1 : -1;
  return key;
}

}  // namespace counterfoil::query
