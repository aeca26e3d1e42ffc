#include "ledger/write/intake.h"

#include <gtest/gtest.h>

namespace counterfoil::write {
namespace {

Request requestOf(std::uint64_t workspace, Kind kind = Kind::runStarted, std::size_t bytes = 100) {
  Request request;
  request.kind = RequestKind::fact;
  request.workspace = {workspace};
  request.event.emplace(RedactedEvent::ofLedger(kind, EntryId{}));
  request.bytes = bytes;
  return request;
}

bool push(Intake& intake, Request request, std::int64_t now = 1) {
  return intake.push(request, {now});
}

TEST(Intake, TakesOneOfEachWorkspaceInTurn) {
  Intake intake(100'000);
  for (int index = 0; index < 50; ++index) push(intake, requestOf(1));
  push(intake, requestOf(2));
  push(intake, requestOf(3));
  const auto taken = intake.take(4, 1'000'000);
  ASSERT_EQ(taken.size(), 4U);
  EXPECT_EQ(taken[0].workspace.value, 1U);
  EXPECT_EQ(taken[1].workspace.value, 2U) << "a flood of one workspace does not delay another";
  EXPECT_EQ(taken[2].workspace.value, 3U);
  EXPECT_EQ(taken[3].workspace.value, 1U);
}

TEST(Intake, RevocationsGoFirstAndFindRoomWhenNothingElseDoes) {
  Intake intake(1'000);
  while (push(intake, requestOf(1))) {
  }
  EXPECT_TRUE(push(intake, requestOf(2, Kind::leaseRevoked)));
  EXPECT_EQ(intake.take(1, 1'000'000)[0].workspace.value, 2U);
}

TEST(Intake, AWorkspaceThatFillsItLeavesRoomForOthers) {
  Intake intake(10'000);
  std::size_t flood = 0;
  while (push(intake, requestOf(1))) ++flood;
  EXPECT_GE(flood, 40U);
  for (std::uint64_t workspace = 2; workspace <= 5; ++workspace) {
    EXPECT_TRUE(push(intake, requestOf(workspace))) << workspace;
    EXPECT_TRUE(push(intake, requestOf(workspace))) << workspace;
  }
  EXPECT_FALSE(push(intake, requestOf(1)));
  EXPECT_EQ(intake.take(1'000, 1'000'000).size(), flood + 8);
  EXPECT_TRUE(push(intake, requestOf(1))) << "what is taken no longer counts";
}

TEST(Intake, LeavesARefusedRequestUntouched) {
  Intake intake(100);
  Request request = requestOf(1);
  EXPECT_FALSE(intake.push(request, {1}));
  EXPECT_TRUE(request.event.has_value());
}

TEST(Intake, StopsAtTheBytesOfABatchButGivesAtLeastOne) {
  Intake intake(100'000);
  for (int index = 0; index < 5; ++index) push(intake, requestOf(1, Kind::runStarted, 600));
  EXPECT_EQ(intake.take(10, 1'000).size(), 2U);
  EXPECT_EQ(intake.take(10, 1).size(), 1U);
}

TEST(Intake, TellsOfAnOverloadOnceItHasDrained) {
  Intake intake(1'000);
  std::int64_t now = 10;
  while (push(intake, requestOf(4), now)) {
  }
  push(intake, requestOf(4), 25);
  EXPECT_TRUE(intake.takeOverloads().empty()) << "still full";
  intake.take(100, 1'000'000);
  const auto overloads = intake.takeOverloads();
  ASSERT_EQ(overloads.size(), 1U);
  EXPECT_EQ(overloads[0].workspace.value, 4U);
  EXPECT_EQ(overloads[0].from.nanoseconds, 10);
  EXPECT_EQ(overloads[0].to.nanoseconds, 25);
  EXPECT_EQ(overloads[0].refused.at("run.started"), 2U);
  EXPECT_TRUE(intake.takeOverloads().empty());
}

TEST(Intake, TheOverloadsOfManyWorkspacesAreBoundedByTheirNumber) {
  Intake intake(0);
  for (std::uint64_t workspace = 1; workspace <= 100; ++workspace) push(intake, requestOf(workspace % 3));
  EXPECT_EQ(intake.takeOverloads().size(), 3U);
}

}  // namespace
}  // namespace counterfoil::write
