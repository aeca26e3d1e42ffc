// A ledger of the benchmark's own in a temporary folder, removed with it.
#pragma once

#include <atomic>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "cmd/bench/mix.h"
#include "cmd/system_clock.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/file_key_provider.h"
#include "ledger/log/embedded_log.h"
#include "ledger/write/ledger.h"

namespace counterfoil::cmd::bench {

// What all rows are run with.
struct BenchOptions {
  std::filesystem::path folder;  // for scratch folders
  double seconds = 5;            // of each row that runs by time
  std::size_t workspaces = 100;
  std::uint64_t leases = 200'000;
  std::uint64_t entries = 100'000;  // of the rows that read
  std::string kafka;                // brokers; empty: none
  std::function<void(const std::string&)> note;
};

// The real clocks, moved forward together by what a row asks for: no jump, only time that passed.
class ShiftedClock final : public Clock {
 public:
  Timestamp wall() const override { return {clock_.wall().nanoseconds + shift_}; }
  std::int64_t monotonicNanoseconds() const override { return clock_.monotonicNanoseconds() + shift_; }
  bool synchronised() const override { return true; }
  void pass(std::int64_t nanoseconds) { shift_ += nanoseconds; }

 private:
  SystemClock clock_;
  std::atomic<std::int64_t> shift_{0};
};

// A temporary folder (0700), removed with everything in it.
class ScratchFolder {
 public:
  // Throws Fault(unreadableInput).
  explicit ScratchFolder(const std::filesystem::path& parent);
  ~ScratchFolder();
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

// Throws the Faults of what it makes.
class Scratch {
 public:
  // An empty ledger, started, with `workspaces` workspaces and their policies.
  Scratch(const std::filesystem::path& parent, std::size_t workspaces);
  ~Scratch();

  write::Ledger& ledger() { return *ledger_; }
  log::EmbeddedLog& log() { return *log_; }
  keys::KeyRing& ring() { return ledger_->keyRing(); }
  ShiftedClock& clock() { return clock_; }
  std::filesystem::path folder() const { return folder_.path(); }
  std::filesystem::path snapshot() const { return write::snapshotPath(folder_.path(), PartitionId{0}); }

  // Sends and waits for the answer; throws its Fault.
  write::Answer ask(const BenchRequest& request);
  // Sends; `done` as of Ledger::execute().
  void send(const BenchRequest& request, write::Completion done);
  // Sends `count` requests of the mix, `outstanding` at once, from this thread; returns when all are durable. Throws the first Fault.
  void fill(Mix& mix, std::uint64_t count, std::size_t outstanding);
  void fill(const std::function<BenchRequest()>& next, std::uint64_t count, std::size_t outstanding);

  // Ends the ledger, with its snapshot; everything in memory is gone.
  void close();
  // Opens log and ledger again.
  void reopen();

 private:
  ScratchFolder folder_;
  ShiftedClock clock_;
  crypto::SystemRandom random_;
  std::unique_ptr<keys::FileKeyProvider> provider_;
  std::unique_ptr<log::EmbeddedLog> log_;
  std::unique_ptr<write::Ledger> ledger_;
};

}  // namespace counterfoil::cmd::bench
