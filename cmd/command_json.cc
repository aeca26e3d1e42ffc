#include "cmd/command_json.h"

#include <array>
#include <optional>

#include "clients/cpp/json_writer.h"
#include "cmd/http_client.h"
#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {
namespace {

constexpr std::size_t kRoomBytes = 4096;

struct CommandRoute {
  CommandKind kind;
  const char* method;
  const char* path;           // behind /v1/workspaces; {workspace} and {} are filled in
  std::optional<Field> item;  // what {} is; the body does not repeat it
};

constexpr std::array<CommandRoute, kCommandKindCount - 1> kRoutes = {{
    {CommandKind::leaseRequest, "POST", "/{workspace}/leases", {}},
    {CommandKind::leaseIssue, "POST", "/{workspace}/leases/{}/issued", Field::leaseId},
    {CommandKind::leaseConsume, "POST", "/{workspace}/leases/{}/consume", Field::leaseId},
    {CommandKind::leaseRenew, "POST", "/{workspace}/leases/{}/renew", Field::leaseId},
    {CommandKind::leaseRevoke, "POST", "/{workspace}/leases/{}/revoke", Field::leaseId},
    {CommandKind::revokeAll, "POST", "/{workspace}/revocations", {}},
    {CommandKind::approvalRequest, "POST", "/{workspace}/approvals", {}},
    {CommandKind::approvalDecide, "POST", "/{workspace}/approvals/{}/decide", Field::approvalId},
    {CommandKind::policySet, "PUT", "/{workspace}/policy", {}},
    {CommandKind::workspaceCreate, "POST", "", {}},
    {CommandKind::workspaceClose, "POST", "/{workspace}/close", {}},
    {CommandKind::holdPlace, "POST", "/{workspace}/holds", {}},
    {CommandKind::holdRelease, "POST", "/{workspace}/holds/{}/release", Field::holdId},
    {CommandKind::subjectErase, "POST", "/{workspace}/erasures", {}},
    {CommandKind::keyRotate, "POST", "/{workspace}/keys", {}},
    {CommandKind::retentionSet, "POST", "/{workspace}/retention", {}},
    {CommandKind::workspaceErase, "POST", "/_system/erasures", {}},
}};

const CommandRoute& routeOf(CommandKind kind) {
  const CommandRoute& route = kRoutes[static_cast<std::size_t>(kind) - 1];
  COUNTERFOIL_CHECK(route.kind == kind);
  return route;
}

std::string segment(std::string_view value, std::string_view field) {
  if (value.empty()) throw Fault(ErrorCode::invalidValue, "an id is empty", "give it", "/" + std::string(field));
  return percentEncoded(value);
}

void fill(std::string& path, std::string_view place, const std::string& value) {
  if (const std::size_t at = path.find(place); at != std::string::npos) path.replace(at, place.size(), value);
}

// ---- values ----

void writeStructure(const StructValue& value, WipingString& out);

void writeSecret(const FieldValue& value, WipingString& out) {
  const char* form = value.secretForm == SecretForm::sha256        ? "sha256"
                     : value.secretForm == SecretForm::fingerprint ? "fingerprint"
                                                                   : "value";
  client::JsonObjectWriter object(out);
  object.name(form);
  client::appendJsonText(value.text(), out);
  object.end();
}

template <class Items, class Write>
void writeList(const Items& items, WipingString& out, const Write& write) {
  out += '[';
  for (std::size_t index = 0; index < items.size(); ++index) {
    if (index > 0) out += ',';
    write(items[index]);
  }
  out += ']';
}

void writeField(const FieldTable& field, const FieldValue& value, WipingString& out) {
  switch (field.type) {
    case FieldType::boolean:
      out += value.number != 0 ? "true" : "false";
      return;
    case FieldType::unsigned8:
    case FieldType::unsigned16:
    case FieldType::unsigned32:
    case FieldType::unsigned64:
      out += std::to_string(value.number);
      return;
    case FieldType::time:
      client::appendJsonText(toRfc3339({static_cast<std::int64_t>(value.number)}), out);
      return;
    case FieldType::enumeration:
      client::appendJsonText(field.enumeration->texts.at(value.number), out);
      return;
    case FieldType::text:
      if (field.redaction == RedactionClass::secret) {
        writeSecret(value, out);
      } else {
        client::appendJsonText(value.text(), out);
      }
      return;
    case FieldType::data:
      client::appendJsonText(toHex({static_cast<const std::uint8_t*>(value.data), value.count}), out);
      return;
    case FieldType::textList:
      writeList(value.texts(), out, [&](std::string_view text) { client::appendJsonText(text, out); });
      return;
    case FieldType::structure:
      writeStructure(value.structures().front(), out);
      return;
    case FieldType::structureList:
      writeList(value.structures(), out, [&](const StructValue& item) { writeStructure(item, out); });
      return;
  }
}

template <class Wanted>
void writeMembers(const StructValue& value, client::JsonObjectWriter& object, WipingString& out, const Wanted& wanted) {
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    const FieldTable& field = value.table->fields[index];
    const bool isUnion = field.structure != nullptr && field.structure->isUnion;  // the body, which is written by itself
    if (value.values[index].absent() || isUnion || !wanted(field)) continue;
    object.name(field.name);
    writeField(field, value.values[index], out);
  }
}

void writeStructure(const StructValue& value, WipingString& out) {
  client::JsonObjectWriter object(out);
  writeMembers(value, object, out, [](const FieldTable&) { return true; });
  object.end();
}

// Flat: the kind's own fields, and the common ones whose names they leave free.
void writeFlat(const StructValue& common, const StructValue& body, std::optional<Field> left, client::JsonObjectWriter& object,
               WipingString& out) {
  writeMembers(body, object, out, [&](const FieldTable& field) { return field.field != left; });
  // Who takes a fact or a command in says where it came from.
  writeMembers(common, object, out, [&](const FieldTable& field) { return field.field != Field::source && !body.has(field.field); });
}

}  // namespace

ServerRequest requestOf(const Command& command, std::string_view workspace) {
  const CommandRoute& route = routeOf(command.kind);
  ServerRequest request;
  request.method = route.method;
  std::string path = route.path;
  if (path.find("{workspace}") != std::string::npos) fill(path, "{workspace}", segment(workspace, "workspace"));
  if (route.item) fill(path, "{}", segment(command.body.text(*route.item), command.body.table->find(*route.item)->name));
  request.target = "/v1/workspaces" + path;
  request.body.reserve(kRoomBytes);
  if (command.kind == CommandKind::policySet) {
    request.contentType = "text/toml";
    request.body = command.body.text(Field::document);
    return request;
  }
  request.contentType = "application/json";
  client::JsonObjectWriter object(request.body);
  std::optional<Field> left = route.item;
  if (command.kind == CommandKind::workspaceCreate) {
    // The one command whose "id" is what it makes.
    left = Field::workspaceId;
    object.name("id");
    client::appendJsonText(command.body.text(Field::workspaceId), request.body);
  }
  writeFlat(command.common, command.body, left, object, request.body);
  object.end();
  return request;
}

ServerRequest requestOf(const Event& fact, std::string_view workspace) {
  ServerRequest request;
  request.method = "POST";
  request.target = "/v1/workspaces/" + segment(workspace, "workspace") + "/facts";
  request.contentType = "application/json";
  request.body.reserve(kRoomBytes);
  client::JsonObjectWriter object(request.body);
  object.name("kind");
  client::appendJsonText(kindName(fact.kind), request.body);
  writeFlat(fact.common, fact.body, std::nullopt, object, request.body);
  object.end();
  return request;
}

void appendImportLine(const Event& fact, WipingString& out) {
  client::JsonObjectWriter object(out);
  object.name("id");
  client::appendJsonText(toUuid(fact.id), out);
  object.name("kind");
  client::appendJsonText(kindName(fact.kind), out);
  writeFlat(fact.common, fact.body, std::nullopt, object, out);
  object.end();
}

}  // namespace counterfoil::cmd
