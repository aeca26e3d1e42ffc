// A provider of keys that does not answer: requests that need a new key are refused and leave nothing behind, what only time asks for
// waits.
#include <gtest/gtest.h>

#include "ledger/core/json.h"
#include "ledger/log/embedded_log.h"
#include "ledger/write/ledger.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::write {
namespace {

constexpr std::string_view kOutOfReachPolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 3600\n";
constexpr std::int64_t kMonthSeconds = 31 * 24 * 3600;  // the clock of the tests begins with a January

class KeysOutOfReach : public testing::Test {
 protected:
  void SetUp() override {
    log::EmbeddedLog::create(logOptions(), {"ledger", "test.example", clock_.wall()});
    open();
    create("alpha");
    Command policy = Command::make(CommandKind::policySet);
    policy.body.setText(policy.arena, Field::document, kOutOfReachPolicy);
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
    options.sequencer.clockAccepted = true;
    ledger_ = std::make_unique<Ledger>(*log_, provider_, clock_, random_, options);
    ledger_->start([this](const std::string& note) { notes_.push_back(note); });
  }
  void close() {
    ledger_->stop();
    ledger_.reset();
    log_.reset();
  }
  Answer create(std::string_view id) {
    Command command = Command::make(CommandKind::workspaceCreate);
    command.body.setText(command.arena, Field::workspaceId, id);
    return ledger_->execute("", std::move(command));
  }
  Answer grant(std::string_view leaseId, std::string_view person, std::uint64_t ttl = 60) {
    Command command = Command::make(CommandKind::leaseRequest);
    command.body.setText(command.arena, Field::leaseId, leaseId);
    command.body.setNumber(Field::credential, static_cast<std::uint64_t>(Credential::gitToken));
    setPrincipal(command.arena, command.body, Field::grantee, {PrincipalKind::human, std::string(person)});
    const std::string_view scope[] = {"contents:read"};
    command.body.setTexts(command.arena, Field::scope, scope);
    command.body.setNumber(Field::ttlSeconds, ttl);
    return ledger_->execute("alpha", std::move(command));
  }
  template <class Call>
  static void expectRefused(const Call& call) {
    try {
      call();
      ADD_FAILURE() << "not refused";
    } catch (const Fault& fault) {
      EXPECT_EQ(fault.code(), ErrorCode::notReady);
    }
  }
  std::uint64_t sizeOf(std::uint64_t number) {
    std::uint64_t size = 0;
    ledger_->inspect(kSystemWorkspace, [&](const PartitionState& state) {
      const WorkspaceState* workspace = state.findWorkspace({number});
      size = workspace == nullptr ? 0 : workspace->head().size();
    });
    return size;
  }
  LeaseState stateOf(std::string_view lease) {
    LeaseState result = LeaseState::failed;
    ledger_->inspect(kSystemWorkspace, [&](const PartitionState& state) { result = state.findWorkspace({1})->findLease(lease)->state; });
    return result;
  }
  // Reads the whole log again: whatever is in it is one chain that opens.
  void expectWhole() {
    const std::uint64_t before = sizeOf(1);
    close();
    std::filesystem::remove(snapshotPath(folder_.path(), PartitionId{0}));
    open();
    EXPECT_EQ(sizeOf(1), before);
  }

  test::TemporaryFolder folder_;
  test::ManualClock clock_;
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::unique_ptr<log::EmbeddedLog> log_;
  std::unique_ptr<Ledger> ledger_;
  std::vector<std::string> notes_;
};

TEST_F(KeysOutOfReach, KnownPersonsGoOnAndNewOnesAreRefused) {
  grant("one", "alice");
  provider_.setReachable(false);
  EXPECT_FALSE(grant("two", "alice").denied);
  const std::uint64_t size = sizeOf(1);
  expectRefused([&] { grant("three", "bob"); });
  EXPECT_EQ(sizeOf(1), size);
  EXPECT_FALSE(grant("four", "alice").denied) << "the chain goes on where it was";
  provider_.setReachable(true);
  EXPECT_FALSE(grant("three", "bob").denied);
  expectWhole();
}

TEST_F(KeysOutOfReach, AWorkspaceIsMadeWholeOrNotAtAll) {
  const std::uint64_t system = sizeOf(0);
  provider_.setReachable(false);
  expectRefused([&] { create("beta"); });
  EXPECT_EQ(sizeOf(0), system) << "its number is not given away";
  EXPECT_FALSE(ledger_->findWorkspace("beta"));
  provider_.setReachable(true);
  create("beta");
  EXPECT_TRUE(ledger_->findWorkspace("beta"));
  EXPECT_EQ(sizeOf(2), 1u);
  expectWhole();
}

// The first entry of a month needs a new key; the end of a lease is asked for by nobody but time.
TEST_F(KeysOutOfReach, EndsOfLeasesWaitOverTheTurnOfAMonth) {
  clock_.advanceSeconds(kMonthSeconds - 30);
  grant("one", "alice", 60);
  provider_.setReachable(false);
  clock_.advanceSeconds(120);
  expectRefused([&] { grant("two", "alice"); });
  EXPECT_EQ(stateOf("one"), LeaseState::granted);
  EXPECT_FALSE(ledger_->status().fault) << "nothing stops";
  provider_.setReachable(true);
  clock_.advanceSeconds(2);
  for (int turn = 0; turn < 500 && stateOf("one") != LeaseState::expired; ++turn) ledger_->drain();
  EXPECT_EQ(stateOf("one"), LeaseState::expired);
  EXPECT_FALSE(grant("three", "alice").denied);
  expectWhole();
}

TEST_F(KeysOutOfReach, ALedgerStopsAndDoesNotStartWithoutThem) {
  grant("one", "alice");
  provider_.setReachable(false);
  close();  // its snapshot costs no request
  EXPECT_TRUE(std::filesystem::exists(snapshotPath(folder_.path(), PartitionId{0})));
  EXPECT_THROW(open(), Fault);
  EXPECT_TRUE(notes_.empty()) << "a snapshot that cannot be opened now is not passed over";
  ledger_.reset();
  log_.reset();
  provider_.setReachable(true);
  open();
  EXPECT_TRUE(notes_.empty()) << notes_.front();
  EXPECT_EQ(stateOf("one"), LeaseState::granted);
}

}  // namespace
}  // namespace counterfoil::write
