#include "ledger/write/request_binding.h"

#include "ledger/core/codec.h"
#include "ledger/core/encoding.h"
#include "ledger/core/workspace_parts.h"

namespace counterfoil::write {

namespace {

// Of another form than a lease request's, so that none of the two passes for the other.
std::string erasureBinding(const RedactedCommand& command, RedactionKeys& keys) {
  const bool whole = command.kind() == CommandKind::workspaceErase;
  std::string bound(whole ? kEraseWorkspaceOperation : kEraseOperation);
  bound += '\n';
  bound += command.body().text(whole ? Field::workspaceId : Field::pseudonym);
  KeyId used;
  return toHex(keys.keyedDigest({{reinterpret_cast<const std::uint8_t*>(bound.data()), bound.size()}}, used));
}

}  // namespace

std::string requestBinding(const RedactedCommand& command, RedactionKeys& keys) {
  if (command.kind() == CommandKind::subjectErase || command.kind() == CommandKind::workspaceErase) return erasureBinding(command, keys);
  if (command.kind() != CommandKind::leaseRequest && command.kind() != CommandKind::approvalRequest) return {};
  Arena arena;
  const StructTable& table = *schemaTables().commands[static_cast<std::size_t>(CommandKind::leaseRequest)].body;
  StructValue bound = makeStruct(arena, table);
  const StructValue& body = command.body();
  bound.setNumber(Field::credential, body.number(Field::credential));
  bound.setNumber(Field::ttlSeconds, body.number(Field::ttlSeconds));
  bound.setTexts(arena, Field::scope, body.texts(Field::scope));
  bound.setTexts(arena, Field::resources, body.texts(Field::resources));
  setPrincipal(arena, bound, Field::grantee, principalOf(body, Field::grantee));
  KeyId used;
  return toHex(keys.keyedDigest({encodeCanonical(bound)}, used));
}

}  // namespace counterfoil::write
