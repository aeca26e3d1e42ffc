// Answers of the brokers that say more than is true: a success for a record that is not in the log, or is elsewhere in it.
#include <algorithm>

#include "ledger/log/kafka/kafka_committer.h"
#include "tests/ledger/log/kafka/kafka_broker_fixture.h"

namespace counterfoil::log::test {
namespace {

namespace kafka_error = counterfoil::test::kafka_error;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

class KafkaFalseSuccess : public KafkaBrokerFixture {
 protected:
  // Of the only request that was refused: how many records it had.
  std::int32_t recordsRefused() const {
    const auto all = broker_.produced(0);
    const auto refused = std::find_if(all.begin(), all.end(), [](const auto& each) { return each.error != 0; });
    return refused == all.end() ? 0 : refused->records;
  }
};

// The hazard itself, as librdkafka 2.0.2 shows it: nothing here is the ledger's doing. Should this fail, the ledger's rules may outlive
// their reason; until then no delivery report may be believed without its offset.
TEST_F(KafkaFalseSuccess, AColdBurstIsReportedAsDeliveredThoughItsFirstRecordIsLost) {
  kafka::Lane lane(settings());
  const auto listener = std::make_shared<Listener>();
  broker_.plan(0, {ProduceFate::refused(kafka_error::kNotEnoughReplicas).hold()});
  for (std::uint64_t tag = 0; tag < 4; ++tag) {
    ASSERT_EQ(lane.send(PartitionId{0}, RecordHeader{}, {}, tag, listener), kafka::Lane::Taken::yes);
    ASSERT_TRUE(broker_.awaitHeld(0, tag));
  }
  broker_.letGo(0);
  const auto deliveries = listener->wait(4);
  const auto first = std::find_if(deliveries.begin(), deliveries.end(), [](const kafka::Delivery& each) { return each.tag == 0; });
  ASSERT_NE(first, deliveries.end());
  EXPECT_FALSE(first->fault.has_value()) << "a success";
  EXPECT_LT(first->offset, 0);
  EXPECT_EQ(broker_.records(0).size(), 1U + 3U) << "that is not there: the genesis and the other three are";
}

// Row 4. The brokers forgot the producer while it was at work, and refuse the first record of a burst.
TEST_F(KafkaFalseSuccess, ABurstWhoseFirstRecordIsRefusedByABrokerThatForgotTheProducerIsNotAcknowledged) {
  const auto log = open();
  FoldState state;
  auto writer = takeOver(*log, state);
  Chain chain(7);
  auto all = chain.entries(1);
  ASSERT_EQ(append(*writer, all).outcome, AppendOutcome::appended);
  Chain beside(9);
  const auto burst = entriesInTurn(chain, beside, 4);
  all.insert(all.end(), burst.begin(), burst.end());
  broker_.forgetProducers();
  broker_.plan(0, {ProduceFate::refused(kafka_error::kNotEnoughReplicas).hold()});
  Results results;
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*writer, burst, results));
  broker_.letGo(0);

  const auto answers = results.wait();
  for (const AppendResult& answer : answers) {
    EXPECT_EQ(answer.outcome, AppendOutcome::indeterminate);
    ASSERT_TRUE(answer.fault.has_value());
  }
  EXPECT_EQ(answers[0].fault->code(), ErrorCode::logUnavailable);
  EXPECT_EQ(answers[1].fault->code(), ErrorCode::notReady);
  EXPECT_EQ(timesInTheLog(burst[0]), 0U) << "the library reported it as delivered";
  EXPECT_EQ(timesInTheLog(burst[3]), 1U);
  EXPECT_EQ(log->counts().acknowledged, 1U);
  EXPECT_EQ(log->counts().poisoned, 1U);

  complete(*log, writer, all, 1);
  EXPECT_GE(voidsIn(*log), 3U) << "what landed without the first one counts for nobody";
  EXPECT_GE(log->counts().producersRebuilt, 1U);
}

// Nothing is in flight beside a claim, nor beside the first record behind it: a refusal stays a refusal, and is mended.
TEST_F(KafkaFalseSuccess, TheFirstRecordsOfAWriterGoAlone) {
  const auto log = open();
  FoldState state;
  const auto writer = takeOver(*log, state);
  broker_.forgetProducers();
  broker_.plan(0, {ProduceFate::refused(kafka_error::kNotEnoughReplicas).hold()});
  Results results;
  const auto burst = Chain(7).entries(4);
  for (const NewRecord& record : burst) writer->append({record}, results.taker());
  ASSERT_TRUE(broker_.awaitHeld(0));
  broker_.letGo(0);
  for (const AppendResult& answer : results.wait()) EXPECT_EQ(answer.outcome, AppendOutcome::appended);
  EXPECT_EQ(recordsRefused(), 1);
  expectEntries(*log, burst);
}

// The other half of the defence: a writer that was silent sends its next record alone, so that a refusal stays a refusal.
TEST_F(KafkaFalseSuccess, AfterASilenceTheFirstRecordOfABurstGoesAlone) {
  KafkaSettings patient = settings();
  patient.aloneAfter = 0ms;
  kafka::Lane lane(patient);
  const auto shared = std::make_shared<kafka::Shared>(1);
  FoldState state;
  const WriterIdentity self = identity(1);
  fold(state, genesisHeader(self));
  const RecordHeader claim = claimHeader(self, state);
  const auto listener = std::make_shared<Listener>();
  ASSERT_EQ(lane.send(PartitionId{0}, claim, claimValue(self), 1, listener), kafka::Lane::Taken::yes);
  ASSERT_EQ(listener->wait(1).front().offset, 1);
  fold(state, claim);
  const auto committer = std::make_shared<kafka::Committer>(lane, PartitionId{0}, WriterStamp(self, state), shared, patient);
  lane.attend(committer);
  lane.attend(listener);  // told after the committer
  Chain chain(7);
  auto all = chain.entries(6);
  Results first;
  committer->append({all[0]}, first.taker());
  ASSERT_EQ(first.wait().front().outcome, AppendOutcome::appended);
  ASSERT_TRUE(listener->awaitSilence());

  broker_.forgetProducers();
  broker_.plan(0, {ProduceFate::refused(kafka_error::kNotEnoughReplicas).hold()});
  Results results;
  for (std::size_t index = 1; index < all.size(); ++index) committer->append({all[index]}, results.taker());
  ASSERT_TRUE(broker_.awaitHeld(0));
  // Whatever the lane would send beside it has been sent by its next turn.
  ASSERT_TRUE(listener->awaitSilence());
  broker_.letGo(0);
  for (const AppendResult& answer : results.wait()) EXPECT_EQ(answer.outcome, AppendOutcome::appended);
  EXPECT_EQ(recordsRefused(), 1);
  committer->finish();
  expectEntries(*open(), all);
}

struct Lie {
  const char* what;
  ProduceFate fate;
  std::size_t landed;  // of the three records of the burst
};

// Of a burst of three in flight the second one is lied about. Its true offset is 4.
TEST_F(KafkaFalseSuccess, AnOffsetThatIsNotTheExpectedOneIsNeverAcknowledged) {
  const std::vector<Lie> lies = {
      {"nothing appended, no offset", ProduceFate::falseSuccess(-1), 1},
      {"nothing appended, the offset of the one before", ProduceFate::falseSuccess(3), 1},
      {"nothing appended, an offset further on", ProduceFate::falseSuccess(7), 1},
      {"appended, no offset", ProduceFate::misplaced(-1), 3},
      {"appended, the library's own mark for no offset", ProduceFate::misplaced(-1001), 3},
      {"appended, the offset of the one before", ProduceFate::misplaced(3), 3},
      {"appended, offset 0", ProduceFate::misplaced(0), 3},
      {"appended, an offset further on", ProduceFate::misplaced(5), 3},
  };
  std::uint64_t workspace = 7;
  std::vector<NewRecord> before;
  for (const Lie& lie : lies) {
    SCOPED_TRACE(lie.what);
    const auto log = open();
    FoldState state;
    auto writer = takeOver(*log, state);
    Chain chain(workspace++);
    const auto burst = chain.entries(4);
    ASSERT_EQ(append(*writer, {burst[0]}).outcome, AppendOutcome::appended);
    // The same distance from the truth, wherever this log has come to.
    ProduceFate fate = lie.fate;
    const auto base = static_cast<std::int64_t>(state.next.value) - 2;
    if (fate.offset && *fate.offset > 0) fate.offset = *fate.offset + base;
    broker_.plan(0, {ProduceFate::heldBack(), fate});
    Results results;
    ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*writer, {burst.begin() + 1, burst.end()}, results));
    broker_.letGo(0);
    const auto answers = results.wait();
    EXPECT_EQ(answers[0].outcome, AppendOutcome::appended) << "what was in front of it is not touched";
    EXPECT_EQ(answers[1].outcome, AppendOutcome::indeterminate);
    EXPECT_EQ(answers[1].fault->code(), ErrorCode::logUnavailable);
    EXPECT_EQ(answers[2].outcome, AppendOutcome::indeterminate) << "nor what is behind it";
    EXPECT_EQ(answers[2].fault->code(), ErrorCode::notReady);
    EXPECT_EQ(append(*writer, {chain.entry()}).outcome, AppendOutcome::rejected) << "this writer has ended";
    before.insert(before.end(), burst.begin(), burst.end());
    complete(*log, writer, before, before.size() - 3 + lie.landed);
    EXPECT_GE(log->counts().poisoned, 1U);
  }
}

TEST_F(KafkaFalseSuccess, AClaimThatIsLiedAboutMakesNobodyTheWriter) {
  struct Case {
    const char* what;
    ProduceFate fate;
    ErrorCode code;
  };
  const std::vector<Case> cases = {
      {"nothing appended, no offset", ProduceFate::falseSuccess(-1), ErrorCode::logUnavailable},
      {"nothing appended, offset 0", ProduceFate::falseSuccess(0), ErrorCode::dataInUse},
      {"appended, no offset", ProduceFate::misplaced(-1), ErrorCode::logUnavailable},
      {"appended, offset 0", ProduceFate::misplaced(0), ErrorCode::dataInUse},
  };
  std::vector<NewRecord> all;
  Chain chain(7);
  for (const Case& each : cases) {
    SCOPED_TRACE(each.what);
    KafkaSettings brief = settings();
    brief.answerWithin = 2s;
    const auto log = KafkaLog::open(brief, identity(1));
    FoldState state;
    broker_.plan(0, {each.fate});
    EXPECT_EQ(takingOver(*log, state).code, each.code);
    EXPECT_EQ(log->counts().claims, 0U);
    // The same state, again: whatever the first claim came to.
    const auto writer = takeOver(*log, state);
    const auto batch = chain.entries(2);
    all.insert(all.end(), batch.begin(), batch.end());
    ASSERT_EQ(append(*writer, batch).outcome, AppendOutcome::appended);
    expectEntries(*log, all);
    EXPECT_EQ(voidsIn(*log), 0U);
  }
}

// What was acknowledged and is not there is waited for, not passed over: this process does not write behind it. Another may.
TEST_F(KafkaFalseSuccess, AClaimThatIsSaidToBeFurtherOnThanTheLogGoesIsWaitedFor) {
  KafkaSettings brief = settings();
  brief.answerWithin = 2s;
  const auto log = KafkaLog::open(brief, identity(1));
  FoldState state;
  broker_.plan(0, {ProduceFate::falseSuccess(1'000)});
  EXPECT_EQ(takingOver(*log, state).code, ErrorCode::logUnavailable);
  EXPECT_EQ(takingOver(*log, state).code, ErrorCode::logUnavailable);
  EXPECT_EQ(inTheLog().size(), 1U) << "nor does it claim again";
  const auto other = open(2);
  EXPECT_EQ(append(*takeOver(*other, state), Chain(7).entries(1)).outcome, AppendOutcome::appended);
}

}  // namespace
}  // namespace counterfoil::log::test
