#include "server/auth/access_recorder.h"

#include <future>
#include <map>
#include <mutex>
#include <utility>

#include "ledger/core/event.h"

namespace counterfoil::server {
namespace {

// Different principals whose refusals are told apart between two flushes; those of more are recorded without one.
constexpr std::size_t kPrincipalsMax = 10'000;

struct Refusal {
  std::uint64_t count = 0;
  std::string tokenId;
  bool severalTokens = false;

  void add(const Refusal& other) {
    severalTokens = severalTokens || other.severalTokens || (count != 0 && tokenId != other.tokenId);
    if (count == 0) tokenId = other.tokenId;
    count += other.count;
  }
};

using Key = std::pair<ErrorCode, std::string>;  // reason, subject
using Refusals = std::map<Key, Refusal>;

PrincipalValue principalIn(Arena& arena, std::string_view subject, const char* what) {
  const std::optional<PrincipalValue> principal = parseSubject(subject);
  if (!principal) {
    throw Fault(ErrorCode::invalidValue, std::string(what) + " must be kind:id with kind human, agent, service or operator",
                "for example human:alice", "/" + std::string(what));
  }
  return {principal->kind, arena.copy(principal->id)};
}

Event accessEvent(Kind kind, std::string_view by) {
  Event event = Event::make(kind);
  setPrincipal(event.arena, event.common, Field::actor, principalIn(event.arena, by, "by"));
  return event;
}

Event refusedEvent(const Key& key, const Refusal& refusal) {
  Event event = Event::make(Kind::accessRefused);
  event.body.setText(event.arena, Field::reason, factsOf(key.first).text);
  event.body.setNumber(Field::count, refusal.count);
  if (!key.second.empty()) {
    setPrincipal(event.arena, event.body, Field::principal, principalIn(event.arena, key.second, "principal"));
    if (!refusal.severalTokens) event.body.setText(event.arena, Field::jti, refusal.tokenId);
  }
  return event;
}

void appendAndWait(write::Ledger& ledger, Event event) {
  std::promise<void> done;
  ledger.appendOwn(kSystemWorkspace, std::move(event), [&done](const write::Answer*, const Fault* fault) {
    if (fault != nullptr) {
      done.set_exception(std::make_exception_ptr(*fault));
    } else {
      done.set_value();
    }
  });
  done.get_future().get();
}

}  // namespace

struct AccessRecorder::State {
  State(write::Ledger& to, const Clock& time) : ledger(to), clock(time) {}
  write::Ledger& ledger;
  const Clock& clock;
  std::mutex mutex;
  Refusals refusals;

  void count(const Key& key, const Refusal& refusal) {
    const std::lock_guard lock(mutex);
    const bool known = refusals.contains(key) || refusals.size() < kPrincipalsMax;
    refusals[known ? key : Key{key.first, {}}].add(refusal);
  }
};

AccessRecorder::AccessRecorder(write::Ledger& ledger, const Clock& clock) : state_(std::make_shared<State>(ledger, clock)) {}

AccessRecorder::~AccessRecorder() = default;

void AccessRecorder::issued(const TokenClaims& claims, std::string_view by) {
  Event event = accessEvent(Kind::accessTokenIssued, by);
  setPrincipal(event.arena, event.body, Field::principal, principalIn(event.arena, claims.subject, "subject"));
  event.body.setText(event.arena, Field::jti, claims.tokenId);
  event.body.setText(event.arena, Field::role, claims.role);
  event.body.setTime(Field::expiresAt, {claims.expiresAt * kNanosecondsPerSecond});
  appendAndWait(state_->ledger, std::move(event));
}

void AccessRecorder::revoked(std::string_view tokenId, std::string_view subject, std::string_view by) {
  Event event = accessEvent(Kind::accessTokenRevoked, by);
  event.body.setText(event.arena, Field::reason, tokenId.empty() ? "subject" : "token");
  if (!tokenId.empty()) event.body.setText(event.arena, Field::jti, tokenId);
  if (!subject.empty()) setPrincipal(event.arena, event.body, Field::principal, principalIn(event.arena, subject, "subject"));
  appendAndWait(state_->ledger, std::move(event));
}

void AccessRecorder::keyRotated(std::string_view keyId, std::string_view by) {
  Event event = accessEvent(Kind::keyRotated, by);
  event.body.setText(event.arena, Field::keyId, keyId);
  event.body.setText(event.arena, Field::purpose, "token");
  appendAndWait(state_->ledger, std::move(event));
}

void AccessRecorder::refused(ErrorCode reason, const Caller& caller) {
  Refusal one{1, {}, false};
  if (caller.authenticated) one.tokenId = caller.tokenId;
  state_->count({reason, caller.authenticated ? caller.subject : std::string()}, one);
}

void AccessRecorder::flush() {
  Refusals counted;
  {
    const std::lock_guard lock(state_->mutex);
    counted.swap(state_->refusals);
  }
  for (const auto& [key, refusal] : counted) {
    state_->ledger.appendOwn(kSystemWorkspace, refusedEvent(key, refusal),
                             [state = state_, key = key, refusal = refusal](const write::Answer*, const Fault* fault) {
                               if (fault != nullptr) state->count(key, refusal);
                             });
  }
}

}  // namespace counterfoil::server
