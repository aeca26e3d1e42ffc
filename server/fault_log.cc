#include "server/fault_log.h"

#include <spdlog/spdlog.h>

#include <string>

namespace counterfoil::server {
namespace {

constexpr std::int64_t kQuietNanoseconds = 10'000'000'000;

struct Words {
  ErrorCode code;
  const char* detail;
  const char* hint;
};

// Codes whose details name files of the server or places in its log, whatever the detail.
constexpr Words kWords[] = {
    {ErrorCode::internal, "something in the ledger failed that should not", "tell the operator the requestId"},
    {ErrorCode::diskFull, "the disk of the ledger is full", "nothing was recorded; ask again with the same id once there is space"},
    {ErrorCode::viewDamaged, "the view of this workspace cannot be read", "tell the operator the requestId: views can be rebuilt"},
    {ErrorCode::logDamaged, "the log of the ledger is damaged", "tell the operator the requestId"},
    {ErrorCode::logTruncated, "the log of the ledger is shorter than it was", "tell the operator the requestId"},
    {ErrorCode::logUnavailable, "the log takes nothing at the moment", "ask again with the same id"},
    {ErrorCode::keyMissing, "a key of this workspace is not at hand", "tell the operator the requestId"},
    {ErrorCode::keyDamaged, "a key of this workspace cannot be used", "tell the operator the requestId"},
    {ErrorCode::keyPermissions, "a key of this workspace cannot be read", "tell the operator the requestId"},
};

// Others tell callers what to wait for, and only now and then name a file: one that cannot be read just now, by another user's hand.
constexpr Words kOtherWords = {ErrorCode::internal, "the ledger cannot do this at the moment",
                               "ask again with the same id; if it stays, tell the operator the requestId"};

// What the caller reads instead; null: the fault as it is.
const Words* wordsOf(const Fault& fault) {
  for (const Words& words : kWords) {
    if (words.code == fault.code()) return &words;
  }
  const bool namesFile = (fault.detail() + fault.hint()).find('/') != std::string::npos;
  return factsOf(fault.code()).httpStatus >= 500 && namesFile ? &kOtherWords : nullptr;
}

}  // namespace

Fault FaultLog::withoutPlaces(const Fault& fault) {
  const Words* words = wordsOf(fault);
  if (words == nullptr) return fault;
  return Fault(fault.code(), words->detail, words->hint, fault.field()).askAgainAfter(fault.askAgainSeconds());
}

Fault FaultLog::forCaller(const Fault& fault, std::string_view requestId) {
  if (wordsOf(fault) == nullptr) return fault;
  const std::int64_t now = clock_.monotonicNanoseconds();
  std::uint64_t leftOut = 0;
  bool tell = false;
  {
    const std::lock_guard lock(mutex_);
    const auto [found, first] = told_.try_emplace(fault.code());
    Told& told = found->second;
    tell = first || now - told.at >= kQuietNanoseconds;
    if (tell) {
      leftOut = told.leftOut;
      told = {now, 0};
    } else {
      ++told.leftOut;
    }
  }
  if (tell) {
    spdlog::error("request {} failed: {}{}", requestId, fault.what(),
                  leftOut == 0 ? std::string() : " (and " + std::to_string(leftOut) + " more of this code since the last line)");
  }
  return withoutPlaces(fault);
}

}  // namespace counterfoil::server
