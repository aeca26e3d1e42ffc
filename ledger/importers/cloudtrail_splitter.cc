#include "ledger/importers/cloudtrail_splitter.h"

#include <algorithm>

#include "ledger/core/check.h"

namespace counterfoil::importers {
namespace {

constexpr std::string_view kRecords = "Records";
constexpr std::string_view kDigestKey = "digestStartTime";
constexpr std::size_t kKeyBytesKept = 32;

bool isSpace(std::uint8_t byte) {
  return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r';
}

std::string_view textOf(std::span<const std::uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Fault CloudTrailSplitter::faultOf(Problem problem) {
  const std::string hint = "an import takes CloudTrail log files as they lie in their bucket, compressed or not";
  switch (problem) {
    case Problem::cutOff:
      return {ErrorCode::malformedJson, "the file ends in the middle of its text", "fetch it again, then import it again"};
    case Problem::tooDeep:
      return {ErrorCode::tooDeep, "the file has more than " + std::to_string(kDepthMax) + " levels", hint};
    case Problem::noRecords:
      return {ErrorCode::invalidValue, "no CloudTrail log file: it has no list \"Records\"", hint};
    case Problem::digestFile:
      return {ErrorCode::invalidValue, "a digest file of CloudTrail, which holds no records", hint};
    default:
      return {ErrorCode::malformedJson, "the file is no CloudTrail log file, or damaged", hint};
  }
}

void CloudTrailSplitter::feed(std::span<const std::uint8_t> piece) {
  piece_ = piece.data();
  pieceAt_ = at_;
  const std::uint64_t end = at_ + piece.size();
  for (const std::uint8_t byte : piece) {
    if (problem_ != Problem::none) break;
    step(byte);
    ++at_;
  }
  at_ = end;
  if (problem_ == Problem::none && state_ == State::inValue && inRecords_) {
    keep(piece.subspan(static_cast<std::size_t>(std::max(valueAt_, pieceAt_) - pieceAt_)));
    keptTo_ = end;
  }
  piece_ = nullptr;
}

void CloudTrailSplitter::finish() {
  if (problem_ != Problem::none) return;
  if (state_ != State::end) return fail(state_ == State::begin ? Problem::notJson : Problem::cutOff);
  if (!sawRecords_) fail(sawDigest_ ? Problem::digestFile : Problem::noRecords);
}

void CloudTrailSplitter::fail(Problem problem) {
  if (problem_ != Problem::none) return;
  problem_ = problem;
  problemOffset_ = at_;
}

void CloudTrailSplitter::step(std::uint8_t byte) {
  if (state_ == State::inValue) {
    if (!scalar_) {
      if (inside(byte)) endValue(at_ + 1);
      return;
    }
    if (!isSpace(byte) && byte != ',' && byte != '}' && byte != ']') {
      if (byte == '"' || byte == '{' || byte == '[' || byte == ':' || byte < 0x20) fail(Problem::notJson);
      return;
    }
    endValue(at_);
  } else if (state_ == State::inKey) {
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      state_ = State::colon;
      return;
    }
    if (key_.size() < kKeyBytesKept) key_.push_back(static_cast<char>(byte));
    return;
  }
  outside(byte);
}

// Between values, where white space means nothing.
void CloudTrailSplitter::outside(std::uint8_t byte) {
  if (isSpace(byte)) return;
  static constexpr std::array<std::uint8_t, 3> kByteOrderMark = {0xef, 0xbb, 0xbf};
  switch (state_) {
    case State::begin:
      if (at_ < kByteOrderMark.size() && byte == kByteOrderMark[at_]) return;
      if (byte != '{') return fail(Problem::notJson);
      state_ = State::firstKey;
      return;
    case State::firstKey:
    case State::key:
      if (byte == '}' && state_ == State::firstKey) {
        state_ = State::end;
      } else if (byte == '"') {
        key_.clear();
        state_ = State::inKey;
      } else {
        fail(Problem::notJson);
      }
      return;
    case State::colon:
      if (byte != ':') return fail(Problem::notJson);
      takeKey();
      return;
    case State::value:
      return beginValue(byte);
    case State::afterValue:
      if (byte == ',') {
        state_ = inRecords_ ? State::value : State::key;
        afterComma_ = true;
      } else if (byte == ']' && inRecords_) {
        inRecords_ = false;
      } else if (byte == '}' && !inRecords_) {
        state_ = State::end;
      } else {
        fail(Problem::notJson);
      }
      return;
    default:
      return fail(Problem::notJson);  // something after the end
  }
}

void CloudTrailSplitter::takeKey() {
  state_ = State::value;
  afterComma_ = false;
  if (key_ == kDigestKey) sawDigest_ = true;
  if (key_ != kRecords) return;
  if (sawRecords_) return fail(Problem::notJson);  // twice: which one is meant?
  sawRecords_ = true;
}

void CloudTrailSplitter::beginValue(std::uint8_t byte) {
  if (!inRecords_ && key_ == kRecords) {
    // A list that is null or anything else is none.
    if (byte != '[') return fail(Problem::notJson);
    inRecords_ = true;
    afterComma_ = false;
    return;
  }
  if (inRecords_ && byte == ']') {
    if (afterComma_) return fail(Problem::notJson);
    inRecords_ = false;
    state_ = State::afterValue;
    return;
  }
  if (byte == ',' || byte == '}' || byte == ']' || byte == ':') return fail(Problem::notJson);
  state_ = State::inValue;
  valueAt_ = keptTo_ = at_;
  tooLong_ = false;
  depth_ = 0;
  scalar_ = byte != '{' && byte != '[' && byte != '"';
  if (!scalar_) inside(byte);
}

bool CloudTrailSplitter::inside(std::uint8_t byte) {
  if (inText_) {
    if (escaped_) {
      escaped_ = false;
    } else if (byte == '\\') {
      escaped_ = true;
    } else if (byte == '"') {
      inText_ = false;
      return depth_ == 0;
    }
    return false;
  }
  switch (byte) {
    case '"':
      inText_ = true;
      return false;
    case '{':
    case '[':
      if (depth_ == kDepthMax) {
        fail(Problem::tooDeep);
        return false;
      }
      isArray_[depth_++] = byte == '[';
      return false;
    case '}':
    case ']':
      if (isArray_[--depth_] != (byte == ']')) fail(Problem::notJson);
      return depth_ == 0 && problem_ == Problem::none;
    default:
      return false;
  }
}

void CloudTrailSplitter::endValue(std::uint64_t end) {
  state_ = State::afterValue;
  if (!inRecords_) return;
  const std::uint64_t from = std::max(keptTo_, pieceAt_);
  const std::span<const std::uint8_t> rest(piece_ + (from - pieceAt_), static_cast<std::size_t>(end - from));
  const std::uint64_t bytes = end - valueAt_;
  Record record{valueAt_, bytes, {}};
  if (keptTo_ > valueAt_) {
    keep(rest);
    record.text = textOf(kept_);
  } else {
    record.text = textOf(rest);
  }
  if (bytes > kRecordBytesMax) record.text = {};
  sink_(record);
  crypto::wipe(kept_.data(), kept_.size());
  kept_.clear();
}

void CloudTrailSplitter::keep(std::span<const std::uint8_t> piece) {
  if (tooLong_ || kept_.size() + piece.size() > kRecordBytesMax) {
    tooLong_ = true;
    crypto::wipe(kept_.data(), kept_.size());
    kept_.clear();
    return;
  }
  kept_.insert(kept_.end(), piece.begin(), piece.end());
}

}  // namespace counterfoil::importers
