// What `verify` found, as people and programs read it (INTERFACE: verify --json).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cmd/options.h"
#include "ledger/core/outcome.h"
#include "ledger/core/verify.h"

namespace counterfoil::cmd {

struct CopyProblem {
  std::string copy;  // "log", "views"
  std::uint64_t workspace = 0;
  std::uint64_t seq = 0;
  std::string what;
  std::string expected;
  std::string found;
};

struct VerifyOutcome {
  VerifyReport report;
  std::map<std::uint64_t, std::string> workspaceIds;  // by number, as far as known
  std::vector<std::string> checked;
  std::vector<std::string> notChecked;
  std::vector<CopyProblem> problems;  // beside those of the report
  std::optional<Fault> unreadable;    // the log could not be read to its end
  bool ok() const { return report.ok() && problems.empty() && !unreadable; }
};

void printVerifyOutcome(const CommonOptions& common, const VerifyOutcome& outcome);

}  // namespace counterfoil::cmd
