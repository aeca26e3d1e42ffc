#include "server/auth/authenticator.h"

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <unordered_map>
#include <utility>

#include "ledger/core/encoding.h"
#include "ledger/crypto/digest.h"
#include "ledger/crypto/random.h"
#include "ledger/crypto/short_hash.h"
#include "ledger/crypto/wiping.h"
#include "server/auth/strict_jwt.h"

namespace counterfoil::server {
namespace {

[[noreturn]] void refuse() {
  throw Fault(ErrorCode::badToken, "the token is not valid here", "get a new one: `counterfoil token mint`");
}

bool equal(std::string_view left, std::string_view right) {
  return left.size() == right.size() && crypto::equalConstantTime(crypto::bytesOf(left), crypto::bytesOf(right));
}

// Tokens are known again by a keyed hash: whoever sends others cannot find one that is taken for it, and it costs a tenth of SHA-256.
struct NameHash {
  std::size_t operator()(const crypto::ShortHash& name) const noexcept { return name.low; }
};

crypto::ShortHashKey drawKey() {
  crypto::SystemRandom random;
  return random.bytes<std::tuple_size_v<crypto::ShortHashKey>>();
}

// What was true of a token once is true for ever, but for what is kept here beside the caller.
struct Verified {
  Caller caller;
  std::string keyId;
  std::string certificate;
  std::int64_t issuedAt = 0;
  std::int64_t notBefore = 0;
  std::int64_t expiresAt = 0;
};

// The claims as a caller; refuses what no clock can change.
Verified verifiedOf(ReadToken read, const std::string& audience) {
  TokenClaims& claims = read.claims;
  const std::optional<PrincipalValue> subject = parseSubject(claims.subject);
  const std::optional<Role> role = roleOf(claims.role);
  const std::optional<EntryId> id = fromUuid(claims.tokenId);
  const bool known = equal(claims.issuer, audience) && equal(claims.audience, audience) && subject && role &&
                     isTokenWorkspace(claims.workspace) && id && toUuid(*id) == claims.tokenId;
  if (!known) refuse();
  const std::int64_t lifetime = claims.expiresAt - claims.issuedAt;
  if (lifetime <= 0 || lifetime > tokenSecondsMax(*role) || claims.notBefore >= claims.expiresAt) refuse();
  Verified result;
  result.caller.authenticated = true;
  result.caller.role = *role;
  result.caller.kind = subject->kind;
  result.caller.subjectId = subject->id;
  result.caller.subject = std::move(claims.subject);
  result.caller.workspace = std::move(claims.workspace);
  result.caller.tokenId = std::move(claims.tokenId);
  // Times past the year 2262 do not exist here; the lifetime was checked, so such a token is far in the future and refused for that.
  constexpr std::int64_t kLastSecond = INT64_MAX / kNanosecondsPerSecond;
  result.caller.expiresAt = {std::min(claims.expiresAt, kLastSecond) * kNanosecondsPerSecond};
  result.keyId = std::move(read.keyId);
  result.certificate = std::move(claims.certificate);
  result.issuedAt = claims.issuedAt;
  result.notBefore = claims.notBefore;
  result.expiresAt = claims.expiresAt;
  return result;
}

// Revocations by name. Each is needed until the last token it concerns has expired.
class Revocations {
 public:
  void add(std::string_view name, std::int64_t issuedUntil, std::int64_t now) {
    prune(now);
    std::int64_t& until = until_.try_emplace(std::string(name), issuedUntil).first->second;
    until = std::max(until, issuedUntil);
    newest_ = std::max(newest_, issuedUntil);
  }
  bool hits(std::string_view name, std::int64_t issuedAt) const {
    const auto found = until_.find(name);
    return found != until_.end() && issuedAt <= found->second;
  }
  // No name at all concerns tokens issued after this.
  std::int64_t newest() const { return newest_; }

 private:
  void prune(std::int64_t now) {
    if (until_.size() < pruneAt_) return;
    std::erase_if(until_, [&](const auto& item) { return item.second + kTokenSecondsMax < now - kPruneSlackSeconds; });
    pruneAt_ = std::max(kPruneFirst, until_.size() * 2);
  }
  static constexpr std::size_t kPruneFirst = 1024;
  static constexpr std::int64_t kPruneSlackSeconds = 3600;  // a clock that was set forward may be set back
  std::map<std::string, std::int64_t, std::less<>> until_;
  std::int64_t newest_ = INT64_MIN;
  std::size_t pruneAt_ = kPruneFirst;
};

}  // namespace

struct Authenticator::State {
  State(const TokenKeys& tokenKeys, const Clock& time, AuthenticatorOptions given)
      : keys(tokenKeys), clock(time), options(std::move(given)) {}

  const TokenKeys& keys;
  const Clock& clock;
  const AuthenticatorOptions options;
  const crypto::ShortHashKey nameKey = drawKey();

  mutable std::shared_mutex cacheMutex;
  std::unordered_map<crypto::ShortHash, std::shared_ptr<const Verified>, NameHash> cache;
  std::deque<crypto::ShortHash> oldestFirst;  // the keys of `cache`

  mutable std::shared_mutex revocationMutex;
  Revocations tokens;
  Revocations subjects;
  Revocations recordedSubjects;

  std::int64_t now() const { return clock.wall().nanoseconds / kNanosecondsPerSecond; }

  std::shared_ptr<const Verified> find(const crypto::ShortHash& name) const {
    const std::shared_lock lock(cacheMutex);
    const auto found = cache.find(name);
    return found == cache.end() ? nullptr : found->second;
  }
  void keep(const crypto::ShortHash& name, const std::shared_ptr<const Verified>& verified) {
    const std::unique_lock lock(cacheMutex);
    if (options.cachedMax == 0 || !cache.try_emplace(name, verified).second) return;
    oldestFirst.push_back(name);
    if (oldestFirst.size() <= options.cachedMax) return;
    cache.erase(oldestFirst.front());
    oldestFirst.pop_front();
  }

  // Everything that may be another answer than the last time.
  void checkNow(const Verified& token, std::string_view certificate) const {
    const std::int64_t time = now();
    const std::int64_t latest = time + options.leewaySeconds;
    if (!keys.known(token.keyId) || token.notBefore > latest || token.issuedAt > latest) refuse();
    if (time >= token.expiresAt) {
      throw Fault(ErrorCode::expiredToken, "the token has expired", "get a new one: `counterfoil token mint`");
    }
    if (!token.certificate.empty() && !equal(token.certificate, certificate)) refuse();
    if (revoked(token.caller.tokenId, token.caller.subject, token.issuedAt)) refuse();
  }

  bool revoked(std::string_view tokenId, std::string_view subject, std::int64_t issuedAt) const {
    {
      const std::shared_lock lock(revocationMutex);
      if (tokens.hits(tokenId, issuedAt) || subjects.hits(subject, issuedAt)) return true;
      if (issuedAt > recordedSubjects.newest()) return false;
    }
    // Rare: a token from before the last restart. The name is looked up outside the lock.
    const std::string name = options.recordedName ? options.recordedName(std::string(subject)) : std::string(subject);
    const std::shared_lock lock(revocationMutex);
    return !name.empty() && recordedSubjects.hits(name, issuedAt);
  }
};

Authenticator::Authenticator(const TokenKeys& keys, const Clock& clock, AuthenticatorOptions options)
    : state_(std::make_unique<State>(keys, clock, std::move(options))) {}

Authenticator::~Authenticator() = default;

Caller Authenticator::authenticate(std::string_view token, std::string_view certificate, bool* cached) {
  if (cached != nullptr) *cached = false;
  if (token.empty()) throw Fault(ErrorCode::noToken, "this needs a token", "send it as `Authorization: Bearer ...`");
  if (token.size() > kTokenBytesMax) refuse();
  const crypto::ShortHash name = crypto::shortHash(state_->nameKey, token);
  if (const std::shared_ptr<const Verified> known = state_->find(name)) {
    if (cached != nullptr) *cached = true;
    state_->checkNow(*known, certificate);
    return known->caller;
  }
  std::optional<ReadToken> read = readToken(token);
  if (!read || !state_->keys.known(read->keyId) || !state_->keys.verify(token, read->keyId)) refuse();
  const auto verified = std::make_shared<const Verified>(verifiedOf(std::move(*read), state_->options.audience));
  state_->checkNow(*verified, certificate);
  state_->keep(name, verified);
  return verified->caller;
}

void Authenticator::revokeToken(std::string_view tokenId) {
  const std::unique_lock lock(state_->revocationMutex);
  const std::int64_t now = state_->now();
  // Whenever it was issued: the id alone counts. A clock that was set back must not bring it back either.
  state_->tokens.add(tokenId, now + kTokenSecondsMax, now);
}

void Authenticator::revokeSubject(std::string_view subject, Timestamp issuedUntil) {
  const std::unique_lock lock(state_->revocationMutex);
  state_->subjects.add(subject, issuedUntil.nanoseconds / kNanosecondsPerSecond, state_->now());
}

void Authenticator::revokeRecordedSubject(std::string_view recordedSubject, Timestamp issuedUntil) {
  const std::unique_lock lock(state_->revocationMutex);
  state_->recordedSubjects.add(recordedSubject, issuedUntil.nanoseconds / kNanosecondsPerSecond, state_->now());
}

bool Authenticator::isRevoked(std::string_view tokenId, std::string_view subject, Timestamp issuedAt) const {
  return state_->revoked(tokenId, subject, issuedAt.nanoseconds / kNanosecondsPerSecond);
}

}  // namespace counterfoil::server
