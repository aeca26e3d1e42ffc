#include "server/routes/query_routes.h"

#include <algorithm>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/redact/fingerprint.h"
#include "server/await.h"
#include "server/problem.h"
#include "server/rate_limits.h"
#include "server/routes/commands.h"
#include "server/routes/read_support.h"
#include "server/routes/secret_body.h"
#include "server/stream_hub.h"
#include "server/view_readers.h"

namespace counterfoil::server {
namespace {

// Entries shown of each generation; GET .../entries with the fingerprint shows the rest.
constexpr unsigned kLookupRowsMax = 1'000;

// ---- SQL ----

asio::awaitable<Response> runQuery(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {});
  const WorkspaceNumber workspace = workspaceOf(service, call);
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  const std::string sql = onlyText(body, "sql");
  co_await waitForView(service, workspace, parameters.wait);
  std::uint64_t rows = 0;
  const auto read = [&] {
    const query::SqlAnswer answer = service.readers.of(workspace)->query(sql, query::SqlLimits{}, service.clock);
    rows = answer.rows.size();
    return answer.json();
  };
  std::string answer = co_await onPool(service.blocking, read);
  co_await recordReading(service, call, workspace, "query " + sql, {}, rows);
  co_return json(200, std::move(answer));
}

// ---- secrets ----

struct Found {
  std::string json;
  std::uint64_t rows = 0;
};

// Under every generation that lives, the newest first; in each the newest entries first.
Found findSecret(Service& service, WorkspaceNumber workspace, const std::vector<std::string>& fingerprints) {
  const auto reader = service.readers.of(workspace);
  Found found;
  std::string items = "[", texts = "[", more = "[", asOf;
  for (const std::string& fingerprint : fingerprints) {
    query::Filters filters;
    filters[query::Match::fingerprint] = fingerprint;
    filters.limit = kLookupRowsMax;
    const std::string page = reader->list(query::ListKind::entries, filters, {});
    for (const std::string_view item : itemsOf(page)) {
      if (items.size() > 1) items += ',';
      items += item;
      ++found.rows;
    }
    if (texts.size() > 1) texts += ',';
    appendJsonString(fingerprint, texts);
    if (const std::string_view next = nextOf(page); !next.empty()) {
      if (more.size() > 1) more += ',';
      JsonObject(more).text("fingerprint", fingerprint).text("after", next).end();
    }
    asOf = asOfOf(page);
  }
  JsonObject object(found.json);
  object.raw("items", items + "]").raw("fingerprints", texts + "]");
  if (more.size() > 1) object.raw("more", more + "]");
  if (!asOf.empty()) object.raw("asOf", asOf);
  object.end();
  return found;
}

asio::awaitable<Response> lookUpSecret(Call& call, Service& service) {
  const ReadParameters parameters = readParameters(call.exchange.head());
  requireKnown(parameters.filters, {});
  const WorkspaceNumber workspace = workspaceOf(service, call);
  // Before the body is looked at: guessing costs the same whatever is sent.
  const std::int64_t later = service.limits.takeLookup(call.caller.subject);
  if (later > 0) throw rateLimited("30 look-ups a minute are allowed", later);
  const std::string_view body = co_await jsonBody(call.exchange, limits::kJsonBodyBytesMax);
  crypto::Digest digest = secretDigest(body);
  const std::vector<std::string> fingerprints = redact::fingerprintTexts(*service.ledger.keyRing().workspace(workspace), digest);
  crypto::wipe(digest.data(), digest.size());
  co_await waitForView(service, workspace, parameters.wait);
  const auto read = [&] { return findSecret(service, workspace, fingerprints); };
  Found found = co_await onPool(service.blocking, read);
  std::string what = "secrets/lookup";
  if (!fingerprints.empty()) what += ' ' + fingerprints.front();
  co_await recordReading(service, call, workspace, std::move(what), {}, found.rows);
  co_return json(200, std::move(found.json));
}

RouteDocs queryDocs(const char* summary, const char* body, const char* answer) {
  RouteDocs docs;
  docs.summary = summary;
  docs.body = body;
  docs.answer = answer;
  docs.parameters = {"wait"};
  return docs;
}

}  // namespace

void addQueryRoutes(Router& router, Service& service) {
  const std::string base = "/v1/workspaces/{workspace}/";
  router.add({"POST", base + "query", Action::readRecord, [&service](Call& call) { return runQuery(call, service); },
              queryDocs("Read-only SQL over the views: one SELECT, 2 s, 10,000 rows; recorded", "Query", "QueryAnswer")});
  router.add({"POST", base + "secrets/lookup", Action::lookUpSecrets, [&service](Call& call) { return lookUpSecret(call, service); },
              queryDocs("Every entry with the secret's fingerprint; 30 a minute, recorded", "SecretLookup", "SecretLookupAnswer")});
}

}  // namespace counterfoil::server
