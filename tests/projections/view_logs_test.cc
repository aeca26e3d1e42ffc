// What the views hold does not depend on the log below the ledger: the same commands, keys, nonces and clock give the same digests, on the
// embedded log and on Kafka.
#include <gtest/gtest.h>

#include <cstdlib>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "ledger/core/encoding.h"
#include "ledger/importers/cloudtrail.h"
#include "ledger/log/embedded_log.h"
#include "ledger/log/kafka_log.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/write/ledger.h"
#include "projections/runner.h"
#include "projections/views/view_check.h"
#include "tests/support/kafka_cluster.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::views {
namespace {

using counterfoil::test::KafkaCluster;
using counterfoil::test::ManualClock;
using counterfoil::test::MemoryKeyProvider;
using counterfoil::test::TemporaryFolder;

constexpr WorkspaceNumber kWorkspace{1};

// Each thread draws from a sequence of its own, so that what it gets does not depend on when the others draw.
class RandomOfEachThread final : public crypto::RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override {
    const std::lock_guard guard(mutex_);
    auto& own = sequences_[std::this_thread::get_id()];
    if (own == nullptr) own = std::make_unique<crypto::DeterministicRandom>(sequences_.size());
    own->fill(out);
  }

 private:
  std::mutex mutex_;
  std::map<std::thread::id, std::unique_ptr<crypto::DeterministicRandom>> sequences_;
};

std::filesystem::path trail() {
  return std::filesystem::path(COUNTERFOIL_SOURCE_DIR) / "../shared/data/cloudtrail-stratus/CloudTrail";
}

struct Made {
  std::size_t recorded = 0;
  std::size_t refused = 0;
  std::map<std::string, std::string> digests;  // by workspace
  std::vector<std::string> problems;
};

// One command after another, each answered before the next is given.
class Import {
 public:
  explicit Import(log::EventLog& log) : log_(log), provider_(keysRandom_), ledger_(log, provider_, clock_, random_, {}) {
    // This thread's sequence is the first, whoever else is quicker.
    static_cast<void>(random_.bytes<1>());
    ledger_.start([](const std::string&) {});
    rest();
    Command create = Command::make(CommandKind::workspaceCreate);
    create.body.setText(create.arena, Field::workspaceId, "trail");
    create.common.setText(create.arena, Field::source, "api");
    create.id = ledger_.freshId();
    ledger_.execute("", std::move(create));
    rest();
  }

  Made run(const std::filesystem::path& views) {
    Made made;
    importers::CloudTrailImporter importer(
        {trail()}, [this](const crypto::Digest& credential) { return known(credential); }, nullptr);
    importers::ImportedEvent imported;
    while (importer.next(imported)) {
      std::promise<bool> answered;
      ledger_.appendImported("trail", std::move(imported.event),
                             [&](const write::Answer*, const Fault* fault) { answered.set_value(fault == nullptr); });
      ++(answered.get_future().get() ? made.recorded : made.refused);
      rest();
      clock_.advance(1'000'000);
      rest();  // what falls due now is recorded now, not some facts later
      imported = {};
    }
    ledger_.drain();
    ledger_.stop();
    keys::KeyRing ring(provider_, viewsRandom_);
    ViewRunnerOptions options;
    options.files.folder = views;
    ViewRunner runner(log_, ring, options);
    runner.catchUp();
    for (const WorkspaceNumber number : {kSystemWorkspace, kWorkspace}) {
      Database database = Database::openReadOnly(viewPath(views, number));
      made.digests[std::to_string(number.value)] = toHex(readPosition(database).digest());
      for (const std::string& problem : checkView(viewPath(views, number)).problems) made.problems.push_back(problem);
    }
    return made;
  }

 private:
  // Keys are made by whoever needs them first: that must not be a matter of luck. A look runs before the sequencer's step, so that the
  // second one finds the first step done.
  void rest() {
    ledger_.drain();
    ledger_.drain();
  }

  std::optional<std::string> known(const crypto::Digest& credential) {
    const auto texts = redact::fingerprintTexts(*ledger_.keyRing().workspace(kWorkspace), credential);
    std::optional<std::string> found;
    ledger_.inspect(kSystemWorkspace, [&](const write::PartitionState& state) {
      const WorkspaceState* const workspace = state.findWorkspace(kWorkspace);
      for (const std::string& text : texts) {
        if (const LeaseSlot slot = workspace->slotOfFingerprint(text); slot != kNoLease) found = workspace->lease(slot).id;
      }
    });
    return found;
  }

  log::EventLog& log_;
  ManualClock clock_;
  crypto::DeterministicRandom keysRandom_{7};
  crypto::DeterministicRandom viewsRandom_{8};
  RandomOfEachThread random_;
  MemoryKeyProvider provider_;
  write::Ledger ledger_;
};

TEST(ViewsOfLogs, TheSameImportGivesTheSameDigestsOnKafkaAsOnTheEmbeddedLog) {
  if (!std::filesystem::exists(trail())) GTEST_SKIP() << "no trail beside the repository (../shared/data/cloudtrail-stratus)";
  if (std::getenv("COUNTERFOIL_TEST_LONG") == nullptr) GTEST_SKIP() << "takes a minute, one fact after another: set COUNTERFOIL_TEST_LONG";
  std::string why;
  KafkaCluster* const cluster = KafkaCluster::get(why);
  if (cluster == nullptr) GTEST_SKIP() << why;
  const TemporaryFolder scratch;
  const log::LedgerFacts facts{"ledger-1", "ledger.example.com", {1}};
  const log::WriterIdentity identity{1, 1, "node", "", 1};

  log::EmbeddedLogOptions embedded;
  embedded.directory = scratch.path() / "log";
  embedded.identity = identity;
  log::EmbeddedLog::create(embedded, facts);
  const auto embeddedLog = log::EmbeddedLog::open(embedded);
  const Made first = Import(*embeddedLog).run(scratch.path() / "views-embedded");

  const std::string topic = cluster->makeTopic(1);
  log::KafkaLog::create(cluster->settings(topic), identity, facts);
  Made second;
  {
    const auto kafkaLog = log::KafkaLog::open(cluster->settings(topic), identity);
    second = Import(*kafkaLog).run(scratch.path() / "views-kafka");
  }
  cluster->deleteTopic(topic);

  EXPECT_GE(first.recorded, 1'000U);
  EXPECT_EQ(first.recorded, second.recorded);
  EXPECT_EQ(first.refused, second.refused);
  EXPECT_EQ(first.digests, second.digests);
  EXPECT_TRUE(first.problems.empty() && second.problems.empty());
}

}  // namespace
}  // namespace counterfoil::views
