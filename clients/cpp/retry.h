// When a request is sent again, and when that is given up.
#pragma once

#include <chrono>
#include <optional>

namespace counterfoil::client {

struct RetryLimits {
  // Of one call: its tries and the pauses between them all together.
  std::chrono::milliseconds deadline{30'000};
  // 0: as many as the deadline has room for.
  int triesMax = 0;
  // A server that asks for a longer pause (Retry-After) is not waited for. Nothing: as long as the deadline has room.
  std::optional<std::chrono::milliseconds> pauseMax;
};

// Of one call; knows no clock. Owned by one thread.
class RetryRule {
 public:
  RetryRule(RetryLimits limits, std::chrono::milliseconds now) : limits_(limits), end_(now + limits.deadline) {}

  // What is left for a try that begins now: at least a millisecond.
  std::chrono::milliseconds left(std::chrono::milliseconds now) const;

  // After a try that failed in a way that may pass: how long to wait before the next one, at least what the server asked for. Grows from
  // 100 ms to 5 s. Nothing: give up, because the tries are used up, or the pause would end past the deadline.
  std::optional<std::chrono::milliseconds> pauseBeforeNext(std::optional<std::chrono::milliseconds> retryAfter,
                                                           std::chrono::milliseconds now);

 private:
  RetryLimits limits_;
  std::chrono::milliseconds end_;
  std::chrono::milliseconds pause_{100};
  int tries_ = 0;
};

}  // namespace counterfoil::client
