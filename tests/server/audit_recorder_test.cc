// The record of readings over a real ledger: what it says, what it folds, and that nothing is answered before it is on the record.
#include "server/audit_recorder.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <future>
#include <optional>
#include <thread>

#include "ledger/core/outcome.h"
#include "ledger/log/memory_log.h"
#include "projections/query/view_reader.h"
#include "projections/runner.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::server {
namespace {

namespace json = boost::json;
constexpr std::chrono::seconds kRecorderPatience{60};

class AuditRecorderTest : public testing::Test {
 protected:
  void SetUp() override {
    // Appends wait until the test lets the log answer them.
    log::WriterIdentity identity;
    identity.incarnation = 1;
    identity.name = "node";
    log_ = std::make_unique<log::MemoryLog>(partitions_, identity, log::Delivery::pumped);
    ledger_ = std::make_unique<write::Ledger>(*log_, provider_, clock_, random_, write::LedgerOptions{});
    ledger_->start([](const std::string&) {});
    for (const char* id : {"alpha", "beta"}) {
      Command create = Command::make(CommandKind::workspaceCreate);
      create.body.setText(create.arena, Field::workspaceId, id);
      auto made = std::async(std::launch::async, [&] { ledger_->execute("", std::move(create)); });
      deliverUntil(made);
      made.get();
    }
    alpha_ = *ledger_->findWorkspace("alpha");
    beta_ = *ledger_->findWorkspace("beta");
    recorder_ = std::make_unique<AuditRecorder>(*ledger_, clock_);
    thread_ = std::thread([this] { io_.run(); });
  }
  void TearDown() override {
    recorder_.reset();
    auto stopped = std::async(std::launch::async, [this] { ledger_->stop(); });
    deliverUntil(stopped);
    guard_.reset();
    thread_.join();
  }

  template <class Condition>
  static bool until(Condition condition) {
    const auto deadline = std::chrono::steady_clock::now() + kRecorderPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::yield();
    }
    return true;
  }
  template <class Result>
  static bool isOver(std::future<Result>& work) {
    return work.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
  }
  template <class Result>
  void deliverUntil(std::future<Result>& work) {
    EXPECT_TRUE(until([&] {
      log_->deliver();
      return isOver(work);
    })) << "it does not end";
  }
  // Everything the loop had to do when this was called is done.
  void passLoop() {
    std::promise<void> passed;
    asio::post(io_, [&] { passed.set_value(); });
    passed.get_future().wait();
  }

  static Caller caller(const std::string& id, PrincipalKind kind = PrincipalKind::agent) {
    Caller result;
    result.authenticated = true;
    result.kind = kind;
    result.subjectId = id;
    result.subject = (kind == PrincipalKind::human ? "human:" : "agent:") + id;
    return result;
  }
  Reading reading(const std::string& filter, std::uint64_t rows, std::optional<WorkspaceNumber> workspace = std::nullopt) const {
    Reading result;
    result.workspace = workspace.value_or(alpha_);
    result.workspaceId = result.workspace == alpha_ ? "alpha" : "beta";
    result.filter = filter;
    result.rows = rows;
    return result;
  }
  // They hold the caller as long as the reading goes on.
  static asio::awaitable<void> query(AuditRecorder& recorder, Caller who, Reading what) { co_await recorder.queried(who, std::move(what)); }
  static asio::awaitable<void> resolve(AuditRecorder& recorder, Caller who, WorkspaceNumber workspace, std::string pseudonym) {
    co_await recorder.resolved(who, workspace, pseudonym, 1);
  }
  std::future<void> begin(Caller who, Reading what) {
    return asio::co_spawn(io_, query(*recorder_, std::move(who), std::move(what)), asio::use_future);
  }
  void read(const Caller& who, Reading what) {
    auto work = begin(who, std::move(what));
    deliverUntil(work);
    work.get();
  }
  void flush(bool all) {
    recorder_->flush(all);
    auto drained = std::async(std::launch::async, [this] { ledger_->drain(); });
    deliverUntil(drained);
  }
  std::string page(WorkspaceNumber workspace, const std::string& kind) {
    views::ViewRunnerOptions options;
    options.files.folder = folder_.path() / "views";
    options.workers = 1;
    views::ViewRunner runner(*log_, ledger_->keyRing(), options);
    runner.catchUp();
    query::ViewReader reader(options.files.folder, workspace);
    const query::Parameter asked[] = {{"kind", kind}, {"order", "asc"}, {"limit", "1000"}};
    return reader.list(query::ListKind::entries, query::parseFilters(query::ListKind::entries, asked), nullptr);
  }
  // The entries of readings, oldest first.
  std::vector<json::object> recorded(std::optional<WorkspaceNumber> workspace = std::nullopt, const std::string& kind = "audit.queried") {
    const json::value answer = json::parse(page(workspace.value_or(alpha_), kind));
    std::vector<json::object> result;
    for (const json::value& item : answer.at("items").as_array()) result.push_back(item.as_object());
    return result;
  }
  static std::uint64_t number(const json::object& entry, std::string_view name) { return entry.at(name).to_number<std::uint64_t>(); }
  static std::string text(const json::object& entry, std::string_view name) { return std::string(entry.at(name).as_string()); }

  test::TemporaryFolder folder_;
  test::ManualClock clock_{{1'772'000'000LL * kNanosecondsPerSecond}};
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::shared_ptr<log::MemoryPartitions> partitions_ =
      std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"ledger", "ledger.example/prod", {1'772'000'000LL * kNanosecondsPerSecond}});
  std::unique_ptr<log::MemoryLog> log_;
  std::unique_ptr<write::Ledger> ledger_;
  WorkspaceNumber alpha_, beta_;
  std::unique_ptr<AuditRecorder> recorder_;
  asio::io_context io_;
  std::optional<asio::executor_work_guard<asio::io_context::executor_type>> guard_{asio::make_work_guard(io_)};
  std::thread thread_;
};

// ---- before the answer ----

TEST_F(AuditRecorderTest, NothingIsAnsweredBeforeTheReadingIsDurable) {
  auto work = begin(caller("fixer"), reading("entries", 5));
  ASSERT_TRUE(until([&] { return log_->outstanding() > 0; }));
  passLoop();
  EXPECT_FALSE(isOver(work));
  EXPECT_TRUE(recorded().empty());
  deliverUntil(work);
  work.get();
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(text(entries[0], "filter"), "entries");
  EXPECT_EQ(number(entries[0], "rows"), 5U);
  EXPECT_EQ(number(entries[0], "count"), 1U);
  EXPECT_EQ(text(entries[0], "source"), "ledger");
  EXPECT_EQ(text(entries[0].at("who").as_object(), "id"), "fixer");
  EXPECT_EQ(text(entries[0].at("actor").as_object(), "id"), "fixer");
  EXPECT_EQ(text(entries[0], "from"), text(entries[0], "to"));
}

TEST_F(AuditRecorderTest, TheSecondOfTwoAtOnceDoesNotPassOnTheWordOfTheFirst) {
  auto first = begin(caller("fixer"), reading("entries", 5));
  ASSERT_TRUE(until([&] { return log_->outstanding() > 0; }));
  auto second = begin(caller("fixer"), reading("entries", 5));
  passLoop();
  EXPECT_FALSE(isOver(first));
  EXPECT_FALSE(isOver(second));
  deliverUntil(first);
  deliverUntil(second);
  EXPECT_EQ(recorded().size(), 2U);
}

TEST_F(AuditRecorderTest, WhatTheLogRefusesIsNotAnsweredAndNeverHappened) {
  log_->plan(log::Fate::rejected);
  auto work = begin(caller("fixer"), reading("entries", 5));
  deliverUntil(work);
  EXPECT_THROW(work.get(), Fault);
  EXPECT_EQ(recorder_->remembered(), 0U);
  read(caller("fixer"), reading("entries", 7));
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(number(entries[0], "count"), 1U);
  EXPECT_EQ(number(entries[0], "rows"), 7U);
}

TEST_F(AuditRecorderTest, ARefusalLosesNoneOfTheReadingsBeforeIt) {
  read(caller("fixer"), reading("entries", 1));
  read(caller("fixer"), reading("entries", 10));  // counted
  clock_.advanceSeconds(60);
  log_->plan(log::Fate::rejected);
  auto refused = begin(caller("fixer"), reading("entries", 100));
  deliverUntil(refused);
  EXPECT_THROW(refused.get(), Fault);
  log_->plan(log::Fate::rejected);
  flush(true);
  EXPECT_EQ(recorder_->remembered(), 1U);
  read(caller("fixer"), reading("entries", 1'000));
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(number(entries[1], "count"), 2U);
  EXPECT_EQ(number(entries[1], "rows"), 1'010U);
  flush(true);
  EXPECT_EQ(recorded().size(), 2U);
}

// ---- folding ----

TEST_F(AuditRecorderTest, TheSameWithinAMinuteIsCountedAndToldAfterIt) {
  read(caller("fixer"), reading("entries kind=lease.*", 3));
  for (int again = 1; again <= 9; ++again) {
    clock_.advanceSeconds(5);
    auto counted = begin(caller("fixer"), reading("entries kind=lease.*", 2));
    ASSERT_EQ(counted.wait_for(kRecorderPatience), std::future_status::ready);  // without the log
    counted.get();
  }
  EXPECT_EQ(recorded().size(), 1U);
  flush(false);  // its minute is not over
  EXPECT_EQ(recorded().size(), 1U);
  clock_.advanceSeconds(15);
  flush(false);
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(number(entries[1], "count"), 9U);
  EXPECT_EQ(number(entries[1], "rows"), 18U);
  EXPECT_EQ(text(entries[1], "filter"), "entries kind=lease.*");
  EXPECT_EQ(text(entries[1], "from"), "2026-02-25T06:13:25Z");
  EXPECT_EQ(text(entries[1], "to"), "2026-02-25T06:14:05Z");
  EXPECT_EQ(recorder_->remembered(), 0U);
}

TEST_F(AuditRecorderTest, WhatMustNotBeFoldedIsDurableEachTime) {
  Reading each = reading("entries disclose=true", 3);
  each.each = true;
  for (std::size_t times = 1; times <= 3; ++times) {
    auto work = begin(caller("fixer"), each);
    ASSERT_TRUE(until([&] { return log_->outstanding() > 0; }));
    passLoop();
    EXPECT_FALSE(isOver(work));
    deliverUntil(work);
    work.get();
    EXPECT_EQ(recorded().size(), times);
  }
  EXPECT_EQ(recorder_->remembered(), 0U);
  flush(true);
  EXPECT_EQ(recorded().size(), 3U);
  log_->plan(log::Fate::rejected);
  auto refused = begin(caller("fixer"), each);
  deliverUntil(refused);
  EXPECT_THROW(refused.get(), Fault);
}

TEST_F(AuditRecorderTest, TheNextEntryTellsOfThoseThatWereCounted) {
  read(caller("fixer"), reading("entries", 1));
  clock_.advanceSeconds(59);
  read(caller("fixer"), reading("entries", 10));
  EXPECT_EQ(recorded().size(), 1U);
  clock_.advanceSeconds(1);
  read(caller("fixer"), reading("entries", 100));
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(number(entries[1], "count"), 2U);
  EXPECT_EQ(number(entries[1], "rows"), 110U);
  EXPECT_EQ(text(entries[1], "from"), "2026-02-25T06:14:19Z");
  EXPECT_EQ(text(entries[1], "to"), "2026-02-25T06:14:20Z");
}

TEST_F(AuditRecorderTest, OnlyTheSameReaderFilterAndWorkspaceAreFolded) {
  read(caller("fixer"), reading("entries", 1));
  read(caller("other"), reading("entries", 1));
  read(caller("fixer", PrincipalKind::service), reading("entries", 1));
  read(caller("fixer"), reading("entries run=run-7", 1));
  read(caller("fixer"), reading("entries", 1, beta_));
  EXPECT_EQ(recorded().size(), 4U);
  EXPECT_EQ(recorded(beta_).size(), 1U);
  EXPECT_EQ(recorder_->remembered(), 5U);
}

TEST_F(AuditRecorderTest, TheWallClockDoesNotStretchTheMinute) {
  read(caller("fixer"), reading("entries", 1));
  clock_.advanceSeconds(61);
  clock_.jump(-60 * kNanosecondsPerSecond);
  read(caller("fixer"), reading("entries", 1));
  EXPECT_EQ(recorded().size(), 2U);
}

TEST_F(AuditRecorderTest, BeforeTheEndEverythingCountedIsTold) {
  read(caller("fixer"), reading("entries", 1));
  read(caller("fixer"), reading("entries", 10));
  read(caller("other"), reading("entries", 1));
  flush(true);
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(number(entries[2], "count"), 1U);
  EXPECT_EQ(number(entries[2], "rows"), 10U);
  flush(true);
  EXPECT_EQ(recorded().size(), 3U);
}

TEST_F(AuditRecorderTest, EverNewFiltersFillNoMemoryAndAreAllRecorded) {
  // Each as long as the longest query.
  constexpr std::size_t kLength = 32 * 1024;
  std::vector<std::future<void>> work;
  for (int index = 0; index < 400; ++index) {
    work.push_back(begin(caller("fixer"), reading("query " + std::to_string(index) + ' ' + std::string(kLength, 'x'), 1)));
  }
  for (auto& one : work) {
    deliverUntil(one);
    one.get();
  }
  EXPECT_EQ(recorded().size(), 400U);
  EXPECT_LE(recorder_->remembered() * 2 * kLength, 16U * 1024 * 1024);
  EXPECT_GT(recorder_->remembered(), 100U);
  // When their minute is over there is room again.
  clock_.advanceSeconds(60);
  flush(false);
  EXPECT_EQ(recorder_->remembered(), 0U);
  for (int index = 0; index < 10; ++index) read(caller("fixer"), reading("again " + std::to_string(index) + std::string(kLength, 'y'), 1));
  EXPECT_EQ(recorder_->remembered(), 10U);
}

// ---- what it says ----

TEST_F(AuditRecorderTest, APersonWhoAsksOrIsAskedForStandsUnderAPseudonym) {
  read(caller("alice", PrincipalKind::human), reading("entries", 1));
  const auto own = recorded();
  ASSERT_EQ(own.size(), 1U);
  const std::string pseudonym = text(own[0].at("who").as_object(), "id");
  EXPECT_TRUE(pseudonym.starts_with("p2:")) << pseudonym;
  read(caller("fixer"), reading("entries actor=human:alice principal=human:nobody-known run=run-7", 1));
  read(caller("fixer"), reading("query SELECT * FROM entries WHERE actor = 'human:alice'", 1));
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 3U);
  EXPECT_EQ(text(entries[1], "filter"), "entries actor=human:" + pseudonym + " principal=human:unknown run=run-7");
  EXPECT_EQ(text(entries[2], "filter"), "query SELECT * FROM entries WHERE actor = 'human:" + pseudonym + "'");
  EXPECT_EQ(page(alpha_, "audit.*").find("alice"), std::string::npos);
  EXPECT_EQ(page(alpha_, "audit.*").find("nobody-known"), std::string::npos);
}

TEST_F(AuditRecorderTest, ASecretInAFilterIsTakenOutAndTheReadingRecorded) {
  const std::string secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
  read(caller("fixer"), reading("entries text=" + secret, 1));
  const auto entries = recorded();
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(page(alpha_, "*").find(secret), std::string::npos);
  EXPECT_NE(text(entries[0], "filter").find("[redacted:"), std::string::npos) << text(entries[0], "filter");
}

TEST_F(AuditRecorderTest, ALongFilterIsCutAndTheReadingRecorded) {
  const std::string secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
  // A secret across the place of the cut, wherever that is.
  for (std::size_t length = 480; length < 520; length += 8) {
    read(caller("fixer"), reading("entries text=" + std::string(length, ' ') + secret + " " + std::string(5'000, 'z'), 1));
  }
  EXPECT_EQ(recorded().size(), 5U);
  for (const auto& entry : recorded()) {
    EXPECT_LE(text(entry, "filter").size(), 512U);
    EXPECT_EQ(text(entry, "filter").find("ghp_"), std::string::npos) << text(entry, "filter");
  }
}

// ---- persons that were named ----

TEST_F(AuditRecorderTest, EveryResolutionIsAnEntryDurableBeforeTheAnswer) {
  const std::string pseudonym = "p2:AAAAAAAAAAAAAAAAAAAAAA";
  for (std::size_t time = 1; time <= 3; ++time) {
    auto work = asio::co_spawn(io_, resolve(*recorder_, caller("fixer"), alpha_, pseudonym), asio::use_future);
    ASSERT_TRUE(until([&] { return log_->outstanding() > 0; }));
    passLoop();
    EXPECT_FALSE(isOver(work));
    deliverUntil(work);
    work.get();
    const auto entries = recorded(alpha_, "subject.resolved");
    ASSERT_EQ(entries.size(), time);
    EXPECT_EQ(text(entries.back(), "pseudonym"), pseudonym);
    EXPECT_EQ(number(entries.back(), "rows"), 1U);
  }
}

}  // namespace
}  // namespace counterfoil::server
