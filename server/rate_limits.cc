#include "server/rate_limits.h"

#include <algorithm>
#include <cmath>
#include <mutex>
#include <queue>
#include <string>
#include <unordered_map>

namespace counterfoil::server {
namespace {

// Full ones are let go first, so only who has many callers at work within the same moments comes near.
constexpr std::size_t kBucketsMax = 100'000;
// Buckets looked at in one call.
constexpr int kLooksMax = 16;

struct Rate {
  double perSecond = 0;
  double burst = 0;
};

struct Bucket {
  double level = 0;  // entries that may be taken now
  std::int64_t at = 0;
  const Rate* rate = nullptr;

  // From then on it says nothing. Never earlier than it was: who takes makes it later.
  std::int64_t fullAt() const { return at + static_cast<std::int64_t>(std::ceil((rate->burst - level) / rate->perSecond * 1e9)); }
};

// Not more than kBucketsMax buckets. One that is not full is never let go: it would come back full.
class Buckets {
 public:
  std::size_t size() const { return buckets_.size(); }
  bool has(const std::string& key) const { return buckets_.contains(key); }

  // Before references are taken: lets full ones go until there is room for so many more. False: there is not, now.
  bool makeRoom(std::size_t more, std::int64_t now) {
    for (int look = 0; look < kLooksMax && buckets_.size() + more > kBucketsMax; ++look) {
      const Turn turn = turns_.top();
      if (turn.at > now) return false;
      turns_.pop();
      const auto found = buckets_.find(*turn.key);
      if (const std::int64_t fullAt = found->second.fullAt(); fullAt > now) {
        turns_.push({fullAt, turn.key});
      } else {
        buckets_.erase(found);
      }
    }
    return buckets_.size() + more <= kBucketsMax;
  }
  // Milliseconds after which there may be room, at least one.
  std::int64_t untilRoom(std::int64_t now) const {
    const std::int64_t wait = turns_.empty() ? 0 : turns_.top().at - now;
    return std::max<std::int64_t>(1, (wait + kNanosecondsPerMillisecond - 1) / kNanosecondsPerMillisecond);
  }

  // References outlive what is added after them. `rate` outlives the buckets.
  Bucket& refilled(const std::string& key, const Rate& rate, std::int64_t now) {
    const auto [found, fresh] = buckets_.try_emplace(key, Bucket{rate.burst, now, &rate});
    if (fresh) turns_.push({now, &found->first});
    Bucket& bucket = found->second;
    bucket.level = std::min(rate.burst, bucket.level + static_cast<double>(now - bucket.at) * 1e-9 * rate.perSecond);
    bucket.at = now;
    return bucket;
  }

 private:
  // When to look whether a bucket is full: never later than it is. Every bucket has one.
  struct Turn {
    std::int64_t at = 0;
    const std::string* key = nullptr;
    bool operator<(const Turn& other) const { return at > other.at; }
  };
  std::unordered_map<std::string, Bucket> buckets_;
  std::priority_queue<Turn> turns_;
};

}  // namespace

struct RateLimits::State {
  const Clock& clock;
  const Rate workspace, principal, lookup;
  mutable std::mutex mutex;
  Buckets entries;
  Buckets lookups;  // and renewals of tokens

  std::int64_t takeSeldom(const std::string& key);
};

RateLimits::RateLimits(const Clock& clock, RateLimitOptions options)
    : state_(new State{clock,
                       {options.workspacePerSecond, options.workspaceBurst},
                       {options.principalPerSecond, options.principalBurst},
                       {options.lookupsPerMinute / 60, options.lookupsPerMinute},
                       {},
                       {},
                       {}}) {}

RateLimits::~RateLimits() = default;

std::int64_t RateLimits::take(std::string_view workspaceId, std::string_view principal, std::uint64_t entries, bool urgent) {
  const std::int64_t now = state_->clock.monotonicNanoseconds();
  const auto wanted = static_cast<double>(entries);
  // '\n' stands in no id.
  const std::string workspaceKey = "w\n" + std::string(workspaceId);
  const std::string callerKey = "p\n" + std::string(workspaceId) + '\n' + std::string(principal);
  const std::lock_guard lock(state_->mutex);
  Buckets& buckets = state_->entries;
  if (!buckets.makeRoom(2, now) && !(buckets.has(workspaceKey) && buckets.has(callerKey))) return urgent ? 0 : buckets.untilRoom(now);
  Bucket& workspace = buckets.refilled(workspaceKey, state_->workspace, now);
  Bucket& caller = buckets.refilled(callerKey, state_->principal, now);
  const double workspaceMisses = wanted - workspace.level;
  const double callerMisses = wanted - caller.level;
  if (!urgent && (workspaceMisses > 0 || callerMisses > 0)) {
    const double seconds = std::max(workspaceMisses / state_->workspace.perSecond, callerMisses / state_->principal.perSecond);
    return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil(seconds * 1000)));
  }
  workspace.level -= wanted;
  caller.level -= wanted;
  return 0;
}

std::int64_t RateLimits::takeLookup(std::string_view principal) {
  return state_->takeSeldom(std::string(principal));
}

std::int64_t RateLimits::takeRefresh(std::string_view principal) {
  // No principal begins with a blank.
  return state_->takeSeldom(" refresh " + std::string(principal));
}

std::int64_t RateLimits::State::takeSeldom(const std::string& key) {
  const std::int64_t now = clock.monotonicNanoseconds();
  const std::lock_guard lock(mutex);
  Buckets& buckets = lookups;
  if (!buckets.makeRoom(1, now) && !buckets.has(key)) return buckets.untilRoom(now);
  Bucket& bucket = buckets.refilled(key, lookup, now);
  const double perSecond = lookup.perSecond;
  if (bucket.level < 1) return std::max<std::int64_t>(1, static_cast<std::int64_t>(std::ceil((1 - bucket.level) / perSecond * 1000)));
  bucket.level -= 1;
  return 0;
}

std::size_t RateLimits::buckets() const {
  const std::lock_guard lock(state_->mutex);
  return state_->entries.size() + state_->lookups.size();
}

}  // namespace counterfoil::server
