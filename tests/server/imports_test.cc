// Which imports are under way: one of a source in a workspace, given back when nobody works with it, taken over when nobody goes on with
// it.
#include "server/imports.h"

#include <gtest/gtest.h>

#include "tests/support/manual_clock.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kSource = "import/cloudtrail";
constexpr std::string_view kAlice = "human:alice";

EntryId idOf(std::uint8_t number) {
  EntryId id;
  id.bytes[15] = number;
  return id;
}

write::Receipt receiptOf(std::uint8_t number, std::uint64_t seq) {
  write::Receipt receipt;
  receipt.id = idOf(number);
  receipt.seq = {seq};
  return receipt;
}

class ImportsTest : public testing::Test {
 protected:
  std::shared_ptr<ImportUse> begin(std::string_view source = kSource, std::uint64_t workspace = 1) {
    return imports_.begin({workspace}, source, kAlice, {0});
  }
  std::optional<ErrorCode> codeOfBegin(std::string_view source = kSource, std::uint64_t workspace = 1) {
    try {
      begin(source, workspace);
    } catch (const Fault& fault) {
      return fault.code();
    }
    return std::nullopt;
  }
  std::optional<ErrorCode> codeOfUse(std::string_view id, std::uint64_t workspace = 1, std::string_view subject = kAlice) {
    try {
      imports_.use(id, {workspace}, subject);
    } catch (const Fault& fault) {
      return fault.code();
    }
    return std::nullopt;
  }

  test::ManualClock clock_;
  crypto::DeterministicRandom random_{1};
  Imports imports_{clock_, random_};
};

TEST_F(ImportsTest, OneOfASourceInAWorkspace) {
  const std::string id = begin()->id();
  EXPECT_EQ(codeOfBegin(), ErrorCode::importRunning);
  EXPECT_EQ(codeOfBegin("import/vault"), std::nullopt);
  EXPECT_EQ(codeOfBegin(kSource, 2), std::nullopt);
  EXPECT_EQ(codeOfUse(id), std::nullopt);
}

TEST_F(ImportsTest, OneThatSentNothingForLongGivesWay) {
  const std::string id = begin()->id();
  clock_.advanceSeconds(kImportIdleSeconds - 1);
  EXPECT_EQ(codeOfBegin(), ErrorCode::importRunning);
  EXPECT_EQ(codeOfUse(id), std::nullopt);  // a sign of life
  clock_.advanceSeconds(kImportIdleSeconds - 1);
  EXPECT_EQ(codeOfBegin(), ErrorCode::importRunning);
  clock_.advanceSeconds(1);
  EXPECT_EQ(codeOfBegin(), std::nullopt);
  EXPECT_EQ(codeOfUse(id), ErrorCode::noSuchItem);
}

TEST_F(ImportsTest, OneThatIsWorkedWithNeverGivesWay) {
  const auto use = begin();
  clock_.advanceSeconds(3'600);
  EXPECT_EQ(codeOfBegin(), ErrorCode::importRunning);
}

TEST_F(ImportsTest, OneRequestAtATimeWorksWithIt) {
  auto use = begin();
  const std::string id = use->id();
  EXPECT_EQ(codeOfUse(id), ErrorCode::notReady);
  const auto second = use;
  use.reset();
  EXPECT_EQ(codeOfUse(id), ErrorCode::notReady) << "an answer of the ledger is still to come";
}

TEST_F(ImportsTest, ItIsItsBeginnersInItsWorkspace) {
  const std::string id = begin()->id();
  EXPECT_EQ(codeOfUse(id, 2), ErrorCode::noSuchItem);
  EXPECT_EQ(codeOfUse(id, 1, "human:bob"), ErrorCode::noSuchItem);
  EXPECT_EQ(codeOfUse("", 1), ErrorCode::noSuchItem);
  imports_.use(id, {1}, kAlice)->end();
  EXPECT_EQ(codeOfUse(id), ErrorCode::noSuchItem);
  EXPECT_EQ(codeOfBegin(), std::nullopt);
}

TEST_F(ImportsTest, EndingOneThatGaveWayDoesNotEndTheNext) {
  const std::string id = begin()->id();
  const auto late = imports_.use(id, {1}, kAlice);
  late->end();
  const std::string next = begin()->id();
  late->end();
  EXPECT_EQ(codeOfUse(next), std::nullopt);
}

TEST_F(ImportsTest, AFactIsGivenOnceUntilTheViewHasIt) {
  const auto use = begin();
  EXPECT_TRUE(use->give(idOf(1)));
  EXPECT_FALSE(use->give(idOf(1)));
  EXPECT_FALSE(use->recent(idOf(1)));
  use->recorded(receiptOf(1, 7), Kind::credentialUsed, "aws:1", {});
  ASSERT_TRUE(use->recent(idOf(1)));
  EXPECT_EQ(use->recent(idOf(1))->seq.value, 7U);
  use->forgetBelow(7);
  EXPECT_TRUE(use->recent(idOf(1))) << "the view has the entries before it";
  use->forgetBelow(8);
  EXPECT_FALSE(use->recent(idOf(1)));
}

TEST_F(ImportsTest, WhatWasRefusedMayBeGivenAgain) {
  const auto use = begin();
  EXPECT_TRUE(use->give(idOf(1)));
  use->refused(idOf(1));
  EXPECT_TRUE(use->give(idOf(1)));
}

TEST_F(ImportsTest, CountsByProducer) {
  const auto use = begin();
  write::ImportCounts reached;
  reached.lastOccurredAt = {5};
  use->recorded(receiptOf(1, 1), Kind::credentialUsed, "aws:1", reached);
  reached.lastOccurredAt = {3};
  use->recorded(receiptOf(2, 2), Kind::vaultRead, "aws:1", reached);
  use->recorded(receiptOf(3, 3), Kind::credentialUsed, "aws:2", {});
  const write::ImportCounts counts = use->countsOf("aws:1");
  EXPECT_EQ(counts.kinds, (std::map<std::string, std::uint64_t>{{"credential.used", 1}, {"vault.read", 1}}));
  EXPECT_EQ(counts.lastOccurredAt.nanoseconds, 5);
  EXPECT_TRUE(use->countsOf("aws:3").kinds.empty());
}

TEST_F(ImportsTest, MoreThanItRemembersWaitsForTheView) {
  const auto use = begin();
  write::Receipt receipt;
  for (std::uint64_t seq = 0; seq < kImportRecentMax; ++seq) {
    EXPECT_FALSE(use->sizeToWaitFor());
    receipt.seq = {seq};
    for (unsigned byte = 0; byte < 8; ++byte) receipt.id.bytes[byte + 8] = static_cast<std::uint8_t>(seq >> (8 * byte));
    use->recorded(receipt, Kind::credentialUsed, "aws:1", {});
  }
  ASSERT_TRUE(use->sizeToWaitFor());
  use->forgetBelow(*use->sizeToWaitFor());
  EXPECT_FALSE(use->sizeToWaitFor());
}

}  // namespace
}  // namespace counterfoil::server
