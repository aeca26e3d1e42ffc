// How the sequencer of a partition stands.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "ledger/core/outcome.h"

namespace counterfoil::write {

// For readiness and metrics.
struct SequencerStatus {
  bool ready = false;
  std::optional<Fault> fault;  // why not
  bool fatal = false;          // it will not try again
  bool clockPaused = false;
  bool leading = false;         // this node is the writer
  std::uint64_t takeOvers = 0;  // how often it became so with another, or nobody, before it
  std::string writerName;       // of the last claim; empty: none was seen
  std::string writerUrl;        // where that node is reached; may be empty
  // As of the last claim of this node, or of what it read while following: the records of the log that it went through, and how many of
  // them do not count.
  std::uint64_t recordsRead = 0;
  std::uint64_t recordsVoid = 0;
  std::uint64_t liveLeases = 0;
  std::uint64_t rememberedLeases = 0;  // and those that ended in the last 24 h
  std::uint64_t owedTerminals = 0;     // leases whose end is decided and not yet recorded
  std::uint64_t owedRenewals = 0;      // workspaces whose key-encryption key is to be replaced and destroyed
};

}  // namespace counterfoil::write
