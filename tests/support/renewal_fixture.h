// A ledger with one workspace, "alpha", whose keys are replaced and destroyed; and what somebody reads who was not there.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "ledger/core/encoding.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/log/memory_log.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/write/ledger.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"
#include "tests/support/temporary_folder.h"

namespace counterfoil::test {

inline constexpr WorkspaceNumber kAlpha{1};
inline constexpr std::string_view kRenewalPolicy = "name = \"p\"\n[[rule]]\nname = \"all\"\neffect = \"allow\"\nmaxTtlSeconds = 3600\n";

class RenewalFixture : public testing::Test {
 protected:
  void SetUp() override {
    open();
    Command create = Command::make(CommandKind::workspaceCreate);
    create.body.setText(create.arena, Field::workspaceId, "alpha");
    ledger_->execute("", std::move(create));
    Command policy = Command::make(CommandKind::policySet);
    policy.body.setText(policy.arena, Field::document, kRenewalPolicy);
    ledger_->execute("alpha", std::move(policy));
  }
  void open() {
    write::LedgerOptions options;
    options.snapshots = folder_.path();
    ledger_ = std::make_unique<write::Ledger>(log_, provider_, clock_, random_, options);
    notes_.clear();
    ledger_->start([this](const std::string& note) { notes_.push_back(note); });
  }
  // As a crash leaves it: without a snapshot of its own. `older`: one of before is there.
  void crash(bool older = false) {
    const std::filesystem::path kept = folder_.path() / "kept";
    const std::filesystem::path snapshot = write::snapshotPath(folder_.path(), PartitionId{0});
    if (older) std::filesystem::copy_file(snapshot, kept, std::filesystem::copy_options::overwrite_existing);
    ledger_.reset();
    std::filesystem::remove(snapshot);
    if (older) std::filesystem::rename(kept, snapshot);
    open();
  }
  void grant(std::string_view lease, std::string_view person) {
    Command command = Command::make(CommandKind::leaseRequest);
    command.body.setText(command.arena, Field::leaseId, lease);
    command.body.setNumber(Field::credential, static_cast<std::uint64_t>(Credential::gitToken));
    setPrincipal(command.arena, command.body, Field::grantee, {PrincipalKind::human, person});
    const std::string_view scope[] = {"contents:read"};
    command.body.setTexts(command.arena, Field::scope, scope);
    command.body.setNumber(Field::ttlSeconds, 600);
    command.body.setText(command.arena, Field::reason, "because " + std::string(person) + " asked");
    EXPECT_FALSE(ledger_->execute("alpha", std::move(command)).denied);
  }
  Command erasure(std::string_view person, std::string_view approval, std::string_view actor) {
    Command command = Command::make(CommandKind::subjectErase);
    setPrincipal(command.arena, command.common, Field::actor, {PrincipalKind::agent, actor});
    setPrincipal(command.arena, command.body, Field::subject, {PrincipalKind::human, person});
    command.body.setText(command.arena, Field::approval, approval);
    return command;
  }
  write::Answer erase(std::string_view person) {
    const write::Answer asked = ledger_->execute("alpha", erasure(person, {}, "olga"));
    Command decide = Command::make(CommandKind::approvalDecide);
    setPrincipal(decide.arena, decide.common, Field::actor, {PrincipalKind::agent, "adam"});
    decide.body.setText(decide.arena, Field::approvalId, asked.approvalId);
    decide.body.setNumber(Field::decision, static_cast<std::uint64_t>(Decision::approved));
    decide.body.setFlag(Field::asAdministrator, true);
    ledger_->execute("alpha", std::move(decide));
    return ledger_->execute("alpha", erasure(person, asked.approvalId, "olga"));
  }
  // What somebody without this process reads: every entry, and the persons' values that still open.
  struct Reading {
    // As gmock prints it.
    friend void PrintTo(const Reading& reading, std::ostream* out) {
      *out << reading.opened << " opened, " << reading.withheld << " withheld";
    }

    std::vector<std::string> persons;
    std::size_t opened = 0;
    std::size_t withheld = 0;
    std::vector<std::string> destroyed;  // purposes
  };
  Reading readFromZero() {
    keys::KeyRing ring(provider_, random_);
    const auto keys = ring.workspace(kAlpha);
    log::forEachKeysRecord(log_, PartitionId{0}, log::FoldState{}, [&](const log::ValidRecord& record) {
      EXPECT_TRUE(keys::openKeysRecord(*ring.workspace(record.workspace), record.value));
    });
    Reading result;
    const auto reader = log_.read(PartitionId{0}, log::FoldState{});
    log::ValidRecord record;
    keys::OpenedRecord opened;
    Arena arena;
    while (reader->next(record)) {
      if (record.kind != log::RecordKind::entry || record.workspace != kAlpha) continue;
      if (keys::openRecord(*keys, record.seq, record.leaf, record.value, opened) != keys::OpenOutcome::opened) {
        ++result.withheld;
        continue;
      }
      ++result.opened;
      EntryView view;
      arena.reset();
      EXPECT_EQ(readEntry(opened.entry, Strictness::strict, arena, view), nullptr);
      if (view.kind() == Kind::keyDestroyed) result.destroyed.emplace_back(view.body.text(Field::purpose));
      if (view.kind() != Kind::leaseGranted) continue;
      for (const SealedDisclosure& disclosure : opened.disclosures) {
        const auto key = keys->findSubjectById(disclosure.keyId);
        if (key == nullptr || disclosure.path != "/grantee/id") continue;
        for (const StructValue& commitment : view.entry.structures(Field::commitments)) {
          if (commitment.text(Field::path) != disclosure.path) continue;
          crypto::Digest digest{};
          const std::string_view stored = commitment.text(Field::digest);
          std::copy(stored.begin(), stored.end(), digest.begin());
          const auto value = redact::disclose(*key, view.workspace, view.id, disclosure, digest);
          if (value) result.persons.emplace_back(value->text());
        }
      }
    }
    return result;
  }
  Reading readAfterReachable() {
    provider_.setReachable(true);
    return readFromZero();
  }

  test::TemporaryFolder folder_;
  test::ManualClock clock_;
  crypto::SystemRandom random_;
  test::MemoryKeyProvider provider_{random_};
  std::shared_ptr<log::MemoryPartitions> partitions_ =
      std::make_shared<log::MemoryPartitions>(log::LedgerFacts{"ledger", "test.example", clock_.wall()});
  log::MemoryLog log_{partitions_, {1, 1, "node", "", 1}};
  std::unique_ptr<write::Ledger> ledger_;
  std::vector<std::string> notes_;
};

}  // namespace counterfoil::test
