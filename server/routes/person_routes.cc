#include "server/routes/person_routes.h"

#include <array>
#include <boost/json/parse.hpp>
#include <string>

#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/redact/fingerprint.h"
#include "projections/query/disclosures.h"
#include "server/audit_recorder.h"
#include "server/await.h"
#include "server/problem.h"
#include "server/routes/commands.h"
#include "server/routes/read_support.h"
#include "server/view_readers.h"

namespace counterfoil::server {
namespace {

struct Person {
  std::string kind, id;
};

// The person's own id, if the entry has it: beside a commitment whose path is that of a principal with this pseudonym.
std::optional<Person> personIn(const boost::json::object& entry, std::string_view pseudonym) {
  const boost::json::value* const commitments = entry.if_contains("commitments");
  if (commitments == nullptr) return std::nullopt;
  for (const boost::json::value& one : commitments->as_array()) {
    const boost::json::value* const value = one.as_object().if_contains("value");
    const std::string_view path = one.as_object().at("path").as_string();
    constexpr std::string_view kId = "/id";
    if (value == nullptr || !path.ends_with(kId) || path.size() <= kId.size() + 1) continue;
    const boost::json::value* const principal = entry.if_contains(path.substr(1, path.size() - kId.size() - 1));
    if (principal == nullptr || !principal->is_object()) continue;
    if (principal->as_object().at("id").as_string() != pseudonym) continue;
    return Person{std::string(principal->as_object().at("kind").as_string()), std::string(value->as_string())};
  }
  return std::nullopt;
}

// From the first entry that names the pseudonym, as who acted or otherwise.
std::optional<Person> findPerson(Service& service, WorkspaceNumber workspace, const std::string& pseudonym) {
  const auto reader = service.readers.of(workspace);
  for (const char* const kind : {"human", "agent", "service", "operator"}) {
    for (const query::Match match : {query::Match::actor, query::Match::principal}) {
      query::Filters filters;
      filters[match] = std::string(kind) + ":" + pseudonym;
      filters.limit = 1;
      filters.order = query::Order::ascending;
      query::Disclosures disclosures(service.eventLog, service.ledger.keyRing().workspace(workspace), redact::disclose, service.clock);
      const std::string page = reader->list(query::ListKind::entries, filters, {}, &disclosures);
      for (const std::string_view item : itemsOf(page)) {
        if (auto person = personIn(boost::json::parse(item).as_object(), pseudonym)) return person;
      }
    }
  }
  return std::nullopt;
}

std::string pseudonymIn(std::string_view body) {
  std::string pseudonym = onlyText(body, "pseudonym");
  if (!redact::isPseudonym(pseudonym)) {
    throw Fault(ErrorCode::invalidValue, "/pseudonym is no pseudonym of a person", "copy it from an entry: p2:<22 letters>", "/pseudonym");
  }
  return pseudonym;
}

asio::awaitable<Response> resolvePerson(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {});
  const WorkspaceNumber workspace = workspaceOf(service, call);
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  const std::string pseudonym = pseudonymIn(body);
  co_await waitForView(service, workspace, parameters.wait);
  const auto find = [&]() -> std::optional<Person> {
    // Without its key nothing of a person can be opened; the look at the record is saved.
    if (service.ledger.keyRing().workspace(workspace)->findSubjectByPseudonym(pseudonym) == nullptr) return std::nullopt;
    return findPerson(service, workspace, pseudonym);
  };
  const std::optional<Person> person = co_await onPool(service.blocking, find);
  co_await service.audit.resolved(call.caller, workspace, pseudonym, person ? 1 : 0);
  if (!person) {
    throw Fault(ErrorCode::noSuchItem, "nobody in this workspace has this pseudonym, or the person was erased",
                "pseudonyms are of one workspace each; what was erased stays erased", "/pseudonym");
  }
  std::string out;
  JsonObject(out).text("pseudonym", pseudonym).text("kind", person->kind).text("id", person->id).end();
  co_return json(200, std::move(out));
}

}  // namespace

void addPersonRoutes(Router& router, Service& service) {
  const std::string base = "/v1/workspaces/{workspace}/";
  RouteDocs resolve = docsOf("Who a pseudonym is, while the person's key exists; recorded", "Pseudonym", "ResolvedPerson", {200});
  resolve.parameters = {"wait"};
  router.add({"POST", base + "resolve", Action::resolvePersons, [&service](Call& call) { return resolvePerson(call, service); },
              std::move(resolve)});
  router.add({"POST", base + "holds", Action::manageHolds,
              [&service](Call& call) -> asio::awaitable<Response> {
                co_return co_await runCommand(call, service, CommandKind::holdPlace, {}, 201);
              },
              docsOf("Forbid to erase a person, or anything of the workspace, until this is released", "HoldPlace", "Answer", {201, 202})});
  router.add({"POST", base + "holds/{hold}/release", Action::manageHolds,
              [&service](Call& call) -> asio::awaitable<Response> {
                const std::array<RouteField, 1> route = {RouteField{Field::holdId, call.variable("hold")}};
                co_return co_await runCommand(call, service, CommandKind::holdRelease, route, 200);
              },
              docsOf("Release a hold", "HoldRelease", "Answer", {200, 202})});
  router.add(
      {"POST", base + "erasures", Action::erase,
       [&service](Call& call) -> asio::awaitable<Response> {
         co_return co_await runCommand(call, service, CommandKind::subjectErase, {}, 200);
       },
       docsOf(
           "Erase a person: without `approval` one is asked for, which another admin or owner gives; with it the person's key is destroyed",
           "SubjectErase", "Answer", {200, 202})});
}

}  // namespace counterfoil::server
