#include "ledger/write/request.h"

namespace counterfoil::write {

bool Request::urgent() const {
  if (kind == RequestKind::keys) return true;
  if (kind == RequestKind::carry || kind == RequestKind::end) return false;
  if (command) return command->kind() == CommandKind::leaseRevoke || command->kind() == CommandKind::revokeAll;
  return event->kind() == Kind::leaseRevoked || event->kind() == Kind::leaseRevocationReported;
}

std::string_view Request::name() const {
  if (kind == RequestKind::keys) return "keys";
  if (kind == RequestKind::carry || kind == RequestKind::end) return "state";
  return command ? commandName(command->kind()) : kindName(event->kind());
}

}  // namespace counterfoil::write
