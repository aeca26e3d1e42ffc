#include "ledger/log/embedded_cursor.h"

#include <string>

namespace counterfoil::log {
namespace {

// Of one read transaction: a few milliseconds, and a bounded buffer.
constexpr std::size_t kRowsMax = 1'000;
constexpr std::size_t kBytesMax = 4 * 1024 * 1024;

}  // namespace

EmbeddedCursor::EmbeddedCursor(const EmbeddedPlace& place)
    : connection_(openForReading(place)), select_(connection_.prepare(kSelectRows)) {}

void EmbeddedCursor::damaged(Position position, const char* what) const {
  throw Fault(ErrorCode::logDamaged, connection_.file() + ": position " + std::to_string(position.value) + ": " + what, kDamageHint);
}

// What was read before an error is given out first; the error is met again by the next fill, at the row it belongs to.
bool EmbeddedCursor::fill(Position from, std::size_t rowsMax) {
  count_ = 0;
  used_ = 0;
  StatementUse use(select_);
  sqlite3_bind_int64(use.get(), 1, static_cast<sqlite3_int64>(from.value));
  sqlite3_bind_int64(use.get(), 2, static_cast<sqlite3_int64>(rowsMax));
  std::size_t bytes = 0;
  while (bytes < kBytesMax) {
    const int code = use.step();
    if (code == SQLITE_DONE) break;
    if (code != SQLITE_ROW) {
      if (count_ > 0) break;
      throw faultOf(code, connection_.file(), "reading at position " + std::to_string(from.value));
    }
    if (count_ == rows_.size()) rows_.emplace_back();
    Row& row = rows_[count_++];
    row.sound = readRow(use.get(), row.position, row.header, row.value);
    bytes += row.value.size();
  }
  return count_ > 0;
}

void EmbeddedCursor::checkStart(const FoldState& from) {
  if (from.next.value == 0) return;
  const Position before{from.next.value - 1};
  const auto truncated = [&](const char* what) {
    return Fault(ErrorCode::logTruncated, connection_.file() + ": position " + std::to_string(before.value) + ": " + what,
                 "an older copy of the log was put in place; restore the newest one");
  };
  if (!fill(before, 1)) throw truncated("the log ends before the place that was read before");
  used_ = count_;
  const Row& row = rows_.front();
  if (row.position != before) damaged(before, "the record is missing");
  if (!row.sound) damaged(before, "the row is not one of a log");
  if (row.header != from.last) throw truncated("the record is not the one that was read before");
}

bool EmbeddedCursor::next(FoldState& state, ValidRecord& record) {
  if (used_ == count_ && !fill(state.next, kRowsMax)) return false;
  Row& row = rows_[used_];
  if (row.position != state.next) damaged(state.next, "the record is missing");
  if (!row.sound) damaged(state.next, "the row is not one of a log");
  if (judge(state, row.header) != FoldVerdict::valid) damaged(state.next, "the header does not follow the records before it");
  if (!contentFits(row.header, row.value)) damaged(state.next, "the content contradicts the header");
  fold(state, row.header);
  record.position = row.position;
  record.kind = row.header.kind;
  record.workspace = row.header.workspace;
  record.seq = row.header.seq;
  record.previous = row.header.previous;
  record.leaf = row.header.leaf;
  record.incarnation = row.header.incarnation;
  record.value.swap(row.value);
  ++used_;
  return true;
}

EmbeddedFinder::EmbeddedFinder(const EmbeddedPlace& place)
    : connection_(openForReading(place)), select_(connection_.prepare(kSelectRows)) {}

bool EmbeddedFinder::find(Position position, StoredRecord& record) {
  // No row has a position beyond what SQLite's integers hold.
  if (position.value > static_cast<std::uint64_t>(INT64_MAX)) return false;
  StatementUse use(select_);
  sqlite3_bind_int64(use.get(), 1, static_cast<sqlite3_int64>(position.value));
  sqlite3_bind_int64(use.get(), 2, 1);
  const int code = use.step();
  if (code == SQLITE_DONE) return false;
  const std::string place = "position " + std::to_string(position.value);
  if (code != SQLITE_ROW) throw faultOf(code, connection_.file(), "reading at " + place);
  const bool sound = readRow(use.get(), record.position, record.header, record.value);
  if (record.position != position) return false;  // the next one there is
  if (!sound) throw Fault(ErrorCode::logDamaged, connection_.file() + ": " + place + ": the row is not one of a log", kDamageHint);
  return true;
}

EmbeddedReader::EmbeddedReader(const EmbeddedPlace& place, const FoldState& from) : cursor_(place), state_(from) {
  cursor_.checkStart(from);
}

}  // namespace counterfoil::log
