// A ledger in memory for tests of what reads it: workspaces with chained, sealed entries of any kind in a log, and the keys to open them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/entry.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/key_ring.h"
#include "ledger/log/event_log.h"
#include "ledger/log/memory_log.h"
#include "tests/support/memory_key_provider.h"

namespace counterfoil::test {

// Common fields of an entry; empty ones are left out.
struct Common {
  std::int64_t at = 0;          // seconds after the fixture's epoch: recorded time
  std::int64_t occurred = -1;   // likewise; -1: as recorded
  std::string actor = "broker"; // an agent
  std::string run = {};
  std::string host = {};
  std::string sandbox = {};
  std::string source = "api";
  std::string producer = {};
  std::uint64_t producerSeq = 0;
};

class LedgerFixture {
 public:
  static constexpr std::int64_t kEpochSeconds = 1'772'000'000;
  using Fill = std::function<void(Arena&, StructValue& body)>;

  explicit LedgerFixture(std::uint64_t seed = 1);
  ~LedgerFixture();

  log::EventLog& log() { return *log_; }
  log::MemoryPartitions& partitions() { return *partitions_; }
  MemoryKeyProvider& provider() { return provider_; }
  // A ring that knows no key yet, as a process that reads the log from its beginning has.
  std::unique_ptr<keys::KeyRing> newRing();

  static Timestamp time(std::int64_t secondsAfterEpoch) { return {(kEpochSeconds + secondsAfterEpoch) * kNanosecondsPerSecond}; }
  // One entry at the end of the workspace's chain. Nothing is in the log before append().
  void add(WorkspaceNumber workspace, Kind kind, const Common& common, const Fill& fill);
  void add(WorkspaceNumber workspace, RedactedEvent event, Timestamp recordedAt);
  // The same entry again in this ledger: its kind, id, common fields and body.
  void adopt(WorkspaceNumber workspace, const EntryView& view);
  // Pseudo-random entries of all kinds, every field of each filled; `count` of them.
  void addSamples(WorkspaceNumber workspace, std::size_t count);
  // A lifetime of leases with uses, denials, renewals and ends, 400-700 bytes an entry; `count` entries.
  void addTraffic(WorkspaceNumber workspace, std::size_t count);
  // Puts everything added so far into the log; at once in one batch.
  void append();
  // Entries of the workspace's chain, added ones included.
  std::uint64_t size(WorkspaceNumber workspace) const;
  LeafHash leaf(WorkspaceNumber workspace) const;
  // The bytes of every entry added, by workspace.
  const std::vector<std::vector<std::uint8_t>>& entries(WorkspaceNumber workspace) { return chains_[workspace.value].entries; }
  std::size_t bytesAdded() const { return bytesAdded_; }
  bool keepEntries = true;

 private:
  struct Chain {
    ChainHead head;
    std::vector<std::vector<std::uint8_t>> entries;
    std::uint64_t clock = 0;
  };
  void seal(WorkspaceNumber workspace, const Entry& entry);
  EntryId freshId(Timestamp time);

  crypto::DeterministicRandom random_;
  MemoryKeyProvider provider_;
  keys::KeyRing ring_;
  std::shared_ptr<log::MemoryPartitions> partitions_;
  std::unique_ptr<log::MemoryLog> log_;
  std::unique_ptr<log::PartitionWriter> writer_;
  log::FoldState fold_;
  std::map<std::uint64_t, Chain> chains_;
  std::vector<log::NewRecord> pending_;
  std::size_t bytesAdded_ = 0;
  std::uint64_t number_ = 0;
};

// Sets every field of `value` to something its type and class allow; `seed` decides what.
void fillAll(Arena& arena, StructValue& value, std::uint64_t seed);

}  // namespace counterfoil::test
