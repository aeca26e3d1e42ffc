#include "server/routes/commands.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/write/answer_json.h"
#include "server/auth/strict_json.h"
#include "server/metrics.h"
#include "server/problem.h"
#include "server/rate_limits.h"

namespace counterfoil::server {
namespace {

std::optional<EntryId> idempotencyKey(const RequestHead& head) {
  const auto found =
      std::find_if(head.headers.begin(), head.headers.end(), [](const Parameter& one) { return one.first == "idempotency-key"; });
  if (found == head.headers.end()) return std::nullopt;
  // An empty one is refused too: who sends it believes that a repeat is safe.
  const auto id = fromUuid(found->second);
  if (!id || !isUuidV7(*id)) {
    throw Fault(ErrorCode::invalidValue, "the Idempotency-Key is no UUIDv7", "make one with the time inside", "Idempotency-Key");
  }
  return id;
}

void setTrace(Arena& arena, StructValue& common, const RequestHead& head) {
  if (!head.traceparent.empty() && common.text(Field::traceparent).empty()) common.setText(arena, Field::traceparent, head.traceparent);
}

}  // namespace

void takeIdempotencyKey(EntryId& id, const RequestHead& head) {
  const auto key = idempotencyKey(head);
  if (!key) return;
  if (id != EntryId{} && id != *key) {
    throw Fault(ErrorCode::invalidValue, "the body's id is not the Idempotency-Key", "send one of them, or both alike", "/id");
  }
  id = *key;
}

int statusForAck(const RequestHead& head, int status) {
  for (const auto& [name, value] : head.query) {
    if (name != "ack") continue;
    if (value == "durable") return status;
    // No publisher or witness answers for more than the log: the receipt tells the level reached.
    if (value == "published" || value == "witnessed") return 202;
    throw Fault(ErrorCode::invalidValue, "ack is none of durable, published, witnessed",
                "leave it out for durable, which every answer is; the receipt says what that means here", "ack");
  }
  return status;
}

asio::awaitable<std::string_view> jsonBody(Exchange& exchange, std::size_t bytesMax) {
  const std::string_view type = exchange.mediaType();
  const std::string_view text = co_await exchange.body(bytesMax);
  if (text.empty()) co_return std::string_view("{}");
  if (!type.empty() && type != "application/json") {
    throw Fault(ErrorCode::unsupportedMediaType, "this route takes application/json", "set Content-Type: application/json");
  }
  co_return text;
}

std::string onlyText(std::string_view body, const char* name) {
  StrictJson document = parseStrictJson(body);
  const std::string pointer = std::string("/") + name;
  std::string* text = nullptr;
  for (auto& [member, value] : document.members) {
    if (member != name) throw Fault(ErrorCode::unknownField, "the body has a member that this route does not take", "it takes " + pointer);
    if (value.type == StrictJson::Type::text) text = &value.text;
  }
  if (text == nullptr || text->empty()) throw Fault(ErrorCode::invalidValue, pointer + " must be a text", "", pointer);
  return std::move(*text);
}

void sign(Command& command, const Call& call, bool actorFromBody) {
  const Caller& caller = call.caller;
  takeIdempotencyKey(command.id, call.exchange.head());
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

Fault rateLimited(std::string detail, std::int64_t milliseconds) {
  const auto seconds = static_cast<std::uint64_t>((milliseconds + 999) / 1'000);
  return Fault(ErrorCode::rateLimited, std::move(detail), "ask again, with the same id, in " + std::to_string(seconds) + " s")
      .askAgainAfter(seconds);
}

void takeFromLimits(const Call& call, Service& service, std::string_view workspace, std::uint64_t entries, bool urgent) {
  const std::int64_t wait = service.limits.take(workspace, call.caller.subject, entries, urgent);
  if (wait == 0) return;
  throw rateLimited("more requests than the limit of this workspace or caller", wait);
}

asio::awaitable<Response> runCommand(Call& call, Service& service, CommandKind kind, std::span<const RouteField> fromRoute, int status) {
  const std::string_view text = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  Command command = parseCommand(kind, text, fromRoute);
  const bool leaseVerb = kind == CommandKind::leaseRequest || kind == CommandKind::leaseIssue || kind == CommandKind::leaseConsume ||
                         kind == CommandKind::leaseRenew;
  const bool trusted = call.caller.role == Role::producer || call.caller.role == Role::admin || call.caller.role == Role::owner;
  sign(command, call, leaseVerb && trusted);
  if (kind == CommandKind::approvalDecide) {
    const bool administrator = call.caller.role == Role::admin || call.caller.role == Role::owner;
    command.body.setFlag(Field::asAdministrator, administrator);
  }
  co_return co_await runCommand(call, service, std::move(command), status);
}

asio::awaitable<Response> runCommand(Call& call, Service& service, Command command, int status) {
  checkParameters(call.exchange.head(), {"ack"});
  const int accepted = statusForAck(call.exchange.head(), status);
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
  co_return json(answer.denied ? 403 : accepted, write::answerJson(answer, workspace, service.eventLog.durability()));
}

RouteDocs docsOf(const char* summary, const char* body, const char* answer, std::vector<int> statuses) {
  RouteDocs docs;
  docs.summary = summary;
  docs.body = body;
  docs.answer = answer;
  docs.statuses = std::move(statuses);
  if (docs.answer == "Answer") docs.parameters = {"ack"};
  return docs;
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
