// Waiting for a workspace's view to move: who is woken, who is not, and that nobody is forgotten.
#include "server/stream_hub.h"

#include <gtest/gtest.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "tests/projections/view_fixture.h"

namespace counterfoil::server {
namespace {

// Longer than any test may take: a wait that ends by this was not woken.
constexpr std::int64_t kLong = 600'000;
constexpr std::chrono::seconds kPatience{60};

class StreamHubTest : public views::ViewFixture {
 protected:
  void SetUp() override {
    grow(kOne, 3);
    grow(kTwo, 3);
    ledger.append();
    rings.push_back(ledger.newRing());
    runner_ = std::make_unique<views::ViewSet>(ledger.log(), *rings.back(), options());
    runner_->catchUp();
    hub_ = std::make_unique<StreamHub>(*runner_, pool_.get_executor());
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    hub_->stop();
    guard_.reset();
    thread_.join();
    pool_.join();
  }

  void grow(WorkspaceNumber workspace, std::size_t count) {
    for (std::size_t index = 0; index < count; ++index) {
      ledger.add(workspace, Kind::runStarted, {.at = static_cast<std::int64_t>(ledger.size(workspace)), .run = "run-1"},
                 [](Arena&, StructValue&) {});
    }
  }
  void move(WorkspaceNumber workspace, std::size_t count = 1) {
    grow(workspace, count);
    ledger.append();
    runner_->catchUp();
  }
  std::future<bool> wait(WorkspaceNumber workspace, std::uint64_t size, std::int64_t milliseconds = kLong) {
    return asio::co_spawn(io_, hub_->waitFor(workspace, size, milliseconds), asio::use_future);
  }
  // What the wait gave; nullopt with a failure if it does not end.
  static std::optional<bool> outcome(std::future<bool>& wait) {
    if (wait.wait_for(kPatience) == std::future_status::ready) return wait.get();
    ADD_FAILURE() << "the wait does not end";
    return std::nullopt;
  }
  static bool isOver(std::future<bool>& wait) { return wait.wait_for(std::chrono::seconds(0)) == std::future_status::ready; }
  template <class Condition>
  static void until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline) << "it does not come to it";
      std::this_thread::yield();
    }
  }
  void untilWaiting(std::size_t count) {
    until([&] { return hub_->waiting() == count; });
  }

  asio::io_context io_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard_{asio::make_work_guard(io_)};
  asio::thread_pool pool_{2};
  std::unique_ptr<views::ViewSet> runner_;
  std::unique_ptr<StreamHub> hub_;
  std::thread thread_;
};

TEST_F(StreamHubTest, WhatIsThereAlreadyIsNotWaitedFor) {
  for (const std::uint64_t size : {0U, 1U, 3U}) {
    auto there = wait(kOne, size, 0);
    EXPECT_EQ(outcome(there), true) << size;
  }
  EXPECT_EQ(hub_->waiting(), 0U);
}

TEST_F(StreamHubTest, AWaitEndsByItsTime) {
  for (const std::int64_t milliseconds : {-5, 0, 1, 30}) {
    auto late = wait(kOne, 4, milliseconds);
    EXPECT_EQ(outcome(late), false) << milliseconds;
  }
  auto stranger = wait(WorkspaceNumber{99}, 1, 30);  // a workspace nobody knows
  EXPECT_EQ(outcome(stranger), false);
  EXPECT_EQ(hub_->waiting(), 0U);
}

TEST_F(StreamHubTest, AWaitEndsWhenTheViewMoves) {
  auto next = wait(kOne, 4);
  untilWaiting(1);
  EXPECT_FALSE(isOver(next));
  move(kOne);
  EXPECT_EQ(outcome(next), true);
  EXPECT_EQ(hub_->waiting(), 0U);
}

TEST_F(StreamHubTest, AWaitAfterALongQuietEndsAsWell) {
  // Longer than the hub looks often.
  auto quiet = wait(kTwo, 4, 300);
  EXPECT_EQ(outcome(quiet), false);
  auto next = wait(kOne, 4);
  untilWaiting(1);
  move(kOne);
  EXPECT_EQ(outcome(next), true);
}

TEST_F(StreamHubTest, OnlyThoseWhoseSizeIsReachedAreWoken) {
  auto fourth = wait(kOne, 4);
  auto fifth = wait(kOne, 5);
  auto sixth = wait(kOne, 6);
  untilWaiting(3);
  move(kOne, 2);
  EXPECT_EQ(outcome(fourth), true);
  EXPECT_EQ(outcome(fifth), true);
  EXPECT_FALSE(isOver(sixth));
  EXPECT_EQ(hub_->waiting(), 1U);
  move(kOne);
  EXPECT_EQ(outcome(sixth), true);
}

TEST_F(StreamHubTest, EntriesOfAnotherWorkspaceWakeNobody) {
  auto mine = wait(kOne, 4);
  auto theirs = wait(kTwo, 4);
  untilWaiting(2);
  move(kTwo, 50);
  EXPECT_EQ(outcome(theirs), true);
  // And in a later look, which had seen both.
  auto later = wait(kTwo, 54);
  untilWaiting(2);
  move(kTwo);
  EXPECT_EQ(outcome(later), true);
  EXPECT_FALSE(isOver(mine));
  EXPECT_EQ(hub_->waiting(), 1U);
}

TEST_F(StreamHubTest, StopWakesEverybodyAndNobodyWaitsAfterIt) {
  std::vector<std::future<bool>> waits;
  for (std::uint64_t index = 0; index < 100; ++index) waits.push_back(wait(index % 2 == 0 ? kOne : kTwo, 4 + index));
  untilWaiting(100);
  hub_->stop();
  for (auto& one : waits) EXPECT_EQ(outcome(one), false);
  EXPECT_EQ(hub_->waiting(), 0U);
  auto after = wait(kOne, 4);
  EXPECT_EQ(outcome(after), false);
  hub_->stop();
}

TEST_F(StreamHubTest, ThousandsAreWokenByOneEntry) {
  std::vector<std::future<bool>> waits;
  for (int index = 0; index < 3'000; ++index) waits.push_back(wait(kOne, 4));
  untilWaiting(3'000);
  move(kOne);
  for (auto& one : waits) ASSERT_EQ(outcome(one), true);
  EXPECT_EQ(hub_->waiting(), 0U);
}

TEST_F(StreamHubTest, NoEntryIsMissedHoweverItsRecordAndTheWaitMeet) {
  // Listeners that go on as soon as they are woken, while the view moves under them.
  constexpr std::uint64_t kEnd = 200;
  std::vector<std::future<bool>> listeners;
  const auto follow = [this]() -> asio::awaitable<bool> {
    for (std::uint64_t size = 4; size <= kEnd; ++size) {
      const bool more = co_await hub_->waitFor(kOne, size, kLong);
      if (!more) co_return false;
    }
    co_return true;
  };
  for (int index = 0; index < 8; ++index) listeners.push_back(asio::co_spawn(io_, follow(), asio::use_future));
  while (ledger.size(kOne) < kEnd) move(kOne);
  for (auto& listener : listeners) EXPECT_EQ(outcome(listener), true);
  EXPECT_EQ(hub_->waiting(), 0U);
}

TEST_F(StreamHubTest, TheWaitGoesOnWhereItsCallerRuns) {
  std::promise<std::thread::id> place;
  const auto ask = [&]() -> asio::awaitable<void> {
    const bool more = co_await hub_->waitFor(kOne, 4, kLong);
    place.set_value(more ? std::this_thread::get_id() : std::thread::id());
  };
  asio::co_spawn(io_, ask(), asio::detached);
  untilWaiting(1);
  move(kOne);
  auto found = place.get_future();
  ASSERT_EQ(found.wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(found.get(), thread_.get_id());
}

TEST_F(StreamHubTest, AWaitWhoseConnectionIsGoneLeavesTheList) {
  {
    asio::io_context gone;
    for (int index = 0; index < 3; ++index) asio::co_spawn(gone, hub_->waitFor(kOne, 4, kLong), asio::detached);
    gone.poll();
    EXPECT_EQ(hub_->waiting(), 3U);
  }
  EXPECT_EQ(hub_->waiting(), 0U);
  auto other = wait(kOne, 4);
  untilWaiting(1);
  move(kOne);
  EXPECT_EQ(outcome(other), true);
}

}  // namespace
}  // namespace counterfoil::server
