// Where `demo` plays: the people and programs in it ask a ledger that is open here, or a running server with a token each.
#pragma once

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/options.h"
#include "ledger/core/event.h"

namespace counterfoil::cmd {

// Thread: the caller's. Every method blocks until what it records is durable, and throws Fault.
class DemoStage {
 public:
  virtual ~DemoStage() = default;
  // The server of the data folder, else the folder itself. Throws Fault: usage if another server was named.
  static std::unique_ptr<DemoStage> open(const CommonOptions& common);

  virtual bool hasWorkspace(const std::string& id) = 0;
  // Of everything below.
  virtual void enter(const std::string& workspace) = 0;
  // A command as somebody; the answer as INTERFACE has it, a denial is one.
  virtual boost::json::object ask(Command command, std::string_view kind, std::string_view id) = 0;
  // Facts as JSON lines. `done` gets how many are recorded.
  virtual void record(const std::vector<std::string>& facts, const std::function<void(std::size_t)>& done) = 0;
  // Is a lease that the ledger granted still live?
  virtual bool anyLive() = 0;
  virtual std::uint64_t entries() = 0;
  virtual void close() = 0;
};

}  // namespace counterfoil::cmd
