#include "ledger/write/request_binding.h"

#include "ledger/core/codec.h"
#include "ledger/core/encoding.h"

namespace counterfoil::write {

namespace {

// Of another form than a lease request's, so that none of the two passes for the other.
std::string erasureBinding(const RedactedCommand& command, RedactionKeys& keys) {
  std::string bound = "subject.erase\n";
  bound += command.body().text(Field::pseudonym);
  KeyId used;
  return toHex(keys.keyedDigest({{reinterpret_cast<const std::uint8_t*>(bound.data()), bound.size()}}, used));
}

}  // namespace

std::string requestBinding(const RedactedCommand& command, RedactionKeys& keys) {
  if (command.kind() == CommandKind::subjectErase) return erasureBinding(command, keys);
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
