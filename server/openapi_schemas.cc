#include "server/openapi_schemas.h"

#include <algorithm>
#include <boost/json.hpp>
#include <map>
#include <string>

#include "ledger/core/limits.h"
#include "ledger/core/schema_tables.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;

// NUL and the C0 controls but tab and newline are refused wherever a text may stand (INTERFACE: JSON in).
constexpr const char* kTextPattern = "^[^\\u0000-\\u0008\\u000b-\\u001f]*$";
constexpr const char* kIdPattern = "^[A-Za-z0-9][A-Za-z0-9._:@/+-]*$";
// An empty text of JSON counts as one that is left out.
constexpr const char* kOptionalIdPattern = "^([A-Za-z0-9][A-Za-z0-9._:@/+-]*)?$";

std::uint64_t numberMax(FieldType type) {
  switch (type) {
    case FieldType::unsigned8:
      return 0xff;
    case FieldType::unsigned16:
      return 0xffff;
    case FieldType::unsigned32:
      return 0xffff'ffff;
    default:
      return limits::kJsonIntegerMax;
  }
}

json::object textSchema(const FieldTable& field, bool required) {
  json::object schema{{"type", "string"}};
  const bool isId = field.redaction == RedactionClass::id;
  schema["pattern"] = isId ? (required ? kIdPattern : kOptionalIdPattern) : kTextPattern;
  if (required && !isId) schema["minLength"] = 1;
  // In bytes of UTF-8, of which a character of JSON Schema has at least one.
  if (field.bytesMax != 0) schema["maxLength"] = field.bytesMax;
  return schema;
}

json::object numberSchema(const FieldTable& field, bool required) {
  std::uint64_t most = numberMax(field.type);
  if (field.field == Field::ttlSeconds || field.field == Field::renewableForSeconds || field.field == Field::expiresInSeconds) {
    most = static_cast<std::uint64_t>(limits::kTtlSecondsMax);
  }
  return {{"type", "integer"}, {"minimum", required ? 1 : 0}, {"maximum", most}};
}

json::array textsOf(const EnumTable& table, std::initializer_list<std::string_view> without) {
  json::array texts;
  for (std::size_t index = 1; index < table.texts.size(); ++index) {
    const std::string_view text = table.texts[index];
    if (std::find(without.begin(), without.end(), text) == without.end()) texts.emplace_back(text);
  }
  return texts;
}

// A field of a body. `required`: absent and empty are the same to the reader, so neither fits.
json::object fieldSchema(const FieldTable& field, bool required) {
  if (field.redaction == RedactionClass::secret) return schemaReference("Secret");
  switch (field.type) {
    case FieldType::boolean:
      return {{"type", "boolean"}};
    case FieldType::unsigned8:
    case FieldType::unsigned16:
    case FieldType::unsigned32:
    case FieldType::unsigned64:
      return numberSchema(field, required);
    case FieldType::time:
      return timeSchema();
    case FieldType::enumeration:
      return {{"type", "string"}, {"enum", textsOf(*field.enumeration, {})}};
    case FieldType::text:
      return textSchema(field, required);
    case FieldType::textList: {
      json::object schema{{"type", "array"}, {"items", textSchema(field, false)}};
      if (required) schema["minItems"] = 1;
      if (field.itemsMax != 0) schema["maxItems"] = field.itemsMax;
      return schema;
    }
    case FieldType::structure:
      return schemaReference("PrincipalName");
    case FieldType::data:
    case FieldType::structureList:
      break;
  }
  return {};
}

// As the JSON reader does: what the ledger writes, raw bytes and structures other than principals cannot be sent.
bool canBeSent(const FieldTable& field) {
  if (field.ledgerOnly || field.type == FieldType::data || field.type == FieldType::structureList) return false;
  return field.type != FieldType::structure || field.structure == schemaTables().principal;
}

void addFields(const StructTable& table, json::object& properties, json::array& required) {
  for (const FieldTable& field : table.fields) {
    if (!canBeSent(field)) continue;
    properties[field.name] = fieldSchema(field, field.required);
    if (field.required) required.emplace_back(field.name);
  }
}

json::object closed(json::object properties, json::array required) {
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}, {"additionalProperties", false}};
  if (!required.empty()) schema["required"] = std::move(required);
  return schema;
}

json::object pseudonymSchema() {
  return {{"type", "string"}, {"pattern", "^p2:[A-Za-z0-9_-]{21}[AQgw]$"}};
}

// Words that the catalogue's enumeration has and this command does not take.
void narrow(CommandKind kind, json::object& properties) {
  const auto only = [&](const char* name, json::array words) { properties[name].as_object()["enum"] = std::move(words); };
  if (kind == CommandKind::leaseIssue) only("outcome", {"issued", "failed"});
  if (kind == CommandKind::leaseConsume) only("outcome", {"ok", "error", "partial"});
  if (kind == CommandKind::approvalDecide) only("decision", {"approved", "rejected"});
  if (kind == CommandKind::keyRotate) only("purpose", {"fingerprint", "key_encryption"});
  if (kind == CommandKind::holdPlace) properties["days"].as_object()["maximum"] = limits::kHoldDaysMax;
  if (kind == CommandKind::retentionSet) properties["days"].as_object()["maximum"] = limits::kRetentionDaysMax;
  if (kind == CommandKind::holdPlace || kind == CommandKind::subjectErase) {
    properties["subject"] = schemaReference("PersonName");
    properties["pseudonym"] = pseudonymSchema();
  }
}

json::object commandSchema(CommandKind kind, std::string_view fromRoute) {
  const KindTable& table = schemaTables().commands[static_cast<std::size_t>(kind)];
  json::object properties;
  json::array required;
  addFields(*schemaTables().command, properties, required);
  addFields(*table.body, properties, required);
  const auto given = std::find_if(required.begin(), required.end(), [&](const json::value& one) { return one.as_string() == fromRoute; });
  if (given != required.end()) {
    required.erase(given);
    properties.erase(fromRoute);  // it stands in the path; the body may only repeat it
  }
  narrow(kind, properties);
  // Elsewhere it is the token's subject; the body may only repeat it.
  const bool forOthers = kind == CommandKind::leaseRequest || kind == CommandKind::leaseIssue || kind == CommandKind::leaseConsume ||
                         kind == CommandKind::leaseRenew;
  if (!forOthers) properties.erase("actor");
  if (kind == CommandKind::workspaceCreate) {
    properties["id"] = std::move(properties["workspaceId"]);
    properties.erase("workspaceId");
    required = {"id"};
  } else {
    properties["id"] = requestIdSchema();
  }
  json::array ways;
  if (kind == CommandKind::revokeAll) {
    for (const char* name : {"run", "host", "principal", "bundle", "credential", "lease"}) {
      ways.push_back(json::object{{"required", json::array{name}}});
      json::object& selector = properties[name].as_object();
      if (selector.contains("pattern")) selector["pattern"] = kIdPattern;  // an empty one selects nothing
    }
  }
  json::object schema = closed(std::move(properties), std::move(required));
  if (kind == CommandKind::subjectErase) {
    schema["description"] = "The person is named by subject or by pseudonym";
    schema["oneOf"] = {{{"required", json::array{"subject"}}}, {{"required", json::array{"pseudonym"}}}};
  }
  if (kind == CommandKind::holdPlace) {
    schema["description"] = "A person is named by subject or by pseudonym; without either all of the workspace is held";
    schema["not"] = {{"required", {"subject", "pseudonym"}}};
  }
  if (!ways.empty()) {
    schema["description"] = "Exactly one of run, host, principal, bundle, credential and lease says which leases end";
    schema["oneOf"] = std::move(ways);
  }
  return schema;
}

// Names that mean different things in different kinds of facts, with every schema that they have.
std::map<std::string, json::array> factFields() {
  std::map<std::string, json::array> result;
  for (const KindTable& kind : schemaTables().kinds) {
    if (!kind.fact) continue;
    for (const FieldTable& field : kind.body->fields) {
      if (!canBeSent(field)) continue;
      json::array& schemas = result[field.name];
      const json::value schema = fieldSchema(field, false);
      if (std::find(schemas.begin(), schemas.end(), schema) == schemas.end()) schemas.push_back(schema);
    }
  }
  return result;
}

// Which fields a kind takes; `properties` only where the name has another meaning elsewhere.
json::object kindOfFact(const KindTable& kind, const std::map<std::string, json::array>& all) {
  json::array fields, required;
  json::object properties;
  if (kind.requiredCommon) required.emplace_back(schemaTables().entry->find(*kind.requiredCommon)->name);
  for (const FieldTable& field : kind.body->fields) {
    if (!canBeSent(field)) continue;
    fields.emplace_back(field.name);
    if (field.required) required.emplace_back(field.name);
    if (all.at(field.name).size() > 1) properties[field.name] = fieldSchema(field, field.required);
  }
  return {{"fields", std::move(fields)}, {"required", std::move(required)}, {"properties", std::move(properties)}};
}

// One body for all kinds: a schema for each would be forty. Which kind has which fields is in `x-kinds`.
json::object factSchema() {
  const std::map<std::string, json::array> all = factFields();
  json::object properties;
  for (const auto& [name, schemas] : all) {
    properties[name] = schemas.size() == 1 ? schemas.front() : json::value(json::object{{"anyOf", schemas}});
  }
  json::array kinds;
  json::object ofKinds;
  for (const KindTable& kind : schemaTables().kinds) {
    if (!kind.fact) continue;
    kinds.emplace_back(kind.name);
    ofKinds[kind.name] = kindOfFact(kind, all);
  }
  json::array ignored;
  addFields(*schemaTables().entry, properties, ignored);
  properties["kind"] = {{"type", "string"}, {"enum", std::move(kinds)}};
  properties["id"] = {{"type", "string"}, {"format", "uuid"}, {"description", "UUIDv7 or UUIDv8: a repeat gets the first answer"}};
  json::object schema = closed(std::move(properties), {"kind"});
  schema["description"] = "One body for all kinds; `x-kinds` tells the fields of each kind, and which of them it must have";
  schema["x-kinds"] = std::move(ofKinds);
  return schema;
}

// `known`: it may also be named by the fingerprint that entries show.
json::object secretSchema(bool known) {
  json::object forms{
      {"value",
       {{"type", "string"}, {"writeOnly", true}, {"minLength", 1}, {"maxLength", limits::kSecretBytesMax}, {"pattern", kTextPattern}}},
      {"sha256", {{"type", "string"}, {"pattern", "^[0-9a-fA-F]{64}$"}}}};
  if (known) forms["fingerprint"] = {{"type", "string"}, {"pattern", "^fp2:[1-9][0-9]{0,8}:[A-Za-z0-9_-]{21}[AQgw]$"}};
  return {{"type", "object"},
          {"description", "A secret, in one of its forms. Never stored, only fingerprinted"},
          {"minProperties", 1},
          {"maxProperties", 1},
          {"additionalProperties", false},
          {"properties", std::move(forms)}};
}

json::object principalSchema(json::array kinds) {
  const StructTable& table = *schemaTables().principal;
  return closed({{"kind", {{"type", "string"}, {"enum", std::move(kinds)}}}, {"id", textSchema(*table.find(Field::id), true)}},
                {"kind", "id"});
}

struct CommandSchema {
  const char* name;
  CommandKind kind;
  const char* fromRoute;
};
constexpr CommandSchema kCommands[] = {
    {"LeaseRequest", CommandKind::leaseRequest, ""},
    {"LeaseIssue", CommandKind::leaseIssue, "leaseId"},
    {"LeaseConsume", CommandKind::leaseConsume, "leaseId"},
    {"LeaseRenew", CommandKind::leaseRenew, "leaseId"},
    {"LeaseRevoke", CommandKind::leaseRevoke, "leaseId"},
    {"RevokeAll", CommandKind::revokeAll, ""},
    {"ApprovalRequest", CommandKind::approvalRequest, ""},
    {"ApprovalDecide", CommandKind::approvalDecide, "approvalId"},
    {"WorkspaceCreate", CommandKind::workspaceCreate, ""},
    {"WorkspaceClose", CommandKind::workspaceClose, ""},
    {"HoldPlace", CommandKind::holdPlace, ""},
    {"HoldRelease", CommandKind::holdRelease, "holdId"},
    {"SubjectErase", CommandKind::subjectErase, ""},
    {"KeyRotate", CommandKind::keyRotate, ""},
    {"RetentionSet", CommandKind::retentionSet, ""},
    {"WorkspaceErase", CommandKind::workspaceErase, ""},
};

}  // namespace

json::object schemaReference(std::string_view name) {
  return {{"$ref", "#/components/schemas/" + std::string(name)}};
}

json::object urlTextSchema() {
  return {{"type", "string"}, {"minLength", 1}, {"pattern", "^[^\\u0000-\\u001f\\u007f]+$"}};
}

json::object idSchema() {
  return {{"type", "string"}, {"pattern", kIdPattern}, {"maxLength", limits::kIdBytesMax}};
}

json::object timeSchema() {
  return {{"type", "string"}, {"format", "date-time"}, {"description", "RFC 3339 with up to nine digits of a second, years 1678 to 2261"}};
}

json::object requestIdSchema() {
  return {{"type", "string"},
          {"format", "uuid"},
          {"pattern", "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-7[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$"},
          {"description", "UUIDv7 of now: a repeat gets the first answer"}};
}

void addRequestSchemas(json::object& schemas) {
  for (const CommandSchema& one : kCommands) schemas[one.name] = commandSchema(one.kind, one.fromRoute);
  schemas["Fact"] = factSchema();
  // One type for all places, or generated clients make one of each.
  schemas["Secret"] = secretSchema(true);
  schemas["PrincipalName"] = principalSchema(textsOf(*schemaTables().principal->find(Field::kind)->enumeration, {"ledger"}));
  schemas["PersonName"] = principalSchema({"human"});
  schemas["Policy"] = {
      {"type", "string"}, {"description", "A TOML document (docs/policy.md)"}, {"minLength", 1}, {"maxLength", limits::kPolicyBytesMax}};
  schemas["Query"] = closed({{"sql", {{"type", "string"}, {"minLength", 1}}}}, {"sql"});
  schemas["Pseudonym"] = closed({{"pseudonym", pseudonymSchema()}}, {"pseudonym"});
  schemas["SigningKeyRotate"] = closed({{"purpose", {{"type", "string"}, {"enum", {"token"}}}}}, {"purpose"});
  schemas["SecretLookup"] = closed({{"secret", secretSchema(false)}}, {"secret"});
  schemas["ImportBegin"] = closed({{"source", {{"type", "string"}, {"enum", {"import/cloudtrail", "import/vault"}}}},
                                   {"since", {{"type", "integer"}, {"minimum", 0}, {"maximum", limits::kJsonIntegerMax}}}},
                                  {"source"});
  schemas["ImportFinish"] = closed({{"producer", idSchema()}}, {});
}

}  // namespace counterfoil::server
