// A ledger whose log has several partitions: one writer for each, workspaces dealt out to them, creation in two steps.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "ledger/core/json.h"
#include "ledger/log/memory_log.h"
#include "ledger/write/ledger.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::write {
namespace {

constexpr std::uint32_t kPartitions = 3;
constexpr std::string_view kPartitionsPolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 3600\n";

bool within(std::chrono::milliseconds limit, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::yield();
  }
  return true;
}

class LedgerPartitionsTest : public testing::Test {
 protected:
  // A node with its own way to the log.
  struct Node {
    Node(LedgerPartitionsTest& test, std::uint64_t number, bool follow, const std::string& snapshot,
         log::Delivery delivery = log::Delivery::immediate)
        : log(test.partitions_, {number, ++test.incarnations_, "node-" + std::to_string(number), "", 1}, delivery),
          ledger(log, test.provider_, test.clock_, test.random_, optionsOf(follow, snapshot)) {
      ledger.start([this](const std::string& note) { notes.push_back(note); });
    }
    static LedgerOptions optionsOf(bool follow, const std::string& snapshot) {
      LedgerOptions options;
      options.follow = follow;
      options.snapshots = snapshot;
      return options;
    }
    // Until the claim has taken effect.
    void write(std::uint64_t partition) {
      ledger.lead(PartitionId{partition}, true);
      EXPECT_TRUE(within(std::chrono::seconds(60), [&] { return ledger.status(PartitionId{partition}).leading; }));
    }
    log::MemoryLog log;
    std::vector<std::string> notes;
    Ledger ledger;
  };

  static void create(Ledger& ledger, const std::string& id) {
    Command command = Command::make(CommandKind::workspaceCreate);
    command.body.setText(command.arena, Field::workspaceId, id);
    command.body.setText(command.arena, Field::region, "region-" + id);
    ledger.execute("", std::move(command));
  }
  static void allow(Ledger& ledger, const std::string& id) {
    Command policy = Command::make(CommandKind::policySet);
    policy.body.setText(policy.arena, Field::document, kPartitionsPolicy);
    ledger.execute(id, std::move(policy));
  }
  static Answer grant(Ledger& ledger, const std::string& id, std::string_view leaseId) { return ledger.execute(id, request(leaseId)); }
  static Command request(std::string_view leaseId) {
    Command command = Command::make(CommandKind::leaseRequest);
    command.body.setText(command.arena, Field::leaseId, leaseId);
    command.body.setNumber(Field::credential, static_cast<std::uint64_t>(Credential::gitToken));
    setPrincipal(command.arena, command.body, Field::grantee, {PrincipalKind::human, "alice"});
    const std::string_view scope[] = {"contents:read"};
    command.body.setTexts(command.arena, Field::scope, scope);
    command.body.setNumber(Field::ttlSeconds, 60);
    return command;
  }
  // Entries of a workspace as a node's state has them.
  static std::uint64_t entries(Ledger& ledger, const std::string& id) {
    const auto number = ledger.findWorkspace(id);
    if (!number) return 0;
    std::uint64_t size = 0;
    ledger.inspect(*number, [&](const PartitionState& state) {
      if (const WorkspaceState* workspace = state.findWorkspace(*number)) size = workspace->head().size();
    });
    return size;
  }
  static ErrorCode codeOf(const std::function<void()>& act) {
    try {
      act();
    } catch (const Fault& fault) {
      return fault.code();
    }
    return ErrorCode::internal;
  }
  // The workspaces whose entries a partition holds.
  std::set<std::uint64_t> workspacesIn(Node& node, std::uint64_t partition) {
    const auto reader = node.log.read(PartitionId{partition}, {});
    std::set<std::uint64_t> found;
    log::ValidRecord record;
    while (reader->next(record)) {
      if (record.kind == log::RecordKind::entry) found.insert(record.workspace.value);
    }
    return found;
  }

  test::TemporaryFolder folder_;
  test::ManualClock clock_;
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::uint64_t incarnations_ = 0;
  std::shared_ptr<log::MemoryPartitions> partitions_ =
      std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"several", "test.example", {1}}, kPartitions);
};

TEST_F(LedgerPartitionsTest, WorkspacesLiveInTheirPartitions) {
  Node node(*this, 1, false, {});
  for (int number = 1; number <= 7; ++number) {
    const std::string id = "w" + std::to_string(number);
    create(node.ledger, id);
    allow(node.ledger, id);
    EXPECT_FALSE(grant(node.ledger, id, "one").denied);
  }
  EXPECT_EQ(workspacesIn(node, 0), (std::set<std::uint64_t>{0, 3, 6}));
  EXPECT_EQ(workspacesIn(node, 1), (std::set<std::uint64_t>{1, 4, 7}));
  EXPECT_EQ(workspacesIn(node, 2), (std::set<std::uint64_t>{2, 5}));
  EXPECT_EQ(node.ledger.status().liveLeases, 7U);
  for (const auto& [id, number] : node.ledger.workspaces()) {
    std::string region;
    node.ledger.inspect(number, [&, number = number](const PartitionState& state) { region = state.findWorkspace(number)->region(); });
    EXPECT_EQ(region, number == kSystemWorkspace ? std::string() : "region-" + id);
  }
  EXPECT_EQ(codeOf([&] { create(node.ledger, "w4"); }), ErrorCode::alreadyExists);
}

TEST_F(LedgerPartitionsTest, ANewWorkspaceTakesRequestsAtOnce) {
  Node node(*this, 1, false, {});
  constexpr int kThreads = 4;
  constexpr int kEach = 50;
  std::atomic<int> refused{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int number = 0; number < kEach; ++number) {
        const std::string id = "w" + std::to_string(thread) + "-" + std::to_string(number);
        create(node.ledger, id);
        try {
          allow(node.ledger, id);
        } catch (const Fault&) {
          ++refused;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(refused, 0);
  for (const auto& [id, number] : node.ledger.workspaces()) {
    if (number == kSystemWorkspace) continue;
    EXPECT_EQ(entries(node.ledger, id), 2U) << id;
  }
}

TEST_F(LedgerPartitionsTest, AnotherNodeBeginsTheChainOfANewWorkspace) {
  Node first(*this, 1, true, {});
  Node second(*this, 2, true, {});
  first.write(0);
  second.write(1);
  second.write(2);
  create(first.ledger, "alpha");
  // Found out by following alone.
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return entries(second.ledger, "alpha") == 1; }));
  allow(second.ledger, "alpha");
  EXPECT_FALSE(grant(second.ledger, "alpha", "one").denied);
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return entries(first.ledger, "alpha") == 3; }));
  // Each node refuses what is the other's to write.
  EXPECT_EQ(codeOf([&] { create(second.ledger, "beta"); }), ErrorCode::notReady);
  EXPECT_EQ(codeOf([&] { grant(first.ledger, "alpha", "two"); }), ErrorCode::notReady);
}

TEST_F(LedgerPartitionsTest, ACreationCutInTwoIsFinishedByTheNextWriter) {
  {
    Node half(*this, 1, true, folder_.path());
    half.write(0);
    create(half.ledger, "alpha");
    create(half.ledger, "beta");
    EXPECT_EQ(entries(half.ledger, "alpha"), 0U);
    half.ledger.stop();
  }
  for (const bool snapshot : {true, false}) {
    Node whole(*this, 2, false, snapshot ? folder_.path().string() : std::string());
    EXPECT_TRUE(whole.notes.empty()) << whole.notes.front();
    allow(whole.ledger, "alpha");
    allow(whole.ledger, "beta");
    EXPECT_FALSE(grant(whole.ledger, "alpha", snapshot ? "one" : "two").denied);
  }
}

TEST_F(LedgerPartitionsTest, EachPartitionHasItsSnapshot) {
  {
    Node node(*this, 1, false, folder_.path());
    for (const char* id : {"alpha", "beta", "gamma"}) {
      create(node.ledger, id);
      allow(node.ledger, id);
      grant(node.ledger, id, "one");
    }
    node.ledger.stop();
  }
  // That of `_system` lost: the others' still open, with keys from the log.
  for (const std::uint64_t lost : {0, 1, 0}) {
    for (std::uint64_t partition = 0; partition < kPartitions; ++partition) {
      ASSERT_TRUE(std::filesystem::exists(snapshotPath(folder_.path(), PartitionId{partition}))) << partition;
    }
    std::filesystem::remove(snapshotPath(folder_.path(), PartitionId{lost}));
    Node node(*this, 1, false, folder_.path());
    EXPECT_TRUE(node.notes.empty()) << node.notes.front();
    EXPECT_EQ(node.ledger.status().liveLeases, 3U);
    EXPECT_EQ(codeOf([&] { grant(node.ledger, "alpha", "one"); }), ErrorCode::alreadyExists);
    node.ledger.stop();
  }
}

TEST_F(LedgerPartitionsTest, WhatIsWrongWithOnePartitionLeavesTheOthers) {
  Node node(*this, 1, false, {});
  for (const char* id : {"alpha", "beta"}) {
    create(node.ledger, id);
    allow(node.ledger, id);
  }
  partitions_->truncate(PartitionId{1}, Position{2});
  node.log.plan(log::Fate::lost);
  EXPECT_THROW(grant(node.ledger, "alpha", "one"), Fault);
  ASSERT_TRUE(node.ledger.status().fault.has_value());
  EXPECT_EQ(node.ledger.status().fault->code(), ErrorCode::logTruncated);
  EXPECT_FALSE(node.ledger.status().ready);
  EXPECT_FALSE(node.ledger.status(PartitionId{2}).fault.has_value());
  EXPECT_FALSE(grant(node.ledger, "beta", "one").denied);
}

TEST_F(LedgerPartitionsTest, APartitionThatWasIdleTakesTheTimeOfTheSystemsRecord) {
  const auto create1 = [&](Node& node, const char* id) {
    create(node.ledger, id);
    allow(node.ledger, id);
  };
  {
    Node node(*this, 1, false, {});
    create1(node, "alpha");  // in partition 1
    ASSERT_EQ(node.ledger.home(*node.ledger.findWorkspace("alpha")), PartitionId{1});
    clock_.advanceSeconds(20 * 3600);
    create1(node, "beta");  // `_system` has an entry of now, alpha's partition has none
    node.ledger.drain();
  }
  clock_.setSynchronised(false);
  clock_.advanceSeconds(20 * 3600);
  {
    Node node(*this, 1, false, {});
    EXPECT_FALSE(node.ledger.status().clockPaused);
    EXPECT_FALSE(grant(node.ledger, "alpha", "one").denied);
    EXPECT_FALSE(node.ledger.status(PartitionId{1}).clockPaused) << "40 hours after its last entry, 20 after the ledger's";
  }
  clock_.advanceSeconds(30 * 3600);
  Node late(*this, 1, false, {});
  grant(late.ledger, "alpha", "two");
  EXPECT_TRUE(late.ledger.status(PartitionId{1}).clockPaused) << "nothing in the ledger is younger than a day";
}

// Each does its part: who writes the workspace's partition ends its chain, who writes that of `_system` destroys its keys.
TEST_F(LedgerPartitionsTest, AWorkspaceIsErasedByTheNodesThatWriteItAndTheSystem) {
  Node one(*this, 1, true, {});
  Node two(*this, 2, true, {});
  one.write(0);
  two.write(1);
  create(one.ledger, "alpha");  // in partition 1
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return entries(two.ledger, "alpha") == 1; }));
  allow(two.ledger, "alpha");
  EXPECT_FALSE(grant(two.ledger, "alpha", "one").denied);
  const auto order = [&](std::string_view approval) {
    Command command = Command::make(CommandKind::workspaceErase);
    setPrincipal(command.arena, command.common, Field::actor, {PrincipalKind::agent, "olga"});
    command.body.setText(command.arena, Field::workspaceId, "alpha");
    command.body.setText(command.arena, Field::approval, approval);
    return command;
  };
  const std::string approval = one.ledger.execute("", order({})).approvalId;
  Command decide = Command::make(CommandKind::approvalDecide);
  setPrincipal(decide.arena, decide.common, Field::actor, {PrincipalKind::agent, "adam"});
  decide.body.setText(decide.arena, Field::approvalId, approval);
  decide.body.setNumber(Field::decision, static_cast<std::uint64_t>(Decision::approved));
  decide.body.setFlag(Field::asAdministrator, true);
  one.ledger.execute("_system", std::move(decide));
  EXPECT_EQ(one.ledger.execute("", order(approval)).kind, Kind::workspaceErased);
  const WorkspaceNumber alpha{1};
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return provider_.currentVersion(alpha) == 0; }));
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return one.ledger.status().owedRenewals == 0; }));
  EXPECT_EQ(codeOf([&] { grant(two.ledger, "alpha", "two"); }), ErrorCode::workspaceClosed);
  EXPECT_EQ(two.ledger.status(PartitionId{1}).liveLeases, 0U);
  const std::uint64_t size = entries(two.ledger, "alpha");
  EXPECT_EQ(size, 6U) << "created, its policy, a grant, closed, that lease revoked, its last word";
  // A node that was not there.
  Node three(*this, 3, true, {});
  EXPECT_EQ(entries(three.ledger, "alpha"), size);
  three.write(1);
  EXPECT_EQ(codeOf([&] { grant(three.ledger, "alpha", "two"); }), ErrorCode::workspaceClosed);
  EXPECT_EQ(provider_.currentVersion(alpha), 0U);
}

TEST_F(LedgerPartitionsTest, EachPartitionHasRoomForTheLargestRequestHoweverManyThereAre) {
  LedgerOptions options = Node::optionsOf(false, {});
  options.sequencer.intakeBytesMax = 900;  // 300 bytes for each: nothing has room there
  log::MemoryLog log(partitions_, {1, ++incarnations_, "node-1", "", 1});
  Ledger ledger(log, provider_, clock_, random_, options);
  ledger.start([](const std::string&) {});
  create(ledger, "alpha");
  allow(ledger, "alpha");
  EXPECT_FALSE(grant(ledger, "alpha", "one").denied);
}

TEST_F(LedgerPartitionsTest, AFailedAppendDropsNoKeysOfAnotherPartition) {
  Node node(*this, 1, false, {}, log::Delivery::pumped);
  std::atomic<bool> pumping{true};
  std::thread pump([&] {
    while (pumping) node.log.deliver();
  });
  for (const char* id : {"alpha", "beta"}) {
    create(node.ledger, id);
    allow(node.ledger, id);
  }
  pumping = false;
  pump.join();
  clock_.advance(40 * 86'400 * kNanosecondsPerSecond);  // another month, another key
  std::atomic<int> answered{0};
  const auto ask = [&](const char* id) { node.ledger.execute(id, request("one"), [&](const Answer*, const Fault*) { ++answered; }); };
  node.log.plan(log::Fate::lost);
  ask("alpha");
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return node.log.outstanding() == 1; }));
  ask("beta");
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return node.log.outstanding() == 2; }));
  const auto keys = node.ledger.keyRing().workspace(*node.ledger.findWorkspace("beta"));
  const KeyId carried = keys->logKey(clock_.wall())->id;
  // Beta's writer is busy: its key is in a record that lands, and not yet known to be durable, while alpha's writer recovers.
  std::atomic<bool> busy{false};
  std::atomic<bool> released{false};
  std::thread holder([&] {
    node.ledger.inspect(*node.ledger.findWorkspace("beta"), [&](const PartitionState&) {
      busy = true;
      while (!released) std::this_thread::yield();
    });
  });
  EXPECT_TRUE(within(std::chrono::seconds(60), [&] { return busy.load(); }));
  node.log.deliver();
  EXPECT_TRUE(within(std::chrono::seconds(60), [&] { return answered == 2; }));
  released = true;
  holder.join();
  EXPECT_TRUE(keys->usable(carried));
  pumping = true;
  pump = std::thread([&] {
    while (pumping) node.log.deliver();
  });
  node.ledger.stop();
  pumping = false;
  pump.join();
}

// Each look at it takes a second.
class SlowClock final : public Clock {
 public:
  explicit SlowClock(const Clock& clock) : clock_(clock) {}
  Timestamp wall() const override { return clock_.wall(); }
  std::int64_t monotonicNanoseconds() const override { return now_ += kNanosecondsPerSecond; }
  bool synchronised() const override { return true; }

 private:
  const Clock& clock_;
  mutable std::atomic<std::int64_t> now_{0};
};

TEST_F(LedgerPartitionsTest, ALongLogIsReadWithProgress) {
  constexpr int kRequests = 20'000;
  {
    Node node(*this, 1, false, {});
    create(node.ledger, "alpha");
    std::atomic<int> answered{0};
    for (int count = 0; count < kRequests; ++count) {
      // Without a policy each of them is a denial on the record.
      node.ledger.execute("alpha", request("one"), [&](const Answer*, const Fault*) { ++answered; });
    }
    ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return answered == kRequests; }));
  }
  const SlowClock clock(clock_);
  for (const bool follow : {false, true}) {
    log::MemoryLog memory(partitions_, {2, ++incarnations_, "node", "", 1});
    LedgerOptions options;
    options.follow = follow;
    Ledger ledger(memory, provider_, clock, random_, options);
    std::vector<std::string> notes;
    ledger.start([&](const std::string& note) { notes.push_back(note); });
    ASSERT_FALSE(notes.empty());
    EXPECT_NE(notes.front().find("partition 1 of the log: "), std::string::npos) << notes.front();
  }
}

// Deals workspaces to other partitions than the ledger was written with.
class OtherMap final : public log::EventLog {
 public:
  explicit OtherMap(log::MemoryLog& log) : log_(log) {}
  std::uint64_t incarnation() const override { return log_.incarnation(); }
  std::uint32_t partitions() const override { return log_.partitions(); }
  PartitionId partitionOf(WorkspaceNumber workspace) const override { return PartitionId{(workspace.value / 2) % kPartitions}; }
  std::unique_ptr<log::PartitionReader> read(PartitionId partition, const log::FoldState& from) override {
    return log_.read(partition, from);
  }
  std::unique_ptr<log::RecordFinder> finder(PartitionId partition) override { return log_.finder(partition); }
  std::unique_ptr<log::PartitionWriter> takeOver(PartitionId partition, log::FoldState& from,
                                                 const std::function<void(log::ValidRecord&)>& apply) override {
    return log_.takeOver(partition, from, apply);
  }
  void onAppended(std::function<void()> notify) override { log_.onAppended(std::move(notify)); }

 private:
  log::MemoryLog& log_;
};

TEST_F(LedgerPartitionsTest, TheMapOfWorkspacesIsOnTheRecordAndKeptTo) {
  {
    Node node(*this, 1, false, {});
    create(node.ledger, "alpha");
  }
  log::MemoryLog memory(partitions_, {2, ++incarnations_, "node", "", 1});
  OtherMap other(memory);
  Ledger ledger(other, provider_, clock_, random_, {});
  EXPECT_EQ(codeOf([&] { ledger.start([](const std::string&) {}); }), ErrorCode::logDamaged);
}

}  // namespace
}  // namespace counterfoil::write
