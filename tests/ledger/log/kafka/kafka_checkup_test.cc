// What `counterfoil doctor` finds out about a cluster.
#include "ledger/log/kafka/kafka_checkup.h"

#include "tests/ledger/log/kafka/kafka_broker_fixture.h"

namespace counterfoil::log::test {
namespace {

namespace kafka_error = counterfoil::test::kafka_error;
using State = KafkaFinding::State;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class KafkaCheckup : public KafkaBrokerFixture {
 protected:
  // Of one check; more than one are put together with line ends.
  static std::string about(const std::vector<KafkaFinding>& findings, const std::string& check, State state) {
    std::string text;
    for (const KafkaFinding& each : findings) {
      if (each.check == check && each.state == state) text += each.detail + "\n";
    }
    return text;
  }
  std::vector<KafkaFinding> examine() const { return examineKafka(settings(), 10s); }
  // The producer is watched for a second, unless it is refused at once: for what is found before that.
  std::vector<KafkaFinding> examineUpToTheProducer() {
    broker_.refuseProducerIds(kafka_error::kClusterAuthorizationFailed);
    return examine();
  }
};

TEST_F(KafkaCheckup, AGoodClusterHasNoProblem) {
  const auto log = open();
  FoldState state;
  const auto writer = takeOver(*log, state);
  ASSERT_EQ(append(*writer, Chain(7).entries(3)).outcome, AppendOutcome::appended);
  const auto findings = examine();
  for (const KafkaFinding& each : findings) EXPECT_EQ(each.state, State::ok) << each.check << ": " << each.detail;
  EXPECT_THAT(about(findings, "Kafka topic", State::ok), HasSubstr("1 partitions"));
  EXPECT_THAT(about(findings, "Kafka partition 0", State::ok), HasSubstr("5 records, term 1, writer node-1"));
  EXPECT_EQ(inTheLog().size(), 5U) << "and nothing was written";
}

TEST_F(KafkaCheckup, SettingsThatLoseRecordsAreProblems) {
  broker_.setTopicSetting("cleanup.policy", "compact");
  broker_.setTopicSetting("retention.ms", "604800000");
  broker_.setTopicSetting("unclean.leader.election.enable", "true");
  broker_.setTopicSetting("message.timestamp.type", "CreateTime");
  const auto findings = examineUpToTheProducer();
  const std::string problems = about(findings, "Kafka topic settings", State::problem);
  EXPECT_THAT(problems, HasSubstr("cleanup.policy is compact"));
  EXPECT_THAT(problems, HasSubstr("retention.ms is 604800000"));
  EXPECT_THAT(problems, HasSubstr("unclean.leader.election.enable is true"));
  EXPECT_THAT(problems, ::testing::Not(HasSubstr("retention.bytes")));
  EXPECT_THAT(about(findings, "Kafka topic settings", State::warning), HasSubstr("message.timestamp.type is CreateTime"));
}

TEST_F(KafkaCheckup, AProducerThatGetsNoIdIsAProblem) {
  EXPECT_THAT(about(examineUpToTheProducer(), "Kafka producer", State::problem), HasSubstr("authorization failed"));
}

TEST_F(KafkaCheckup, RecordsThatDoNotCountAreCounted) {
  broker_.inject(0, claimHeader(identity(9), {}), claimValue(identity(9)));
  RecordHeader header = claimHeader(identity(9), {});
  header.term = 7;
  broker_.inject(0, header, claimValue(identity(9)));
  EXPECT_THAT(about(examineUpToTheProducer(), "Kafka void records", State::warning), HasSubstr("records do not count"));
}

TEST_F(KafkaCheckup, ABeginningThatMovedAndARecordOfAStrangerAreProblems) {
  broker_.inject(0, std::nullopt, {'x'});
  EXPECT_THAT(about(examineUpToTheProducer(), "Kafka partition 0", State::problem), HasSubstr("was not written by a ledger"));
  broker_.deleteBefore(0, 1);
  EXPECT_THAT(about(examineUpToTheProducer(), "Kafka partition 0", State::problem), HasSubstr("the log begins at 1"));
}

}  // namespace
}  // namespace counterfoil::log::test
