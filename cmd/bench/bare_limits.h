// What this machine can do without a ledger: the figures that rows are held against.
#pragma once

#include <cstdint>
#include <filesystem>

#include "cmd/bench/measure.h"

namespace counterfoil::cmd::bench {

// SQLite, WAL, synchronous=FULL: rows of `bytes` bytes, `batch` a commit, one commit after another for `seconds`, below `folder`.
struct CommitLimit {
  double p50Microseconds = 0;
  double p99Microseconds = 0;
  double rowsPerSecond = 0;
};
CommitLimit sqliteCommits(const std::filesystem::path& folder, std::size_t bytes, std::size_t batch, double seconds);

// One core: operations a second.
double sha256PerSecond(std::size_t bytes);
double sealsPerSecond(std::size_t bytes);

}  // namespace counterfoil::cmd::bench
