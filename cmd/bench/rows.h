// The rows of the table of targets, each by its name.
#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "cmd/bench/measure.h"
#include "cmd/bench/scratch.h"

namespace counterfoil::cmd::bench {

// Throw the Faults of the ledger they run.
std::vector<Result> appendOne(const BenchOptions& options);
std::vector<Result> append64(const BenchOptions& options);
std::vector<Result> appendBatch(const BenchOptions& options);
std::vector<Result> cpuEntry(const BenchOptions& options);
std::vector<Result> verifyRate(const BenchOptions& options);
std::vector<Result> leases(const BenchOptions& options);
std::vector<Result> scanner(const BenchOptions& options);
std::vector<Result> rebuildViews(const BenchOptions& options);
std::vector<Result> viewLag(const BenchOptions& options);
std::vector<Result> queries(const BenchOptions& options);

// The same through HTTP and TLS: each starts a server of its own (http_run.h).
std::vector<Result> httpAppendOne(const BenchOptions& options);
std::vector<Result> httpAppend64(const BenchOptions& options);  // and the memory of its server
std::vector<Result> httpBatchFull(const BenchOptions& options);
std::vector<Result> httpBatchBare(const BenchOptions& options);
std::vector<Result> httpLag(const BenchOptions& options);
std::vector<Result> httpQuery(const BenchOptions& options);
std::vector<Result> httpLeases(const BenchOptions& options);

// On the brokers of options.kafka. Throws Fault(usage) if there are none named.
std::vector<Result> kafkaAppend(const BenchOptions& options);

struct Row {
  std::string_view name;
  std::vector<Result> (*run)(const BenchOptions& options);
};
// In the order of the table.
std::span<const Row> allRows();
std::span<const Row> httpRows();
std::span<const Row> kafkaRows();

// What the log holds of a ledger, from its second record of each workspace on.
struct LogSizes {
  double entryBytes = 0;      // mean, in clear
  double recordBytes = 0;     // mean, as stored
  double personalValues = 0;  // mean, disclosures an entry
};
LogSizes sizesOf(Scratch& scratch);

}  // namespace counterfoil::cmd::bench
