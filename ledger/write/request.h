// One piece of work for the sequencer, already parsed and redacted.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/core/event.h"
#include "ledger/keys/wrapped_key.h"
#include "ledger/write/answer.h"

namespace counterfoil::write {

enum class RequestKind : std::uint8_t {
  command,       // to be ruled on
  fact,          // reported by a caller: its id is a UUIDv7 and falls under the idempotency window
  importedFact,  // of an importer: its id is unique by the importer's own care
  ledgerEvent,   // the ledger's own: import.finished, audit.*, ledger.*
  keys,          // no entry: wrapped keys, for a record of their own
  carry,         // the state once more, if a month is to go
  end,           // of a workspace that is erased
};

struct Request {
  static constexpr std::uint64_t kRemovalsUnknown = ~std::uint64_t{0};

  RequestKind kind = RequestKind::command;
  WorkspaceNumber workspace;
  std::optional<RedactedCommand> command;
  std::optional<RedactedEvent> event;
  std::vector<keys::WrappedKey> wrapped;  // of kind keys
  std::string requestBinding;             // hex; of lease and approval requests, and of erasures
  std::size_t bytes = 0;                  // what it counts for in the intake
  std::uint64_t keyDrops = 0;             // of kind keys: WorkspaceKeys::drops() when they were collected
  // WorkspaceKeys::removals() before it was redacted; unknown: each of its keys is looked up.
  std::uint64_t keyRemovals = kRemovalsUnknown;
  Completion done;

  // ---- not of kinds keys, carry and end ----
  const RedactionResult& redaction() const { return command ? command->redaction() : event->redaction(); }
  const EntryId& id() const { return command ? command->id() : event->id(); }
  // ---- of any kind ----
  // Revocations and reports of them go first: a flood must not keep a credential alive. So do keys: an erasure waits for them.
  bool urgent() const;
  // "lease.request", "lease.consumed", ...: what overload summaries count by.
  std::string_view name() const;
};

}  // namespace counterfoil::write
