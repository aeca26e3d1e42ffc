// Interned texts of one view: each text once in `name`, rows hold its number.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "projections/database.h"

namespace counterfoil::views {

using NameId = std::int64_t;

// One thread; lives no longer than `database`. Ids are handed out in order from 1.
class NameTable {
 public:
  // `bytesMax`: what the cache may hold before trim() empties it. Without kNameIndex the table must be empty; trim() makes the index then.
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
  // Open addressing; a slot without text is free.
  struct Slot {
    std::uint64_t hash = 0;
    NameId id = 0;
    std::string_view text;
  };
  static std::uint64_t hashOf(std::string_view text);
  Slot& slotFor(std::uint64_t hash, std::string_view text);
  void grow();
  std::string_view keep(std::string_view text);
  std::string_view remember(std::uint64_t hash, NameId id, std::string_view text);
  void forgetAll();

  Database& database_;
  Statement insert_;
  Statement byText_;
  Statement byId_;
  const std::size_t bytesMax_;
  std::size_t bytes_ = 0;
  bool complete_ = false;  // every name is in the cache: a miss needs no look into the database
  NameId next_ = 1;
  std::vector<Slot> slots_;  // a power of two, at most half full
  std::size_t used_ = 0;
  NameId base_ = 1;                                       // of the first of `fresh_`
  std::vector<std::string_view> fresh_;                   // texts of ids base_, base_ + 1, ...
  std::unordered_map<NameId, std::string_view> earlier_;  // texts of ids below base_
  std::vector<std::unique_ptr<char[]>> blocks_;           // what the texts lie in
  char* free_ = nullptr;                                  // of the last block
  std::size_t left_ = 0;
};

}  // namespace counterfoil::views
