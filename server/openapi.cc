#include "server/openapi.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <set>

#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/schema_tables.h"
#include "server/openapi_schemas.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;

json::object content(std::string_view mediaType, json::value schema) {
  return {{mediaType, {{"schema", std::move(schema)}}}};
}

// ---- parameters ----

json::object oneOfWords(std::initializer_list<const char*> words) {
  json::array texts;
  for (const char* word : words) texts.emplace_back(word);
  return {{"type", "string"}, {"enum", std::move(texts)}};
}

json::object principalTextSchema() {
  return {{"type", "string"}, {"pattern", "^(human|agent|service|operator|ledger):[^\\u0000-\\u001f\\u007f]*$"}};
}

// Kinds and their beginnings: "lease.granted", "lease.*".
json::object kindsSchema() {
  std::set<std::string> words;
  for (const KindTable& kind : schemaTables().kinds) {
    if (kind.name.empty()) continue;
    words.insert(kind.name);
    words.insert(kind.name.substr(0, kind.name.find('.') + 1) + '*');
  }
  json::array texts;
  for (const std::string& word : words) texts.emplace_back(word);
  return {{"type", "array"}, {"items", {{"type", "string"}, {"enum", std::move(texts)}}}};
}

// The words of projections/query/filters.h, by list.
json::object stateSchema(std::string_view pattern) {
  if (pattern.ends_with("/bundles")) return oneOfWords({"issued", "redeemed", "retired"});
  if (pattern.ends_with("/hosts")) return oneOfWords({"connected", "disconnected"});
  if (pattern.ends_with("/vault")) return oneOfWords({"active", "soft_deleted", "purged", "unknown"});
  if (pattern.ends_with("/approvals")) return oneOfWords({"requested", "approved", "rejected", "expired", "used"});
  if (pattern.ends_with("/findings")) return oneOfWords({"raised", "resolved"});
  if (pattern.ends_with("/holds")) return oneOfWords({"placed", "released"});
  if (pattern.ends_with("/leases")) {
    return oneOfWords({"live", "ended", "granted", "active", "consumed_out", "revoked", "expired", "failed"});
  }
  return oneOfWords({"granted", "active", "consumed_out", "revoked", "expired", "failed"});
}

json::object countSchema(std::uint64_t least, std::uint64_t most) {
  return {{"type", "integer"}, {"minimum", least}, {"maximum", most}};
}

json::object queryParameterSchema(const Route& route, const std::string& name) {
  const bool isStream = route.docs.answerType == "text/event-stream";
  if (name == "limit") return countSchema(1, 1000);
  if (name == "wait" || (name == "after" && isStream)) return countSchema(0, limits::kJsonIntegerMax);
  if (name == "after") return {{"type", "string"}, {"description", "`next` of the page before"}};
  if (name == "order") return oneOfWords({"asc", "desc"});
  if (name == "import") {
    json::object schema = urlTextSchema();
    schema["description"] = "The import that these facts are of; with application/x-ndjson only";
    return schema;
  }
  if (name == "ack") return oneOfWords({"durable", "published", "witnessed"});
  if (name == "disclose") {
    return {{"type", "boolean"},
            {"description", "With personal values, while their keys exist. For administrators, and recorded each time"}};
  }
  if (name == "kind") return kindsSchema();
  if (name == "state") return stateSchema(route.pattern);
  if (name == "from" || name == "to" || name == "at") return timeSchema();
  if (name == "asOf") {
    return {{"description", "Recorded up to this seq or time"}, {"anyOf", {countSchema(0, limits::kJsonIntegerMax), timeSchema()}}};
  }
  if (name == "actor" || name == "principal") return principalTextSchema();
  if (name == "text") {
    json::object schema = urlTextSchema();
    schema["description"] = "Words, \"phrases\" and prefix*; at least one letter or digit";
    return schema;
  }
  return urlTextSchema();
}

json::object pathParameterSchema(const Route& route, std::string_view name) {
  if (name == "seq") return countSchema(0, limits::kJsonIntegerMax);
  if (name == "id" && route.pattern.find("/principals/") != std::string::npos) return principalTextSchema();
  if (name == "workspace" || route.method != "GET") return idSchema();
  return urlTextSchema();
}

json::object parameter(std::string_view name, const char* place, json::object schema) {
  return {{"name", name}, {"in", place}, {"required", std::string_view(place) == "path"}, {"schema", std::move(schema)}};
}

bool records(const Route& route) {
  return route.docs.answer == "Answer";
}

json::array parametersOf(const Route& route) {
  json::array parameters;
  std::string_view rest = route.pattern;
  for (std::size_t open = rest.find('{'); open != std::string_view::npos; open = rest.find('{')) {
    const std::size_t close = rest.find('}', open);
    const std::string_view name = rest.substr(open + 1, close - open - 1);
    parameters.push_back(parameter(name, "path", pathParameterSchema(route, name)));
    rest.remove_prefix(close + 1);
  }
  for (const std::string& name : route.docs.parameters) {
    parameters.push_back(parameter(name, "query", queryParameterSchema(route, name)));
  }
  if (records(route)) parameters.push_back(parameter("Idempotency-Key", "header", requestIdSchema()));
  if (route.docs.answerType == "text/event-stream") {
    parameters.push_back(parameter("Last-Event-ID", "header", countSchema(0, limits::kJsonIntegerMax)));
  }
  return parameters;
}

// ---- answers ----

const std::map<int, const char*>& errorDescriptions() {
  static const std::map<int, const char*> descriptions = {
      {400, "The request cannot be read, or a value in it is none"},
      {401, "No token, or one that is not valid"},
      {403, "The token does not allow this, or the workspace does not exist"},
      {404, "There is no such thing"},
      {406, "The Accept header takes nothing that this route gives"},
      {408, "The request did not arrive in time"},
      {409, "The id was used for another request, or the state forbids it"},
      {413, "The body is too large"},
      {415, "The body has another media type"},
      {422, "The request can be read and must not be recorded as it is"},
      {429, "More requests than the limit"},
      {431, "The head of the request is too large"},
      {500, "Something failed inside; the server's log has the requestId"},
      {503, "Not now: ask again, with the same id"},
      {507, "The disk is full"},
  };
  return descriptions;
}

// Which statuses of the error table a route can give.
std::set<int> errorsOf(const Route& route) {
  std::set<int> statuses = {400, 401, 408, 431, 500, 503};
  if (route.action == Action::open) return statuses;
  statuses.insert({403, 406, 507});
  const bool hasItem = route.pattern.find('{', route.pattern.find('}') + 1) != std::string::npos;
  const bool asksPolicy = route.docs.answer == "PolicyInForce" || route.docs.answer == "PolicyDecision";
  const std::string& body = route.docs.body;
  const bool namesPerson = body == "Pseudonym" || body == "HoldPlace" || body == "SubjectErase";
  if (hasItem || asksPolicy || namesPerson || body == "WorkspaceErase") statuses.insert(404);
  if (!route.docs.body.empty()) statuses.insert({413, 415});
  if (records(route)) statuses.insert({409, 422, 429});
  if (route.docs.body == "SecretLookup") statuses.insert({422, 429});
  if (route.docs.body == "Fact") statuses.insert(404);  // of an import
  if (route.action == Action::refreshToken) statuses.insert({413, 429});
  if (route.action == Action::importFacts) statuses.insert({404, 409, 422, 429});
  if (route.docs.body == "LeaseRequest") statuses.insert(422);
  return statuses;
}

json::object headersOf(int status) {
  json::object headers{{"X-Request-Id", {{"$ref", "#/components/headers/X-Request-Id"}}}};
  if (status == 401) headers["WWW-Authenticate"] = {{"$ref", "#/components/headers/WWW-Authenticate"}};
  if (status == 429 || status == 503) headers["Retry-After"] = {{"$ref", "#/components/headers/Retry-After"}};
  return headers;
}

json::object headerComponents() {
  const auto header = [](const char* description, json::object schema) {
    return json::object{{"description", description}, {"required", true}, {"schema", std::move(schema)}};
  };
  return {{"X-Request-Id", header("Of this request, in the server's log too", {{"type", "string"}, {"format", "uuid"}})},
          {"WWW-Authenticate", header("RFC 6750", {{"type", "string"}, {"pattern", "^Bearer"}})},
          {"Retry-After", header("Seconds", {{"type", "integer"}, {"minimum", 0}})},
          {"Location", header("The same request at the node that writes", {{"type", "string"}, {"format", "uri"}})}};
}

json::object errorComponents() {
  json::object responses;
  for (const auto& [status, description] : errorDescriptions()) {
    std::string text = description;
    std::string codes;
#define COUNTERFOIL_CODE(name, codeText, http, exitStatus) \
  if ((http) == status) codes += std::string(codes.empty() ? "" : ", ") + "`" + (codeText) + "`";
    COUNTERFOIL_ERROR_CODES(COUNTERFOIL_CODE)
#undef COUNTERFOIL_CODE
    responses["Error" + std::to_string(status)] = {{"description", text + ": " + codes},
                                                   {"headers", headersOf(status)},
                                                   {"content", content("application/problem+json", schemaReference("Problem"))}};
  }
  json::object redirectHeaders = headersOf(307);
  redirectHeaders["Location"] = {{"$ref", "#/components/headers/Location"}};
  responses["Redirect"] = {{"description", "`X-Counterfoil-Redirect: yes` was sent, and another node writes: the same request there"},
                           {"headers", std::move(redirectHeaders)}};
  return responses;
}

json::object answerContent(const Route& route, int status) {
  const RouteDocs& docs = route.docs;
  // Many facts are answered line by line.
  if (docs.body == "Fact" && status == 200) return content("application/x-ndjson", json::object{{"type", "string"}});
  json::object bodies = content(docs.answerType, schemaReference(docs.answer.empty() ? "Item" : docs.answer));
  // A denied lease and a refused caller share a status: the media type tells them apart.
  if (status == 403) bodies["application/problem+json"] = {{"schema", schemaReference("Problem")}};
  return bodies;
}

json::object responsesOf(const Route& route) {
  json::object responses;
  for (const int status : route.docs.statuses) {
    const char* description = status == 202 ? "Done; the receipt tells the level reached" : status < 300 ? "Done" : "Denied, and recorded";
    responses[std::to_string(status)] = {
        {"description", description}, {"headers", headersOf(status)}, {"content", answerContent(route, status)}};
  }
  for (const int status : errorsOf(route)) {
    const std::string text = std::to_string(status);
    if (!responses.contains(text)) responses[text] = {{"$ref", "#/components/responses/Error" + text}};
  }
  if (route.action != Action::open) responses["307"] = {{"$ref", "#/components/responses/Redirect"}};
  return responses;
}

// ---- operations ----

std::string operationId(const Route& route) {
  std::string id = route.method == "GET" ? "get" : route.method == "PUT" ? "put" : "post";
  std::string_view rest = route.pattern;
  if (rest.starts_with("/v1")) rest.remove_prefix(3);
  bool upper = true;
  for (const char c : rest) {
    if (c == '/' || c == '{' || c == '}' || c == '.' || c == '_') {
      upper = true;
      continue;
    }
    id += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    upper = false;
  }
  return id;
}

json::object operationOf(const Route& route) {
  const RouteDocs& docs = route.docs;
  json::object operation{{"operationId", operationId(route)},
                         {"summary", docs.summary},
                         {"parameters", parametersOf(route)},
                         {"responses", responsesOf(route)}};
  if (!docs.body.empty()) {
    json::object bodies = content(docs.mediaType, schemaReference(docs.body));
    if (docs.body == "Fact") bodies["application/x-ndjson"] = {{"schema", {{"type", "string"}}}};
    // Of a closed list: what these bodies hold may all be left out.
    const bool optional = docs.body == "LeaseIssue" || docs.body == "LeaseConsume" || docs.body == "LeaseRevoke" ||
                          docs.body == "WorkspaceClose" || docs.body == "ImportFinish";
    operation["requestBody"] = {{"required", !optional}, {"content", std::move(bodies)}};
  }
  if (route.action == Action::open) operation["security"] = json::array();
  return operation;
}

}  // namespace

std::string openApi(const Router& router, std::string_view version) {
  json::object schemas;
  addRequestSchemas(schemas);
  addAnswerSchemas(schemas);
  json::object paths;
  for (const Route& route : router.routes()) {
    if (!route.docs.published) continue;
    std::string method = route.method;
    std::transform(method.begin(), method.end(), method.begin(), [](char c) { return static_cast<char>(c - 'A' + 'a'); });
    if (!paths.contains(route.pattern)) paths[route.pattern] = json::object();
    paths[route.pattern].as_object()[method] = operationOf(route);
  }
  const json::object document{
      {"openapi", "3.1.0"},
      {"info",
       {{"title", "Counterfoil"},
        {"version", version},
        {"description",
         "The audit and lease ledger that keeps the stub of every credential lease, and never the credential. Integers of JSON are "
         "written as digits alone: 900, not 900.0 or 9e2."},
        {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"security", json::array{json::object{{"bearer", json::array()}}}},
      {"paths", std::move(paths)},
      {"components",
       {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}}}},
        {"headers", headerComponents()},
        {"responses", errorComponents()},
        {"schemas", std::move(schemas)}}}};
  return json::serialize(document);
}

}  // namespace counterfoil::server
