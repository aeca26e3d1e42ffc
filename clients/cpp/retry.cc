#include "clients/cpp/retry.h"

#include <algorithm>

namespace counterfoil::client {
namespace {

constexpr std::chrono::milliseconds kPauseMax{5'000};

}  // namespace

std::chrono::milliseconds RetryRule::left(std::chrono::milliseconds now) const {
  return std::max(end_ - now, std::chrono::milliseconds(1));
}

std::optional<std::chrono::milliseconds> RetryRule::pauseBeforeNext(std::optional<std::chrono::milliseconds> retryAfter,
                                                                    std::chrono::milliseconds now) {
  ++tries_;
  if (limits_.triesMax > 0 && tries_ >= limits_.triesMax) return std::nullopt;
  if (retryAfter && limits_.pauseMax && *retryAfter > *limits_.pauseMax) return std::nullopt;
  const std::chrono::milliseconds pause = std::max(retryAfter.value_or(pause_), pause_);
  pause_ = std::min(pause_ * 2, kPauseMax);
  if (now + pause >= end_) return std::nullopt;
  return pause;
}

}  // namespace counterfoil::client
