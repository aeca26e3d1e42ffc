// Finds the records of a CloudTrail log file, {"Records": [{...}, ...]}, in its text as it streams by: what lies between the records is
// checked here, a record itself only for its end. So one broken record costs one record, and a file of any size is read piece by piece.
#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "ledger/core/arena.h"
#include "ledger/core/outcome.h"

namespace counterfoil::importers {

// Not thread safe; for one file. What it holds of an unfinished record is wiped.
class CloudTrailSplitter {
 public:
  // AWS cuts records at 256 KiB.
  static constexpr std::size_t kRecordBytesMax = 1024 * 1024;
  static constexpr std::size_t kDepthMax = 256;

  // One item of "Records". `text` is empty if it has more than kRecordBytesMax bytes, else valid during the call.
  struct Record {
    std::uint64_t offset;
    std::uint64_t bytes;
    std::string_view text;
  };
  using Sink = std::function<void(const Record&)>;

  explicit CloudTrailSplitter(Sink sink) : sink_(std::move(sink)) {}

  // The next piece of the text. After a problem the rest is ignored.
  void feed(std::span<const std::uint8_t> piece);
  // The text ends here.
  void finish();

  enum class Problem : std::uint8_t {
    none,
    notJson,     // the text is not of this form, at problemOffset()
    cutOff,      // the text ends too early
    tooDeep,     // more than kDepthMax levels
    noRecords,   // well-formed, without "Records"
    digestFile,  // CloudTrail's own digest of log files, which holds no records
  };
  Problem problem() const { return problem_; }
  std::uint64_t problemOffset() const { return problemOffset_; }
  static Fault faultOf(Problem problem);

 private:
  enum class State : std::uint8_t { begin, firstKey, key, inKey, colon, value, inValue, afterValue, end };

  void step(std::uint8_t byte);
  void outside(std::uint8_t byte);
  void beginValue(std::uint8_t byte);
  // Inside a value: true if `byte` is the last one of it. A number or word ends before the byte that follows; that one is seen again.
  bool inside(std::uint8_t byte);
  void endValue(std::uint64_t end);
  void takeKey();
  void keep(std::span<const std::uint8_t> piece);
  void fail(Problem problem);

  Sink sink_;
  State state_ = State::begin;
  Problem problem_ = Problem::none;
  std::uint64_t problemOffset_ = 0;
  std::uint64_t at_ = 0;  // of the byte that is looked at
  const std::uint8_t* piece_ = nullptr;
  std::uint64_t pieceAt_ = 0;

  std::string key_;  // raw, as much of it as it takes to know it
  bool escaped_ = false;
  bool inText_ = false;
  bool scalar_ = false;
  std::size_t depth_ = 0;  // inside a value
  std::bitset<kDepthMax> isArray_;
  bool inRecords_ = false;  // between the brackets of "Records"
  bool sawRecords_ = false;
  bool sawDigest_ = false;
  bool afterComma_ = false;

  std::uint64_t valueAt_ = 0;
  std::uint64_t keptTo_ = 0;  // the value's bytes before this one lie in kept_
  crypto::WipingVector kept_;
  bool tooLong_ = false;
};

}  // namespace counterfoil::importers
