// The erasure of a person to its end: the key is destroyed at the provider, everything else still opens, and what was owed is done after
// a crash, for every log and from every place.
#include "ledger/write/key_renewals.h"

#include <gmock/gmock.h>

#include "tests/support/renewal_fixture.h"

namespace counterfoil::write {
namespace {

using testing::UnorderedElementsAre;

using test::kAlpha;

class KeyRenewalsTest : public test::RenewalFixture {};

TEST_F(KeyRenewalsTest, AnErasedPersonIsGoneAndEverythingElseStillOpens) {
  grant("one", "alice");
  grant("two", "bob");
  EXPECT_THAT(readFromZero().persons, UnorderedElementsAre("alice", "bob"));
  EXPECT_EQ(erase("alice").kind, Kind::subjectErased);
  ledger_->drain();
  const Reading after = readFromZero();
  EXPECT_THAT(after.persons, UnorderedElementsAre("bob"));
  EXPECT_EQ(after.withheld, 0U);
  EXPECT_THAT(after.destroyed, UnorderedElementsAre("subject", "key_encryption"));
  EXPECT_EQ(provider_.currentVersion(kAlpha), 2U);
  EXPECT_EQ(ledger_->status().owedRenewals, 0U);
  EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->findSubject(PrincipalKind::human, "alice"), nullptr);
  // Who comes back is somebody new.
  grant("three", "alice");
  EXPECT_THAT(readFromZero().persons, UnorderedElementsAre("bob", "alice"));
}

TEST_F(KeyRenewalsTest, AWriterStartsFromZeroAndFromAnyOlderSnapshot) {
  grant("one", "alice");
  grant("two", "bob");
  ledger_->stop();
  ledger_.reset();
  open();  // beside a snapshot whose keys are wrapped under the first version
  erase("alice");
  ledger_->drain();
  grant("three", "carol");
  crash(true);
  ASSERT_EQ(notes_.size(), 1U) << "the older snapshot's keys are gone: the log is read";
  grant("four", "dave");
  crash();
  EXPECT_TRUE(notes_.empty());
  grant("five", "erin");
  const Reading reading = readFromZero();
  EXPECT_THAT(reading.persons, UnorderedElementsAre("bob", "carol", "dave", "erin"));
  EXPECT_EQ(reading.withheld, 0U);
}

TEST_F(KeyRenewalsTest, WhatACrashLeftOwedIsDoneAtTheNextStart) {
  grant("one", "alice");
  grant("two", "bob");
  provider_.refuseNewVersions(true);
  erase("alice");
  EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->findSubject(PrincipalKind::human, "alice"), nullptr) << "at once, for this process";
  ledger_->drain();
  EXPECT_EQ(ledger_->status().owedRenewals, 1U);
  grant("three", "carol");  // everything else goes on
  for (int round = 0; round < 2; ++round) {
    crash();
    EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->findSubject(PrincipalKind::human, "alice"), nullptr);
    EXPECT_EQ(ledger_->status().owedRenewals, 1U);
  }
  EXPECT_EQ(provider_.currentVersion(kAlpha), 1U);
  provider_.refuseNewVersions(false);
  ledger_->drain();
  EXPECT_EQ(ledger_->status().owedRenewals, 0U);
  const Reading reading = readFromZero();
  EXPECT_THAT(reading.persons, UnorderedElementsAre("bob", "carol"));
  EXPECT_EQ(reading.withheld, 0U);
}

TEST_F(KeyRenewalsTest, AProviderThatFailsHalfWayCostsAVersionAndNothingElse) {
  grant("one", "alice");
  grant("two", "bob");
  provider_.setReachable(false);  // it makes versions and wraps nothing
  erase("alice");
  ledger_->drain();
  EXPECT_EQ(ledger_->status().owedRenewals, 1U);
  EXPECT_EQ(readAfterReachable().withheld, 0U) << "nothing is destroyed before what survives is in the log";
  ledger_->drain();
  EXPECT_EQ(ledger_->status().owedRenewals, 0U);
  const Reading reading = readFromZero();
  EXPECT_THAT(reading.persons, UnorderedElementsAre("bob"));
  EXPECT_EQ(reading.withheld, 0U);
}

// A snapshot of between the order and the destruction has the erased person's key.
TEST_F(KeyRenewalsTest, ASnapshotDoesNotBringTheErasedBack) {
  grant("one", "alice");
  provider_.refuseNewVersions(true);
  erase("alice");
  for (int round = 0; round < 2; ++round) {
    ledger_->stop();
    ledger_.reset();
    open();
    EXPECT_TRUE(notes_.empty());
    EXPECT_EQ(ledger_->status().owedRenewals, 1U);
    // As views do that read the records of before, which bring the key.
    const auto keys = ledger_->keyRing().workspace(kAlpha);
    const auto reader = log_.read(PartitionId{0}, log::FoldState{});
    log::ValidRecord record;
    keys::OpenedRecord opened;
    while (reader->next(record)) {
      if (record.kind != log::RecordKind::entry || record.workspace != kAlpha) continue;
      EXPECT_EQ(keys::openRecord(*keys, record.seq, record.leaf, record.value, opened), keys::OpenOutcome::opened);
    }
    EXPECT_EQ(keys->findSubject(PrincipalKind::human, "alice"), nullptr);
  }
}

TEST_F(KeyRenewalsTest, NamesPersonsAndNobodyElse) {
  grant("one", "alice");
  const auto code = [&](Command command) {
    try {
      ledger_->execute("alpha", std::move(command));
      return std::string("accepted");
    } catch (const Fault& fault) {
      return std::string(factsOf(fault.code()).text);
    }
  };
  const auto named = [&](CommandKind kind, PrincipalKind principal, std::string_view id) {
    Command command = Command::make(kind);
    setPrincipal(command.arena, command.common, Field::actor, {PrincipalKind::agent, "olga"});
    if (!id.empty()) setPrincipal(command.arena, command.body, Field::subject, {principal, id});
    return command;
  };
  EXPECT_EQ(code(named(CommandKind::subjectErase, PrincipalKind::agent, "alice")), "invalid_value") << "another alice";
  EXPECT_EQ(code(named(CommandKind::holdPlace, PrincipalKind::service, "alice")), "invalid_value");
  EXPECT_EQ(code(named(CommandKind::subjectErase, PrincipalKind::human, "")), "invalid_value");
  // A request that was refused leaves a key behind that no record has.
  Command refused = Command::make(CommandKind::approvalDecide);
  setPrincipal(refused.arena, refused.common, Field::actor, {PrincipalKind::human, "bob"});
  refused.body.setText(refused.arena, Field::approvalId, "none");
  refused.body.setNumber(Field::decision, static_cast<std::uint64_t>(Decision::approved));
  EXPECT_EQ(code(std::move(refused)), "no_such_item");
  EXPECT_NE(ledger_->keyRing().workspace(kAlpha)->findSubject(PrincipalKind::human, "bob"), nullptr);
  EXPECT_EQ(code(named(CommandKind::holdPlace, PrincipalKind::human, "bob")), "no_such_item");
  // One id, two persons.
  grant("two", "bob");
  Command one = named(CommandKind::holdPlace, PrincipalKind::human, "alice");
  Command two = named(CommandKind::holdPlace, PrincipalKind::human, "bob");
  Command again = named(CommandKind::holdPlace, PrincipalKind::human, "alice");
  one.id = two.id = again.id = ledger_->freshId(kAlpha);
  EXPECT_EQ(code(std::move(one)), "accepted");
  EXPECT_EQ(code(std::move(two)), "idempotency_conflict");
  EXPECT_EQ(code(std::move(again)), "accepted");
  // Of somebody whom nobody knows, under the id of something else.
  Command other = named(CommandKind::subjectErase, PrincipalKind::human, "nobody");
  other.id = ledger_->freshId(kAlpha);
  EXPECT_EQ(code(std::move(other)), "no_such_item");
  Command hold = named(CommandKind::holdPlace, PrincipalKind::human, "alice");
  Command erasure = named(CommandKind::subjectErase, PrincipalKind::human, "nobody");
  hold.id = erasure.id = ledger_->freshId(kAlpha);
  EXPECT_EQ(code(std::move(hold)), "accepted");
  EXPECT_EQ(code(std::move(erasure)), "idempotency_conflict");
}

TEST_F(KeyRenewalsTest, SeveralErasuresShareARenewal) {
  for (const char* person : {"a", "b", "c", "d"}) grant(std::string("of-") + person, person);
  provider_.refuseNewVersions(true);
  for (const char* person : {"a", "b", "c"}) erase(person);
  provider_.refuseNewVersions(false);
  ledger_->drain();
  const Reading reading = readFromZero();
  EXPECT_THAT(reading.persons, UnorderedElementsAre("d"));
  EXPECT_THAT(reading.destroyed, UnorderedElementsAre("subject", "subject", "subject", "key_encryption"));
}

TEST_F(KeyRenewalsTest, TheKeyEncryptionKeyIsRotatedOnRequest) {
  grant("one", "alice");
  const auto rotate = [&](std::string_view purpose) {
    Command command = Command::make(CommandKind::keyRotate);
    command.body.setText(command.arena, Field::purpose, purpose);
    return ledger_->execute("alpha", std::move(command));
  };
  EXPECT_EQ(rotate("key_encryption").kind, Kind::keyRotated);
  ledger_->drain();
  EXPECT_EQ(provider_.currentVersion(kAlpha), 2U);
  EXPECT_EQ(rotate("fingerprint").kind, Kind::keyRotated);
  const Reading reading = readFromZero();
  EXPECT_THAT(reading.persons, UnorderedElementsAre("alice"));
  EXPECT_THAT(reading.destroyed, UnorderedElementsAre("key_encryption"));
  EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->livingFingerprints().size(), 1U) << "the first one: no secret was seen before";
  crash();
  EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->currentFingerprint()->generation(), 1U);
  provider_.setReachable(false);
  EXPECT_THROW(rotate("fingerprint"), Fault);
  provider_.setReachable(true);
  EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->currentFingerprint()->generation(), 1U) << "what was refused did not happen";
  rotate("fingerprint");
  crash();
  EXPECT_EQ(ledger_->keyRing().workspace(kAlpha)->currentFingerprint()->generation(), 2U) << "its record brought it";
}

}  // namespace
}  // namespace counterfoil::write
