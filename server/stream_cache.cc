#include "server/stream_cache.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <deque>
#include <mutex>
#include <unordered_map>
#include <utility>

#include "ledger/core/check.h"
#include "projections/query/view_connection.h"
#include "projections/views/view_schema.h"
#include "server/routes/read_support.h"

namespace counterfoil::server {
namespace {

// Of an entry's own JSON, which begins with its seq; its kind comes before anything a caller wrote.
std::shared_ptr<const StreamEntry> rendered(std::string_view json) {
  auto entry = std::make_shared<StreamEntry>();
  constexpr std::string_view kSeq = "{\"seq\":";
  COUNTERFOIL_CHECK(json.starts_with(kSeq));
  std::from_chars(json.data() + kSeq.size(), json.data() + json.size(), entry->seq);
  constexpr std::string_view kKind = "\"kind\":\"";
  if (const std::size_t at = json.find(kKind); at != std::string_view::npos) {
    const std::string_view rest = json.substr(at + kKind.size());
    entry->kind = rest.substr(0, rest.find('"'));
  }
  entry->json = json;
  return entry;
}

query::Filters behind(std::uint64_t from, std::uint64_t viewSize, const std::vector<std::string>& kinds) {
  query::Filters filters;
  filters.kinds = kinds;
  filters.order = query::Order::ascending;
  filters.limit = kStreamPage;
  query::Cursor cursor;
  cursor.key = static_cast<std::int64_t>(from) - 1;
  cursor.pinned = static_cast<std::int64_t>(viewSize) - 1;
  filters.after = query::encodeCursor(query::ListKind::entries, filters, cursor);
  return filters;
}

}  // namespace

struct StreamCache::State {
  struct Line {
    std::mutex filling;  // held while the view is read
    // Under the cache's mutex: consecutive entries, the newest behind.
    std::deque<std::shared_ptr<const StreamEntry>> entries;
    std::size_t bytes = 0;
    std::uint64_t used = 0;
    std::optional<query::FileIdentity> view;  // which they were read from
  };

  explicit State(ViewReaders& views) : readers(views) {}

  ViewReaders& readers;
  std::mutex mutex;
  std::unordered_map<WorkspaceNumber, std::shared_ptr<Line>, WorkspaceNumberHash> lines;
  std::uint64_t uses = 0;
  std::atomic<std::uint64_t> reads{0};

  // The functions below expect the mutex to be held.

  // What a view showed that was made anew since may be gone on purpose.
  void forgetOutlived(Line& line, WorkspaceNumber workspace) const {
    auto view = query::identityOf(views::viewPath(readers.folder(), workspace));
    if (line.view == view) return;
    line.entries.clear();
    line.bytes = 0;
    line.view = std::move(view);
  }

  std::optional<StreamPage> take(Line& line, WorkspaceNumber workspace, std::uint64_t from) {
    forgetOutlived(line, workspace);
    if (line.entries.empty()) return std::nullopt;
    const std::uint64_t first = line.entries.front()->seq;
    if (from < first || from >= first + line.entries.size()) return std::nullopt;
    line.used = ++uses;
    StreamPage page;
    for (std::size_t at = from - first; at < line.entries.size() && page.entries.size() < kStreamPage; ++at) {
      page.entries.push_back(line.entries[at]);
    }
    page.next = from + page.entries.size();
    return page;
  }

  void put(Line& line, const StreamPage& page) {
    if (page.entries.empty()) return;
    const std::uint64_t end = line.entries.empty() ? 0 : line.entries.back()->seq + 1;
    if (page.entries.front()->seq < end) return;
    if (page.entries.front()->seq > end) {
      line.entries.clear();
      line.bytes = 0;
    }
    for (const auto& entry : page.entries) {
      line.entries.push_back(entry);
      line.bytes += entry->json.size();
    }
    while (line.entries.size() > kStreamEntriesMax || (line.bytes > kStreamBytesMax && line.entries.size() > 1)) {
      line.bytes -= line.entries.front()->json.size();
      line.entries.pop_front();
    }
  }

  std::shared_ptr<Line> lineOf(WorkspaceNumber workspace) {
    auto& line = lines[workspace];
    if (line == nullptr) line = std::make_shared<Line>();
    line->used = ++uses;
    const std::shared_ptr<Line> result = line;
    if (lines.size() > kStreamWorkspacesMax) {
      lines.erase(std::min_element(lines.begin(), lines.end(),
                                   [](const auto& left, const auto& right) { return left.second->used < right.second->used; }));
    }
    return result;
  }
};

StreamCache::StreamCache(ViewReaders& readers) : state_(std::make_unique<State>(readers)) {}

StreamCache::~StreamCache() = default;

std::optional<StreamPage> StreamCache::cached(WorkspaceNumber workspace, std::uint64_t from) {
  const std::lock_guard lock(state_->mutex);
  const auto line = state_->lines.find(workspace);
  if (line == state_->lines.end()) return std::nullopt;
  return state_->take(*line->second, workspace, from);
}

StreamPage StreamCache::read(WorkspaceNumber workspace, std::uint64_t from, std::uint64_t viewSize) {
  std::shared_ptr<State::Line> line;
  bool newest = false;
  {
    const std::lock_guard lock(state_->mutex);
    line = state_->lineOf(workspace);
    // Somebody may have read them between cached() and now.
    if (auto page = state_->take(*line, workspace, from)) return std::move(*page);
    newest = line->entries.empty() || from > line->entries.back()->seq;
  }
  // Those who come while the newest entries are read find them when it is their turn; a listener far behind reads for itself.
  std::unique_lock filling(line->filling, std::defer_lock);
  if (newest) {
    filling.lock();
    const std::lock_guard lock(state_->mutex);
    if (auto page = state_->take(*line, workspace, from)) return std::move(*page);
  }
  ++state_->reads;
  const auto view = query::identityOf(views::viewPath(state_->readers.folder(), workspace));
  const std::string list = state_->readers.of(workspace)->list(query::ListKind::entries, behind(from, viewSize, {}), {});
  StreamPage page;
  page.next = from;
  for (const std::string_view item : itemsOf(list)) {
    page.entries.push_back(rendered(item));
    page.next = page.entries.back()->seq + 1;
  }
  const std::lock_guard lock(state_->mutex);
  state_->forgetOutlived(*line, workspace);
  if (line->view == view) state_->put(*line, page);
  return page;
}

StreamPage StreamCache::readKinds(WorkspaceNumber workspace, std::uint64_t from, std::uint64_t viewSize,
                                  const std::vector<std::string>& kinds) {
  ++state_->reads;
  query::Filters filters = behind(from, viewSize, kinds);
  const std::string list = state_->readers.of(workspace)->list(query::ListKind::entries, filters, {});
  StreamPage page;
  for (const std::string_view item : itemsOf(list)) page.entries.push_back(rendered(item));
  page.next = viewSize;
  if (const std::string_view next = nextOf(list); !next.empty()) {
    filters.after = next;
    page.next = static_cast<std::uint64_t>(query::decodeCursor(query::ListKind::entries, filters).key) + 1;
  }
  return page;
}

std::uint64_t StreamCache::reads() const {
  return state_->reads;
}

}  // namespace counterfoil::server
