// Faults between a writer and its broker, each at the very moment at which it does most harm: a writer that is passed over with records in
// flight, connections that are cut around an append, brokers that refuse a producer for good, a log that is cut under a writer.
#include <algorithm>
#include <set>

#include "tests/ledger/log/kafka/kafka_broker_fixture.h"

namespace counterfoil::log::test {
namespace {

namespace kafka_error = counterfoil::test::kafka_error;
using ::testing::HasSubstr;
using namespace std::chrono_literals;

// A writer with one record acknowledged, so that the next ones are sent beside each other.
class KafkaBrokerFaults : public KafkaBrokerFixture {
 protected:
  struct Node {
    std::unique_ptr<KafkaLog> log;
    FoldState state;
    std::unique_ptr<PartitionWriter> writer;
  };
  Node nodeAtWork(Chain& chain, const KafkaSettings& its, std::uint64_t number = 1) {
    Node node;
    node.log = KafkaLog::open(its, identity(number));
    node.writer = takeOver(*node.log, node.state);
    written_.push_back(chain.entry());
    EXPECT_EQ(append(*node.writer, {written_.back()}).outcome, AppendOutcome::appended);
    return node;
  }
  Node nodeAtWork(Chain& chain) { return nodeAtWork(chain, settings()); }
  // Producer ids that reached the partition.
  std::set<std::int64_t> producers() const {
    std::set<std::int64_t> ids;
    for (const auto& each : broker_.produced(0)) ids.insert(each.producer);
    return ids;
  }

  std::vector<NewRecord> written_;  // and acknowledged, or found in the log afterwards
};

// ---- row 6: a node that was paused ----

TEST_F(KafkaBrokerFaults, WhatAPassedOverWriterHadOnItsWayLandsVoidAndIsNotAcknowledged) {
  Chain chain(7);
  Node zombie = nodeAtWork(chain);
  broker_.plan(0, {ProduceFate::heldBack()});
  Results results;
  Chain beside(9);
  const auto late = entriesInTurn(chain, beside, 4);
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*zombie.writer, late, results));

  Node successor{open(2), {}, nullptr};
  successor.writer = takeOver(*successor.log, successor.state);
  EXPECT_EQ(successor.state.term, 2U);
  EXPECT_TRUE(results.soFar().empty());
  broker_.letGo(0);
  const auto answers = results.wait();
  for (const AppendResult& answer : answers) EXPECT_EQ(answer.outcome, AppendOutcome::indeterminate);
  EXPECT_EQ(answers[0].fault->code(), ErrorCode::logUnavailable);
  EXPECT_THAT(answers[0].fault->detail(), HasSubstr("elsewhere"));
  ASSERT_TRUE(broker_.awaitProduced(0, 1 + 1 + 1 + 1 + 4));  // genesis, claim, entry, claim
  for (const NewRecord& record : late) EXPECT_EQ(timesInTheLog(record), 1U) << "they did reach the log";
  expectEntries(*successor.log, written_);
  EXPECT_EQ(voidsIn(*successor.log), 4U);
  EXPECT_EQ(zombie.log->counts().acknowledged, 1U);

  // They displaced the successor's next record, which counts, but it cannot know.
  Chain other(8);
  written_.push_back(other.entry());
  EXPECT_EQ(append(*successor.writer, {written_.back()}).outcome, AppendOutcome::indeterminate);
  successor.writer = takeOver(*successor.log, successor.state);
  expectEntries(*successor.log, written_);
  written_.push_back(other.entry());
  EXPECT_EQ(append(*successor.writer, {written_.back()}).outcome, AppendOutcome::appended);

  // The passed-over node follows, and may become the writer again; its chain goes on where it was acknowledged.
  zombie.writer = takeOver(*zombie.log, zombie.state);
  EXPECT_EQ(zombie.state.heads.at(WorkspaceNumber{7}).size, 1U);
  EXPECT_FALSE(zombie.state.heads.contains(WorkspaceNumber{9}));
  written_.insert(written_.end(), late.begin(), late.end());
  EXPECT_EQ(append(*zombie.writer, late).outcome, AppendOutcome::appended);
  expectEntries(*successor.log, written_);
}

TEST_F(KafkaBrokerFaults, WhatAPassedOverWriterHadInTheLogBeforeTheClaimCountsAndIsAcknowledged) {
  Chain chain(7);
  Node zombie = nodeAtWork(chain);
  broker_.plan(0, {ProduceFate::answeredLater()});
  Results results;
  const auto late = chain.entries(4);
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*zombie.writer, late, results));
  written_.push_back(late[0]);

  Node successor{open(2), {}, nullptr};
  successor.writer = takeOver(*successor.log, successor.state);
  EXPECT_EQ(successor.state.heads.at(WorkspaceNumber{7}).size, 2U) << "the successor has read it";
  broker_.letGo(0);
  const auto answers = results.wait();
  EXPECT_EQ(answers[0].outcome, AppendOutcome::appended) << "right behind the record before it, so in front of any claim";
  for (std::size_t index = 1; index < answers.size(); ++index) EXPECT_EQ(answers[index].outcome, AppendOutcome::indeterminate);
  ASSERT_TRUE(broker_.awaitProduced(0, 1 + 1 + 1 + 1 + 4));
  expectEntries(*successor.log, written_);
  EXPECT_EQ(voidsIn(*successor.log), 3U);
}

TEST_F(KafkaBrokerFaults, AForeignClaimBetweenTwoRecordsVoidsTheSecondOne) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  broker_.plan(0, {ProduceFate::heldBack(), ProduceFate::heldBack()});
  Results results;
  const auto burst = chain.entries(3);
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*node.writer, burst, results));
  broker_.letGo(0);
  ASSERT_TRUE(broker_.awaitProduced(0, 1 + 1 + 1 + 1));
  ASSERT_TRUE(broker_.awaitHeld(0));
  const WriterIdentity stranger = identity(9);
  const auto reader = node.log->read(PartitionId{0}, {});
  drain(*reader);
  broker_.inject(0, claimHeader(stranger, reader->state()), claimValue(stranger));
  broker_.letGo(0);
  const auto answers = results.wait();
  EXPECT_EQ(answers[0].outcome, AppendOutcome::appended);
  EXPECT_EQ(answers[1].outcome, AppendOutcome::indeterminate);
  EXPECT_EQ(answers[2].outcome, AppendOutcome::indeterminate);
  written_.push_back(burst[0]);
  expectEntries(*node.log, written_);
}

// A record that counts for nobody still takes a place: the writer cannot tell it from a claim, and must not.
TEST_F(KafkaBrokerFaults, AForeignRecordOfNoConsequenceBetweenTwoEndsTheWriterToo) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  broker_.plan(0, {ProduceFate::heldBack()});
  Results results;
  const auto burst = chain.entries(2);
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*node.writer, burst, results));
  RecordHeader header = claimHeader(identity(9), node.state);
  header.term += 5;
  broker_.inject(0, header, claimValue(identity(9)));
  broker_.letGo(0);
  for (const AppendResult& answer : results.wait()) EXPECT_EQ(answer.outcome, AppendOutcome::indeterminate);
  ASSERT_TRUE(broker_.awaitProduced(0, 1 + 1 + 1 + 2));
  written_.insert(written_.end(), burst.begin(), burst.end());
  expectEntries(*node.log, written_);  // and reading says so
  EXPECT_EQ(voidsIn(*node.log), 1U);
}

TEST_F(KafkaBrokerFaults, OfTwoClaimsOnTheirWayTheFirstOneInTheLogWins) {
  const auto slow = open(1);
  const auto quick = open(2);
  broker_.plan(0, {ProduceFate::heldBack()});
  FoldState slowState;
  auto losing = std::async(std::launch::async, [&] { return takingOver(*slow, slowState).code; });
  ASSERT_TRUE(broker_.awaitHeld(0));
  FoldState state;
  const auto writer = takeOver(*quick, state);
  broker_.letGo(0);
  EXPECT_EQ(losing.get(), ErrorCode::dataInUse);
  EXPECT_EQ(slow->counts().claimsLost, 1U);
  EXPECT_EQ(slowState.term, 1U);
  EXPECT_EQ(voidsIn(*quick), 1U);
  // The lost claim takes a place all the same: the winner finds out, and claims once more.
  Chain chain(7);
  written_ = chain.entries(1);
  EXPECT_EQ(append(*writer, written_).outcome, AppendOutcome::indeterminate);
  const auto again = takeOver(*quick, state);
  EXPECT_EQ(state.term, 2U);
  expectEntries(*quick, written_);
}

// ---- row 8: an answer that is lost ----

TEST_F(KafkaBrokerFaults, AConnectionThatIsCutAroundAnAppendLeavesTheRecordInTheLogOnce) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  struct Case {
    const char* what;
    std::vector<ProduceFate> fates;
  };
  const auto usual = ProduceFate::asUsual();
  const std::vector<Case> cases = {
      {"the first one, before it is appended", {ProduceFate::cutBefore().hold()}},
      {"the first one, after it was appended", {ProduceFate::cutAfter().hold()}},
      {"one in the middle, before", {usual.hold(), ProduceFate::cutBefore()}},
      {"one in the middle, after", {usual.hold(), ProduceFate::cutAfter()}},
      {"the same one twice, after", {usual.hold(), ProduceFate::cutAfter(), ProduceFate::cutAfter()}},
      {"the last one, after", {usual.hold(), usual, ProduceFate::cutAfter()}},
  };
  for (const Case& each : cases) {
    SCOPED_TRACE(each.what);
    broker_.plan(0, each.fates);
    Results results;
    const auto burst = chain.entries(3);
    ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*node.writer, burst, results));
    broker_.letGo(0);
    const auto answers = results.wait();
    const std::uint64_t first = node.state.next.value + written_.size();
    for (std::size_t index = 0; index < answers.size(); ++index) {
      EXPECT_EQ(answers[index].outcome, AppendOutcome::appended);
      EXPECT_EQ(answers[index].first.value, first + index);
    }
    written_.insert(written_.end(), burst.begin(), burst.end());
  }
  for (const NewRecord& record : written_) EXPECT_EQ(timesInTheLog(record), 1U);
  expectEntries(*node.log, written_);
  EXPECT_EQ(voidsIn(*node.log), 0U);
  EXPECT_EQ(node.log->counts().poisoned, 0U);
  EXPECT_EQ(producers().size(), 2U) << "of the ledger's making, and of this writer";
  for (const auto& each : broker_.produced(0)) EXPECT_EQ(each.acks, -1);
}

// A broker that knows that it has the record, but not where.
TEST_F(KafkaBrokerFaults, ARepeatThatIsSaidToBeThereWithoutItsPlaceIsLookedUpInTheLog) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  broker_.sayDuplicate(true);
  broker_.plan(0, {ProduceFate::asUsual().hold(), ProduceFate::cutAfter()});
  Results results;
  const auto burst = chain.entries(4);
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*node.writer, burst, results));
  broker_.letGo(0);
  const auto answers = results.wait();
  EXPECT_NE(answers[1].outcome, AppendOutcome::appended);
  std::size_t acknowledged = 0;
  while (acknowledged < answers.size() && answers[acknowledged].outcome == AppendOutcome::appended) ++acknowledged;
  for (std::size_t index = acknowledged; index < answers.size(); ++index) EXPECT_NE(answers[index].outcome, AppendOutcome::appended);
  EXPECT_EQ(node.log->counts().poisoned, 1U);

  written_.insert(written_.end(), burst.begin(), burst.end());
  const std::size_t found = entriesOf(*node.log).size();
  EXPECT_GE(found, 1 + 2U) << "what was appended before the cut is found";
  complete(*node.log, node.writer, written_, found);
  EXPECT_EQ(timesInTheLog(burst[1]), 1U);
}

TEST_F(KafkaBrokerFaults, AClaimWhoseAnswerIsLostIsMadeOnce) {
  const auto log = open();
  for (const ProduceFate& fate : {ProduceFate::cutBefore(), ProduceFate::cutAfter()}) {
    broker_.plan(0, {fate});
    FoldState state;
    const std::size_t before = inTheLog().size();
    takeOver(*log, state);
    EXPECT_EQ(inTheLog().size(), before + 1);
    EXPECT_EQ(state.voids, 0U);
  }
  EXPECT_EQ(log->counts().claims, 2U);
}

TEST_F(KafkaBrokerFaults, AllConnectionsCutAtOnceAreMadeAnew) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  const auto reader = node.log->read(PartitionId{0}, {});
  EXPECT_EQ(drain(*reader).size(), 3U);
  for (int round = 0; round < 3; ++round) {
    broker_.cutConnections();
    written_.push_back(chain.entry());
    ASSERT_EQ(append(*node.writer, {written_.back()}).outcome, AppendOutcome::appended);
    EXPECT_EQ(drain(*reader).size(), 1U) << "a reader goes on too";
  }
  expectEntries(*node.log, written_);
}

// For longer than one query waits: then the library says that all brokers are down.
TEST_F(KafkaBrokerFaults, AReaderWaitsForABrokerThatIsNotThereYet) {
  Chain chain(7);
  KafkaSettings its = settings();
  its.properties = {{"reconnect.backoff.ms", "100"}, {"reconnect.backoff.max.ms", "100"}};
  Node node = nodeAtWork(chain, its);
  broker_.refuseConnections(20);
  expectEntries(*node.log, written_);
}

TEST_F(KafkaBrokerFaults, SlowAnswersAreWaitedFor) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  broker_.plan(0, {ProduceFate::slow(60ms), ProduceFate::slow(1ms), ProduceFate::slow(40ms)});
  Results results;
  const auto started = std::chrono::steady_clock::now();
  for (int index = 0; index < 3; ++index) {
    written_.push_back(chain.entry());
    node.writer->append({written_.back()}, results.taker());
  }
  for (const AppendResult& answer : results.wait()) EXPECT_EQ(answer.outcome, AppendOutcome::appended);
  EXPECT_GE(std::chrono::steady_clock::now() - started, 60ms);
  EXPECT_EQ(results.order(), (std::vector<std::size_t>{0, 1, 2}));
  expectEntries(*node.log, written_);
}

// A broker that does not answer is given up after a while; what it was sent may land later, and counts for nobody then.
TEST_F(KafkaBrokerFaults, AnAppendThatIsGivenUpAndLandsLaterIsVoid) {
  KafkaSettings brief = settings();
  brief.answerWithin = 2s;
  Chain chain(7);
  Node node = nodeAtWork(chain, brief);
  broker_.plan(0, {ProduceFate::heldBack()});
  Results results;
  const auto late = chain.entries(2);
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*node.writer, late, results));
  node.writer.reset();
  for (const AppendResult& answer : results.soFar()) EXPECT_EQ(answer.outcome, AppendOutcome::indeterminate);
  ASSERT_EQ(results.soFar().size(), 2U) << "every append was answered when the writer had gone";
  EXPECT_EQ(timesInTheLog(late[0]), 0U);

  node.writer = takeOver(*node.log, node.state);
  EXPECT_EQ(node.log->counts().producersRebuilt, 1U);
  broker_.letGo(0);
  ASSERT_TRUE(broker_.awaitProduced(0, 1 + 1 + 1 + 1 + 2)) << "though its sender has gone";
  EXPECT_EQ(timesInTheLog(late[0]), 1U);
  expectEntries(*node.log, written_);
  EXPECT_EQ(voidsIn(*node.log), 2U);
  EXPECT_EQ(append(*node.writer, {late[0]}).outcome, AppendOutcome::indeterminate);
  node.writer = takeOver(*node.log, node.state);
  EXPECT_EQ(append(*node.writer, {late[1]}).outcome, AppendOutcome::appended);
  written_.insert(written_.end(), late.begin(), late.end());
  expectEntries(*node.log, written_);
}

// ---- row 13: a producer that is refused for good ----

TEST_F(KafkaBrokerFaults, AProducerThatIsOutOfOrderForGoodIsThrownAwayAndNothingIsLost) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  broker_.plan(0, {ProduceFate::refused(kafka_error::kOutOfOrderSequence).hold()});
  Results results;
  const auto burst = chain.entries(4);
  ASSERT_NO_FATAL_FAILURE(appendBehindAHeldOne(*node.writer, burst, results));
  broker_.letGo(0);
  const auto answers = results.wait();
  for (const AppendResult& answer : answers) EXPECT_EQ(answer.outcome, AppendOutcome::indeterminate);
  EXPECT_EQ(answers[0].fault->code(), ErrorCode::logUnavailable);
  EXPECT_EQ(answers[1].fault->code(), ErrorCode::notReady);
  EXPECT_EQ(append(*node.writer, {chain.entry()}).outcome, AppendOutcome::rejected);

  written_.insert(written_.end(), burst.begin(), burst.end());
  complete(*node.log, node.writer, written_, 1);
  EXPECT_EQ(node.log->counts().producersRebuilt, 1U);
  EXPECT_EQ(producers().size(), 3U) << "of the ledger's making, of the first producer and of the second";
}

// All partitions of a lane share its producer.
TEST(KafkaBrokerLanes, AFatalProducerEndsEveryWriterOfItsLane) {
  KafkaTestBroker broker(2);
  KafkaSettings settings = broker.settings();
  settings.lanes = 1;
  KafkaLog::create(settings, {1, 1, "node", "", 1}, {"ledger-1", "ledger.example.com", {1}});
  const auto log = KafkaLog::open(settings, {1, 2, "node", "", 1});
  std::array<FoldState, 2> states;
  std::array<std::unique_ptr<PartitionWriter>, 2> writers;
  std::array<Chain, 2> chains = {Chain(7), Chain(8)};
  const auto takeAll = [&](std::uint32_t partition) {
    writers[partition] = log->takeOver(PartitionId{partition}, states[partition], [](ValidRecord&) {});
  };
  for (const std::uint32_t partition : {0U, 1U}) {
    takeAll(partition);
    Results results;
    writers[partition]->append(chains[partition].entries(1), results.taker());
    ASSERT_EQ(results.wait().front().outcome, AppendOutcome::appended);
  }
  broker.plan(0, {ProduceFate::refused(kafka_error::kOutOfOrderSequence).hold()});
  Results fatal;
  const auto refused = chains[0].entries(1);
  writers[0]->append(refused, fatal.taker());
  ASSERT_TRUE(broker.awaitHeld(0));
  // It waits behind the other one on their connection, and is decided with it.
  Results beside;
  const auto waiting = chains[1].entries(1);
  writers[1]->append(waiting, beside.taker());
  broker.letGo(0);
  EXPECT_EQ(fatal.wait().front().outcome, AppendOutcome::indeterminate);
  const AppendOutcome other = beside.wait().front().outcome;
  Results after;
  writers[1]->append({tick()}, after.taker());
  EXPECT_NE(after.wait().front().outcome, AppendOutcome::appended) << "the lane takes nothing more";
  for (const std::uint32_t partition : {0U, 1U}) takeAll(partition);
  EXPECT_EQ(log->counts().producersRebuilt, 1U) << "one new producer for both";
  EXPECT_EQ(states[0].heads.at(WorkspaceNumber{7}).size, 1U);
  const std::uint64_t found = states[1].heads.at(WorkspaceNumber{8}).size;
  EXPECT_TRUE(other != AppendOutcome::appended || found == 2U) << "what was acknowledged is there";
  Results again;
  writers[0]->append(refused, again.taker());
  if (found == 1) writers[1]->append(waiting, again.taker());
  for (const AppendResult& answer : again.wait()) EXPECT_EQ(answer.outcome, AppendOutcome::appended);
  EXPECT_TRUE(broker.complaints().empty());
}

// Also if nobody draws the conclusion from a report.
TEST_F(KafkaBrokerFaults, ALaneWhoseProducerIsAtAnEndTakesNothingMore) {
  kafka::Lane lane(settings());
  const auto listener = std::make_shared<Listener>();
  lane.attend(listener);
  broker_.plan(0, {ProduceFate::refused(kafka_error::kOutOfOrderSequence)});
  ASSERT_EQ(lane.send(PartitionId{0}, RecordHeader{}, {}, 1, listener), kafka::Lane::Taken::yes);
  EXPECT_TRUE(listener->wait(1).front().fault.has_value());
  EXPECT_TRUE(listener->await([&] { return lane.condemned(); }));
  EXPECT_EQ(lane.send(PartitionId{0}, RecordHeader{}, {}, 2, listener), kafka::Lane::Taken::never);
}

TEST_F(KafkaBrokerFaults, ANodeThatMayNotHaveAProducerIdIsNotTheWriterUntilItMay) {
  const auto log = open();
  broker_.refuseProducerIds(kafka_error::kClusterAuthorizationFailed);
  FoldState state;
  EXPECT_EQ(takingOver(*log, state).code, ErrorCode::logUnavailable);
  ASSERT_TRUE(broker_.awaitProducerIdRefused());
  EXPECT_EQ(inTheLog().size(), 1U);
  broker_.refuseProducerIds(0);
  const auto writer = takeOver(*log, state);
  EXPECT_EQ(append(*writer, Chain(7).entries(1)).outcome, AppendOutcome::appended);
  EXPECT_EQ(log->counts().producersRebuilt, 1U);
}

TEST_F(KafkaBrokerFaults, AProducerIdThatIsNotToBeHadYetIsAskedForAgain) {
  constexpr std::int16_t kCoordinatorLoadInProgress = 14;
  const auto log = open();
  broker_.refuseProducerIds(kCoordinatorLoadInProgress);
  FoldState state;
  auto taking = std::async(std::launch::async, [&] { return takingOver(*log, state).code; });
  ASSERT_TRUE(broker_.awaitProducerIdRefused());
  broker_.refuseProducerIds(0);
  EXPECT_EQ(taking.get(), std::nullopt);
  EXPECT_EQ(log->counts().producersRebuilt, 0U);
}

// ---- a log that is cut ----

// The new leader of an unclean election lacks the end: what was acknowledged is lost, and this must come out.
TEST_F(KafkaBrokerFaults, AWriterWhoseLogWasCutAcknowledgesNothingMoreAndSaysThatItIsTruncated) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  const auto reader = node.log->read(PartitionId{0}, {});
  drain(*reader);
  ASSERT_EQ(append(*node.writer, chain.entries(3)).outcome, AppendOutcome::appended);
  FoldState state = node.state;
  drain(*reader);
  state = reader->state();
  broker_.truncate(0, static_cast<std::int64_t>(state.next.value) - 2);
  EXPECT_NE(append(*node.writer, chain.entries(1)).outcome, AppendOutcome::appended) << "its sequence has a gap";
  EXPECT_NE(append(*node.writer, chain.entries(1)).outcome, AppendOutcome::appended);
  const BrokerThrown taking = takingOver(*node.log, state);
  EXPECT_EQ(taking.code, ErrorCode::logTruncated);
  EXPECT_THAT(taking.detail, HasSubstr("the log ends before"));
  // A reader that waits at what was the end hears of it with the answer to its next fetch.
  BrokerThrown thrown;
  const auto deadline = std::chrono::steady_clock::now() + 30s;
  while (!thrown.code && std::chrono::steady_clock::now() < deadline) {
    thrown = faultIn([&] { EXPECT_TRUE(drain(*reader).empty()); });
  }
  EXPECT_EQ(thrown.code, ErrorCode::logTruncated);
}

TEST_F(KafkaBrokerFaults, AWriterWhoseLogWasCutByALeaderWithoutMemoryAcknowledgesNothingMore) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  ASSERT_EQ(append(*node.writer, chain.entries(3)).outcome, AppendOutcome::appended);
  const auto reader = node.log->read(PartitionId{0}, {});
  drain(*reader);
  FoldState state = reader->state();
  broker_.truncate(0, static_cast<std::int64_t>(state.next.value) - 2);
  broker_.forgetProducers();
  EXPECT_EQ(append(*node.writer, chain.entries(1)).outcome, AppendOutcome::indeterminate) << "taken, but two places too early";
  node.writer.reset();
  // Until the log is as long again as what was read.
  while (inTheLog().size() < state.next.value) broker_.inject(0, claimHeader(identity(9), {}), claimValue(identity(9)));
  const BrokerThrown thrown = takingOver(*node.log, state);
  EXPECT_EQ(thrown.code, ErrorCode::logTruncated);
  EXPECT_THAT(thrown.detail, HasSubstr("the record is not the one that was read before"));
}

TEST_F(KafkaBrokerFaults, ABeginningThatMovesUnderAWriterIsNoticedWhenItIsReadAgain) {
  Chain chain(7);
  Node node = nodeAtWork(chain);
  broker_.deleteBefore(0, 2);
  EXPECT_EQ(takingOver(*node.log, node.state).code, ErrorCode::logTruncated);
  EXPECT_EQ(faultIn([&] { open(); }).code, ErrorCode::logTruncated);
}

}  // namespace
}  // namespace counterfoil::log::test
