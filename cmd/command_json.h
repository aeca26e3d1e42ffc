// Commands and facts as requests to a server: the JSON that its routes read, written over the same schema tables.
#pragma once

#include <string>
#include <string_view>

#include "clients/cpp/wiping_string.h"
#include "ledger/core/event.h"

namespace counterfoil::cmd {

struct ServerRequest {
  std::string method;       // "POST"
  std::string target;       // "/v1/workspaces/w1/leases/l1/consume", percent-encoded
  std::string contentType;  // "application/json", or "text/toml" for a policy
  client::WipingString body;
};

// `workspace`: an id; for workspace.create it is not used. Throws Fault(invalidValue) if a part of the route is empty. The command's id is
// not in it: it goes into the Idempotency-Key.
ServerRequest requestOf(const Command& command, std::string_view workspace);
// The same for one fact.
ServerRequest requestOf(const Event& fact, std::string_view workspace);
// An importer's fact with its id, without a line end. Its source is the import's, and not in it.
void appendImportLine(const Event& fact, client::WipingString& out);

}  // namespace counterfoil::cmd
