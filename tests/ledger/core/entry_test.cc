#include "ledger/core/entry.h"

#include <gtest/gtest.h>

#include <string>

#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil {
namespace {

constexpr std::array<std::uint8_t, 16> kNonce{0xa0, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7,
                                              0xa8, 0xa9, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf};
constexpr Timestamp kStart{1'772'000'000'000'000'000};
constexpr WorkspaceNumber kWorkspace{7};

EntryId idOf(std::uint8_t number) {
  EntryId id;
  id.bytes.fill(number);
  return id;
}

RedactedEvent consumed(std::uint8_t number) {
  RedactedEvent event = RedactedEvent::ofLedger(Kind::leaseConsumed, idOf(number));
  event.body().setText(event.arena(), Field::leaseId, "lease-1");
  event.body().setText(event.arena(), Field::operation, "git push");
  return event;
}

Entry next(ChainHead& head, std::uint8_t number = 1, Timestamp at = kStart) {
  return chain(consumed(number), kWorkspace, at, kNonce, head);
}

// What a reader finds in `bytes`, or why it refuses them.
std::string problemOf(crypto::Bytes bytes, Strictness strictness = Strictness::strict) {
  Arena arena;
  EntryView view;
  const char* problem = readEntry(bytes, strictness, arena, view);
  return problem == nullptr ? "accepted" : problem;
}

TEST(Chain, GivesTheEventItsPlace) {
  ChainHead head;
  const Entry entry = next(head);
  Arena arena;
  EntryView view;
  ASSERT_EQ(readEntry(entry.bytes(), Strictness::strict, arena, view), nullptr);
  EXPECT_EQ(view.entry.number(Field::version), kEntryVersion);
  EXPECT_EQ(view.workspace, kWorkspace);
  EXPECT_EQ(view.seq, Sequence{0});
  EXPECT_EQ(view.previous, LeafHash{});
  EXPECT_EQ(view.entry.text(Field::previous).size(), 32U);
  EXPECT_EQ(view.id, idOf(1));
  EXPECT_EQ(view.recordedAt, kStart);
  EXPECT_EQ(view.occurredAt, kStart);
  EXPECT_EQ(view.kind(), Kind::leaseConsumed);
  EXPECT_EQ(view.entry.text(Field::source), "ledger");
  EXPECT_EQ(principalOf(view.entry, Field::actor).kind, PrincipalKind::ledger);
  EXPECT_EQ(principalOf(view.entry, Field::actor).id, "counterfoil");
  EXPECT_EQ(view.entry.text(Field::nonce), std::string_view(reinterpret_cast<const char*>(kNonce.data()), 16));
  EXPECT_EQ(view.body.text(Field::leaseId), "lease-1");
  EXPECT_EQ(view.body.text(Field::operation), "git push");
  EXPECT_EQ(entry.kind(), Kind::leaseConsumed);
  EXPECT_EQ(entry.id(), idOf(1));
  EXPECT_EQ(entry.workspace(), kWorkspace);
}

TEST(Chain, EachEntryNamesTheLeafOfTheOneBefore) {
  ChainHead head;
  std::vector<LeafHash> leaves;
  for (std::uint8_t number = 0; number < 5; ++number) {
    const Entry entry = next(head, number);
    EXPECT_EQ(entry.seq(), Sequence{number});
    EXPECT_EQ(entry.previous(), number == 0 ? LeafHash{} : leaves.back());
    EXPECT_EQ(entry.leaf(), leafHash(entry.bytes()));
    Arena arena;
    EntryView view;
    ASSERT_EQ(readEntry(entry.bytes(), Strictness::strict, arena, view), nullptr);
    EXPECT_EQ(view.previous, entry.previous());
    EXPECT_EQ(view.seq, entry.seq());
    leaves.push_back(entry.leaf());
    EXPECT_EQ(head.last, entry.leaf());
    EXPECT_EQ(head.size(), leaves.size());
    EXPECT_EQ(head.tree.root(), treeRoot(leaves));
  }
}

TEST(Chain, TimeNeverGoesBack) {
  ChainHead head;
  next(head, 1, kStart);
  const Entry earlier = next(head, 2, Timestamp{kStart.nanoseconds - 1});
  EXPECT_EQ(earlier.recordedAt(), kStart);
  EXPECT_EQ(head.lastRecordedAt, kStart);
  const Entry later = next(head, 3, Timestamp{kStart.nanoseconds + 1});
  EXPECT_EQ(later.recordedAt().nanoseconds, kStart.nanoseconds + 1);
  EXPECT_EQ(head.lastRecordedAt, later.recordedAt());
}

TEST(Chain, TheProducersTimeStays) {
  ChainHead head;
  RedactedEvent event = consumed(1);
  event.common().setTime(Field::occurredAt, Timestamp{5});
  const Entry entry = chain(std::move(event), kWorkspace, kStart, kNonce, head);
  Arena arena;
  EntryView view;
  ASSERT_EQ(readEntry(entry.bytes(), Strictness::strict, arena, view), nullptr);
  EXPECT_EQ(view.occurredAt, Timestamp{5});
  EXPECT_EQ(view.recordedAt, kStart);
}

TEST(Chain, TheSameInputGivesTheSameBytesAndTheNonceChangesTheLeaf) {
  ChainHead first, second, third;
  const Entry left = next(first);
  const Entry right = next(second);
  EXPECT_TRUE(std::equal(left.bytes().begin(), left.bytes().end(), right.bytes().begin(), right.bytes().end()));
  std::array<std::uint8_t, 16> other = kNonce;
  other[15] ^= 1;
  EXPECT_NE(chain(consumed(1), kWorkspace, kStart, other, third).leaf(), left.leaf());
}

TEST(Chain, CommitmentsAreSortedByPathAndRedactionsKept) {
  ChainHead head;
  RedactedEvent event = consumed(1);
  for (const char* path : {"/sourceAddress", "/actor/id", "/reason"}) {
    FieldCommitment commitment{path, {}};
    commitment.digest.fill(static_cast<std::uint8_t>(path[1]));
    event.redaction().commitments.push_back(commitment);
  }
  event.redaction().redactions = {{"/operation", "secret"}, {"/errorCode", "truncated"}};
  const Entry entry = chain(std::move(event), kWorkspace, kStart, kNonce, head);
  Arena arena;
  EntryView view;
  ASSERT_EQ(readEntry(entry.bytes(), Strictness::strict, arena, view), nullptr);
  const auto commitments = view.entry.structures(Field::commitments);
  ASSERT_EQ(commitments.size(), 3U);
  EXPECT_EQ(commitments[0].text(Field::path), "/actor/id");
  EXPECT_EQ(commitments[0].text(Field::digest), std::string(32, 'a'));
  EXPECT_EQ(commitments[1].text(Field::path), "/reason");
  EXPECT_EQ(commitments[2].text(Field::path), "/sourceAddress");
  const auto redactions = view.entry.structures(Field::redactions);
  ASSERT_EQ(redactions.size(), 2U);
  EXPECT_EQ(redactions[0].text(Field::path), "/operation");
  EXPECT_EQ(redactions[1].text(Field::rule), "truncated");
  EXPECT_EQ(entry.redaction().redactions.size(), 2U);
  EXPECT_EQ(entry.redaction().commitments.size(), 3U);
}

TEST(Chain, AKindWithoutFieldsIsStillThatKind) {
  ChainHead head;
  const Entry entry = chain(RedactedEvent::ofLedger(Kind::ledgerStopped, idOf(1)), kWorkspace, kStart, kNonce, head);
  Arena arena;
  EntryView view;
  ASSERT_EQ(readEntry(entry.bytes(), Strictness::strict, arena, view), nullptr);
  EXPECT_EQ(view.kind(), Kind::ledgerStopped);
  EXPECT_EQ(view.body.table, nullptr);
  EXPECT_EQ(view.body.text(Field::version), "");
}

void expectFaultLeavesHead(RedactedEvent event, ErrorCode code) {
  ChainHead head;
  next(head);
  const ChainHead before = head;
  try {
    chain(std::move(event), kWorkspace, Timestamp{kStart.nanoseconds + 5}, kNonce, head);
    FAIL() << "chained";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), code) << fault.what();
  }
  EXPECT_EQ(head.tree, before.tree);
  EXPECT_EQ(head.last, before.last);
  EXPECT_EQ(head.lastRecordedAt, before.lastRecordedAt);
}

RedactedEvent withResources(std::size_t count, std::size_t bytes) {
  RedactedEvent event = consumed(9);
  const std::string text(bytes, 'r');
  const std::vector<std::string_view> resources(count, text);
  event.body().setTexts(event.arena(), Field::resources, resources);
  return event;
}

TEST(Chain, AnEntryOverTheLimitIsRefusedAndTheHeadUntouched) {
  expectFaultLeavesHead(withResources(limits::kListItemsMax, 500), ErrorCode::tooLarge);
  ChainHead head;
  EXPECT_LE(chain(withResources(limits::kListItemsMax, 239), kWorkspace, kStart, kNonce, head).bytes().size(), limits::kEntryBytesMax);
}

TEST(Chain, WhatNoReaderAcceptsIsRefusedAndTheHeadUntouched) {
  expectFaultLeavesHead(withResources(limits::kListItemsMax + 1, 4), ErrorCode::internal);
  RedactedEvent twice = consumed(2);
  twice.redaction().commitments = {{"/reason", {}}, {"/reason", {}}};
  expectFaultLeavesHead(std::move(twice), ErrorCode::internal);
  RedactedEvent notUtf8 = consumed(2);
  notUtf8.body().setText(notUtf8.arena(), Field::operation, "\xff");
  expectFaultLeavesHead(std::move(notUtf8), ErrorCode::internal);
}

// ---- Reading ----

// A valid entry as a value, to change one thing of it.
class ReadEntry : public testing::Test {
 protected:
  ReadEntry() {
    next(head_);
    RedactedEvent event = consumed(2);
    event.redaction().commitments = {{"/a", {}}, {"/b", {}}};
    const Entry entry = chain(std::move(event), kWorkspace, kStart, kNonce, head_);
    bytes_.assign(entry.bytes().begin(), entry.bytes().end());
    EntryView view;
    EXPECT_EQ(readEntry(bytes_, Strictness::strict, arena_, view), nullptr);
    entry_ = view.entry;
  }

  // The problem with the entry as changed; the same in both modes.
  std::string problem() {
    const std::vector<std::uint8_t> changed = encodeCanonical(entry_);
    const std::string strict = problemOf(changed);
    EXPECT_EQ(problemOf(changed, Strictness::lenient), strict);
    return strict;
  }

  ChainHead head_;
  Arena arena_;
  std::vector<std::uint8_t> bytes_;
  StructValue entry_;
};

TEST_F(ReadEntry, AcceptsTheEntryUnchanged) {
  EXPECT_EQ(problem(), "accepted");
}

TEST_F(ReadEntry, RefusesAnotherVersion) {
  for (const std::uint64_t version : {0U, 2U, 257U, 65535U}) {
    entry_.setNumber(Field::version, version);
    EXPECT_EQ(problem(), "an unknown version") << version;
  }
}

TEST_F(ReadEntry, RefusesHashesAndIdsOfTheWrongLength) {
  const std::vector<std::uint8_t> filler(33, 1);
  for (const std::size_t size : {0U, 16U, 31U, 33U}) {
    entry_.setData(arena_, Field::previous, crypto::Bytes(filler).first(size));
    EXPECT_EQ(problem(), "a previous hash of the wrong length") << size;
  }
  entry_.setData(arena_, Field::previous, crypto::Bytes(filler).first(32));
  for (const std::size_t size : {0U, 15U, 17U}) {
    entry_.setData(arena_, Field::id, crypto::Bytes(filler).first(size));
    EXPECT_EQ(problem(), "an id of the wrong length") << size;
  }
  entry_.setData(arena_, Field::id, crypto::Bytes(filler).first(16));
  for (const std::size_t size : {0U, 15U, 17U}) {
    entry_.setData(arena_, Field::nonce, crypto::Bytes(filler).first(size));
    EXPECT_EQ(problem(), "a nonce of the wrong length") << size;
  }
}

TEST_F(ReadEntry, RefusesAPredecessorOfTheFirstEntry) {
  entry_.setNumber(Field::seq, 0);
  EXPECT_EQ(problem(), "a first entry with a predecessor");
  entry_.setData(arena_, Field::previous, std::vector<std::uint8_t>(32, 0));
  EXPECT_EQ(problem(), "accepted");
}

TEST_F(ReadEntry, RefusesCommitmentsOutOfOrder) {
  const auto commitment = [&](std::string_view path, std::size_t digestSize) {
    StructValue value = makeStruct(arena_, *entry_.table->find(Field::commitments)->structure);
    value.setText(arena_, Field::path, path);
    value.setData(arena_, Field::digest, std::vector<std::uint8_t>(digestSize, 3));
    return value;
  };
  const auto problemWith = [&](const std::vector<StructValue>& commitments) {
    entry_.setStructures(arena_, Field::commitments, commitments);
    return problem();
  };
  EXPECT_EQ(problemWith({commitment("/a", 32), commitment("/a/0", 32), commitment("/b", 32)}), "accepted");
  EXPECT_EQ(problemWith({commitment("/b", 32), commitment("/a", 32)}), "commitments that are not sorted by path");
  EXPECT_EQ(problemWith({commitment("/a", 32), commitment("/a", 32)}), "commitments that are not sorted by path");
  EXPECT_EQ(problemWith({commitment("", 32)}), "commitments that are not sorted by path");
  EXPECT_EQ(problemWith({commitment("/a", 31)}), "a commitment of the wrong length");
  EXPECT_EQ(problemWith({commitment("/a", 0)}), "a commitment of the wrong length");
}

TEST_F(ReadEntry, RefusesAnEntryWithoutAKind) {
  entry_.at(Field::event) = {};
  EXPECT_EQ(problem(), "an entry without a kind");
}

TEST_F(ReadEntry, RefusesNothingAndEmptyStructures) {
  EXPECT_NE(problemOf({}), "accepted");
  EXPECT_EQ(problemOf(std::vector<std::uint8_t>(8, 0)), "an unknown version");
}

TEST_F(ReadEntry, RefusesMoreBytesThanAnEntryMayHave) {
  const std::vector<std::uint8_t> large(limits::kEntryBytesMax + 8, 0);
  EXPECT_EQ(problemOf(large), "an entry over the size limit");
}

TEST_F(ReadEntry, KeepsAnUnknownKindByNumberInLenientModeOnly) {
  // The kind's number is the one word of the event; found as the only 8 bytes that change with it.
  const std::vector<std::uint8_t> before = encodeCanonical(entry_);
  StructValue event = entry_.structure(Field::event);
  event.discriminant = static_cast<std::uint16_t>(Kind::leaseIssued);
  event.member = nullptr;
  StructValue other = event;
  other.discriminant = static_cast<std::uint16_t>(Kind::leaseExpired);
  entry_.setStructure(arena_, Field::event, event);
  std::vector<std::uint8_t> bytes = encodeCanonical(entry_);
  entry_.setStructure(arena_, Field::event, other);
  const std::vector<std::uint8_t> otherBytes = encodeCanonical(entry_);
  ASSERT_EQ(bytes.size(), otherBytes.size());
  const auto place = std::mismatch(bytes.begin(), bytes.end(), otherBytes.begin()).first;
  ASSERT_NE(place, bytes.end());
  place[0] = 0x39;
  place[1] = 0x30;
  EXPECT_EQ(problemOf(bytes), "an unknown kind");
  EntryView view;
  ASSERT_EQ(readEntry(bytes, Strictness::lenient, arena_, view), nullptr);
  EXPECT_FALSE(view.known);
  EXPECT_EQ(view.kindNumber, 0x3039);
  EXPECT_EQ(view.kind(), Kind::none);
  EXPECT_EQ(view.body.table, nullptr);
  EXPECT_EQ(view.seq, Sequence{1});
}

TEST_F(ReadEntry, EveryFlippedBitIsRefusedOrIsAnotherEntry) {
  std::size_t accepted = 0;
  for (std::size_t at = 0; at < bytes_.size(); ++at) {
    for (unsigned bit = 0; bit < 8; ++bit) {
      std::vector<std::uint8_t> flipped = bytes_;
      flipped[at] = static_cast<std::uint8_t>(flipped[at] ^ 1U << bit);
      Arena arena;
      EntryView view;
      if (readEntry(flipped, Strictness::strict, arena, view) != nullptr) continue;
      ++accepted;
      ASSERT_EQ(encodeCanonical(view.entry), flipped) << "byte " << at << " bit " << bit;
    }
  }
  EXPECT_GT(accepted, 0U);
}

// ---- Making events ----

TEST(Event, HasTheTablesOfEntryAndKind) {
  const Event event = Event::make(Kind::vaultWritten);
  EXPECT_EQ(event.kind, Kind::vaultWritten);
  EXPECT_EQ(event.common.table, schemaTables().entry);
  EXPECT_EQ(event.body.table->name, "VaultWritten");
  EXPECT_TRUE(event.common.text(Field::source).empty());
  const Command command = Command::make(CommandKind::leaseRenew);
  EXPECT_EQ(command.common.table, schemaTables().command);
  EXPECT_EQ(command.body.table->name, "LeaseRenew");
}

TEST(Event, ValuesSurviveAMove) {
  Event event = Event::make(Kind::runStarted);
  event.body.setText(event.arena, Field::agent, "agent-1");
  const Event moved = std::move(event);
  EXPECT_EQ(moved.body.text(Field::agent), "agent-1");
}

using EventDeathTest = testing::Test;

TEST(EventDeathTest, NothingIsMadeOfNoKind) {
  EXPECT_DEATH(Event::make(Kind::none), "internal check failed");
  EXPECT_DEATH(Command::make(CommandKind::none), "internal check failed");
  EXPECT_DEATH(RedactedEvent::ofLedger(static_cast<Kind>(kKindCount), EntryId{}), "internal check failed");
}

TEST(Values, ADeepCopySharesNothing) {
  Arena arena;
  Arena other;
  StructValue grant = makeStruct(arena, *schemaTables().kinds[static_cast<std::size_t>(Kind::leaseGranted)].body);
  grant.setText(arena, Field::leaseId, "lease-1");
  const std::vector<std::string_view> scope = {"read", "", "write"};
  grant.setTexts(arena, Field::scope, scope);
  setPrincipal(arena, grant, Field::grantee, {PrincipalKind::agent, "agent-1"});
  StructValue event = makeStruct(arena, *schemaTables().entry->find(Field::event)->structure);
  event.discriminant = static_cast<std::uint16_t>(Kind::leaseGranted);
  event.member = &grant;
  const std::vector<std::uint8_t> bytes = encodeCanonical(event);
  const StructValue copy = deepCopy(other, event);
  arena = Arena();
  grant = {};
  EXPECT_EQ(encodeCanonical(copy), bytes);
  EXPECT_EQ(principalOf(*copy.member, Field::grantee).id, "agent-1");
  EXPECT_EQ(copy.member->texts(Field::scope)[2], "write");
  EXPECT_EQ(deepCopy(other, StructValue{}).table, nullptr);
}

TEST(Values, AnAbsentStructureAnswersWithAbsentValues) {
  const StructValue absent;
  EXPECT_FALSE(absent.has(Field::leaseId));
  EXPECT_EQ(absent.text(Field::leaseId), "");
  EXPECT_EQ(principalOf(absent, Field::actor).kind, PrincipalKind::unspecified);
  EXPECT_EQ(absent.structure(Field::policy).table, nullptr);
}

}  // namespace
}  // namespace counterfoil
