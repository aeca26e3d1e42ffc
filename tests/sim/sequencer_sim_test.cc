// Seeded simulation over the real sequencer: clients that repeat what failed, a log that rejects, forgets, half-lands and duplicates,
// clocks that move, crashes with and without snapshots. After every round the log is read back by the checkers of world.h.
#include <gtest/gtest.h>

#include <cstdlib>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "projections/runner.h"
#include "projections/views/view_check.h"
#include "tests/sim/stage.h"
#include "tests/sim/world.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {
namespace {

constexpr std::string_view kPolicy = R"(name = "sim"
[[rule]]
name = "all"
effect = "allow"
maxTtlSeconds = 3600
maxUses = 4
renewableForSeconds = 7200
)";

class Simulation {
 public:
  Simulation(std::uint64_t seed, bool onDisk) : random_(seed), chance_(seed) {
    if (onDisk) {
      stage_ = std::make_unique<DiskStage>(clock_.wall());
    } else {
      stage_ = std::make_unique<MemoryStage>(clock_.wall());
    }
    boot();
    createWorkspaces();
  }

  ~Simulation() {
    runner_.reset();
    node_.reset();
  }

  void round() {
    const unsigned requests = pick(6);
    for (unsigned index = 0; index < requests; ++index) {
      takeAnswers();
      client();
    }
    if (pick(4) == 0) stage_->disturb(chance_);
    const unsigned steps = 1 + pick(4);
    for (unsigned index = 0; index < steps; ++index) {
      node_->sequencer().step();
      if (pick(2) == 0) stage_->deliver(chance_, false);
    }
    stage_->heal();
    if (pick(3) == 0) clock_.advance(static_cast<std::int64_t>(pick(90)) * kNanosecondsPerSecond);
    if (pick(40) == 0) clock_.jump(static_cast<std::int64_t>(pick(4)) * kNanosecondsPerSecond);
    if (pick(15) == 0) crash();
  }

  // Everything delivered, repeated and due is done.
  void settle() {
    for (unsigned index = 0; index < 10'000; ++index) {
      node_->sequencer().step();
      stage_->deliver(chance_, true);
      if (node_->sequencer().status().fault) clock_.advance(2 * kNanosecondsPerSecond);
      if (node_->sequencer().idle() && stage_->quiet() && !node_->sequencer().status().fault) {
        takeAnswers();
        return;
      }
      node_->sequencer().waitForWork(kNanosecondsPerMillisecond);
    }
    FAIL() << "the sequencer does not come to rest";
  }

  void check() {
    settle();
    repeatUnanswered();
    const Evidence evidence = gather(*eventLog_, provider_, random_);
    ASSERT_TRUE(evidence.ok) << evidence.problem;
    for (const auto& [id, promise] : promises_) {
      const auto found = evidence.leaves.find({promise.workspace.value, promise.seq.value});
      ASSERT_NE(found, evidence.leaves.end()) << "an acknowledged entry is missing";
      ASSERT_EQ(found->second, promise.leaf) << "an acknowledged entry has another hash";
      ASSERT_EQ(evidence.ids.at(id), 1U) << "an acknowledged id stands more than once";
    }
    for (const auto& [id, count] : evidence.ids) ASSERT_EQ(count, 1U) << "an id stands twice";
    for (const auto& [lease, terminal] : evidence.terminals) {
      ASSERT_EQ(terminal.count, 1U) << "a lease ended twice";
      ASSERT_EQ(evidence.grants.at(lease), 1U);
    }
    checkExpiry(evidence);
    checkStateAgainstZero();
    if (pick(2) == 0) checkViews();  // otherwise the views fall behind and catch up later
  }

 private:
  unsigned pick(unsigned below) { return static_cast<unsigned>(chance_() % below); }

  void boot() {
    eventLog_ = &stage_->open();
    node_ = std::make_unique<Node>(*eventLog_, provider_, clock_, random_, folder_.path() / "snapshot");
  }

  void crash() {
    if (pick(2) == 0 && node_->sequencer().idle() && stage_->quiet()) node_->writeSnapshot();
    runner_.reset();
    node_.reset();  // answers what waits with an error; clients repeat
    stage_->close();
    stage_->crash(chance_);
    boot();
  }

  void createWorkspaces() {
    for (const char* id : {"alpha", "beta"}) {
      Command create = Command::make(CommandKind::workspaceCreate);
      create.id = freshId();
      create.body.setText(create.arena, Field::workspaceId, id);
      node_->submit(kSystemWorkspace, std::move(create),
                    [](const write::Answer*, const Fault* fault) { ASSERT_EQ(fault, nullptr) << fault->what(); });
      settle();
    }
    for (std::uint64_t number = 1; number <= 2; ++number) {
      Command policy = Command::make(CommandKind::policySet);
      policy.id = freshId();
      policy.body.setText(policy.arena, Field::document, kPolicy);
      node_->submit({number}, std::move(policy),
                    [](const write::Answer*, const Fault* fault) { ASSERT_EQ(fault, nullptr) << fault->what(); });
    }
    settle();
  }

  EntryId freshId() { return makeUuidV7(clock_.wall(), random_.bytes<10>()); }

  // What a client wants; kept so that it can be repeated byte for byte.
  struct Wish {
    WorkspaceNumber workspace;
    CommandKind kind = CommandKind::none;
    EntryId id;
    std::string lease, parent, run;
    std::uint64_t ttl = 0, uses = 0, renewable = 0;
    bool secret = false;
  };

  Command commandOf(const Wish& wish) {
    Command command = Command::make(wish.kind);
    Arena& arena = command.arena;
    command.id = wish.id;
    setPrincipal(arena, command.common, Field::actor, {PrincipalKind::human, "alice"});
    if (wish.kind == CommandKind::leaseRequest) {
      command.body.setNumber(Field::credential, static_cast<std::uint64_t>(Credential::gitToken));
      setPrincipal(arena, command.body, Field::grantee, {PrincipalKind::agent, "fixer"});
      const std::string_view scope[] = {"contents:read"};
      command.body.setTexts(arena, Field::scope, scope);
      command.body.setNumber(Field::ttlSeconds, wish.ttl);
      command.body.setNumber(Field::maxUses, wish.uses);
      command.body.setNumber(Field::renewableForSeconds, wish.renewable);
      command.body.setText(arena, Field::parentLease, wish.parent);
      command.body.setText(arena, Field::reason, "because");
      command.common.setText(arena, Field::run, wish.run);
      if (wish.secret) {
        command.body.setText(arena, Field::secret, "canary-secret-" + wish.lease);
        command.body.at(Field::secret).secretForm = SecretForm::value;
      }
    }
    if (wish.kind == CommandKind::revokeAll) {
      command.common.setText(arena, Field::run, wish.run);
      return command;
    }
    command.body.setText(arena, Field::leaseId, wish.lease);
    if (wish.kind == CommandKind::leaseRenew) command.body.setNumber(Field::ttlSeconds, wish.ttl);
    return command;
  }

  void client() {
    if (!unanswered_.empty() && pick(3) == 0) {
      submit(Wish(unanswered_.begin()->second));
      return;
    }
    Wish wish;
    wish.workspace = {1 + pick(2)};
    wish.id = freshId();
    wish.lease = "lease-" + std::to_string(pick(40));
    wish.run = "run-" + std::to_string(pick(4));
    switch (pick(8)) {
      case 0:
      case 1:
      case 2:
        wish.kind = CommandKind::leaseRequest;
        wish.lease = "lease-" + std::to_string(leases_++);
        wish.ttl = 1 + pick(300);
        wish.uses = pick(4);
        wish.renewable = pick(2) * 600;
        wish.secret = pick(2) == 0;
        if (pick(3) == 0 && leases_ > 1) wish.parent = "lease-" + std::to_string(pick(leases_));
        break;
      case 3:
        wish.kind = CommandKind::leaseIssue;
        wish.lease = "lease-" + std::to_string(pick(leases_ + 1));
        break;
      case 4:
      case 5:
        wish.kind = CommandKind::leaseConsume;
        wish.lease = "lease-" + std::to_string(pick(leases_ + 1));
        break;
      case 6:
        wish.kind = CommandKind::leaseRenew;
        wish.lease = "lease-" + std::to_string(pick(leases_ + 1));
        wish.ttl = 1 + pick(600);
        break;
      default:
        wish.kind = pick(3) == 0 ? CommandKind::revokeAll : CommandKind::leaseRevoke;
        wish.lease = "lease-" + std::to_string(pick(leases_ + 1));
        break;
    }
    submit(wish);
  }

  // One answer as it arrived.
  struct Told {
    std::string id;
    std::optional<ErrorCode> error;
    std::optional<Promise> promise;
  };

  void submit(const Wish& wish) {
    const std::string id = toUuid(wish.id);
    unanswered_[id] = wish;
    node_->submit(wish.workspace, commandOf(wish), [this, id](const write::Answer* answer, const Fault* fault) {
      Told told{id, fault != nullptr ? std::optional(fault->code()) : std::nullopt, std::nullopt};
      if (answer != nullptr && answer->receipt) {
        told.promise = Promise{answer->receipt->number, answer->receipt->seq, answer->receipt->leafHash};
      }
      const std::lock_guard lock(toldMutex_);
      told_.push_back(std::move(told));
    });
  }

  // Answers come on the log's thread; here they reach the client.
  void takeAnswers() {
    std::vector<Told> answers;
    {
      const std::lock_guard lock(toldMutex_);
      answers.swap(told_);
    }
    for (const Told& told : answers) {
      // Only what may have been recorded, or may be later, is repeated.
      if (told.error && factsOf(*told.error).exitStatus == 3) continue;
      unanswered_.erase(told.id);
      if (!told.promise) continue;
      const auto [place, added] = promises_.emplace(told.id, *told.promise);
      if (!added) {
        EXPECT_EQ(place->second.seq, told.promise->seq) << "a repeat got another answer";
      }
    }
  }

  void repeatUnanswered() {
    for (unsigned attempt = 0; attempt < 20 && !unanswered_.empty(); ++attempt) {
      const auto wishes = unanswered_;
      for (const auto& [id, wish] : wishes) submit(wish);
      settle();
    }
    ASSERT_TRUE(unanswered_.empty()) << "a request is never answered";
  }

  // Nothing ended before its time, and nothing is overdue now that all is settled.
  void checkExpiry(const Evidence& evidence) {
    for (const WorkspaceNumber number : node_->state().workspaces()) {
      node_->state().workspace(number).forEachLive([&](LeaseSlot, const Lease& lease) {
        EXPECT_GT(lease.expiresAt, clock_.wall()) << "a lease outlived its end";
        EXPECT_EQ(evidence.terminals.count(std::to_string(number.value) + "/" + lease.id), 0U);
      });
    }
  }

  // A snapshot plus the tail, and every recovery in between, equals reading from zero.
  void checkStateAgainstZero() {
    keys::KeyRing ring(provider_, random_);
    write::KnownSecretStore known;
    write::PartitionState zero(ring, known, 100'000);
    const auto reader = eventLog_->read(PartitionId{0}, log::FoldState{});
    log::ValidRecord record;
    while (reader->next(record)) zero.applyRecord(record);
    for (const WorkspaceNumber number : zero.workspaces()) {
      std::vector<std::uint8_t> expected;
      std::vector<std::uint8_t> found;
      zero.workspace(number).save(expected);
      node_->state().workspace(number).save(found);
      ASSERT_EQ(found, expected) << "the state of workspace " << number.value << " is not what its entries say";
    }
    std::vector<std::uint8_t> expected;
    std::vector<std::uint8_t> found;
    zero.window().save(expected);
    node_->state().window().save(found);
    ASSERT_EQ(found, expected) << "the idempotency window is not what the entries say";
  }

  // What the views hold after following along, with pauses and restarts, is what a rebuild from zero holds.
  void checkViews() {
    if (!runner_) {
      views::ViewRunnerOptions options;
      options.files.folder = folder_.path() / "views";
      options.workers = 1;
      viewRing_ = std::make_unique<keys::KeyRing>(provider_, random_);
      runner_ = std::make_unique<views::ViewRunner>(*eventLog_, *viewRing_, options);
    }
    runner_->catchUp();
    views::ViewRunnerOptions options;
    options.files.folder = folder_.path() / "fresh";
    options.workers = 1;
    std::filesystem::remove_all(options.files.folder);
    keys::KeyRing ring(provider_, random_);
    views::ViewRunner fresh(*eventLog_, ring, options);
    fresh.requestRebuildAll();
    fresh.catchUp();
    for (const WorkspaceNumber number : fresh.workspaces()) {
      const views::ViewCheck followed = views::checkView(views::viewPath(folder_.path() / "views", number));
      const views::ViewCheck rebuilt = views::checkView(views::viewPath(folder_.path() / "fresh", number));
      ASSERT_TRUE(followed.sound()) << followed.problems.front();
      ASSERT_EQ(toHex(followed.stored.digest()), toHex(rebuilt.stored.digest())) << "the view of workspace " << number.value;
    }
  }

  ManualClock clock_;
  crypto::DeterministicRandom random_;
  std::mt19937_64 chance_;
  MemoryKeyProvider provider_{random_};
  TemporaryFolder folder_;
  std::unique_ptr<Stage> stage_;
  log::EventLog* eventLog_ = nullptr;
  std::unique_ptr<Node> node_;
  std::unique_ptr<keys::KeyRing> viewRing_;
  std::unique_ptr<views::ViewRunner> runner_;
  unsigned leases_ = 0;
  std::map<std::string, Wish> unanswered_;
  std::map<std::string, Promise> promises_;
  std::mutex toldMutex_;
  std::vector<Told> told_;  // guarded by toldMutex_
};

void simulate(bool onDisk, std::uint64_t seeds, std::uint64_t seedsLong) {
  const bool longRun = std::getenv("COUNTERFOIL_TEST_LONG") != nullptr;
  const char* only = std::getenv("COUNTERFOIL_SEED");
  const std::uint64_t first = only != nullptr ? std::strtoull(only, nullptr, 10) : 1;
  const std::uint64_t count = only != nullptr ? 1 : longRun ? seedsLong : seeds;
  for (std::uint64_t seed = first; seed < first + count; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed) + " (repeat with COUNTERFOIL_SEED)");
    Simulation simulation(seed, onDisk);
    for (unsigned round = 0; round < 40; ++round) {
      simulation.round();
      if (round % 5 == 4) simulation.check();
      if (testing::Test::HasFailure()) return;
    }
  }
}

TEST(SequencerSimulation, ChainsLeasesAndPromisesHoldWhateverTheLogDoes) {
  simulate(false, 30, 2'000);
}

TEST(SequencerSimulation, ChainsLeasesAndPromisesHoldOnADiskThatFailsAndLosesPower) {
  simulate(true, 8, 500);
}

}  // namespace
}  // namespace counterfoil::test
