// Token buckets per workspace and per principal (DESIGN decision 17): nobody's flood delays others, and refusals say when to come again.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "ledger/core/clock.h"

namespace counterfoil::server {

struct RateLimitOptions {
  double workspacePerSecond = 20'000;  // entries
  double workspaceBurst = 40'000;
  double principalPerSecond = 10'000;
  double principalBurst = 20'000;
  double lookupsPerMinute = 30;  // secrets/lookup, a principal; and as many renewals of tokens
};

// Thread safe. Remembers at most 100,000 buckets of entries and as many of look-ups, and lets only full ones go: many callers make nobody's
// empty bucket full. While none is full, who is not known yet is told to come again.
class RateLimits {
 public:
  RateLimits(const Clock& clock, RateLimitOptions options);
  ~RateLimits();
  // Takes `entries` from both buckets, or from none. 0: taken; otherwise milliseconds after which to ask again. `urgent` (revocations)
  // always passes and is only counted.
  std::int64_t take(std::string_view workspaceId, std::string_view principal, std::uint64_t entries, bool urgent);
  std::int64_t takeLookup(std::string_view principal);
  std::int64_t takeRefresh(std::string_view principal);
  // Buckets remembered.
  std::size_t buckets() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
