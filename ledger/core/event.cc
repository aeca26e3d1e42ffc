#include "ledger/core/event.h"

namespace counterfoil {
namespace {

template <std::size_t count>
const StructTable& bodyTable(const std::array<KindTable, count>& kinds, std::size_t number) {
  COUNTERFOIL_CHECK(number < count && kinds[number].body != nullptr);
  return *kinds[number].body;
}

}  // namespace

Event Event::make(Kind kind) {
  Event event;
  event.kind = kind;
  event.common = makeStruct(event.arena, *schemaTables().entry);
  event.body = makeStruct(event.arena, bodyTable(schemaTables().kinds, static_cast<std::size_t>(kind)));
  return event;
}

Command Command::make(CommandKind kind) {
  Command command;
  command.kind = kind;
  command.common = makeStruct(command.arena, *schemaTables().command);
  command.body = makeStruct(command.arena, bodyTable(schemaTables().commands, static_cast<std::size_t>(kind)));
  return command;
}

RedactedEvent RedactedEvent::ofLedger(Kind kind, const EntryId& id) {
  RedactedEvent event;
  event.kind_ = kind;
  event.id_ = id;
  event.common_ = makeStruct(event.arena_, *schemaTables().entry);
  event.body_ = makeStruct(event.arena_, bodyTable(schemaTables().kinds, static_cast<std::size_t>(kind)));
  event.common_.setText(event.arena_, Field::source, "ledger");
  setPrincipal(event.arena_, event.common_, Field::actor, {PrincipalKind::ledger, "counterfoil"});
  return event;
}

}  // namespace counterfoil
