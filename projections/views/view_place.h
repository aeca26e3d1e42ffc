// How far the log was read for views: a small file beside them, so that a start need not read the log from its beginning. A cache.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "ledger/log/event_log.h"

namespace counterfoil::views {

struct ViewPlace {
  log::FoldState state;                   // of the reader
  std::vector<WorkspaceNumber> troubled;  // views that stand behind it
};

// nullopt: not there or not whole, which is no fault.
std::optional<ViewPlace> loadPlace(const std::filesystem::path& file);
// False: not saved, and the old one is untouched.
bool savePlace(const std::filesystem::path& file, const ViewPlace& place);
// The file's content is on the disk; true also if there is no such file.
bool syncFile(const std::filesystem::path& path);

}  // namespace counterfoil::views
