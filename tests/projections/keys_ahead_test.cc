// A reader that starts from nothing behind a renewal, when the provider of keys is away at first.
#include "projections/keys_ahead.h"

#include <gtest/gtest.h>

#include "ledger/keys/record_cipher.h"
#include "ledger/log/memory_log.h"
#include "ledger/write/ledger.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::views {
namespace {

constexpr WorkspaceNumber kRenewed{1};

class KeysAheadTest : public testing::Test {
 protected:
  void SetUp() override {
    write::LedgerOptions options;
    options.snapshots = folder_.path();
    ledger_ = std::make_unique<write::Ledger>(log_, provider_, clock_, random_, options);
    ledger_->start([](const std::string&) {});
    Command create = Command::make(CommandKind::workspaceCreate);
    create.body.setText(create.arena, Field::workspaceId, "alpha");
    ledger_->execute("", std::move(create));
    Command rotate = Command::make(CommandKind::keyRotate);
    rotate.body.setText(rotate.arena, Field::purpose, "key_encryption");
    ledger_->execute("alpha", std::move(rotate));
    ledger_->drain();
  }
  // Entries of the workspace that open.
  std::size_t opened(keys::KeyRing& ring) {
    const auto keys = ring.workspace(kRenewed);
    const auto reader = log_.read(PartitionId{0}, log::FoldState{});
    log::ValidRecord record;
    keys::OpenedRecord opened;
    std::size_t count = 0;
    while (reader->next(record)) {
      if (record.kind != log::RecordKind::entry || record.workspace != kRenewed) continue;
      count += keys::openRecord(*keys, record.seq, record.leaf, record.value, opened) == keys::OpenOutcome::opened ? 1U : 0U;
    }
    return count;
  }

  test::TemporaryFolder folder_;
  test::ManualClock clock_;
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::shared_ptr<log::MemoryPartitions> partitions_ =
      std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"ledger", "test.example", clock_.wall()});
  log::MemoryLog log_{partitions_, {1, 1, "node", "", 1}};
  std::unique_ptr<write::Ledger> ledger_;
};

TEST_F(KeysAheadTest, WhatFailedIsAskedAgain) {
  keys::KeyRing ring(provider_, random_);
  KeysAhead ahead(log_, PartitionId{0}, ring);
  EXPECT_EQ(opened(ring), 0U) << "the version that wrapped their keys is destroyed";
  provider_.setReachable(false);
  EXPECT_THROW(ahead.learn(), Fault);
  EXPECT_THROW(ahead.learn(), Fault) << "nor does it pass for done";
  provider_.setReachable(true);
  ahead.learn();
  EXPECT_GE(opened(ring), 3U) << "created, rotated, destroyed";
}

}  // namespace
}  // namespace counterfoil::views
