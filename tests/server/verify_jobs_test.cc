// Verifying one workspace in the background: what it finds, what it tells, how often it runs.
#include "server/verify_jobs.h"

#include <gtest/gtest.h>

#include <boost/asio/post.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json/parse.hpp>
#include <chrono>
#include <future>
#include <thread>

#include "ledger/core/encoding.h"
#include "ledger/core/merkle.h"
#include "tests/support/ledger_fixture.h"
#include "tests/support/manual_clock.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;
constexpr WorkspaceNumber kOne{1};
constexpr WorkspaceNumber kTwo{2};

class VerifyJobsTest : public testing::Test {
 protected:
  void TearDown() override { pool_.join(); }

  void fill() {
    ledger_.addSamples(kOne, 40);
    ledger_.addSamples(kTwo, 25);
    ledger_.append();
  }
  json::object look(WorkspaceNumber workspace) { return json::parse(jobs_.look(workspace)).as_object(); }
  // The job that runs, or the next one, at its end.
  json::object result(WorkspaceNumber workspace) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (true) {
      json::object found = look(workspace);
      if (found.at("state").as_string() != "running") return found;
      if (std::chrono::steady_clock::now() > deadline) break;
      std::this_thread::yield();
    }
    ADD_FAILURE() << "the job does not end";
    return {};
  }
  static std::string text(const json::object& object, std::string_view name) {
    return object.contains(name) ? std::string(object.at(name).as_string()) : std::string();
  }
  // A record that continues kOne's chain, as whoever can write to the log may make one; its content is that of its last entry.
  void forge(LeafHash leaf) {
    const log::MemoryPartitions& partitions = ledger_.partitions();
    const std::uint64_t end = partitions.end(PartitionId{0}).value;
    log::RecordHeader header = partitions.at(PartitionId{0}, Position{end - 1})->header;
    std::vector<std::uint8_t> value;
    for (std::uint64_t position = 0; position < end; ++position) {
      const auto stored = partitions.at(PartitionId{0}, Position{position});
      if (stored->header.kind == log::RecordKind::entry && stored->header.workspace == kOne) value = stored->value;
    }
    ++header.pseq;
    header.workspace = kOne;
    header.seq = Sequence{ledger_.size(kOne)};
    header.previous = ledger_.leaf(kOne);
    header.leaf = leaf;
    ledger_.partitions().inject(PartitionId{0}, header, std::move(value));
  }
  static std::uint64_t number(const json::object& object, std::string_view name) { return object.at(name).to_number<std::uint64_t>(); }
  std::string rootOf(WorkspaceNumber workspace) {
    TreeFrontier tree;
    for (const auto& entry : ledger_.entries(workspace)) tree.append(leafHash(entry));
    return toHex(tree.root());
  }

  test::LedgerFixture ledger_;
  test::ManualClock clock_;
  std::unique_ptr<keys::KeyRing> ring_ = ledger_.newRing();
  boost::asio::thread_pool pool_{1};
  VerifyJobs jobs_{ledger_.log(), *ring_, clock_, pool_};
};

TEST_F(VerifyJobsTest, AWholeChainIsFoundWhole) {
  fill();
  for (const auto& [workspace, entries] : {std::pair{kOne, 40U}, std::pair{kTwo, 25U}}) {
    const json::object found = result(workspace);
    EXPECT_EQ(text(found, "state"), "done");
    EXPECT_EQ(found.at("ok"), true);
    EXPECT_EQ(number(found, "entries"), entries);
    EXPECT_EQ(number(found, "notChecked"), 0U);
    EXPECT_EQ(number(found, "problemCount"), 0U);
    EXPECT_TRUE(found.at("problems").as_array().empty());
    EXPECT_EQ(text(found, "root"), rootOf(workspace));
  }
}

TEST_F(VerifyJobsTest, AnEntryThatIsNotWhatItsHashSaysIsAProblemOfItsWorkspaceAlone) {
  fill();
  LeafHash wrong;
  wrong.bytes.fill(0x5a);
  forge(wrong);
  const json::object found = result(kOne);
  EXPECT_EQ(text(found, "state"), "done");
  EXPECT_EQ(found.at("ok"), false);
  EXPECT_EQ(number(found, "entries"), 41U);
  EXPECT_GE(number(found, "problemCount"), 1U);
  ASSERT_FALSE(found.at("problems").as_array().empty());
  const json::object& problem = found.at("problems").as_array()[0].as_object();
  EXPECT_EQ(number(problem, "seq"), 40U);
  EXPECT_EQ(text(problem, "copy"), "log");
  EXPECT_FALSE(text(problem, "what").empty());
  EXPECT_EQ(result(kTwo).at("ok"), true);
}

TEST_F(VerifyJobsTest, WhatCannotBeReadIsCountedAndNotCalledWrong) {
  fill();
  ledger_.provider().destroyVersion(kOne, 1);
  const json::object found = result(kOne);
  EXPECT_EQ(found.at("ok"), true);
  EXPECT_EQ(number(found, "entries"), 40U);
  EXPECT_EQ(number(found, "notChecked"), 40U);
  EXPECT_EQ(text(found, "root"), rootOf(kOne));
  EXPECT_EQ(number(result(kTwo), "notChecked"), 0U);
}

TEST_F(VerifyJobsTest, ALogThatCannotBeReadFailsTheJobAndTellsNoPlace) {
  fill();
  ledger_.partitions().damage(PartitionId{0}, Position{20});
  testing::internal::CaptureStdout();
  const json::object found = result(kOne);
  const std::string logged = testing::internal::GetCapturedStdout();
  EXPECT_EQ(text(found, "state"), "failed");
  EXPECT_EQ(found.at("ok"), false);
  EXPECT_EQ(text(found, "code"), "log_damaged");
  EXPECT_EQ(text(found, "detail"), "the log of the ledger is damaged");
  // The operator reads where.
  EXPECT_NE(logged.find("the record is damaged"), std::string::npos) << logged;
  EXPECT_NE(logged.find("20"), std::string::npos) << logged;
}

TEST_F(VerifyJobsTest, OneJobAWorkspaceRunsAtATime) {
  fill();
  // The one thread is busy: what is asked for waits.
  std::promise<void> go;
  boost::asio::post(pool_, [&] { go.get_future().wait(); });
  for (int asked = 0; asked < 100; ++asked) {
    const json::object standing = look(kOne);
    EXPECT_EQ(text(standing, "state"), "running");
    EXPECT_FALSE(standing.contains("ok"));
    clock_.advanceSeconds(61);  // however long it takes
  }
  const std::string started = text(look(kOne), "startedAt");
  go.set_value();
  EXPECT_EQ(text(result(kOne), "startedAt"), started);
  // Nothing else was started: the pool has nothing left to do before this.
  std::promise<void> idle;
  boost::asio::post(pool_, [&] { idle.set_value(); });
  idle.get_future().wait();
  EXPECT_EQ(text(look(kOne), "startedAt"), started);
}

TEST_F(VerifyJobsTest, AResultCountsForAMinuteAndThenItIsLookedAtAgain) {
  fill();
  EXPECT_EQ(number(result(kOne), "entries"), 40U);
  ledger_.addSamples(kOne, 5);
  ledger_.append();
  clock_.advanceSeconds(60);
  EXPECT_EQ(number(result(kOne), "entries"), 40U);
  clock_.advance(1);
  EXPECT_EQ(number(result(kOne), "entries"), 45U);
}

TEST_F(VerifyJobsTest, AWallClockThatIsSetBackKeepsNoOldResult) {
  fill();
  EXPECT_EQ(number(result(kOne), "entries"), 40U);
  ledger_.addSamples(kOne, 5);
  ledger_.append();
  clock_.jump(-3'600 * kNanosecondsPerSecond);
  clock_.advanceSeconds(61);
  EXPECT_EQ(number(result(kOne), "entries"), 45U);
}

TEST_F(VerifyJobsTest, AJobThatIsStoppedFailsAndCallsNothingWhole) {
  fill();
  testing::internal::CaptureStdout();
  jobs_.stop();
  const json::object found = result(kOne);
  testing::internal::GetCapturedStdout();
  EXPECT_EQ(text(found, "state"), "failed");
  EXPECT_EQ(found.at("ok"), false);
  EXPECT_FALSE(found.contains("root"));
}

}  // namespace
}  // namespace counterfoil::server
