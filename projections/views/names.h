// Interned texts of one view: each text once in `name`, rows hold its number.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "projections/database.h"

namespace counterfoil::views {

using NameId = std::int64_t;

// One thread; lives no longer than `database`. Ids are handed out in order from 1.
class NameTable {
 public:
  // `bytesMax`: what the cache may hold before trim() empties it.
  NameTable(Database& database, std::size_t bytesMax);
  // The id of `text`, made if there is none. Throws databaseFault().
  NameId intern(std::string_view text);
  // The id of `text` if it was ever interned.
  std::optional<NameId> find(std::string_view text);
  // The text of an id that was interned; valid until trim(). Throws Fault(viewDamaged) if the id is not there.
  std::string_view text(NameId id);
  // Between batches: keeps the cache within its bounds.
  void trim();
  std::size_t memory() const { return bytes_; }

 private:
  std::string_view remember(NameId id, std::string_view text);

  Statement insert_;
  Statement byText_;
  Statement byId_;
  const std::size_t bytesMax_;
  std::size_t bytes_ = 0;
  bool complete_ = false;  // every name is in the cache: a miss needs no look into the database
  NameId next_ = 1;
  std::deque<std::string> texts_;
  std::unordered_map<std::string_view, NameId> ids_;
  std::unordered_map<NameId, std::string_view> byNumber_;
};

}  // namespace counterfoil::views
