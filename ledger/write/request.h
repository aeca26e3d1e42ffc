// One piece of work for the sequencer, already parsed and redacted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ledger/core/event.h"
#include "ledger/write/answer.h"

namespace counterfoil::write {

enum class RequestKind : std::uint8_t {
  command,       // to be ruled on
  fact,          // reported by a caller: its id is a UUIDv7 and falls under the idempotency window
  importedFact,  // of an importer: its id is unique by the importer's own care
  ledgerEvent,   // the ledger's own: import.finished, audit.*, ledger.*
};

struct Request {
  static constexpr std::uint64_t kRemovalsUnknown = ~std::uint64_t{0};

  RequestKind kind = RequestKind::command;
  WorkspaceNumber workspace;
  std::optional<RedactedCommand> command;
  std::optional<RedactedEvent> event;
  std::string requestBinding;  // hex; of lease and approval requests
  std::size_t bytes = 0;       // what it counts for in the intake
  // WorkspaceKeys::removals() before it was redacted; unknown: each of its keys is looked up.
  std::uint64_t keyRemovals = kRemovalsUnknown;
  Completion done;

  const RedactionResult& redaction() const { return command ? command->redaction() : event->redaction(); }
  const EntryId& id() const { return command ? command->id() : event->id(); }
  // Revocations and reports of them go first: a flood must not keep a credential alive.
  bool urgent() const;
  // "lease.request", "lease.consumed", ...: what overload summaries count by.
  std::string_view name() const;
};

}  // namespace counterfoil::write
