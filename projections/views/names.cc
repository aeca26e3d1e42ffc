#include "projections/views/names.h"

#include <algorithm>
#include <cstring>

#include "projections/views/sql/tables.h"

namespace counterfoil::views {
namespace {

constexpr std::size_t kSlotsAtFirst = 128;
constexpr std::size_t kBlockBytes = 16 * 1024;
constexpr std::size_t kBytesEach = 96;  // of the slots and the list of texts, about

}  // namespace

NameTable::NameTable(Database& database, std::size_t bytesMax)
    : database_(database),
      insert_(database.prepare("INSERT INTO name(id, text) VALUES(?, ?)")),
      byText_(database.prepare("SELECT id FROM name WHERE text = ?")),
      byId_(database.prepare("SELECT text FROM name WHERE id = ?")),
      bytesMax_(bytesMax) {
  Statement greatest = database.prepare("SELECT max(id) FROM name");
  if (greatest.step()) next_ = greatest.number(0) + 1;
  forgetAll();
  complete_ = next_ == 1;
}

void NameTable::forgetAll() {
  slots_.assign(kSlotsAtFirst, Slot{});
  used_ = 0;
  base_ = next_;
  fresh_.clear();
  earlier_.clear();
  blocks_.clear();
  free_ = nullptr;
  left_ = 0;
  bytes_ = 0;
  complete_ = false;
}

void NameTable::trim() {
  if (bytes_ <= bytesMax_) return;
  if (complete_) database_.execute(kNameIndex);
  forgetAll();
}

// Texts come from outside, but a slow look-up harms only the workspace that sent them, and the cache is bounded.
std::uint64_t NameTable::hashOf(std::string_view text) {
  constexpr std::uint64_t kFactor = 0x9e37'79b9'7f4a'7c15ULL;
  std::uint64_t hash = text.size() * kFactor;
  const auto mix = [&](std::uint64_t word) {
    hash = (hash ^ word) * kFactor;
    hash ^= hash >> 32;
  };
  while (text.size() >= sizeof(std::uint64_t)) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data(), sizeof word);
    mix(word);
    text.remove_prefix(sizeof word);
  }
  std::uint64_t rest = 0;
  if (!text.empty()) std::memcpy(&rest, text.data(), text.size());
  mix(rest);
  return hash;
}

NameTable::Slot& NameTable::slotFor(std::uint64_t hash, std::string_view text) {
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.id == 0 || (slot.hash == hash && slot.text == text)) return slot;
  }
}

void NameTable::grow() {
  std::vector<Slot> old(slots_.size() * 2);
  old.swap(slots_);
  const std::size_t mask = slots_.size() - 1;
  for (const Slot& slot : old) {
    if (slot.id == 0) continue;
    std::size_t at = slot.hash & mask;
    while (slots_[at].id != 0) at = (at + 1) & mask;
    slots_[at] = slot;
  }
}

std::string_view NameTable::keep(std::string_view text) {
  if (text.empty()) return "";
  if (text.size() > left_) {
    left_ = std::max(kBlockBytes, text.size());
    blocks_.push_back(std::make_unique<char[]>(left_));
    free_ = blocks_.back().get();
  }
  char* const target = free_;
  std::memcpy(target, text.data(), text.size());
  free_ += text.size();
  left_ -= text.size();
  return {target, text.size()};
}

std::string_view NameTable::remember(std::uint64_t hash, NameId id, std::string_view text) {
  const std::string_view kept = keep(text);
  if (++used_ * 2 > slots_.size()) grow();
  slotFor(hash, text) = {hash, id, kept};
  if (id >= base_) {
    const auto index = static_cast<std::size_t>(id - base_);
    if (fresh_.size() <= index) fresh_.resize(index + 1);
    fresh_[index] = kept;
  } else {
    earlier_.emplace(id, kept);
  }
  bytes_ += kept.size() + kBytesEach;
  return kept;
}

std::optional<NameId> NameTable::find(std::string_view text) {
  const std::uint64_t hash = hashOf(text);
  const Slot& slot = slotFor(hash, text);
  if (slot.id != 0) return slot.id;
  if (complete_) return std::nullopt;
  byText_.bindText(1, text);
  if (!byText_.step()) return std::nullopt;
  const NameId id = byText_.number(0);
  byText_.reset();
  remember(hash, id, text);
  return id;
}

NameId NameTable::intern(std::string_view text) {
  if (const auto known = find(text)) return *known;
  insert_.bindNumber(1, next_);
  insert_.bindText(2, text);
  insert_.run();
  remember(hashOf(text), next_, text);
  return next_++;
}

std::string_view NameTable::text(NameId id) {
  if (id >= base_ && static_cast<std::size_t>(id - base_) < fresh_.size()) {
    const std::string_view known = fresh_[static_cast<std::size_t>(id - base_)];
    if (known.data() != nullptr) return known;
  }
  const auto known = earlier_.find(id);
  if (known != earlier_.end()) return known->second;
  byId_.bindNumber(1, id);
  if (!byId_.step()) throw Fault(ErrorCode::viewDamaged, "a view names a text that it does not hold", "run `counterfoil rebuild`");
  const std::string text(byId_.text(0));
  byId_.reset();
  return remember(hashOf(text), id, text);
}

}  // namespace counterfoil::views
