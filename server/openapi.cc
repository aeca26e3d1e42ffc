#include "server/openapi.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>

#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/schema_tables.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;

json::object reference(std::string_view schema) {
  return {{"$ref", "#/components/schemas/" + std::string(schema)}};
}

json::object content(std::string_view mediaType, json::value schema) {
  return {{mediaType, {{"schema", std::move(schema)}}}};
}

// ---- schemas from the tables ----

json::object objectOf(const StructTable& table, bool input);

json::object secretSchema() {
  return {{"type", "object"},
          {"description", "A secret: its value, or its SHA-256. Never stored, only fingerprinted"},
          {"minProperties", 1},
          {"maxProperties", 1},
          {"additionalProperties", false},
          {"properties",
           {{"value", {{"type", "string"}, {"writeOnly", true}, {"maxLength", limits::kSecretBytesMax}}},
            {"sha256", {{"type", "string"}, {"pattern", "^[0-9a-fA-F]{64}$"}}}}}};
}

json::object schemaOf(const FieldTable& field, bool input) {
  if (input && field.redaction == RedactionClass::secret) return secretSchema();
  json::object schema;
  switch (field.type) {
    case FieldType::boolean:
      schema["type"] = "boolean";
      break;
    case FieldType::unsigned8:
    case FieldType::unsigned16:
    case FieldType::unsigned32:
    case FieldType::unsigned64:
      schema["type"] = "integer";
      schema["minimum"] = 0;
      schema["maximum"] = limits::kJsonIntegerMax;
      break;
    case FieldType::time:
      schema["type"] = "string";
      schema["format"] = "date-time";
      break;
    case FieldType::enumeration: {
      schema["type"] = "string";
      json::array texts;
      for (std::size_t index = 1; index < field.enumeration->texts.size(); ++index) texts.emplace_back(field.enumeration->texts[index]);
      schema["enum"] = std::move(texts);
      break;
    }
    case FieldType::text:
      schema["type"] = "string";
      if (field.bytesMax != 0) schema["maxLength"] = field.bytesMax;
      break;
    case FieldType::data:
      schema["type"] = "string";
      schema["pattern"] = "^[0-9a-f]*$";
      break;
    case FieldType::textList: {
      json::object item{{"type", "string"}};
      if (field.bytesMax != 0) item["maxLength"] = field.bytesMax;
      schema["type"] = "array";
      schema["items"] = std::move(item);
      if (field.itemsMax != 0) schema["maxItems"] = field.itemsMax;
      break;
    }
    case FieldType::structure:
      return objectOf(*field.structure, input);
    case FieldType::structureList:
      schema["type"] = "array";
      schema["items"] = objectOf(*field.structure, input);
      break;
  }
  return schema;
}

void addFields(const StructTable& table, bool input, json::object& properties, json::array& required) {
  for (const FieldTable& field : table.fields) {
    if (input && field.ledgerOnly) continue;
    if (field.structure != nullptr && field.structure->isUnion) continue;
    properties[field.name] = schemaOf(field, input);
    if (input && field.required) required.emplace_back(field.name);
  }
}

json::object closed(json::object properties, json::array required) {
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

json::object objectOf(const StructTable& table, bool input) {
  json::object properties;
  json::array required;
  addFields(table, input, properties, required);
  return closed(std::move(properties), std::move(required));
}

json::object commandSchema(const KindTable& kind, std::string_view fromRoute) {
  json::object properties;
  json::array required;
  addFields(*schemaTables().command, true, properties, required);
  addFields(*kind.body, true, properties, required);
  if (!fromRoute.empty()) {
    for (auto place = required.begin(); place != required.end(); ++place) {
      if (place->as_string() == fromRoute) {
        required.erase(place);
        break;
      }
    }
  }
  if (kind.name == "workspace.create") {
    properties["id"] = properties["workspaceId"];
    properties.erase("workspaceId");
    required = {"id"};
  } else {
    properties["id"] = {{"type", "string"}, {"format", "uuid"}, {"description", "UUIDv7: a repeat gets the first answer"}};
  }
  return closed(std::move(properties), std::move(required));
}

json::object factSchema() {
  json::array kinds;
  json::object properties;
  json::array ignored;
  addFields(*schemaTables().entry, true, properties, ignored);
  json::object own;
  for (const KindTable& kind : schemaTables().kinds) {
    if (!kind.fact) continue;
    kinds.emplace_back(kind.name);
    for (const FieldTable& field : kind.body->fields) {
      if (!field.ledgerOnly) own[field.name] = json::object{};
    }
  }
  // Which fields a kind has, and of what type, is in the catalogue; one body for all kinds takes any of them.
  for (auto& [name, any] : own) properties[name] = std::move(any);
  properties["kind"] = {{"type", "string"}, {"enum", std::move(kinds)}};
  properties["id"] = {{"type", "string"}, {"format", "uuid"}};
  return closed(std::move(properties), {"kind"});
}

json::object answerSchemas() {
  const json::object text{{"type", "string"}};
  const json::object number{{"type", "integer"}};
  const json::object time{{"type", "string"}, {"format", "date-time"}};
  const json::object any{{"type", "object"}};
  json::object schemas;
  schemas["Receipt"] = {{"type", "object"},
                        {"required", {"number", "workspace", "seq", "leafHash", "id", "recordedAt", "ack"}},
                        {"properties",
                         {{"number", number},
                          {"workspace", text},
                          {"seq", number},
                          {"leafHash", {{"type", "string"}, {"pattern", "^[0-9a-f]{64}$"}}},
                          {"id", {{"type", "string"}, {"format", "uuid"}}},
                          {"recordedAt", time},
                          {"ack", {{"type", "string"}, {"enum", {"durable", "published", "witnessed"}}}}}}};
  schemas["Lease"] = {{"type", "object"},
                      {"required", {"id", "state", "uses", "maxUses"}},
                      {"properties",
                       {{"id", text},
                        {"state", text},
                        {"issuedAt", time},
                        {"expiresAt", time},
                        {"renewableUntil", time},
                        {"uses", number},
                        {"maxUses", number}}}};
  schemas["Answer"] = {{"type", "object"},
                       {"required", {"outcome"}},
                       {"properties",
                        {{"outcome", text},
                         {"reasonCode", text},
                         {"lease", reference("Lease")},
                         {"approvalId", text},
                         {"revocationId", text},
                         {"matched", number},
                         {"version", number},
                         {"number", number},
                         {"receipt", reference("Receipt")},
                         {"replayed", {{"type", "boolean"}}}}}};
  schemas["AsOf"] = {{"type", "object"}, {"properties", {{"seq", number}, {"leafHash", text}, {"recordedAt", time}, {"viewSeq", number}}}};
  schemas["List"] = {
      {"type", "object"},
      {"required", {"items", "next", "asOf"}},
      {"properties",
       {{"items", {{"type", "array"}, {"items", any}}}, {"next", {{"type", {"string", "null"}}}}, {"asOf", reference("AsOf")}}}};
  schemas["Item"] = any;
  schemas["PolicyInForce"] = {{"type", "object"},
                              {"required", {"name", "version", "document"}},
                              {"properties", {{"name", text}, {"version", number}, {"document", text}}}};
  schemas["PolicyDecision"] = {{"type", "object"},
                               {"required", {"outcome"}},
                               {"properties", {{"outcome", text}, {"reasonCode", text}, {"rule", text}, {"explanation", text}}}};
  schemas["Policy"] = {{"type", "string"}, {"description", "A TOML document (docs/policy.md)"}, {"maxLength", limits::kPolicyBytesMax}};
  schemas["Query"] = {
      {"type", "object"}, {"required", {"sql"}}, {"additionalProperties", false}, {"properties", {{"sql", {{"type", "string"}}}}}};
  schemas["SecretLookup"] = {
      {"type", "object"}, {"required", {"secret"}}, {"additionalProperties", false}, {"properties", {{"secret", secretSchema()}}}};
  schemas["Resolve"] = {{"type", "object"},
                        {"required", {"pseudonym"}},
                        {"additionalProperties", false},
                        {"properties", {{"pseudonym", {{"type", "string"}}}}}};
  json::array codes;
#define COUNTERFOIL_CODE(name, text, http, exitStatus) codes.emplace_back(text);
  COUNTERFOIL_ERROR_CODES(COUNTERFOIL_CODE)
#undef COUNTERFOIL_CODE
  schemas["Problem"] = {{"type", "object"},
                        {"required", {"type", "status", "code", "detail"}},
                        {"properties",
                         {{"type", text},
                          {"status", number},
                          {"code", {{"type", "string"}, {"enum", std::move(codes)}}},
                          {"detail", text},
                          {"hint", text},
                          {"field", text},
                          {"requestId", text}}}};
  return schemas;
}

struct CommandSchema {
  const char* name;
  CommandKind kind;
  const char* fromRoute;
};
constexpr CommandSchema kCommands[] = {
    {"LeaseRequest", CommandKind::leaseRequest, ""},        {"LeaseIssue", CommandKind::leaseIssue, "leaseId"},
    {"LeaseConsume", CommandKind::leaseConsume, "leaseId"}, {"LeaseRenew", CommandKind::leaseRenew, "leaseId"},
    {"LeaseRevoke", CommandKind::leaseRevoke, "leaseId"},   {"RevokeAll", CommandKind::revokeAll, ""},
    {"ApprovalRequest", CommandKind::approvalRequest, ""},  {"ApprovalDecide", CommandKind::approvalDecide, "approvalId"},
    {"WorkspaceCreate", CommandKind::workspaceCreate, ""},  {"WorkspaceClose", CommandKind::workspaceClose, ""},
};

// ---- paths ----

json::array parametersOf(const Route& route) {
  json::array parameters;
  std::string_view rest = route.pattern;
  while (true) {
    const std::size_t open = rest.find('{');
    if (open == std::string_view::npos) break;
    const std::size_t close = rest.find('}', open);
    parameters.push_back(json::object{{"name", rest.substr(open + 1, close - open - 1)},
                                      {"in", "path"},
                                      {"required", true},
                                      {"schema", {{"type", "string"}, {"minLength", 1}}}});
    rest.remove_prefix(close + 1);
  }
  for (const std::string& name : route.docs.parameters) {
    json::object schema{{"type", "string"}};
    if (name == "limit") schema = {{"type", "integer"}, {"minimum", 1}, {"maximum", 1000}};
    if (name == "wait") schema = {{"type", "integer"}, {"minimum", 0}};
    if (name == "order") schema = {{"type", "string"}, {"enum", {"asc", "desc"}}};
    if (name == "ack") schema = {{"type", "string"}, {"enum", {"durable", "published", "witnessed"}}};
    if (name == "disclose") schema = {{"type", "boolean"}};
    if (name == "kind") schema = {{"type", "array"}, {"items", {{"type", "string"}}}};
    parameters.push_back(json::object{{"name", name}, {"in", "query"}, {"required", false}, {"schema", std::move(schema)}});
  }
  return parameters;
}

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
  json::object operation{{"operationId", operationId(route)}, {"summary", docs.summary}, {"parameters", parametersOf(route)}};
  json::object responses;
  for (const int status : docs.statuses) {
    json::value schema = docs.answerType == "application/json" ? json::value(reference(docs.answer.empty() ? "Item" : docs.answer))
                                                               : json::value(json::object{{"type", "string"}});
    // A denied lease and a refused caller share a status: the media type tells them apart.
    json::object bodies = content(docs.answerType, std::move(schema));
    if (status == 403) bodies["application/problem+json"] = {{"schema", reference("Problem")}};
    responses[std::to_string(status)] = {{"description", status < 300 ? "Done" : "Denied, and recorded"}, {"content", std::move(bodies)}};
  }
  responses["default"] = {{"description", "An error"}, {"content", content("application/problem+json", reference("Problem"))}};
  operation["responses"] = std::move(responses);
  if (!docs.body.empty()) {
    json::object bodies = content(docs.mediaType, reference(docs.body));
    if (docs.body == "Fact") bodies["application/x-ndjson"] = {{"schema", {{"type", "string"}}}};
    operation["requestBody"] = {{"required", docs.body != "LeaseIssue" && docs.body != "LeaseConsume" && docs.body != "LeaseRevoke" &&
                                                 docs.body != "WorkspaceClose"},
                                {"content", std::move(bodies)}};
  }
  if (route.action == Action::open) operation["security"] = json::array();
  return operation;
}

}  // namespace

std::string openApi(const Router& router, std::string_view version) {
  json::object schemas = answerSchemas();
  for (const CommandSchema& one : kCommands) {
    schemas[one.name] = commandSchema(schemaTables().commands[static_cast<std::size_t>(one.kind)], one.fromRoute);
  }
  schemas["Fact"] = factSchema();
  // Rows of views: their members are in docs/query.md. A page has one shape, whatever its items are.
  for (const Route& route : router.routes()) {
    const std::string& name = route.docs.answer;
    if (name.empty() || schemas.contains(name)) continue;
    schemas[name] = name.ends_with("Page") ? schemas["List"] : schemas["Item"];
  }
  json::object paths;
  for (const Route& route : router.routes()) {
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
        {"description", "The audit and lease ledger that keeps the stub of every credential lease, and never the credential."},
        {"license", {{"name", "Apache-2.0"}, {"identifier", "Apache-2.0"}}}}},
      {"security", json::array{json::object{{"bearer", json::array()}}}},
      {"paths", std::move(paths)},
      {"components",
       {{"securitySchemes", {{"bearer", {{"type", "http"}, {"scheme", "bearer"}, {"bearerFormat", "JWT"}}}}},
        {"schemas", std::move(schemas)}}}};
  return json::serialize(document);
}

}  // namespace counterfoil::server
