#include <algorithm>
#include <boost/json.hpp>
#include <initializer_list>
#include <string>

#include "ledger/core/outcome.h"
#include "server/openapi_schemas.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;

bool isOneOf(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Members of answers have one type under one name, whatever they stand in.
json::object memberSchema(std::string_view name) {
  const json::object text{{"type", "string"}};
  if (name.ends_with("At")) return {{"type", "string"}, {"format", "date-time"}};
  if (isOneOf(name, {"leafHash", "previous", "root", "digest", "viewDigest"})) return {{"type", "string"}, {"pattern", "^[0-9a-f]{64}$"}};
  if (isOneOf(name, {"scope", "resources", "fingerprints", "columns"})) return {{"type", "array"}, {"items", text}};
  if (isOneOf(name, {"grantee", "actor", "principal", "requestedBy", "onBehalfOf", "decidedBy", "issuedBy", "retiredBy", "placedBy",
                     "releasedBy"})) {
    return schemaReference("PrincipalShown");
  }
  if (name == "asOf") return schemaReference("AsOf");
  if (name == "receipt") return schemaReference("Receipt");
  if (name == "lease") return schemaReference("Lease");
  if (isOneOf(name, {"ok", "replayed", "recorded", "finished", "closed", "withheld", "terminal"})) return {{"type", "boolean"}};
  if (isOneOf(name, {"kinds", "byKind", "leasesByState", "denialsByReason"})) {
    return {{"type", "object"}, {"additionalProperties", {{"type", "integer"}, {"minimum", 0}}}};
  }
  const bool number = name.ends_with("Seq") ||
                      isOneOf(name, {"seq",          "number",   "uses",       "maxUses", "entries",  "leases",        "denials",
                                     "grants",       "live",     "writes",     "reads",   "failures", "refusals",      "version",
                                     "redemptions",  "withheld", "redactions", "matched", "status",   "contiguous",    "greatest",
                                     "liveLeases",   "facts",    "since",      "lowest",  "highest",  "policyVersion", "notChecked",
                                     "problemCount", "days",     "generation", "kek",     "persons", "erased"});
  if (number) return {{"type", "integer"}, {"minimum", 0}};
  return text;
}

using Names = std::initializer_list<std::string_view>;

// An object that may grow: members of later versions are no breach.
json::object object(Names required, Names optional = {}) {
  json::object properties;
  json::array names;
  for (const std::string_view name : required) {
    properties[name] = memberSchema(name);
    names.emplace_back(name);
  }
  for (const std::string_view name : optional) properties[name] = memberSchema(name);
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!names.empty()) schema["required"] = std::move(names);
  return schema;
}

json::object with(json::object schema, std::string_view name, json::object member, bool required = true) {
  schema["properties"].as_object()[name] = std::move(member);
  if (required) schema["required"].as_array().emplace_back(name);
  return schema;
}

json::object listOf(json::object item) {
  return {{"type", "array"}, {"items", std::move(item)}};
}

json::object page(const char* item) {
  return with(with(object({"asOf"}), "items", listOf(schemaReference(item))), "next", {{"type", {"string", "null"}}});
}

// One row of a view, alone: with the point of the record that it was read at.
json::object shown(json::object row) {
  return with(std::move(row), "asOf", schemaReference("AsOf"));
}

void addRows(json::object& schemas) {
  const json::object host = object({"host", "entries", "lastAt", "firstSeq", "lastSeq"}, {"state", "connection", "connectedAt"});
  const json::object run = object({"run", "entries", "leases", "denials", "firstSeq", "lastSeq"}, {"agent", "startedAt", "finishedAt"});
  const json::object principal = object({"principal", "entries", "grants", "live", "uses", "denials", "firstSeq", "lastSeq"});
  const json::object lease =
      object({"id", "state", "uses", "source", "grantedSeq", "lastSeq"},
             {"credential", "grantee", "scope", "resources", "run", "host", "issuedAt", "expiresAt", "endedAt", "maxUses", "endedSeq"});
  schemas["Entry"] = object({"seq", "leafHash"}, {"id", "kind", "recordedAt", "occurredAt", "source", "producer", "producerSeq", "actor",
                                                  "run", "host", "sandbox", "correlation", "previous"});
  schemas["LeaseRow"] = lease;
  schemas["LeaseHistory"] = shown(with(lease, "history", listOf(object({"seq", "kind", "recordedAt", "state"}, {"occurredAt"}))));
  schemas["BundleRow"] = object({"bundle", "state", "lastSeq"}, {"host", "issuedAt", "issuedBy", "expiresAt", "redeemedAt"});
  schemas["HostRow"] = host;
  schemas["Host"] = shown(host);
  schemas["VaultRow"] = object({"secret", "state", "writes", "reads", "failures", "firstSeq", "lastSeq"}, {"writtenAt", "readAt"});
  schemas["RunRow"] = run;
  schemas["Run"] = shown(run);
  schemas["PrincipalRow"] = principal;
  schemas["Principal"] = shown(principal);
  json::object approval =
      object({"approval", "state"}, {"requestedBy", "onBehalfOf", "requestedAt", "decidedBy", "decidedAt", "expiresAt"});
  schemas["ApprovalRow"] = with(std::move(approval), "lease", {{"type", "string"}}, false);
  schemas["FindingRow"] = with(object({"finding", "state", "raisedSeq"}, {"rule", "severity", "explanation", "raisedAt", "resolvedAt"}),
                               "evidence", listOf(object({"seq"}, {"leafHash"})));
  json::object hold = object({"hold", "state", "placedSeq"}, {"days", "placedAt", "placedBy", "releasedAt", "releasedBy"});
  schemas["HoldRow"] = with(std::move(hold), "scope", {{"type", "string"}});
  for (const char* kind : {"Lease", "Bundle", "Host", "Vault", "Run", "Principal", "Approval", "Finding", "Hold"}) {
    schemas[std::string(kind) + "Page"] = page((std::string(kind) + "Row").c_str());
  }
  schemas["EntryPage"] = page("Entry");
  const json::object workspace =
      object({"id", "number", "region", "state", "liveLeases", "entries", "root", "asOf"}, {"policy", "policyVersion"});
  schemas["Workspace"] = workspace;
  // Of many workspaces, each at its own point of its own record: there is none of the page.
  schemas["WorkspacePage"] =
      with(with(object({}), "items", listOf(schemaReference("Workspace")), false), "next", {{"type", {"string", "null"}}}, false);
  schemas["WorkspacePage"].as_object()["required"] = {"items", "next"};
}

void addRecorded(json::object& schemas) {
  json::object receipt = object({"number", "workspace", "seq", "leafHash", "id", "recordedAt"});
  schemas["Receipt"] = with(std::move(receipt), "ack", {{"type", "string"}, {"enum", {"durable", "replicated", "published", "witnessed"}}});
  schemas["Lease"] = object({"id", "state", "issuedAt", "uses", "maxUses"}, {"expiresAt", "renewableUntil"});
  schemas["Answer"] = object(
      {"outcome"}, {"reasonCode", "lease", "approvalId", "revocationId", "holdId", "matched", "version", "number", "receipt", "replayed"});
  schemas["PolicyInForce"] = object({"name", "version", "document"});
  schemas["PolicyDecision"] = object({"outcome"}, {"reasonCode", "rule", "explanation"});
}

}  // namespace

void addAnswerSchemas(json::object& schemas) {
  schemas["PrincipalShown"] = object({"kind", "id"});
  schemas["AsOf"] = object({}, {"seq", "leafHash", "recordedAt", "viewSeq"});
  addRows(schemas);
  addRecorded(schemas);
  json::object stats = object({"entries", "withheld", "redactions", "kinds", "digest", "asOf"}, {"seq"});
  stats["properties"].as_object()["withheld"] = memberSchema("entries");
  stats = with(std::move(stats), "leases", memberSchema("leasesByState"));
  schemas["Stats"] = with(std::move(stats), "denials", memberSchema("denialsByReason"));
  schemas["Producer"] = with(object({"producer", "source", "contiguous", "greatest", "facts", "asOf"}, {"finished", "closed"}), "missing",
                             listOf(object({"lowest", "highest"})));
  schemas["QueryAnswer"] = with(object({"columns", "asOf", "viewDigest"}), "rows", listOf({{"type", "array"}}));
  schemas["ResolvedPerson"] = object({"pseudonym", "kind", "id"});
  schemas["WorkspaceKeys"] = with(object({"persons"}), "items", listOf(object({"keyId", "purpose"}, {"generation", "kek"})));
  json::object month = with(object({"month"}, {}), "state", {{"type", "string"}, {"enum", {"kept", "due", "destroyed"}}});
  month = with(std::move(month), "keptUntil", {{"type", "string"}, {"format", "date-time"}}, false);
  json::object retention = with(object({"days"}, {}), "inForceFrom", {{"type", "string"}, {"format", "date-time"}}, false);
  retention = with(std::move(retention), "held", {{"type", "boolean"}});
  schemas["Retention"] = with(std::move(retention), "months", listOf(std::move(month)));
  schemas["SigningKeys"] = with(object({}, {}), "items", listOf(object({"keyId", "purpose", "state"})), false);
  schemas["SecretLookupAnswer"] = with(object({"fingerprints"}, {"asOf"}), "items", listOf(schemaReference("Entry")));
  schemas["IssuedToken"] = object({"token", "tokenId", "role", "workspace", "subject", "expiresAt"});
  schemas["ImportUnderWay"] = object({"import", "source", "since"});
  schemas["ImportLease"] = with(object({}), "lease", {{"type", "string"}}, false);
  schemas["ImportFinished"] = object({}, {"producer", "recorded", "byKind"});
  json::object verification = object({"startedAt"}, {"finishedAt", "ok", "entries", "root", "erased", "notChecked", "problemCount", "assurance"});
  schemas["Verification"] = with(std::move(verification), "state", {{"type", "string"}, {"enum", {"running", "done", "failed"}}});
  schemas["Item"] = {{"type", "object"}};
  const json::object data{{"type", "string"}, {"contentMediaType", "application/json"}, {"contentSchema", schemaReference("Entry")}};
  schemas["EntryStream"] = {
      {"type", "object"},
      {"description", "One server-sent event of the stream: `id` is the entry's seq"},
      {"required", {"id", "event", "data"}},
      {"properties",
       {{"id", {{"type", "string"}, {"pattern", "^[0-9]+$"}}}, {"event", {{"type", "string"}, {"enum", {"entry"}}}}, {"data", data}}}};
  json::array codes;
#define COUNTERFOIL_CODE(name, text, http, exitStatus) codes.emplace_back(text);
  COUNTERFOIL_ERROR_CODES(COUNTERFOIL_CODE)
#undef COUNTERFOIL_CODE
  schemas["Problem"] =
      with(object({"type", "status", "detail", "requestId"}, {"hint", "field"}), "code", {{"type", "string"}, {"enum", std::move(codes)}});
}

}  // namespace counterfoil::server
