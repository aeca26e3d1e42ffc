// What every importer has in common: it reads the audit files of another system and gives facts in the order in which they happened. The
// caller pulls, so a slow ledger slows the reading and nothing piles up.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/event.h"
#include "ledger/core/ids.h"
#include "ledger/core/outcome.h"

namespace counterfoil::importers {

// One fact, ready for redaction: `event.lenient` is set, `event.id` is UUIDv8(SHA-256(source "\n" foreign id "\n" index)), so reading the
// same record again gives the same id. Source, producer, occurredAt and actor stand in `event.common`.
struct ImportedEvent {
  Event event;
};

// One thing that could not be read. Names a place, never a value that stands there.
struct ImportProblem {
  std::string file;
  std::uint64_t offset = 0;  // byte of the uncompressed text
  ErrorCode code{};
  std::string detail;
};

struct ProducerSummary {
  std::uint64_t events = 0;
  Timestamp lastOccurredAt;
};

// Counts so far; final once next() has returned false. Records: read = duplicates + failed (whole records) + those that gave events or
// were skipped.
struct ImportSummary {
  std::uint64_t filesRead = 0;
  std::uint64_t filesFailed = 0;   // nothing, or not all, of it could be read
  std::uint64_t filesSkipped = 0;  // in a folder: names of another kind, links, devices; files that are known to hold no records

  std::uint64_t read = 0;        // records met
  std::uint64_t skipped = 0;     // records that say nothing about a credential
  std::uint64_t duplicates = 0;  // records that say what an earlier one said: the same foreign id, or the same credential issued
  std::uint64_t failed = 0;      // records that could not be read, and files
  std::uint64_t withoutKey = 0;  // records that name no credential of their caller (some give events all the same)
  std::uint64_t events = 0;      // events given
  std::array<std::uint64_t, kKindCount> byKind{};

  std::map<std::string, std::uint64_t> reasons;      // what was skipped and why, and what failed, by a fixed word each
  std::map<std::string, ProducerSummary> producers;  // for import.finished; by producer id
  std::vector<ImportProblem> problems;               // the first kProblemsMax

  static constexpr std::size_t kProblemsMax = 100;
  void addProblem(ImportProblem problem) {
    ++failed;
    ++reasons[std::string(factsOf(problem.code).text)];
    if (problems.size() < kProblemsMax) problems.push_back(std::move(problem));
  }
};

struct ImportProgress {
  enum class Phase : std::uint8_t { reading, importing };
  Phase phase = Phase::reading;
  std::uint64_t done = 0;   // reading: files; importing: records
  std::uint64_t total = 0;  // of the same
};
// Called from time to time on the thread that pulls. May throw to end the import; the exception leaves next().
using ProgressCallback = std::function<void(const ImportProgress&)>;

// The reported lease to which a credential belongs that an earlier import saw being issued; nullopt if none is known. Takes the SHA-256 of
// the credential, of which the caller knows the keyed fingerprint. Must name leases of the same source only: a fact about a lease that the
// ledger itself granted is refused.
using KnownLease = std::function<std::optional<std::string>(const crypto::Digest&)>;

// Not thread safe. Holds no secret longer than it takes to make the events of a record; what it held is wiped.
class Importer {
 public:
  virtual ~Importer() = default;
  // The next fact, ordered by occurredAt; at equal times what grants comes first, then by foreign id. False at the end (`out` is untouched
  // then). What cannot be read is counted, not thrown. Faults: tooLarge (more records than one run takes), and what the callbacks throw.
  virtual bool next(ImportedEvent& out) = 0;
  virtual const ImportSummary& summary() const = 0;
};

}  // namespace counterfoil::importers
