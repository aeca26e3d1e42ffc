#include "server/rate_limits.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <string>
#include <unordered_map>

namespace counterfoil::server {
namespace {

constexpr std::size_t kBucketsMax = 100'000;

struct Bucket {
  double level = 0;  // entries that may be taken now
  std::int64_t at = 0;
};

}  // namespace

struct RateLimits::State {
  const Clock& clock;
  RateLimitOptions options;
  std::mutex mutex;
  std::unordered_map<std::string, Bucket> buckets;

  // Before references into the table are taken. A bucket nobody asked for a minute is full again, and says nothing.
  void prune(std::int64_t now) {
    if (buckets.size() < kBucketsMax) return;
    std::erase_if(buckets, [&](const auto& item) { return static_cast<double>(now - item.second.at) * 1e-9 > 60; });
    if (buckets.size() >= kBucketsMax) buckets.clear();
  }

  Bucket& refilled(std::string key, double perSecond, double burst, std::int64_t now) {
    Bucket& bucket = buckets.try_emplace(std::move(key), Bucket{burst, now}).first->second;
    bucket.level = std::min(burst, bucket.level + static_cast<double>(now - bucket.at) * 1e-9 * perSecond);
    bucket.at = now;
    return bucket;
  }
};

RateLimits::RateLimits(const Clock& clock, RateLimitOptions options) : state_(new State{clock, options, {}, {}}) {}

RateLimits::~RateLimits() = default;

std::int64_t RateLimits::take(std::string_view workspaceId, std::string_view principal, std::uint64_t entries, bool urgent) {
  const std::int64_t now = state_->clock.monotonicNanoseconds();
  const auto wanted = static_cast<double>(entries);
  const RateLimitOptions& options = state_->options;
  const std::lock_guard lock(state_->mutex);
  state_->prune(now);
  // '\n' stands in no id. References into an unordered_map outlive what is added after them.
  Bucket& workspace = state_->refilled("w\n" + std::string(workspaceId), options.workspacePerSecond, options.workspaceBurst, now);
  Bucket& caller = state_->refilled("p\n" + std::string(workspaceId) + '\n' + std::string(principal), options.principalPerSecond,
                                    options.principalBurst, now);
  const double workspaceMisses = wanted - workspace.level;
  const double callerMisses = wanted - caller.level;
  if (!urgent && (workspaceMisses > 0 || callerMisses > 0)) {
    const double seconds = std::max(workspaceMisses / options.workspacePerSecond, callerMisses / options.principalPerSecond);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(seconds * 1000)));
  }
  workspace.level -= wanted;
  caller.level -= wanted;
  return 0;
}

std::int64_t RateLimits::takeLookup(std::string_view principal) {
  const std::int64_t now = state_->clock.monotonicNanoseconds();
  const double perSecond = state_->options.lookupsPerMinute / 60;
  const std::lock_guard lock(state_->mutex);
  state_->prune(now);
  Bucket& bucket = state_->refilled("l\n" + std::string(principal), perSecond, state_->options.lookupsPerMinute, now);
  if (bucket.level < 1) return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil((1 - bucket.level) / perSecond * 1000)));
  bucket.level -= 1;
  return 0;
}

}  // namespace counterfoil::server
