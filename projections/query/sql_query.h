// Read-only SQL of people over one workspace's view (INTERFACE: query): one SELECT over the documented views and tables, within bounds that
// hold whatever the text says.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/ids.h"

namespace counterfoil::query {

struct SqlLimits {
  std::int64_t milliseconds = 2'000;
  std::uint64_t rows = 10'000;
  std::size_t answerBytes = 16 * 1024 * 1024;
  // What SQLite may allocate while the query runs (sorting, grouping), beside what it held before. Counted for the process.
  std::int64_t memoryBytes = 64 * 1024 * 1024;
};

// Of any one text or blob in a query, and of the SQL itself.
inline constexpr int kSqlValueBytesMax = 256 * 1024;
inline constexpr std::size_t kSqlTextBytesMax = 32 * 1024;

// Values as JSON: NULL as null, numbers as numbers (whole numbers of 2^53 and more as text, so that no reader rounds them), blobs as hex.
struct SqlAnswer {
  std::vector<std::string> columns;
  std::vector<std::vector<std::string>> rows;  // JSON values
  bool truncated = false;                      // more rows, or bytes, than the limits allow: these are the first
  std::string asOf;                            // JSON object
  std::string viewDigest;                      // hex

  // {"columns":[...],"rows":[[...],...],"truncated"?,"asOf":{...},"viewDigest"}
  std::string json() const;
};

// Opens the view for this query alone. Throws Fault(badQuery): what is wrong and where, never a value or a word of the text; notReady,
// viewDamaged for the view. `clock` only measures what passes.
SqlAnswer runSql(const std::filesystem::path& folder, WorkspaceNumber workspace, std::string_view sql, const SqlLimits& limits,
                 const Clock& clock);

}  // namespace counterfoil::query
