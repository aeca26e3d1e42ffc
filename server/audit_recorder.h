// The record of readings: audit.queried, subject.resolved (EVENTS: the ledger's own). Folded per reader and filter and minute; durable
// before the answer leaves.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "ledger/core/clock.h"
#include "ledger/core/ids.h"
#include "ledger/write/ledger.h"
#include "server/auth/roles.h"

namespace counterfoil::server {

namespace asio = boost::asio;

struct Reading {
  WorkspaceNumber workspace;
  std::string workspaceId;
  // What was asked, as text. On its way it is searched for secrets and cut to the length of its field; persons in it, written as
  // `human:id`, become pseudonyms, or `human:unknown` if the workspace knows no such person.
  std::string filter;
  std::uint64_t rows = 0;
  bool each = false;  // never counted with others: an entry of its own
};

// Thread safe.
class AuditRecorder {
 public:
  // Both outlive the recorder.
  AuditRecorder(write::Ledger& ledger, const Clock& clock);
  ~AuditRecorder();
  // Returns when the entry is durable; unless `reading.each`, at once if the same caller asked the same within the last minute (counted,
  // and recorded with the next one, or by flush()). Throws the ledger's faults: then nothing may be answered. The entry: who, filter, rows
  // and count (sums since the last one), from and to (wall times of the first and the last reading in it).
  asio::awaitable<void> queried(const Caller& caller, Reading reading);
  // subject.resolved, one entry each time: `rows` persons were named to the caller. Durable on return; throws likewise.
  asio::awaitable<void> resolved(const Caller& caller, WorkspaceNumber workspace, std::string_view pseudonym, std::uint64_t rows);
  // Records what was counted and whose minute is over, and forgets readings that were not repeated. Called every minute; `all`: what is
  // counted whatever its minute, before the ledger stops. Never waits for the log; what it refuses stays counted.
  void flush(bool all);
  // Readings remembered, for tests of its bound.
  std::size_t remembered() const;

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace counterfoil::server
