// The contract of an EventLog on Kafka, where no broker can be had: against the test broker, whose answers can be made to lie.
#include "ledger/log/kafka_log.h"
#include "tests/contract/event_log_contract.h"
#include "tests/support/kafka_test_broker.h"

namespace counterfoil::log::test {
namespace {

using counterfoil::test::KafkaTestBroker;
using counterfoil::test::ProduceFate;

class TestBrokerHarness final : public LogHarness {
 public:
  TestBrokerHarness() {
    KafkaLog::create(broker_.settings(), identity(1), {"ledger-1", "ledger.example.com", {1}});
    restart(1);
  }
  ~TestBrokerHarness() override {
    log_.reset();
    EXPECT_TRUE(broker_.complaints().empty());
  }
  EventLog& log() override { return *log_; }
  void restart(std::uint16_t level) override {
    log_.reset();
    log_ = KafkaLog::open(broker_.settings(), identity(level));
  }
  void deliver() override {}
  bool breakAppend(Break way) override {
    if (way == Break::rejected) return false;  // Kafka never says for certain that a record it was given will not come
    broker_.plan(0, {way == Break::unknownLost ? ProduceFate::falseSuccess(-1) : ProduceFate::misplaced(-1)});
    return true;
  }
  // The records of a batch travel in as many requests as the library likes.
  bool batchesAreWhole() const override { return false; }

 private:
  WriterIdentity identity(std::uint16_t level) { return {1, ++incarnation_, "node", "http://127.0.0.1:1", level}; }

  KafkaTestBroker broker_{1};
  std::uint64_t incarnation_ = 0;
  std::unique_ptr<KafkaLog> log_;
};

using BrokerHarnesses = ::testing::Types<TestBrokerHarness>;
INSTANTIATE_TYPED_TEST_SUITE_P(KafkaTestBroker, EventLogReading, BrokerHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(KafkaTestBroker, EventLogFinding, BrokerHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(KafkaTestBroker, EventLogWriting, BrokerHarnesses);

}  // namespace
}  // namespace counterfoil::log::test
