// Reads the embedded log's rows in short read transactions, so that no reader keeps the write-ahead log from being reset.
#pragma once

#include <optional>
#include <vector>

#include "ledger/log/embedded_schema.h"
#include "ledger/log/event_log.h"

namespace counterfoil::log {

// One thread. Owns a connection of its own.
class EmbeddedCursor {
 public:
  // Throws Fault(noLedger | logDamaged | logUnavailable).
  explicit EmbeddedCursor(const EmbeddedPlace& place);
  // Throws Fault(logTruncated) if the log ends before from.next, or the record there is not the one that was read.
  void checkStart(const FoldState& from);
  // The record at state.next, folded into `state`. False: none yet. Throws Fault(logDamaged | logUnavailable) with `state` untouched.
  // In this log a void record is damage: only the holder of the lock appends, and a row id is taken once.
  bool next(FoldState& state, ValidRecord& record);

 private:
  struct Row {
    Position position;
    bool sound = false;
    RecordHeader header;
    std::vector<std::uint8_t> value;
  };
  bool fill(Position from, std::size_t rowsMax);
  [[noreturn]] void damaged(Position position, const char* what) const;

  Connection connection_;
  Statement select_;
  std::vector<Row> rows_;  // buffers are kept between fills
  std::size_t count_ = 0;
  std::size_t used_ = 0;
};

class EmbeddedReader final : public PartitionReader {
 public:
  EmbeddedReader(const EmbeddedPlace& place, const FoldState& from);
  bool next(ValidRecord& record) override { return cursor_.next(state_, record); }
  const FoldState& state() const override { return state_; }

 private:
  EmbeddedCursor cursor_;
  FoldState state_;
};

// Each find() is a read transaction of its own.
class EmbeddedFinder final : public RecordFinder {
 public:
  // Throws as EmbeddedCursor does.
  explicit EmbeddedFinder(const EmbeddedPlace& place);
  bool find(Position position, StoredRecord& record) override;

 private:
  Connection connection_;
  Statement select_;
};

}  // namespace counterfoil::log
