// Faults of the ledger's own disk, files and keys: what callers read, and what the operator finds in the log.
#include "server/fault_log.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "tests/support/manual_clock.h"

namespace counterfoil::server {
namespace {

constexpr ErrorCode kCodes[] = {
#define COUNTERFOIL_ERROR_NAME(name, text, http, exitStatus) ErrorCode::name,
    COUNTERFOIL_ERROR_CODES(COUNTERFOIL_ERROR_NAME)
#undef COUNTERFOIL_ERROR_NAME
};

constexpr const char* kDetail = "/var/lib/counterfoil/log/partition-0.db: position 4711: the record is missing";
constexpr const char* kHint = "look at /var/lib/counterfoil, then run `counterfoil verify`";

// The process's log, which goes to standard output as long as nobody sets it up.
class LogCapture {
 public:
  LogCapture() { testing::internal::CaptureStdout(); }
  ~LogCapture() { testing::internal::GetCapturedStdout(); }
  // What was written since the last call.
  std::vector<std::string> lines() {
    std::vector<std::string> result;
    std::istringstream all(testing::internal::GetCapturedStdout());
    for (std::string line; std::getline(all, line);) result.push_back(line);
    testing::internal::CaptureStdout();
    return result;
  }
};

class FaultLogTest : public testing::Test {
 protected:
  LogCapture capture_;
  test::ManualClock clock_;
  FaultLog faults_{clock_};
};

TEST_F(FaultLogTest, ACallersOwnMistakesComeBackAsTheyAre) {
  for (const ErrorCode code : kCodes) {
    if (factsOf(code).httpStatus >= 500) continue;
    SCOPED_TRACE(factsOf(code).text);
    const Fault given = Fault(code, "/ttlSeconds must be a number", "see /openapi.json", "/ttlSeconds").askAgainAfter(7);
    const Fault answer = faults_.forCaller(given, "r1");
    EXPECT_EQ(answer.code(), code);
    EXPECT_EQ(answer.detail(), given.detail());
    EXPECT_EQ(answer.hint(), given.hint());
    EXPECT_EQ(answer.field(), given.field());
    EXPECT_EQ(answer.askAgainSeconds(), 7U);
  }
  EXPECT_TRUE(capture_.lines().empty());
}

TEST_F(FaultLogTest, WhatNamesPlacesOfTheServerGoesIntoTheLogAndNotToTheCaller) {
  int told = 0;
  for (const ErrorCode code : kCodes) {
    if (factsOf(code).httpStatus < 500) continue;
    SCOPED_TRACE(factsOf(code).text);
    const Fault answer = faults_.forCaller(Fault(code, kDetail, kHint).askAgainAfter(9), "request-" + std::to_string(told));
    EXPECT_EQ(answer.code(), code);
    EXPECT_EQ(answer.askAgainSeconds(), 9U);
    for (const std::string& text : {answer.detail(), answer.hint(), std::string(answer.what())}) {
      EXPECT_EQ(text.find('/'), std::string::npos) << text;
      EXPECT_EQ(text.find("4711"), std::string::npos) << text;
    }
    EXPECT_FALSE(answer.detail().empty());
    EXPECT_FALSE(answer.hint().empty());
    const auto lines = capture_.lines();
    ASSERT_EQ(lines.size(), 1U);
    EXPECT_NE(lines.front().find(kDetail), std::string::npos) << lines.front();
    EXPECT_NE(lines.front().find("request-" + std::to_string(told)), std::string::npos) << lines.front();
    ++told;
  }
  EXPECT_GT(told, 8);
}

TEST_F(FaultLogTest, WhatTellsTheCallerWhatToDoStays) {
  const Fault given(ErrorCode::notReady, "the view has not reached the seq to wait for within 5 s", "ask again", "wait");
  const Fault answer = faults_.forCaller(given, "r1");
  EXPECT_EQ(answer.detail(), given.detail());
  EXPECT_EQ(answer.hint(), given.hint());
  EXPECT_EQ(answer.field(), "wait");
  EXPECT_TRUE(capture_.lines().empty());
}

TEST_F(FaultLogTest, AFloodIsOneLineInTenSecondsThatCountsTheRest) {
  const Fault full(ErrorCode::diskFull, kDetail);
  for (int request = 0; request < 5'000; ++request) {
    EXPECT_EQ(faults_.forCaller(full, "r").detail(), "the disk of the ledger is full");
  }
  auto lines = capture_.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().find("more of this code"), std::string::npos);
  clock_.advance(10 * kNanosecondsPerSecond - 1);
  faults_.forCaller(full, "r");
  EXPECT_TRUE(capture_.lines().empty());
  clock_.advance(1);
  faults_.forCaller(full, "r");
  lines = capture_.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_NE(lines.front().find("and 5000 more of this code"), std::string::npos) << lines.front();
  // They were told: the next line does not count them again.
  clock_.advanceSeconds(10);
  faults_.forCaller(full, "r");
  lines = capture_.lines();
  ASSERT_EQ(lines.size(), 1U);
  EXPECT_EQ(lines.front().find("more of this code"), std::string::npos) << lines.front();
}

TEST_F(FaultLogTest, AFloodOfOneCodeHidesNoOther) {
  for (int request = 0; request < 100; ++request) faults_.forCaller(Fault(ErrorCode::diskFull, kDetail), "r");
  capture_.lines();
  faults_.forCaller(Fault(ErrorCode::logDamaged, kDetail), "r");
  EXPECT_EQ(capture_.lines().size(), 1U);
}

}  // namespace
}  // namespace counterfoil::server
