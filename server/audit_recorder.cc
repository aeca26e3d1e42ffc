#include "server/audit_recorder.h"

#include <mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ledger/core/limits.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/redact/scanner.h"
#include "server/await.h"

namespace counterfoil::server {
namespace {

constexpr std::int64_t kMinute = 60 * kNanosecondsPerSecond;
// A reader with ever new filters gets an entry for each beyond this; nothing is lost, only less is folded.
constexpr std::size_t kRememberedMax = 20'000;
// Of their filters, which may be as long as a URL or a query's SQL: somebody who asks something new each time must not fill the memory.
constexpr std::size_t kRememberedBytesMax = 16 * 1024 * 1024;

bool isIdCharacter(char character) {
  return (character >= '0' && character <= '9') || (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
         std::string_view("._:@/+-").find(character) != std::string_view::npos;
}

// Every `human:id` in `text` under the name the record has for that person.
std::string withPseudonyms(RedactionKeys& keys, std::string_view text) {
  constexpr std::string_view kHuman = "human:";
  std::string result;
  while (true) {
    const std::size_t at = text.find(kHuman);
    if (at == std::string_view::npos) break;
    const std::size_t start = at + kHuman.size();
    std::size_t end = start;
    while (end < text.size() && isIdCharacter(text[end])) ++end;
    const std::string_view id = text.substr(start, end - start);
    result += text.substr(0, start);
    if (id.empty() || redact::isPseudonym(id)) {
      result += id;
    } else {
      const auto key = keys.findSubject(PrincipalKind::human, id);
      result += key == nullptr ? "unknown" : redact::pseudonymOf(*key);
    }
    text.remove_prefix(end);
  }
  result += text;
  return result;
}

// What is counted of one reader and filter.
struct Fold {
  PrincipalKind kind{};
  std::string reader;  // its id
  WorkspaceNumber workspace;
  std::string filter;           // with pseudonyms
  std::int64_t recordedAt = 0;  // monotonic; of the last entry
  std::uint64_t count = 0;      // readings that no entry tells of yet, their rows and wall times
  std::uint64_t rows = 0;
  Timestamp first, last;

  void add(std::uint64_t moreCount, std::uint64_t moreRows, Timestamp from, Timestamp to) {
    first = count == 0 ? from : std::min(first, from);
    last = count == 0 ? to : std::max(last, to);
    count += moreCount;
    rows += moreRows;
  }
};

Event eventOf(Kind kind, const Fold& fold) {
  Event event = Event::make(kind);
  // A filter is whatever somebody typed: what must not stand in it is taken out and listed, never a reason to leave the reading unrecorded.
  event.lenient = true;
  event.common.setText(event.arena, Field::source, "ledger");
  setPrincipal(event.arena, event.common, Field::actor, {fold.kind, event.arena.copy(fold.reader)});
  setPrincipal(event.arena, event.body, Field::who, {fold.kind, event.arena.copy(fold.reader)});
  event.body.setNumber(Field::rows, fold.rows);
  return event;
}

Event queriedEvent(const Fold& fold) {
  Event event = eventOf(Kind::auditQueried, fold);
  event.body.setText(event.arena, Field::filter, fold.filter);
  event.body.setNumber(Field::count, fold.count);
  event.body.setTime(Field::from, fold.first);
  event.body.setTime(Field::to, fold.last);
  return event;
}

}  // namespace

struct AuditRecorder::State {
  State(write::Ledger& writer, const Clock& time) : ledger(writer), clock(time) {}

  write::Ledger& ledger;
  const Clock& clock;
  mutable std::mutex mutex;
  using Folds = std::unordered_map<std::string, Fold>;
  Folds folds;            // by reader, workspace and filter
  std::size_t bytes = 0;  // of their keys and filters

  static std::size_t bytesOf(const std::string& key, const Fold& fold) { return key.size() + fold.filter.size(); }
  // Expects the mutex to be held.
  std::pair<std::string, Fold> take(Folds::iterator place) {
    auto taken = folds.extract(place);
    bytes -= bytesOf(taken.key(), taken.mapped());
    return {std::move(taken.key()), std::move(taken.mapped())};
  }
  void putBack(const std::string& key, const Fold& taken) {
    const std::lock_guard lock(mutex);
    const auto [place, fresh] = folds.try_emplace(key, taken);
    if (fresh) bytes += bytesOf(key, taken);
    if (!fresh) place->second.add(taken.count, taken.rows, taken.first, taken.last);
    // Nothing may be counted on an entry that is not there.
    place->second.recordedAt = clock.monotonicNanoseconds() - kMinute;
  }
};

AuditRecorder::AuditRecorder(write::Ledger& ledger, const Clock& clock) : state_(std::make_shared<State>(ledger, clock)) {}

AuditRecorder::~AuditRecorder() = default;

asio::awaitable<void> AuditRecorder::queried(const Caller& caller, Reading reading) {
  const std::shared_ptr<State> state = state_;
  Fold fold;
  fold.kind = caller.kind;
  fold.reader = caller.subjectId;
  fold.workspace = reading.workspace;
  fold.filter = withPseudonyms(*state->ledger.keyRing().workspace(reading.workspace), reading.filter);
  const auto append = [&state, &fold](write::Completion done) {
    state->ledger.appendOwn(fold.workspace, queriedEvent(fold), std::move(done));
  };
  if (reading.each) {
    const Timestamp now = state->clock.wall();
    fold.add(1, reading.rows, now, now);
    co_await recorded(append);
    co_return;
  }
  std::string key = std::to_string(static_cast<unsigned>(fold.kind)) + ':' + fold.reader + '\n' + std::to_string(fold.workspace.value);
  key += '\n' + fold.filter;
  {
    const std::lock_guard lock(state->mutex);
    const Timestamp now = state->clock.wall();
    fold.add(1, reading.rows, now, now);
    const auto known = state->folds.find(key);
    if (known != state->folds.end()) {
      if (state->clock.monotonicNanoseconds() - known->second.recordedAt < kMinute) {
        known->second.add(1, reading.rows, now, now);
        co_return;
      }
      // This entry tells of those as well; until it is durable the next reader writes one of its own.
      if (known->second.count > 0) fold.add(known->second.count, known->second.rows, known->second.first, known->second.last);
      state->take(known);
    }
  }
  const std::uint64_t before = fold.count - 1;
  bool durable = false;
  try {
    co_await recorded(append);
    durable = true;
  } catch (const Fault&) {
    // The reading itself gets no answer and so never happened; the earlier ones did.
    if (before > 0) {
      fold.count = before;
      fold.rows -= reading.rows;
      state->putBack(key, fold);
    }
    throw;
  }
  if (!durable) co_return;
  const std::lock_guard lock(state->mutex);
  const std::size_t size = State::bytesOf(key, fold);
  if (state->folds.size() >= kRememberedMax || state->bytes + size > kRememberedBytesMax) co_return;
  fold.count = 0;
  fold.rows = 0;
  fold.recordedAt = state->clock.monotonicNanoseconds();
  const auto [place, fresh] = state->folds.try_emplace(std::move(key), std::move(fold));
  if (fresh) state->bytes += size;
}

asio::awaitable<void> AuditRecorder::resolved(const Caller& caller, WorkspaceNumber workspace, std::string_view pseudonym,
                                              std::uint64_t rows) {
  const std::shared_ptr<State> state = state_;
  Fold fold;
  fold.kind = caller.kind;
  fold.reader = caller.subjectId;
  fold.rows = rows;
  const std::string name(pseudonym);
  const auto append = [&state, &fold, &name, workspace](write::Completion done) {
    Event event = eventOf(Kind::subjectResolved, fold);
    event.body.setText(event.arena, Field::pseudonym, name);
    state->ledger.appendOwn(workspace, std::move(event), std::move(done));
  };
  co_await recorded(append);
}

void AuditRecorder::flush(bool all) {
  std::vector<std::pair<std::string, Fold>> due;
  {
    const std::lock_guard lock(state_->mutex);
    const std::int64_t now = state_->clock.monotonicNanoseconds();
    for (auto next = state_->folds.begin(); next != state_->folds.end();) {
      const auto fold = next++;
      const bool over = now - fold->second.recordedAt >= kMinute;
      const bool counted = fold->second.count > 0;
      if (over && !counted) state_->take(fold);
      if ((over || all) && counted) due.push_back(state_->take(fold));
    }
  }
  for (auto& [key, fold] : due) {
    auto done = [state = state_, key = key, fold = fold](const write::Answer*, const Fault* fault) {
      if (fault != nullptr) state->putBack(key, fold);
    };
    state_->ledger.appendOwn(fold.workspace, queriedEvent(fold), std::move(done));
  }
}

std::size_t AuditRecorder::remembered() const {
  const std::lock_guard lock(state_->mutex);
  return state_->folds.size();
}

}  // namespace counterfoil::server
