#include "server/routes/read_routes.h"

#include <algorithm>
#include <charconv>
#include <map>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/redact/fingerprint.h"
#include "projections/query/disclosures.h"
#include "server/await.h"
#include "server/problem.h"
#include "server/routes/read_support.h"
#include "server/stream_hub.h"
#include "server/view_readers.h"

namespace counterfoil::server {
namespace {

using query::ListKind;
using query::Match;

// Made where the log is read: its time begins then.
std::optional<query::Disclosures> disclosuresOf(Service& service, WorkspaceNumber workspace, const ReadParameters& parameters) {
  if (!parameters.disclose) return std::nullopt;
  return std::optional<query::Disclosures>(std::in_place, service.eventLog, service.ledger.keyRing().workspace(workspace), redact::disclose,
                                           service.clock);
}

// ---- lists ----

asio::awaitable<Response> list(Call& call, Service& service, ListKind kind) {
  const ReadParameters parameters = readParameters(call.exchange.head(), kind == ListKind::entries);
  const query::Filters filters = query::parseFilters(kind, parameters.filters);
  const WorkspaceNumber workspace = workspaceOf(service, call);
  co_await waitForView(service, workspace, parameters.wait);
  std::uint64_t rows = 0;
  const auto read = [&] {
    auto disclosures = disclosuresOf(service, workspace, parameters);
    std::string page =
        service.readers.of(workspace)->list(kind, filters, resolverOf(service, workspace), disclosures ? &*disclosures : nullptr);
    rows = itemsOf(page).size();
    return page;
  };
  std::string body = co_await onPool(service.blocking, read);
  co_await recordReading(service, call, workspace, std::string(query::listName(kind)), parameters.filters, rows, parameters.disclose);
  co_return json(200, std::move(body));
}

// One row of a list that has one row a thing.
asio::awaitable<Response> showRow(Call& call, Service& service, ListKind kind, Match by, const char* detail) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {});
  const WorkspaceNumber workspace = workspaceOf(service, call);
  const std::string id(call.variable("id"));
  const std::string_view filter = by == Match::actor ? "actor" : by == Match::run ? "run" : "host";
  const std::vector<query::Parameter> asked = {{std::string(filter), id}, {"limit", "1"}};
  const query::Filters filters = query::parseFilters(kind, asked);
  co_await waitForView(service, workspace, parameters.wait);
  const auto read = [&] { return onlyItem(service.readers.of(workspace)->list(kind, filters, resolverOf(service, workspace)), detail); };
  std::string body = co_await onPool(service.blocking, read);
  co_await recordReading(service, call, workspace, std::string(query::listName(kind)), asked, 1);
  co_return json(200, std::move(body));
}

asio::awaitable<Response> showEntry(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head(), true);
  requireKnown(parameters.filters, {});
  const Sequence seq{wholeNumber(call.variable("seq"), "seq")};
  const WorkspaceNumber workspace = workspaceOf(service, call);
  co_await waitForView(service, workspace, parameters.wait);
  const auto read = [&] {
    auto disclosures = disclosuresOf(service, workspace, parameters);
    return service.readers.of(workspace)->entry(seq, disclosures ? &*disclosures : nullptr);
  };
  std::string body = co_await onPool(service.blocking, read);
  co_await recordReading(service, call, workspace, "entries/" + std::to_string(seq.value), {}, 1, parameters.disclose);
  co_return json(200, std::move(body));
}

asio::awaitable<Response> showLease(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {"at", "asOf"});
  const query::Filters filters = query::parseFilters(ListKind::leases, parameters.filters);
  const WorkspaceNumber workspace = workspaceOf(service, call);
  const std::string lease(call.variable("lease"));
  co_await waitForView(service, workspace, parameters.wait);
  const auto read = [&] { return service.readers.of(workspace)->lease(lease, filters); };
  std::string body = co_await onPool(service.blocking, read);
  co_await recordReading(service, call, workspace, "leases lease=" + lease, parameters.filters, 1);
  co_return json(200, std::move(body));
}

// Counts only: no reading of the record.
asio::awaitable<Response> stats(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {});
  const WorkspaceNumber workspace = workspaceOf(service, call);
  co_await waitForView(service, workspace, parameters.wait);
  const auto read = [&] { return service.readers.of(workspace)->stats(); };
  std::string body = co_await onPool(service.blocking, read);
  co_return json(200, std::move(body));
}

// ---- producers ----

std::string sqlText(std::string_view text) {
  std::string result = "'";
  for (const char c : text) result += c == '\'' ? std::string("''") : std::string(1, c);
  return result + "'";
}

// What the producer has told and what is missing, from rows that are durable: what a producer does not send again must never be lost.
std::string producerJson(Service& service, WorkspaceNumber workspace, const std::string& source, const std::string& producer) {
  const auto reader = service.readers.of(workspace);
  const std::string where = " WHERE source = " + sqlText(source) + " AND producer = " + sqlText(producer);
  constexpr const char* kColumns[] = {"contiguous", "greatest", "facts", "greatestOccurredAt", "finished", "closed", "firstSeq", "lastSeq"};
  std::string columns;
  for (const char* column : kColumns) columns += (columns.empty() ? "" : ", ") + std::string(column);
  const query::SqlLimits limits;
  // The gaps first: a gap that is closed in between is told once too often, never left out.
  const query::SqlAnswer gaps =
      reader->query("SELECT lowest, highest FROM producer_gaps" + where + " ORDER BY lowest", limits, service.clock);
  const query::SqlAnswer row = reader->query("SELECT " + columns + " FROM producers" + where, limits, service.clock);
  std::string out;
  JsonObject object(out);
  object.text("producer", producer).text("source", source);
  if (row.rows.empty()) {
    object.number("contiguous", 0).number("greatest", 0).number("facts", 0);
  } else {
    for (std::size_t column = 0; column < std::size(kColumns); ++column) {
      const std::string& value = row.rows.front()[column];
      const bool flag = column == 4 || column == 5;
      if (value != "null") object.raw(kColumns[column], flag ? (value == "0" ? "false" : "true") : value);
    }
  }
  std::string missing = "[";
  for (const std::vector<std::string>& gap : gaps.rows) {
    if (missing.size() > 1) missing += ',';
    missing += "{\"lowest\":" + gap[0] + ",\"highest\":" + gap[1] + '}';
  }
  object.raw("missing", missing + "]").raw("asOf", row.asOf);
  object.end();
  return out;
}

asio::awaitable<Response> showProducer(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {"source"});
  const std::string producer(call.variable("id"));
  const std::string source = parameters.filters.empty() ? "api" : parameters.filters.front().second;
  if (source.empty()) throw Fault(ErrorCode::invalidValue, "source is empty", "leave it out for facts that came over HTTP", "source");
  if (call.caller.role == Role::producer && producer != call.caller.subjectId && producer != call.caller.subject) {
    throw Fault(ErrorCode::notAllowed, "a producer may read its own position only", "its id is that of the token's subject");
  }
  const WorkspaceNumber workspace = workspaceOf(service, call);
  std::optional<std::uint64_t> wait = parameters.wait;
  if (!wait) {
    // All that was taken from this producer before it asked: what is on its way to the log is worth waiting for.
    const auto newest = [&]() -> std::uint64_t {
      std::uint64_t size = 0;
      service.ledger.inspect(workspace, [&](const write::PartitionState& state) {
        if (const WorkspaceState* found = state.findWorkspace(workspace)) size = found->head().size();
      });
      return size;
    };
    const std::uint64_t size = co_await onPool(service.blocking, newest);
    if (size > 0) wait = size - 1;
  }
  co_await waitForView(service, workspace, wait);
  const auto read = [&] { return producerJson(service, workspace, source, producer); };
  std::string body = co_await onPool(service.blocking, read);
  co_return json(200, std::move(body));
}

// ---- workspaces ----

// As its writer knows it: the state that decides.
struct WorkspaceFacts {
  std::string id, region, policy;
  std::uint64_t number = 0, policyVersion = 0, liveLeases = 0;
  const char* state = "open";
  ChainHead head;
};

void writeWorkspace(const WorkspaceFacts& facts, std::string& out) {
  JsonObject object(out);
  object.text("id", facts.id).number("number", facts.number).text("region", facts.region).text("state", facts.state);
  object.number("liveLeases", facts.liveLeases);
  if (facts.policyVersion != 0) object.text("policy", facts.policy).number("policyVersion", facts.policyVersion);
  object.number("entries", facts.head.size()).text("root", toHex(facts.head.tree.root()));
  std::string asOf;
  JsonObject at(asOf);
  if (facts.head.size() > 0) {
    at.number("seq", facts.head.size() - 1).text("leafHash", toHex(facts.head.last.bytes)).time("recordedAt", facts.head.lastRecordedAt);
  }
  at.end();
  object.raw("asOf", asOf);
  object.end();
}

std::vector<WorkspaceFacts> inspectWorkspaces(Service& service, const std::vector<std::pair<std::string, WorkspaceNumber>>& wanted) {
  std::vector<WorkspaceFacts> result(wanted.size());
  std::map<PartitionId, std::vector<std::size_t>> places;
  for (std::size_t place = 0; place < wanted.size(); ++place) places[service.ledger.home(wanted[place].second)].push_back(place);
  for (const auto& [partition, ofPartition] : places) {
    // An auditor who was told a head that the log then refused would see a fork.
    service.ledger.inspectDurable(wanted[ofPartition.front()].second, [&, &ofPartition = ofPartition](const write::PartitionState& state) {
      for (const std::size_t place : ofPartition) {
        const auto& [id, number] = wanted[place];
        WorkspaceFacts& facts = result[place];
        facts = {};
        facts.id = id;
        facts.number = number.value;
        if (const WorkspaceState* found = state.findWorkspace(number)) {
          facts.region = found->region();
          facts.state = found->erased() ? "erased" : found->closed() ? "closed" : "open";
          facts.policy = found->policyName();
          facts.policyVersion = found->policyVersion();
          facts.liveLeases = found->liveLeases();
          facts.head = found->head();
        }
      }
    });
  }
  return result;
}

// Ids by number, those behind the cursor, one more than fit.
std::vector<std::pair<std::string, WorkspaceNumber>> wantedWorkspaces(const Service& service, const Caller& caller, std::uint64_t behind,
                                                                      std::size_t limit) {
  std::vector<std::pair<std::string, WorkspaceNumber>> result;
  if (!caller.allWorkspaces()) {
    const auto number = service.ledger.findWorkspace(caller.workspace);
    if (number && number->value > behind) result.emplace_back(caller.workspace, *number);
    return result;
  }
  for (auto& [id, number] : service.ledger.workspaces()) {
    if (number.value > behind && result.size() <= limit) result.emplace_back(std::move(id), number);
  }
  return result;
}

asio::awaitable<Response> listWorkspaces(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {"limit", "after"});
  std::size_t limit = query::kLimitDefault;
  std::uint64_t behind = 0;  // `_system` is no tenant
  for (const auto& [name, value] : parameters.filters) {
    if (name == "limit") {
      limit = wholeNumber(value, name);
      if (limit == 0 || limit > query::kLimitMax) throw Fault(ErrorCode::invalidValue, "limit must be from 1 to 1000", "", name);
    } else if (!value.empty()) {  // as in the other lists, an empty cursor is the first page
      const auto [end, error] = std::from_chars(value.data() + 1, value.data() + value.size(), behind);
      if (!value.starts_with('n') || error != std::errc() || end != value.data() + value.size()) {
        throw Fault(ErrorCode::badCursor, "the cursor is not one of this list", "take the `next` of the page before", name);
      }
    }
  }
  auto wanted = wantedWorkspaces(service, call.caller, behind, limit);
  const bool more = wanted.size() > limit;
  if (more) wanted.pop_back();
  const auto inspect = [&] { return inspectWorkspaces(service, wanted); };
  const std::vector<WorkspaceFacts> found = co_await onPool(service.blocking, inspect);
  std::string out = "{\"items\":[";
  for (const WorkspaceFacts& facts : found) {
    if (!out.ends_with('[')) out += ',';
    writeWorkspace(facts, out);
  }
  out += "],\"next\":" + (more ? "\"n" + std::to_string(found.back().number) + '"' : std::string("null")) + '}';
  co_return json(200, std::move(out));
}

asio::awaitable<Response> showWorkspace(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {});
  const WorkspaceNumber number = workspaceOf(service, call);
  const std::string id(call.variable("workspace"));
  const auto inspect = [&] { return inspectWorkspaces(service, {{id, number}}); };
  const std::vector<WorkspaceFacts> found = co_await onPool(service.blocking, inspect);
  std::string out;
  writeWorkspace(found.front(), out);
  co_return json(200, std::move(out));
}

RouteDocs readDocs(const char* summary, const char* answer, std::vector<std::string> parameters) {
  RouteDocs docs;
  docs.summary = summary;
  docs.answer = answer;
  docs.parameters = std::move(parameters);
  return docs;
}

struct ListRoute {
  ListKind kind;
  const char* summary;
  const char* answer;
  std::vector<std::string> filters;
};

const std::vector<ListRoute>& listRoutes() {
  static const std::vector<ListRoute> routes = {
      {ListKind::entries,
       "Entries by their filters, newest first",
       "EntryPage",
       {"kind", "actor", "principal", "run", "host", "sandbox", "lease", "bundle", "resource", "scope", "state", "text", "fingerprint",
        "from", "to", "at", "asOf", "disclose"}},
      {ListKind::denials,
       "What was refused",
       "EntryPage",
       {"actor", "principal", "run", "host", "sandbox", "lease", "bundle", "resource", "scope", "text", "reason", "fingerprint", "from",
        "to", "at", "asOf"}},
      {ListKind::leases,
       "Leases, as they are or as they were",
       "LeasePage",
       {"actor", "run", "host", "lease", "bundle", "resource", "scope", "state", "text", "credential", "fingerprint", "from", "to", "at",
        "asOf"}},
      {ListKind::bundles, "Host bundles", "BundlePage", {"host", "bundle", "state", "from", "to", "asOf"}},
      {ListKind::hosts, "Hosts and their last connection", "HostPage", {"host", "state", "from", "to"}},
      {ListKind::vault, "Secrets of the vault by name; never a value", "VaultPage", {"resource", "state", "from", "to"}},
      {ListKind::runs, "Runs, with counts", "RunPage", {"run", "from", "to"}},
      {ListKind::principals, "Who did or was granted something", "PrincipalPage", {"actor"}},
      {ListKind::approvals, "Approvals and who decided", "ApprovalPage", {"actor", "lease", "state", "from", "to", "asOf"}},
      {ListKind::findings, "Findings, each with the entries it rests on", "FindingPage", {"state", "from", "to", "asOf"}},
      {ListKind::holds, "Holds: what may not be erased", "HoldPage", {"actor", "state", "from", "to", "asOf"}},
  };
  return routes;
}

}  // namespace

void addReadRoutes(Router& router, Service& service) {
  const std::string base = "/v1/workspaces/{workspace}/";
  const auto get = [&](const std::string& pattern, Action action, auto handler, RouteDocs docs) {
    router.add({"GET", pattern, action, [&service, handler](Call& call) { return handler(call, service); }, std::move(docs)});
  };
  for (const ListRoute& route : listRoutes()) {
    std::vector<std::string> parameters = route.filters;
    for (const char* general : {"order", "limit", "after", "wait"}) parameters.emplace_back(general);
    get(
        base + std::string(query::listName(route.kind)), Action::readRecord,
        [kind = route.kind](Call& call, Service& with) { return list(call, with, kind); },
        readDocs(route.summary, route.answer, std::move(parameters)));
  }
  get(base + "entries/{seq}", Action::readRecord, showEntry, readDocs("One entry", "Entry", {"wait", "disclose"}));
  get(base + "leases/{lease}", Action::readRecord, showLease,
      readDocs("One lease with its history and its children", "LeaseHistory", {"at", "asOf", "wait"}));
  get(
      base + "hosts/{id}", Action::readRecord,
      [](Call& call, Service& with) { return showRow(call, with, ListKind::hosts, Match::host, "the workspace has no host with this id"); },
      readDocs("One host", "Host", {"wait"}));
  get(
      base + "runs/{id}", Action::readRecord,
      [](Call& call, Service& with) { return showRow(call, with, ListKind::runs, Match::run, "the workspace has no run with this id"); },
      readDocs("One run, and what it reached", "Run", {"wait"}));
  get(
      base + "principals/{id}", Action::readRecord,
      [](Call& call, Service& with) {
        return showRow(call, with, ListKind::principals, Match::actor, "the workspace has no principal with this kind and id");
      },
      readDocs("One principal, as kind:id", "Principal", {"wait"}));
  get(base + "stats", Action::readRecord, stats, readDocs("Counts, and the view's digest", "Stats", {"wait"}));
  get(base + "producers/{id}", Action::readProducer, showProducer,
      readDocs("Where a producer resumes: its greatest contiguous producerSeq, and what is missing behind it", "Producer",
               {"source", "wait"}));
  get("/v1/workspaces", Action::listWorkspaces, listWorkspaces,
      readDocs("Workspaces that the token reaches", "WorkspacePage", {"limit", "after"}));
  get("/v1/workspaces/{workspace}", Action::listWorkspaces, showWorkspace,
      readDocs("One workspace, as its writer knows it", "Workspace", {}));
}

}  // namespace counterfoil::server
