#include "ledger/log/embedded_log.h"
#include "tests/contract/event_log_contract.h"
#include "tests/ledger/log/scratch_folder.h"
#include "tests/support/fault_vfs.h"

namespace counterfoil::log::test {
namespace {

using counterfoil::test::DiskOperation;
using counterfoil::test::FaultVfs;

// On the real disk, or on one that can be told to fail.
template <bool kFaulty>
class EmbeddedHarness final : public LogHarness {
 public:
  EmbeddedHarness() {
    EmbeddedLog::create(options(1), {"ledger-1", "ledger.example.com", {1}});
    restart(1);
  }
  EventLog& log() override { return *log_; }
  void restart(std::uint16_t level) override {
    log_.reset();
    log_ = EmbeddedLog::open(options(level));
  }
  void deliver() override {}
  bool breakAppend(Break way) override {
    if (!kFaulty) return false;
    if (way == Break::rejected) disk_.fail(DiskOperation::write, 1, SQLITE_FULL);
    if (way == Break::unknownLost) disk_.fail(DiskOperation::write, 1, SQLITE_IOERR_WRITE);
    if (way == Break::unknownLanded) disk_.fail(DiskOperation::sync, 1, SQLITE_IOERR_FSYNC, false, true);
    return true;
  }

 private:
  EmbeddedLogOptions options(std::uint16_t level) {
    EmbeddedLogOptions result;
    result.directory = folder_.path() / "log";
    result.identity = {1, ++incarnation_, "node", "http://127.0.0.1:1", level};
    result.checkpointPages = 50;
    if (kFaulty) result.vfs = disk_.name();
    return result;
  }

  ScratchFolder folder_;
  FaultVfs disk_;
  std::uint64_t incarnation_ = 0;
  std::unique_ptr<EmbeddedLog> log_;
};

using Harnesses = ::testing::Types<EmbeddedHarness<false>, EmbeddedHarness<true>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogReading, Harnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogFinding, Harnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(Embedded, EventLogWriting, Harnesses);

}  // namespace
}  // namespace counterfoil::log::test
