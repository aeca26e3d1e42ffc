// What each error that a broker may answer a Produce with comes to: the library mends it and the record is acknowledged, once, or the
// writer ends and the log decides. There is no third.
#include <algorithm>
#include <ostream>

#include "tests/ledger/log/kafka/kafka_broker_fixture.h"

namespace counterfoil::log::test {
namespace {

enum class End : std::uint8_t {
  mended,  // appended, by the same producer
  ended,   // indeterminate, and a new producer afterwards
};

constexpr std::int16_t kNobodyKnows = 999;

struct DeliveryError {
  std::int16_t code;
  const char* name;  // as the protocol has it
  bool landed;       // the broker appends the record and answers with the error all the same
  End end;
};

void PrintTo(const DeliveryError& error, std::ostream* out) {
  *out << error.name << (error.landed ? ", appended" : "");
}

// The errors of ProduceResponse 7 and those that a broker's interceptors, proxies and later versions were seen to add.
const std::vector<DeliveryError> kErrors = {
    {-1, "UNKNOWN_SERVER_ERROR", false, End::ended},
    {-1, "UNKNOWN_SERVER_ERROR", true, End::ended},
    {2, "CORRUPT_MESSAGE", false, End::ended},
    {3, "UNKNOWN_TOPIC_OR_PARTITION", false, End::mended},
    {5, "LEADER_NOT_AVAILABLE", false, End::mended},
    {6, "NOT_LEADER_OR_FOLLOWER", false, End::mended},
    {6, "NOT_LEADER_OR_FOLLOWER", true, End::ended},
    {7, "REQUEST_TIMED_OUT", false, End::ended},
    {7, "REQUEST_TIMED_OUT", true, End::ended},
    {8, "BROKER_NOT_AVAILABLE", false, End::mended},
    {10, "MESSAGE_TOO_LARGE", false, End::ended},
    {13, "NETWORK_EXCEPTION", false, End::ended},
    {17, "INVALID_TOPIC_EXCEPTION", false, End::ended},
    {18, "RECORD_LIST_TOO_LARGE", false, End::ended},
    {19, "NOT_ENOUGH_REPLICAS", false, End::mended},
    {20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", true, End::ended},
    {21, "INVALID_REQUIRED_ACKS", false, End::ended},
    {29, "TOPIC_AUTHORIZATION_FAILED", false, End::ended},
    {31, "CLUSTER_AUTHORIZATION_FAILED", false, End::ended},
    {32, "INVALID_TIMESTAMP", false, End::ended},
    {35, "UNSUPPORTED_VERSION", false, End::ended},
    {42, "INVALID_REQUEST", false, End::ended},
    {43, "UNSUPPORTED_FOR_MESSAGE_FORMAT", false, End::ended},
    {44, "POLICY_VIOLATION", false, End::ended},
    {45, "OUT_OF_ORDER_SEQUENCE_NUMBER", false, End::ended},
    {46, "DUPLICATE_SEQUENCE_NUMBER", false, End::ended},
    {46, "DUPLICATE_SEQUENCE_NUMBER", true, End::ended},
    {47, "INVALID_PRODUCER_EPOCH", false, End::ended},
    {48, "INVALID_TXN_STATE", false, End::ended},
    {53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", false, End::ended},
    {56, "KAFKA_STORAGE_ERROR", false, End::mended},
    {59, "UNKNOWN_PRODUCER_ID", false, End::mended},
    {74, "FENCED_LEADER_EPOCH", false, End::ended},
    {75, "UNKNOWN_LEADER_EPOCH", false, End::ended},
    {87, "INVALID_RECORD", false, End::ended},
    {89, "THROTTLING_QUOTA_EXCEEDED", false, End::ended},
    {90, "PRODUCER_FENCED", false, End::ended},
    {120, "TRANSACTION_ABORTABLE", false, End::ended},
    {kNobodyKnows, "a code that nobody knows", false, End::ended},
    {kNobodyKnows, "a code that nobody knows", true, End::ended},
};

class KafkaDeliveryErrors : public KafkaBrokerFixture, public ::testing::WithParamInterface<DeliveryError> {};

// Of four records in flight the second one meets the error.
TEST_P(KafkaDeliveryErrors, MendedOrTheEndOfTheWriter) {
  const DeliveryError& error = GetParam();
  const auto log = open();
  FoldState state;
  auto writer = takeOver(*log, state);
  Chain chain(7);
  const auto all = chain.entries(5);
  ASSERT_EQ(append(*writer, {all[0]}).outcome, AppendOutcome::appended);
  const std::int64_t producer = broker_.produced(0).back().producer;
  broker_.plan(0, {ProduceFate::heldBack(), error.landed ? ProduceFate::appendedAndRefused(error.code) : ProduceFate::refused(error.code)});
  Results results;
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*writer, {all.begin() + 1, all.end()}, results));
  broker_.letGo(0);
  const auto answers = results.wait();

  EXPECT_EQ(answers[0].outcome, AppendOutcome::appended) << "what is in front of it is not touched";
  if (error.end == End::mended) {
    for (const AppendResult& answer : answers) EXPECT_EQ(answer.outcome, AppendOutcome::appended);
    EXPECT_EQ(log->counts().poisoned, 0U);
    EXPECT_EQ(broker_.produced(0).back().producer, producer);
  } else {
    EXPECT_EQ(answers[1].outcome, AppendOutcome::indeterminate);
    ASSERT_TRUE(answers[1].fault.has_value());
    EXPECT_EQ(answers[1].fault->code(), ErrorCode::logUnavailable);
    if (error.code == kNobodyKnows) {
      EXPECT_THAT(answers[1].fault->detail(), ::testing::HasSubstr("error 999"));
    }
    for (std::size_t index = 2; index < answers.size(); ++index) {
      EXPECT_EQ(answers[index].outcome, AppendOutcome::indeterminate);
      EXPECT_EQ(answers[index].fault->code(), ErrorCode::notReady);
    }
    EXPECT_EQ(log->counts().poisoned, 1U);
    EXPECT_EQ(append(*writer, {tick()}).outcome, AppendOutcome::rejected);
  }
  // A later success of the library's says that an earlier refusal was none: then everything is there, and only the answer was missing.
  const auto found = entriesOf(*log).size();
  EXPECT_GE(found, error.landed ? 3U : 2U);
  complete(*log, writer, all, found);
  if (error.end == End::mended) {
    EXPECT_EQ(found, all.size());
    EXPECT_EQ(log->counts().producersRebuilt, 0U);
    for (const NewRecord& record : all) EXPECT_EQ(timesInTheLog(record), 1U);
  } else {
    EXPECT_GE(log->counts().producersRebuilt, 1U);
  }
}

std::string nameOf(const ::testing::TestParamInfo<DeliveryError>& info) {
  std::string name = std::to_string(info.index) + (info.param.landed ? "_appended" : "");
  return name;
}
INSTANTIATE_TEST_SUITE_P(EveryCode, KafkaDeliveryErrors, ::testing::ValuesIn(kErrors), nameOf);

}  // namespace
}  // namespace counterfoil::log::test
