#include "server/routes/commands.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/write/answer_json.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/rate_limits.h"

namespace counterfoil::server {
namespace {

std::optional<EntryId> idempotencyKey(const RequestHead& head) {
  const std::string_view text = head.header("idempotency-key");
  if (text.empty()) return std::nullopt;
  const auto id = fromUuid(text);
  if (!id || !isUuidV7(*id)) {
    throw Fault(ErrorCode::invalidValue, "the Idempotency-Key is no UUIDv7", "make one with the time inside", "Idempotency-Key");
  }
  return id;
}

void setId(EntryId& id, const RequestHead& head) {
  const auto key = idempotencyKey(head);
  if (!key) return;
  if (id != EntryId{} && id != *key) {
    throw Fault(ErrorCode::invalidValue, "the body's id is not the Idempotency-Key", "send one of them, or both alike", "/id");
  }
  id = *key;
}

void setTrace(Arena& arena, StructValue& common, const RequestHead& head) {
  if (!head.traceparent.empty() && common.text(Field::traceparent).empty()) common.setText(arena, Field::traceparent, head.traceparent);
}

// "durable" is what every answer has reached; more is only told where it is known.
std::string_view ackOf(const RequestHead& head) {
  for (const auto& [name, value] : head.query) {
    if (name != "ack") continue;
    if (value == "durable" || value == "published" || value == "witnessed") return value;
    throw Fault(ErrorCode::invalidValue, "ack is none of durable, published, witnessed", "leave it out for durable", "ack");
  }
  return "durable";
}

}  // namespace

asio::awaitable<std::string_view> jsonBody(Exchange& exchange, std::size_t bytesMax) {
  const std::string_view type = exchange.mediaType();
  const std::string_view text = co_await exchange.body(bytesMax);
  if (text.empty()) co_return std::string_view("{}");
  if (!type.empty() && type != "application/json") {
    throw Fault(ErrorCode::unsupportedMediaType, "this route takes application/json", "set Content-Type: application/json");
  }
  co_return text;
}

void sign(Command& command, const Call& call, bool actorFromBody) {
  const Caller& caller = call.caller;
  setId(command.id, call.exchange.head());
  setTrace(command.arena, command.common, call.exchange.head());
  const PrincipalValue named = principalOf(command.common, Field::actor);
  const bool given = named.kind != PrincipalKind::unspecified;
  const bool same = named.kind == caller.kind && named.id == caller.subjectId;
  if (given && !same && !actorFromBody) {
    throw Fault(ErrorCode::invalidValue, "the actor of this is the token's subject and nobody else", "leave actor out", "/actor");
  }
  if (!given) setPrincipal(command.arena, command.common, Field::actor, {caller.kind, command.arena.copy(caller.subjectId)});
}

void sign(Event& fact, const Call& call) {
  const Caller& caller = call.caller;
  setTrace(fact.arena, fact.common, call.exchange.head());
  if (principalOf(fact.common, Field::actor).kind == PrincipalKind::unspecified) {
    setPrincipal(fact.arena, fact.common, Field::actor, {caller.kind, fact.arena.copy(caller.subjectId)});
  }
  if (caller.role != Role::producer) return;
  // A producer speaks for itself only: its watermark ends leases, its numbers are its own.
  const std::string_view producer = fact.common.text(Field::producer);
  if (producer.empty()) {
    fact.common.setText(fact.arena, Field::producer, caller.subjectId);
  } else if (producer != caller.subjectId) {
    throw Fault(ErrorCode::notAllowed, "the token is another producer's", "report under the token's own subject", "/producer");
  }
}

void takeFromLimits(const Call& call, Service& service, std::string_view workspace, std::uint64_t entries, bool urgent) {
  const std::int64_t wait = service.limits.take(workspace, call.caller.subject, entries, urgent);
  if (wait == 0) return;
  throw Fault(ErrorCode::rateLimited, "more requests than the limit of this workspace or caller",
              "ask again with the same id a little later");
}

asio::awaitable<Response> runCommand(Call& call, Service& service, CommandKind kind, std::span<const RouteField> fromRoute, int status) {
  const std::string_view text = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  Command command = parseCommand(kind, text, fromRoute);
  const bool leaseVerb = kind == CommandKind::leaseRequest || kind == CommandKind::leaseIssue || kind == CommandKind::leaseConsume ||
                         kind == CommandKind::leaseRenew;
  const bool trusted = call.caller.role == Role::producer || call.caller.role == Role::admin || call.caller.role == Role::owner;
  sign(command, call, leaseVerb && trusted);
  co_return co_await runCommand(call, service, std::move(command), status);
}

asio::awaitable<Response> runCommand(Call& call, Service& service, Command command, int status) {
  checkParameters(call.exchange.head(), {"ack"});
  const std::string_view ack = ackOf(call.exchange.head());
  // What has no workspace of its own is recorded in the ledger's.
  std::string workspace(call.variable("workspace"));
  if (workspace.empty()) workspace = "_system";
  const bool urgent = command.kind == CommandKind::leaseRevoke || command.kind == CommandKind::revokeAll;
  takeFromLimits(call, service, workspace, 1, urgent);
  const std::int64_t started = service.clock.monotonicNanoseconds();
  // Not a temporary: a coroutine's argument must live until it is done.
  Command held = std::move(command);
  const auto submit = [&](write::Completion done) { service.ledger.execute(workspace, std::move(held), std::move(done)); };
  const write::Answer answer = co_await recorded(submit);
  service.metrics.recorded(write::outcomeName(answer), static_cast<double>(service.clock.monotonicNanoseconds() - started) * 1e-9);
  // No publisher or witness answers for more than the log; the level reached is told.
  const int accepted = ack == "durable" ? status : 202;
  co_return json(answer.denied ? 403 : accepted, write::answerJson(answer, workspace, "durable"));
}

void checkParameters(const RequestHead& head, std::initializer_list<std::string_view> known) {
  std::vector<std::string_view> seen;
  for (const auto& [name, value] : head.query) {
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      throw Fault(ErrorCode::unknownField, "the URL has a parameter that this route does not know", "see /openapi.json");
    }
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) {
      throw Fault(ErrorCode::duplicateField, "a parameter of the URL came twice", "send it once");
    }
    seen.push_back(name);
  }
}

}  // namespace counterfoil::server
