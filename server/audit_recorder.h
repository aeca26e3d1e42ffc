// The record of readings: audit.queried, audit.exported, subject.resolved (EVENTS: the ledger's own). Folded per reader and filter and
// minute; durable before the answer leaves.
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
  std::string filter;  // what was asked, as text; scanned for secrets on its way, persons in it are the recorder's to pseudonymise
  std::uint64_t rows = 0;
};

// Thread safe.
class AuditRecorder {
 public:
  AuditRecorder(write::Ledger& ledger, const Clock& clock);
  ~AuditRecorder();
  // Returns when the entry is durable, at once if the same caller asked the same within the last minute (counted, and recorded with the
  // next one). Throws the ledger's faults: then nothing may be answered.
  asio::awaitable<void> queried(const Caller& caller, Reading reading);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::server
