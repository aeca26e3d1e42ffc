#include "server/http/deadlines.h"

#include <gtest/gtest.h>

namespace counterfoil::server {
namespace {

struct Counted final : Deadlines::Entry {
  int expired = 0;
  int rested = 0;
  void expire() override { ++expired; }
  void rest() override { ++rested; }
};

class DeadlinesTest : public testing::Test {
 protected:
  void looks(int count) {
    for (; count > 0; --count) loop_.run_one_for(std::chrono::seconds(10));
  }
  asio::io_context loop_;
  Deadlines deadlines_{loop_};
  Counted entry_;
  const Deadlines::Time past_ = std::chrono::steady_clock::now() - std::chrono::seconds(1);
};

TEST_F(DeadlinesTest, ARestIsToldOnceAndEndsNothing) {
  entry_.restAt = past_;
  deadlines_.add(entry_);
  looks(3);
  EXPECT_EQ(entry_.rested, 1);
  EXPECT_EQ(entry_.expired, 0);
  deadlines_.remove(entry_);
}

TEST_F(DeadlinesTest, WhatHasNoTimeIsLeftAlone) {
  deadlines_.add(entry_);
  looks(2);
  EXPECT_EQ(entry_.rested, 0);
  EXPECT_EQ(entry_.expired, 0);
  entry_.at = past_;
  looks(3);
  EXPECT_EQ(entry_.expired, 1);
  EXPECT_EQ(entry_.rested, 0);
  deadlines_.remove(entry_);
}

}  // namespace
}  // namespace counterfoil::server
