// What a simulated node stands on: a log that misbehaves, and what a crash does to it.
#pragma once

#include <memory>
#include <random>

#include "ledger/log/embedded_log.h"
#include "ledger/log/memory_log.h"
#include "tests/support/fault_vfs.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {

class Stage {
 public:
  virtual ~Stage() = default;
  // The log of a new process.
  virtual log::EventLog& open() = 0;
  // The process is gone; nobody uses the log any more.
  virtual void close() = 0;
  // What the machine goes through when a process dies: a power loss, or nothing.
  virtual void crash(std::mt19937_64& chance) = 0;
  // Something goes wrong, now or soon.
  virtual void disturb(std::mt19937_64& chance) = 0;
  // All is well again.
  virtual void heal() = 0;
  // Some, or all, outstanding appends are answered.
  virtual void deliver(std::mt19937_64& chance, bool all) = 0;
  virtual bool quiet() = 0;
};

// A cluster in memory: appends that are refused, forgotten, half landed, late or doubled.
class MemoryStage final : public Stage {
 public:
  explicit MemoryStage(Timestamp now)
      : partitions_(std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"ledger", "sim.example", now})) {}
  log::EventLog& open() override {
    log::WriterIdentity identity;
    identity.incarnation = ++incarnation_;
    identity.name = "node";
    log_ = std::make_unique<log::MemoryLog>(partitions_, identity, log::Delivery::pumped);
    return *log_;
  }
  void close() override { log_.reset(); }
  void crash(std::mt19937_64&) override {}
  void disturb(std::mt19937_64& chance) override {
    if (chance() % 6 == 0) partitions_->setFull(true);
    log_->plan(static_cast<log::Fate>(chance() % 7));
  }
  void heal() override { partitions_->setFull(false); }
  void deliver(std::mt19937_64& chance, bool all) override {
    log_->deliver(all ? SIZE_MAX : chance() % 3);
    if (chance() % 6 == 0) log_->landLate();
  }
  bool quiet() override { return log_->outstanding() == 0; }

 private:
  std::shared_ptr<log::MemoryPartitions> partitions_;
  std::unique_ptr<log::MemoryLog> log_;
  std::uint64_t incarnation_ = 0;
};

// The embedded log on a disk that fills up, fails, and loses what was not synced.
class DiskStage final : public Stage {
 public:
  explicit DiskStage(Timestamp now) { log::EmbeddedLog::create(options(), {"ledger", "sim.example", now}); }
  ~DiskStage() override { log_.reset(); }
  log::EventLog& open() override {
    log_ = log::EmbeddedLog::open(options());
    return *log_;
  }
  void close() override { log_.reset(); }
  void crash(std::mt19937_64& chance) override {
    if (chance() % 3 == 0) return;  // only the process died
    disk_.lose();
    disk_.restart(chance());
  }
  void disturb(std::mt19937_64& chance) override {
    disk_.failOnly("-wal");
    switch (chance() % 3) {
      case 0:
        disk_.fail(DiskOperation::write, 1 + chance() % 8, SQLITE_FULL, chance() % 2 == 0);
        break;
      case 1:
        disk_.fail(DiskOperation::sync, 1 + chance() % 3, SQLITE_IOERR_FSYNC, false, chance() % 2 == 0);
        break;
      default:
        disk_.fail(DiskOperation::write, 1 + chance() % 8, SQLITE_IOERR_WRITE, false, chance() % 2 == 0);
        break;
    }
  }
  void heal() override { disk_.heal(); }
  void deliver(std::mt19937_64&, bool) override {}  // a thread of the log does
  bool quiet() override { return true; }

 private:
  log::EmbeddedLogOptions options() {
    log::EmbeddedLogOptions options;
    options.directory = folder_.path() / "log";
    options.vfs = disk_.name();
    return options;
  }
  TemporaryFolder folder_;
  FaultVfs disk_;
  std::unique_ptr<log::EmbeddedLog> log_;
};

}  // namespace counterfoil::test
