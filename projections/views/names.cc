#include "projections/views/names.h"

namespace counterfoil::views {
namespace {

constexpr std::size_t kBytesEach = 120;  // of the maps and the string, about

}  // namespace

NameTable::NameTable(Database& database, std::size_t bytesMax)
    : insert_(database.prepare("INSERT INTO name(id, text) VALUES(?, ?)")),
      byText_(database.prepare("SELECT id FROM name WHERE text = ?")),
      byId_(database.prepare("SELECT text FROM name WHERE id = ?")),
      bytesMax_(bytesMax) {
  Statement greatest = database.prepare("SELECT max(id) FROM name");
  if (greatest.step()) next_ = greatest.number(0) + 1;
  complete_ = next_ == 1;
}

void NameTable::trim() {
  if (bytes_ <= bytesMax_) return;
  ids_.clear();
  byNumber_.clear();
  texts_.clear();
  bytes_ = 0;
  complete_ = false;
}

std::string_view NameTable::remember(NameId id, std::string_view text) {
  const std::string& kept = texts_.emplace_back(text);
  ids_.emplace(kept, id);
  byNumber_.emplace(id, kept);
  bytes_ += kept.size() + kBytesEach;
  return kept;
}

std::optional<NameId> NameTable::find(std::string_view text) {
  const auto known = ids_.find(text);
  if (known != ids_.end()) return known->second;
  if (complete_) return std::nullopt;
  byText_.bindText(1, text);
  if (!byText_.step()) return std::nullopt;
  const NameId id = byText_.number(0);
  byText_.reset();
  remember(id, text);
  return id;
}

NameId NameTable::intern(std::string_view text) {
  if (const auto known = find(text)) return *known;
  insert_.bindNumber(1, next_);
  insert_.bindText(2, text);
  insert_.run();
  remember(next_, text);
  return next_++;
}

std::string_view NameTable::text(NameId id) {
  const auto known = byNumber_.find(id);
  if (known != byNumber_.end()) return known->second;
  byId_.bindNumber(1, id);
  if (!byId_.step()) throw Fault(ErrorCode::viewDamaged, "a view names a text that it does not hold", "run `counterfoil rebuild`");
  const std::string_view kept = remember(id, byId_.text(0));
  byId_.reset();
  return kept;
}

}  // namespace counterfoil::views
