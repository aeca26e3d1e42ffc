// What the routes that write have in common: a caller's command with the caller in it, one answer for the ledger's outcomes.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/event.h"
#include "ledger/core/json.h"
#include "server/await.h"
#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

// The body as JSON text of at most `bytesMax`; throws unsupportedMediaType unless it is application/json. An empty body is "{}".
asio::awaitable<std::string_view> jsonBody(Exchange& exchange, std::size_t bytesMax);

// The one text of a body that has nothing else. Throws what parseStrictJson throws, unknownField, invalidValue.
std::string onlyText(std::string_view body, const char* name);

// Puts the caller and the request's context into a command: the actor (of producers and administrators the body may name another one; of
// decisions never), the Idempotency-Key (throws invalidValue if the body has another id), traceparent.
void sign(Command& command, const Call& call, bool actorFromBody);
void sign(Event& fact, const Call& call);

// The Idempotency-Key header as the id of what is recorded. Throws invalidValue if it is no UUIDv7, or if the body has another id.
void takeIdempotencyKey(EntryId& id, const RequestHead& head);

// The status of what was recorded: `status`, or 202 if `?ack=` asks for more than the log's word. Throws invalidValue for another ack.
int statusForAck(const RequestHead& head, int status);

// Parses, signs, rate limits, records and answers one command. 403 if it was denied, else `status`.
asio::awaitable<Response> runCommand(Call& call, Service& service, CommandKind kind, std::span<const RouteField> fromRoute, int status);
// The same for a command that was made otherwise.
asio::awaitable<Response> runCommand(Call& call, Service& service, Command command, int status);

// Of what may be asked again after so many milliseconds.
Fault rateLimited(std::string detail, std::int64_t milliseconds);

// Throws rateLimited.
void takeFromLimits(const Call& call, Service& service, std::string_view workspace, std::uint64_t entries, bool urgent);

// For the document: what a route takes and gives, by the names of their schemas. What gives an "Answer" takes `ack`.
RouteDocs docsOf(const char* summary, const char* body, const char* answer, std::vector<int> statuses);

// Throws unknownField for a query parameter that is not among `known`, duplicateField for one that comes twice.
void checkParameters(const RequestHead& head, std::initializer_list<std::string_view> known);

}  // namespace counterfoil::server
