// What every verb that records goes through: the running server if there is one, else the folder itself.
#pragma once

#include <memory>
#include <string>

#include "cmd/server_link.h"
#include "cmd/session.h"

namespace counterfoil::cmd {

class Recorder {
 public:
  // Throws the faults of ServerLink::find() and of Session.
  explicit Recorder(const CommonOptions& common);

  // One command or fact for --workspace, with the operator as actor; the answer as the JSON of INTERFACE, durable. Throws Fault.
  std::string execute(Command command);
  std::string append(Event fact);
  // Of a folder: stops its ledger.
  void close();

  // Exactly one of them is there.
  ServerLink* server() { return link_.get(); }
  Session* session() { return session_.get(); }

 private:
  CommonOptions common_;
  std::unique_ptr<ServerLink> link_;
  std::unique_ptr<Session> session_;
};

// Executes one command and prints its answer as INTERFACE says; the exit status: 0, or 1 if it was denied.
int recordAndPrint(const CommonOptions& common, Command command);

// For verbs that work on a folder only. Throws Fault(usage) if a server was named.
void refuseUrl(const CommonOptions& common, const char* verb);

}  // namespace counterfoil::cmd
