// Redacted commands without keys or a redactor, for tests of decisions.
#pragma once

#include "ledger/core/event.h"

namespace counterfoil {

// What only the redactor may do outside tests.
struct RedactedForTest {
  static RedactedCommand command(CommandKind kind, const EntryId& id) {
    RedactedCommand command;
    command.kind_ = kind;
    command.id_ = id;
    command.common_ = makeStruct(command.arena_, *schemaTables().command);
    command.body_ = makeStruct(command.arena_, *schemaTables().commands[static_cast<std::size_t>(kind)].body);
    return command;
  }
  static Arena& arena(RedactedCommand& command) { return command.arena_; }
  static StructValue& common(RedactedCommand& command) { return command.common_; }
  static StructValue& body(RedactedCommand& command) { return command.body_; }
  static RedactionResult& redaction(RedactedCommand& command) { return command.redaction_; }
};

}  // namespace counterfoil
