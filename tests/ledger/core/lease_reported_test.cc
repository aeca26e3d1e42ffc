// Leases of other systems, known from facts: recorded as reported, ended by a fact or by their producer's watermark.
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/lease_expectations.h"

namespace counterfoil {
namespace {

using test::Desk;
using test::expectFault;
using test::kHour;
using test::kMinute;
using test::kSecond;
using test::operator+;

TEST(ReportedLease, isActiveAtOnceAndEndsByAFact) {
  Desk desk;
  desk.reportGrant("f1", desk.now, desk.now + kHour);
  EXPECT_EQ(desk.stateOf("f1"), LeaseState::active);
  EXPECT_TRUE(desk.state().findLease("f1")->reported);
  desk.report(Kind::leaseRevoked, "f1", desk.now + kSecond);
  EXPECT_TRUE(desk.last().terminal());
  EXPECT_FALSE(desk.last().body().flag(Field::late));
  EXPECT_EQ(desk.stateOf("f1"), LeaseState::revoked);
  // A second end is late and no end.
  desk.report(Kind::leaseExpired, "f1", desk.now + 2 * kSecond);
  EXPECT_FALSE(desk.last().terminal());
  desk.report(Kind::leaseRevoked, "f1", desk.now + 3 * kSecond);
  EXPECT_FALSE(desk.last().terminal());
  EXPECT_TRUE(desk.last().body().flag(Field::late));
  desk.report(Kind::leaseConsumed, "f1", desk.now + 3 * kSecond);
  EXPECT_TRUE(desk.last().body().flag(Field::late));
  EXPECT_EQ(desk.last().body().number(Field::uses), 1U);
  desk.report(Kind::leaseRenewed, "f1", desk.now + 3 * kSecond);
  EXPECT_TRUE(desk.last().body().flag(Field::late));
  EXPECT_EQ(desk.stateOf("f1"), LeaseState::revoked);
}

TEST(ReportedLease, failedIssueAndReportedExpiryAreEnds) {
  Desk desk;
  for (const char* id : {"f1", "f2"}) desk.reportGrant(id, desk.now, desk.now + kHour);
  desk.fact({Kind::leaseIssued, desk.now}, [](Arena& arena, StructValue& body) {
    body.setText(arena, Field::leaseId, "f1");
    body.setNumber(Field::outcome, static_cast<std::uint64_t>(Outcome::failed));
  });
  EXPECT_TRUE(desk.last().terminal());
  EXPECT_EQ(desk.stateOf("f1"), LeaseState::failed);
  desk.report(Kind::leaseConsumed, "f2", desk.now);
  desk.report(Kind::leaseExpired, "f2", desk.now);
  EXPECT_TRUE(desk.last().terminal());
  EXPECT_EQ(desk.last().body().number(Field::uses), 1U);
}

TEST(ReportedLease, factsAboutUnknownLeasesEndNothing) {
  Desk desk;
  desk.report(Kind::leaseRevoked, "nobody", desk.now);
  EXPECT_FALSE(desk.last().terminal());
  desk.report(Kind::leaseConsumed, "nobody", desk.now);
  EXPECT_EQ(desk.last().body().number(Field::uses), 0U);
  EXPECT_EQ(desk.state().liveLeases(), 0U);
}

TEST(ReportedLease, aSecondGrantOfTheSameIdChangesNothing) {
  Desk desk;
  desk.reportGrant("f1", desk.now, desk.now + kHour);
  desk.reportGrant("f1", desk.now, desk.now + 2 * kHour);
  EXPECT_EQ(desk.state().findLease("f1")->expiresAt, desk.now + kHour);
  EXPECT_EQ(desk.state().liveLeases(), 1U);
}

TEST(ReportedLease, theWatermarkIsAQuarterOfAnHourBehind) {
  Desk desk;
  const Timestamp start{desk.now.nanoseconds - 10 * kHour};
  desk.reportGrant("f1", start, start + kHour);
  desk.report(Kind::leaseConsumed, "nobody", start + (kHour + 15 * kMinute - 1));
  EXPECT_EQ(desk.settle(), 0U) << "an end may still be told";
  EXPECT_EQ(dueEnd(desk.state(), desk.state().slotOf("f1"), desk.now), std::nullopt);
  desk.report(Kind::leaseConsumed, "nobody", start + (kHour + 15 * kMinute));
  ASSERT_EQ(desk.settle(), 1U);
  const auto entry = desk.last();
  EXPECT_EQ(entry.view.kind(), Kind::leaseExpired);
  EXPECT_EQ(entry.view.occurredAt, start + kHour);
  EXPECT_EQ(entry.view.recordedAt, desk.now);
  EXPECT_EQ(entry.view.entry.text(Field::source), "ledger");
  EXPECT_EQ(entry.reason(), ReasonCode::ttl);
  EXPECT_TRUE(entry.terminal());
}

TEST(ReportedLease, theWatermarkNeverGoesBackNorPastTheClock) {
  Desk desk;
  const Timestamp start = desk.now;
  desk.reportGrant("f1", start, start + kHour);
  desk.report(Kind::leaseConsumed, "nobody", start + 30 * 24 * kHour);  // a producer whose clock runs ahead
  EXPECT_EQ(desk.settle(), 0U);
  desk.report(Kind::leaseConsumed, "nobody", start);
  desk.now = start + (kHour - 1);
  EXPECT_EQ(desk.settle(), 0U);
  desk.now = start + kHour;
  EXPECT_EQ(desk.settle(), 1U);
}

TEST(ReportedLease, watermarksBelongToOneSourceAndProducer) {
  Desk desk;
  const Timestamp start{desk.now.nanoseconds - 10 * kHour};
  desk.reportGrant("f1", start, start + kHour, {}, "p1");
  desk.reportGrant("f2", start, start + kHour, {}, "p2");
  desk.report(Kind::leaseConsumed, "nobody", start + 5 * kHour, "p2");
  desk.fact({.kind = Kind::runStarted, .occurredAt = start + 5 * kHour, .source = "cloudtrail", .producer = "p1"},
            [](Arena&, StructValue&) {});
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().text(Field::leaseId), "f2");
}

TEST(ReportedLease, factsWithoutAProducerHaveAWatermarkToo) {
  Desk desk;
  const Timestamp start{desk.now.nanoseconds - 10 * kHour};
  desk.fact({.kind = Kind::leaseGranted, .occurredAt = start, .source = "api", .producer = ""}, [&](Arena& arena, StructValue& body) {
    body.setText(arena, Field::leaseId, "f1");
    body.setTime(Field::expiresAt, start + kHour);
  });
  EXPECT_EQ(desk.settle(), 0U);
  // What commands lead to comes from `api` as well, and says nothing about the facts.
  desk.grant({.id = "l1"});
  desk.consume("l1");
  desk.consume("nobody");
  EXPECT_EQ(desk.settle(), 0U);
  desk.fact({.kind = Kind::runStarted, .occurredAt = start + 2 * kHour, .source = "api", .producer = ""}, [](Arena&, StructValue&) {});
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().text(Field::leaseId), "f1");
}

TEST(ReportedLease, afterAnImportTheClockEndsThem) {
  Desk desk;
  const Timestamp start{desk.now.nanoseconds - kHour};
  desk.reportGrant("past", start, start + 59 * kMinute);
  desk.reportGrant("soon", start, desk.now + kMinute);
  desk.reportGrant("open", start, Timestamp{});
  EXPECT_EQ(desk.settle(), 0U);
  desk.importFinished("openbao", "p2");
  EXPECT_EQ(desk.settle(), 0U) << "another producer's import";
  desk.importFinished("openbao", "p1");
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().text(Field::leaseId), "past");
  const LeaseSlot soon = desk.state().slotOf("soon");
  EXPECT_TRUE(desk.timers().isArmed(desk.state(), soon, desk.now + kMinute)) << "somebody must wake up for it";
  desk.now = desk.now + kMinute;
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().text(Field::leaseId), "soon");
  desk.now = desk.now + 1000 * kHour;
  EXPECT_EQ(desk.settle(), 0U) << "no end is invented";
  EXPECT_EQ(desk.stateOf("open"), LeaseState::active);
}

TEST(ReportedLease, theNextFactStopsTheClockAgain) {
  Desk desk;
  desk.importFinished("openbao", "p1");
  desk.reportGrant("f1", {desk.now.nanoseconds - kHour}, {desk.now.nanoseconds - kMinute});
  EXPECT_EQ(desk.settle(), 0U) << "less than 15 minutes before the greatest time told";
  desk.importFinished("openbao", "p1");
  EXPECT_EQ(desk.settle(), 1U);
}

TEST(ReportedLease, aRenewalMovesTheEnd) {
  Desk desk;
  const Timestamp start{desk.now.nanoseconds - 10 * kHour};
  desk.reportGrant("f1", start, start + kHour);
  desk.fact({Kind::leaseRenewed, start + kMinute}, [&](Arena& arena, StructValue& body) {
    body.setText(arena, Field::leaseId, "f1");
    body.setTime(Field::expiresAt, start + 5 * kHour);
  });
  desk.report(Kind::leaseConsumed, "nobody", start + 3 * kHour);
  EXPECT_EQ(desk.settle(), 0U);
  desk.report(Kind::leaseConsumed, "nobody", start + 6 * kHour);
  ASSERT_EQ(desk.settle(), 1U);
  EXPECT_EQ(desk.last().view.occurredAt, start + 5 * kHour);
}

TEST(ReportedLease, isFoundByItsFingerprint) {
  Desk desk;
  const auto consumedBy = [&](const std::string& fingerprint, std::string_view lease = {}) {
    desk.fact({Kind::leaseConsumed, desk.now}, [&](Arena& arena, StructValue& body) {
      body.setText(arena, Field::fingerprint, fingerprint);
      body.setText(arena, Field::leaseId, lease);
    });
    return desk.last().text(Field::leaseId) + " " + std::to_string(desk.last().body().number(Field::uses));
  };
  desk.reportGrant("f1", desk.now, desk.now + kHour, test::secretText(1));
  desk.reportGrant("f2", desk.now, desk.now + kHour, test::secretText(2));
  EXPECT_EQ(consumedBy(test::secretText(1)), "f1 1");
  EXPECT_EQ(consumedBy(test::secretText(2)), "f2 1");
  EXPECT_EQ(consumedBy(test::secretText(1)), "f1 2");
  EXPECT_EQ(consumedBy(test::secretText(1, 2)), " 0") << "another generation";
  EXPECT_EQ(consumedBy(test::secretText(1), "elsewhere"), "elsewhere 0") << "who names a lease means that one";
  desk.reportGrant("f3", desk.now, desk.now + kHour, test::secretText(1));
  EXPECT_EQ(consumedBy(test::secretText(1)), "f3 1") << "the newest lease of a secret";
  EXPECT_EQ(desk.state().findLease("f1")->uses, 2U);
  EXPECT_EQ(desk.timers().secrets.size(), 3U);
}

TEST(ReportedLease, anExchangedSecretIsFoundByTheNewOne) {
  Desk desk;
  desk.reportGrant("f1", desk.now, desk.now + kHour, test::secretText(1));
  desk.fact({Kind::leaseIssued, desk.now}, [](Arena& arena, StructValue& body) {
    body.setText(arena, Field::leaseId, "f1");
    body.setText(arena, Field::secret, test::secretText(2));
    body.setNumber(Field::outcome, static_cast<std::uint64_t>(Outcome::issued));
  });
  EXPECT_EQ(desk.state().slotOfFingerprint(test::secretText(2)), desk.state().slotOf("f1"));
  EXPECT_EQ(desk.state().slotOfFingerprint(test::secretText(1)), kNoLease);
  desk.report(Kind::leaseRevoked, "f1", desk.now);
  desk.now = desk.now + 30 * kHour;
  for (int entry = 0; entry < 2; ++entry) desk.report(Kind::leaseConsumed, "nobody", desk.now);
  EXPECT_EQ(desk.state().findLease("f1"), nullptr);
  EXPECT_EQ(desk.state().slotOfFingerprint(test::secretText(2)), kNoLease) << "nothing may point at a lease that is gone";
  EXPECT_EQ(desk.saved(), desk.refolded());
}

TEST(ReportedLease, textsThatAreNoFingerprintsAreNotKept) {
  Desk desk;
  const std::string good = test::secretText(1);
  for (const std::string& text :
       {std::string("fp2:0:") + good.substr(6), std::string("fp2:01:") + good.substr(6), "fp2:1" + good.substr(6),
        std::string("fp2::") + good.substr(6), std::string("fp2:"), good + "A", std::string("fp2:9999999999:") + good.substr(6)}) {
    desk.reportGrant("f" + std::to_string(desk.size()), desk.now, desk.now + kHour, text);
    EXPECT_EQ(desk.state().slotOfFingerprint(text), kNoLease) << text;
  }
  EXPECT_TRUE(desk.timers().secrets.empty());
  desk.restart();
}

TEST(ReportedLease, timesAtTheEdgeOfTheWorldDoNoHarm) {
  Desk desk;
  constexpr std::int64_t kMax = std::numeric_limits<std::int64_t>::max();
  desk.reportGrant("future", {kMax}, {kMax});
  desk.reportGrant("past", {std::numeric_limits<std::int64_t>::min()}, {std::numeric_limits<std::int64_t>::min() + 1}, {}, "p2");
  desk.report(Kind::leaseRevoked, "future", {kMax});
  desk.importFinished("openbao", "p2");
  EXPECT_EQ(desk.settle(), 1U);
  desk.now = desk.now + 25 * kHour;
  for (int entry = 0; entry < 3; ++entry) desk.report(Kind::leaseConsumed, "nobody", desk.now);
  EXPECT_EQ(desk.state().findLease("future"), nullptr) << "an end told for the far future is forgotten a day after it was told";
  EXPECT_EQ(desk.saved(), desk.refolded());
}

TEST(ReportedLease, stayADayOfTheirProducersTime) {
  Desk desk;
  const Timestamp start{desk.now.nanoseconds - 1000 * kHour};
  desk.reportGrant("f1", start, start + kHour);
  desk.report(Kind::leaseRevoked, "f1", start);
  desk.now = desk.now + 100 * kHour;
  desk.report(Kind::leaseConsumed, "nobody", start + (24 * kHour + 15 * kMinute - 1));
  EXPECT_NE(desk.state().findLease("f1"), nullptr) << "the ledger's own time does not count";
  desk.report(Kind::leaseConsumed, "f1", start + kMinute);
  EXPECT_TRUE(desk.last().body().flag(Field::late));
  desk.report(Kind::leaseConsumed, "nobody", start + (24 * kHour + 15 * kMinute));
  EXPECT_EQ(desk.state().findLease("f1"), nullptr);
}

TEST(ReportedLease, aSilentProducerKeepsNoOthersLeases) {
  Desk desk;
  desk.reportGrant("silent", desk.now, desk.now + kHour, {}, "p1");
  desk.report(Kind::leaseRevoked, "silent", desk.now, "p1");
  desk.reportGrant("lively", desk.now, desk.now + kHour, {}, "p2");
  desk.report(Kind::leaseRevoked, "lively", desk.now, "p2");
  desk.report(Kind::leaseConsumed, "nobody", desk.now + 25 * kHour, "p2");
  desk.now = desk.now + 26 * kHour;
  desk.report(Kind::leaseConsumed, "nobody", desk.now, "p2");
  EXPECT_EQ(desk.state().findLease("lively"), nullptr);
  EXPECT_NE(desk.state().findLease("silent"), nullptr);
  // Its import is over and nothing more is told: in the long run it is forgotten as well.
  desk.importFinished("openbao", "p1");
  desk.now = desk.now + 26 * kHour;
  for (int entry = 0; entry < 1'024; ++entry) desk.report(Kind::leaseConsumed, "nobody", desk.now, "p2");
  EXPECT_EQ(desk.state().findLease("silent"), nullptr);
  EXPECT_EQ(desk.saved(), desk.refolded());
}

TEST(FactsAndCommands, doNotMix) {
  Desk desk;
  desk.grant({.id = "l1"});
  const std::size_t size = desk.size();
  for (const Kind kind : {Kind::leaseGranted, Kind::leaseIssued, Kind::leaseConsumed, Kind::leaseDenied, Kind::leaseRenewed,
                          Kind::leaseRevoked, Kind::leaseExpired}) {
    expectFault(ErrorCode::commandedLease, [&] { desk.report(kind, "l1", desk.now); });
  }
  EXPECT_EQ(desk.size(), size);
  desk.report(Kind::leaseRevocationReported, "l1", desk.now);
  EXPECT_EQ(desk.size(), size + 1);
  EXPECT_EQ(desk.stateOf("l1"), LeaseState::active);
  desk.reportGrant("f1", desk.now, desk.now + kHour);
  expectFault(ErrorCode::alreadyExists, [&] { desk.request({.id = "f1"}); });
}

TEST(ProducerNumbers, countWithoutGaps) {
  Desk desk;
  const auto tell = [&](std::uint64_t seq) {
    desk.fact({.kind = Kind::runStarted, .occurredAt = desk.now, .producerSeq = seq}, [](Arena&, StructValue&) {});
    return desk.state().findProducer("openbao", "p1")->contiguousSeq;
  };
  EXPECT_EQ(tell(1), 1U);
  EXPECT_EQ(tell(3), 1U);
  EXPECT_EQ(tell(5), 1U);
  EXPECT_EQ(tell(4), 1U);
  EXPECT_EQ(tell(4), 1U);
  EXPECT_EQ(tell(9), 1U);
  EXPECT_EQ(desk.state().findProducer("openbao", "p1")->ahead.size(), 2U);
  desk.restart();
  EXPECT_EQ(tell(2), 5U);
  EXPECT_EQ(tell(1), 5U);
  for (std::uint64_t seq = 10; seq < 5'000; ++seq) tell(seq);
  EXPECT_EQ(tell(8), 5U);
  EXPECT_EQ(tell(7), 5U);
  EXPECT_EQ(tell(6), 4'999U) << "a long run behind one gap is not lost";
}

TEST(ProducerNumbers, commandsCountAsWell) {
  Desk desk;
  desk.request({.id = "l1", .producer = "p1", .producerSeq = 1});
  desk.request({.grantee = "banned", .producer = "p1", .producerSeq = 2});
  const ProducerState* producer = desk.state().findProducer("api", "p1");
  ASSERT_NE(producer, nullptr);
  EXPECT_EQ(producer->contiguousSeq, 2U);
  EXPECT_EQ(producer->greatestOccurredAt, Timestamp{}) << "only facts move the watermark";
}

TEST(ProducerNumbers, aHostileProducerCannotFillTheMemory) {
  Desk desk;
  for (std::uint64_t number = 0; number < 3'000; ++number) {
    desk.fact({.kind = Kind::runStarted, .occurredAt = desk.now, .producerSeq = 10 + 2 * number}, [](Arena&, StructValue&) {});
  }
  EXPECT_EQ(desk.state().findProducer("openbao", "p1")->ahead.size(), 1'024U);
  EXPECT_EQ(desk.state().findProducer("openbao", "p1")->contiguousSeq, 0U);
}

}  // namespace
}  // namespace counterfoil
