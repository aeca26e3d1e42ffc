// The write side as its callers meet it: threads, an embedded log on disk, restarts with and without a snapshot.
#include "ledger/write/ledger.h"

#include <gtest/gtest.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/log/embedded_log.h"
#include "ledger/log/memory_log.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::write {
namespace {

constexpr std::string_view kLedgerPolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 3600\n";

class LedgerTest : public testing::Test {
 protected:
  void SetUp() override {
    log::EmbeddedLogOptions options = logOptions();
    log::EmbeddedLog::create(options, {"ledger", "test.example", clock_.wall()});
    open();
    Command create = Command::make(CommandKind::workspaceCreate);
    create.body.setText(create.arena, Field::workspaceId, "alpha");
    ledger_->execute("", std::move(create));
    Command policy = Command::make(CommandKind::policySet);
    policy.body.setText(policy.arena, Field::document, kLedgerPolicy);
    ledger_->execute("alpha", std::move(policy));
  }

  log::EmbeddedLogOptions logOptions() {
    log::EmbeddedLogOptions options;
    options.directory = folder_.path() / "log";
    return options;
  }

  void open() {
    log_ = log::EmbeddedLog::open(logOptions());
    LedgerOptions options;
    options.snapshots = folder_.path();
    ledger_ = std::make_unique<Ledger>(*log_, provider_, clock_, random_, options);
    notes_.clear();
    ledger_->start([this](const std::string& note) { notes_.push_back(note); });
  }

  void reopen() {
    ledger_->stop();
    ledger_.reset();
    log_.reset();
    open();
  }

  Command request(std::string_view leaseId, std::uint64_t ttl) {
    Command command = Command::make(CommandKind::leaseRequest);
    command.body.setText(command.arena, Field::leaseId, leaseId);
    command.body.setNumber(Field::credential, static_cast<std::uint64_t>(Credential::gitToken));
    setPrincipal(command.arena, command.body, Field::grantee, {PrincipalKind::human, "alice"});
    const std::string_view scope[] = {"contents:read"};
    command.body.setTexts(command.arena, Field::scope, scope);
    command.body.setNumber(Field::ttlSeconds, ttl);
    return command;
  }

  LeaseState leaseState(std::string_view id) {
    LeaseState state = LeaseState::failed;
    ledger_->inspect(kSystemWorkspace,
                     [&](const PartitionState& partition) { state = partition.findWorkspace({1})->findLease(id)->state; });
    return state;
  }

  test::TemporaryFolder folder_;
  test::ManualClock clock_;
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::unique_ptr<log::EmbeddedLog> log_;
  std::unique_ptr<Ledger> ledger_;
  std::vector<std::string> notes_;
};

TEST_F(LedgerTest, GrantsAndAnswersWithAReceipt) {
  const Answer answer = ledger_->execute("alpha", request("one", 60));
  EXPECT_FALSE(answer.denied);
  ASSERT_TRUE(answer.lease);
  EXPECT_EQ(answer.lease->state, LeaseState::granted);
  ASSERT_TRUE(answer.receipt);
  EXPECT_EQ(answer.receipt->seq.value, 2U);
}

TEST_F(LedgerTest, ARepeatGetsTheFirstAnswerAlsoAfterARestart) {
  Command command = request("one", 60);
  const EntryId id = ledger_->freshId();
  command.id = id;
  const Answer first = ledger_->execute("alpha", std::move(command));
  for (int round = 0; round < 2; ++round) {
    Command repeat = request("one", 60);
    repeat.id = id;
    const Answer again = ledger_->execute("alpha", std::move(repeat));
    EXPECT_TRUE(again.replayed);
    EXPECT_EQ(again.receipt->leafHash, first.receipt->leafHash);
    reopen();
  }
}

TEST_F(LedgerTest, AnotherRequestUnderTheSameIdIsAConflict) {
  Command command = request("one", 60);
  const EntryId id = ledger_->freshId();
  command.id = id;
  ledger_->execute("alpha", std::move(command));
  Command other = request("one", 61);
  other.id = id;
  try {
    ledger_->execute("alpha", std::move(other));
    FAIL() << "accepted";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::idempotencyConflict);
  }
}

TEST_F(LedgerTest, IdsFromTooLongAgoOrAheadAreRefused) {
  for (const std::int64_t offset : {-16 * 60, 61}) {
    Command command = request("one", 60);
    command.id = makeUuidV7({clock_.wall().nanoseconds + offset * kNanosecondsPerSecond}, random_.bytes<10>());
    try {
      ledger_->execute("alpha", std::move(command));
      FAIL() << "accepted";
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.code(), offset < 0 ? ErrorCode::idTooOld : ErrorCode::invalidValue);
    }
  }
}

TEST_F(LedgerTest, ExpiresLeasesWhenTheirTimeComesAndFirstThingAfterARestart) {
  ledger_->execute("alpha", request("short", 30));
  clock_.advanceSeconds(29);
  ledger_->drain();
  EXPECT_EQ(leaseState("short"), LeaseState::granted);
  clock_.advanceSeconds(1);
  ledger_->drain();
  EXPECT_EQ(leaseState("short"), LeaseState::expired);
  ledger_->execute("alpha", request("later", 30));
  ledger_->stop();
  ledger_.reset();
  log_.reset();
  clock_.advanceSeconds(40);
  open();
  ledger_->drain();
  EXPECT_EQ(leaseState("later"), LeaseState::expired);
}

TEST_F(LedgerTest, ManyThreadsGetOneChain) {
  constexpr int kThreads = 8;
  constexpr int kEach = 100;
  std::vector<std::thread> threads;
  std::atomic<int> granted{0};
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int index = 0; index < kEach; ++index) {
        const Answer answer = ledger_->execute("alpha", request(std::to_string(thread) + "-" + std::to_string(index), 60));
        granted += answer.denied ? 0 : 1;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(granted, kThreads * kEach);
  std::uint64_t size = 0;
  ledger_->inspect(kSystemWorkspace, [&](const PartitionState& state) { size = state.findWorkspace({1})->head().size(); });
  EXPECT_EQ(size, 2U + kThreads * kEach);
}

TEST_F(LedgerTest, ADamagedSnapshotIsPassedOverWithANote) {
  ledger_->execute("alpha", request("one", 60));
  ledger_->stop();
  ledger_.reset();
  log_.reset();
  {
    std::fstream file(snapshotPath(folder_.path(), PartitionId{0}), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(200);
    file.put('\x5a');
  }
  open();
  ASSERT_EQ(notes_.size(), 1U);
  EXPECT_NE(notes_[0].find("digest does not match"), std::string::npos) << notes_[0];
  EXPECT_EQ(leaseState("one"), LeaseState::granted);
}

TEST_F(LedgerTest, ALogOlderThanTheSnapshotIsRefused) {
  std::filesystem::copy(folder_.path() / "log", folder_.path() / "old", std::filesystem::copy_options::recursive);
  ledger_->execute("alpha", request("one", 60));
  ledger_->stop();
  ledger_.reset();
  log_.reset();
  std::filesystem::remove_all(folder_.path() / "log");
  std::filesystem::rename(folder_.path() / "old", folder_.path() / "log");
  try {
    open();
    FAIL() << "started on an older log";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::logTruncated);
  }
  ledger_.reset();
}

TEST_F(LedgerTest, ALogThatWasCutUnderARunningLedgerIsRefusedAtTheNextStartToo) {
  const auto partitions = std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"cut", "test.example", {1}});
  test::MemoryKeyProvider provider{random_};
  LedgerOptions options;
  options.snapshots = folder_.path() / "of-the-cut-log";
  std::filesystem::create_directory(options.snapshots);
  const auto ignore = [](const std::string&) {};
  {
    log::MemoryLog memory(partitions, {1, 1, "node", "", 1});
    Ledger ledger(memory, provider, clock_, random_, options);
    ledger.start(ignore);
    for (const char* id : {"alpha", "beta"}) {
      Command create = Command::make(CommandKind::workspaceCreate);
      create.body.setText(create.arena, Field::workspaceId, id);
      ledger.execute("", std::move(create));
    }
    partitions->truncate(PartitionId{0}, Position{3});
    memory.plan(log::Fate::lost);
    Command create = Command::make(CommandKind::workspaceCreate);
    create.body.setText(create.arena, Field::workspaceId, "gamma");
    EXPECT_THROW(ledger.execute("", std::move(create)), Fault);
    ASSERT_TRUE(ledger.status().fault.has_value());
    EXPECT_EQ(ledger.status().fault->code(), ErrorCode::logTruncated);
    ledger.stop();
  }
  log::MemoryLog memory(partitions, {1, 2, "node", "", 1});
  Ledger ledger(memory, provider, clock_, random_, options);
  try {
    ledger.start(ignore);
    ledger.stop();
    FAIL() << "serves the shorter log";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::logTruncated);
  }
}

TEST_F(LedgerTest, AMissingKeyStopsTheWriterInsteadOfMakingAnother) {
  ledger_->execute("alpha", request("one", 60));
  ledger_->stop();
  ledger_.reset();
  log_.reset();
  provider_.destroyVersion({1}, 1);
  try {
    open();
    FAIL() << "started without the key of a workspace";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::keyMissing);
  }
  EXPECT_EQ(provider_.currentVersion({1}), 0U) << "no new key in the place of the missing one";
  ledger_.reset();
}

TEST_F(LedgerTest, UnknownWorkspacesAreRefused) {
  try {
    ledger_->execute("beta", request("one", 60));
    FAIL() << "accepted";
  } catch (const Fault& fault) {
    EXPECT_EQ(fault.code(), ErrorCode::noSuchItem);
  }
}

// What others are told of must be in the log already: a head that the log then refuses would look like a fork.
TEST_F(LedgerTest, AnInspectionForOthersShowsWhatIsDurableOnly) {
  std::atomic<bool> ending{false};
  std::thread writer([&] {
    std::atomic<int> under{0};
    for (int number = 0; !ending; ++number) {
      ++under;
      ledger_->execute("alpha", request("lease-" + std::to_string(number), 600), [&](const Answer*, const Fault*) { --under; });
      while (under > 20) std::this_thread::yield();
    }
    while (under > 0) std::this_thread::yield();
  });
  std::uint64_t seen = 0;
  for (int round = 0; round < 200 && !HasFailure(); ++round) {
    ChainHead head;
    ledger_->inspectDurable(kSystemWorkspace, [&](const PartitionState& state) { head = state.findWorkspace({1})->head(); });
    const auto reader = log_->read(PartitionId{0}, log::FoldState{});
    log::ValidRecord record;
    while (reader->next(record)) continue;
    const auto& heads = reader->state().heads;
    EXPECT_GE(heads.at({1}).size, head.size()) << "round " << round;
    seen = head.size();
    if (seen > 3'000) break;  // reading the whole log each time
  }
  ending = true;
  writer.join();
  EXPECT_GT(seen, 10U);
}

}  // namespace
}  // namespace counterfoil::write
