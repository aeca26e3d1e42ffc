#include "ledger/log/memory_log.h"
#include "tests/contract/event_log_contract.h"

namespace counterfoil::log::test {
namespace {

template <Delivery kDelivery, std::uint32_t kPartitions>
class MemoryHarness final : public LogHarness {
 public:
  MemoryHarness() : partitions_(std::make_shared<MemoryPartitions>(LedgerFacts{"ledger-1", "ledger.example.com", {1}}, kPartitions)) {
    restart(1);
  }
  EventLog& log() override { return *log_; }
  void restart(std::uint16_t level) override {
    log_.reset();
    log_ = std::make_unique<MemoryLog>(partitions_, WriterIdentity{1, ++incarnation_, "node", "", level}, kDelivery);
  }
  void deliver() override { log_->deliver(); }
  bool breakAppend(Break way) override {
    log_->plan(way == Break::rejected ? Fate::rejected : way == Break::unknownLost ? Fate::lost : Fate::landsUnknown);
    return true;
  }

 private:
  const std::shared_ptr<MemoryPartitions> partitions_;
  std::uint64_t incarnation_ = 0;
  std::unique_ptr<MemoryLog> log_;
};

using Harnesses = ::testing::Types<MemoryHarness<Delivery::immediate, 1>, MemoryHarness<Delivery::pumped, 3>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, EventLogReading, Harnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, EventLogFinding, Harnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(Memory, EventLogWriting, Harnesses);

}  // namespace
}  // namespace counterfoil::log::test
