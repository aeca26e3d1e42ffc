// The contract of an EventLog against a real broker.
#include "ledger/log/kafka_log.h"
#include "tests/contract/event_log_contract.h"
#include "tests/support/kafka_cluster.h"

namespace counterfoil::log::test {
namespace {

using counterfoil::test::KafkaCluster;

template <std::uint32_t kPartitions>
class KafkaHarness final : public LogHarness {
 public:
  static std::string absent() {
    std::string why;
    KafkaCluster::get(why);
    return why;
  }
  KafkaHarness() {
    std::string why;
    cluster_ = KafkaCluster::get(why);
    topic_ = cluster_->makeTopic(kPartitions);
    KafkaLog::create(settings(), identity(1), {"ledger-1", "ledger.example.com", {1}});
    restart(1);
  }
  ~KafkaHarness() override {
    log_.reset();
    cluster_->deleteTopic(topic_);
  }
  EventLog& log() override { return *log_; }
  void restart(std::uint16_t level) override {
    log_.reset();
    log_ = KafkaLog::open(settings(), identity(level));
  }
  void deliver() override {}
  // By records of others that come in between: a void one makes the answer unknown though the record counts, a claim makes it void.
  bool breakAppend(Break way) override {
    if (way == Break::rejected) return false;  // Kafka never says for certain that a record it was given will not come
    FoldState state;
    const auto reader = log_->read(PartitionId{0}, {});
    drain(*reader);
    state = reader->state();
    RecordHeader header = claimHeader({9, 9, "other", "", 1}, state);
    if (way == Break::unknownLanded) header.term += 5;  // void
    cluster_->inject(topic_, 0, header, claimValue({9, 9, "other", "", 1}));
    return true;
  }
  // The records of a batch travel in as many requests as the library likes.
  bool batchesAreWhole() const override { return false; }

 private:
  KafkaSettings settings() const { return cluster_->settings(topic_); }
  WriterIdentity identity(std::uint16_t level) { return {1, ++incarnation_, "node", "http://127.0.0.1:1", level}; }

  KafkaCluster* cluster_ = nullptr;
  std::string topic_;
  std::uint64_t incarnation_ = 0;
  std::unique_ptr<KafkaLog> log_;
};

using KafkaHarnesses = ::testing::Types<KafkaHarness<1>, KafkaHarness<3>>;
INSTANTIATE_TYPED_TEST_SUITE_P(Kafka, EventLogReading, KafkaHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(Kafka, EventLogFinding, KafkaHarnesses);
INSTANTIATE_TYPED_TEST_SUITE_P(Kafka, EventLogWriting, KafkaHarnesses);

}  // namespace
}  // namespace counterfoil::log::test
