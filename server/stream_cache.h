// The newest entries of the workspaces that somebody follows, rendered once for all who follow them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "server/view_readers.h"

namespace counterfoil::server {

struct StreamEntry {
  std::uint64_t seq = 0;
  std::string kind;  // empty if the entry is withheld
  std::string json;  // one line
};

struct StreamPage {
  std::vector<std::shared_ptr<const StreamEntry>> entries;  // ascending
  std::uint64_t next = 0;                                   // what comes behind this page
};

// Thread safe. Holds at most kStreamBytesMax a workspace and kStreamWorkspacesMax workspaces.
class StreamCache {
 public:
  // `readers` outlives the cache.
  explicit StreamCache(ViewReaders& readers);
  ~StreamCache();
  // Entries from seq `from` on, at most kStreamPage, if they are at hand. Never blocks for long.
  std::optional<StreamPage> cached(WorkspaceNumber workspace, std::uint64_t from);
  // The same from the view, which holds `viewSize` entries, more than `from`. Blocks. Many that ask for the newest entries at once cause
  // one reading. Throws the view's faults.
  StreamPage read(WorkspaceNumber workspace, std::uint64_t from, std::uint64_t viewSize);
  // Entries of these kinds alone, by the view's index of kinds, uncached: for listeners far behind. Blocks. `kinds` as expandKinds() gives
  // them, not empty. A page may be empty and still not be the last one.
  StreamPage readKinds(WorkspaceNumber workspace, std::uint64_t from, std::uint64_t viewSize, const std::vector<std::string>& kinds);
  // Readings of views so far, for tests.
  std::uint64_t reads() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

inline constexpr unsigned kStreamPage = 100;
inline constexpr std::size_t kStreamBytesMax = 4 * 1024 * 1024;
inline constexpr std::size_t kStreamEntriesMax = 1'000;
inline constexpr std::size_t kStreamWorkspacesMax = 256;

}  // namespace counterfoil::server
