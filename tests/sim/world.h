// A whole write side on a misbehaving log, single-threaded and repeatable from one seed; and the independent checkers of what it leaves.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ledger/core/encoding.h"
#include "ledger/core/verify.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/redact/redactor.h"
#include "ledger/write/request_binding.h"
#include "ledger/write/sequencer.h"
#include "ledger/write/snapshot.h"
#include "tests/support/manual_clock.h"
#include "tests/support/memory_key_provider.h"

namespace counterfoil::test {

// What a client was promised.
struct Promise {
  WorkspaceNumber workspace;
  Sequence seq;
  LeafHash leaf;
};

// One node's process: everything that a crash loses.
class Node {
 public:
  // `snapshot` may be empty.
  Node(log::EventLog& eventLog, keys::KeyProvider& provider, const Clock& clock, crypto::RandomSource& random,
       const std::filesystem::path& snapshot)
      : random_(random), snapshot_(snapshot), ring_(provider, random) {
    state_ = std::make_unique<write::PartitionState>(ring_, known_, 100'000);
    if (!snapshot_.empty()) {
      std::string why;
      if (!write::SnapshotFile(snapshot_).read(*state_, known_, ring_, why)) {
        state_ = std::make_unique<write::PartitionState>(ring_, known_, 100'000);
      } else {
        restored_ = true;
      }
    }
    write::SequencerOptions options;
    options.batchRequestsMax = 7;
    options.duePerBatchMax = 5;
    sequencer_ = std::make_unique<write::Sequencer>(eventLog, PartitionId{0}, *state_, ring_, clock, random, options);
    sequencer_->start();
  }

  write::Sequencer& sequencer() { return *sequencer_; }
  write::PartitionState& state() { return *state_; }
  keys::KeyRing& ring() { return ring_; }
  bool restored() const { return restored_; }

  void submit(WorkspaceNumber workspace, Command command, write::Completion done) {
    const auto workspaceKeys = ring_.workspace(workspace);
    redact::Redactor redactor(*workspaceKeys, &known_, random_);
    write::Request request;
    request.workspace = workspace;
    request.kind = write::RequestKind::command;
    try {
      request.command.emplace(redactor.redact(std::move(command)));
    } catch (const Fault& fault) {
      done(nullptr, &fault);
      return;
    }
    request.requestBinding = write::requestBinding(*request.command, *workspaceKeys);
    request.bytes = 600;
    request.done = std::move(done);
    sequencer_->submit(std::move(request));
  }

  void writeSnapshot() {
    if (!snapshot_.empty()) write::SnapshotFile(snapshot_).write(*state_, known_, ring_, random_);
  }

 private:
  crypto::RandomSource& random_;
  std::filesystem::path snapshot_;
  keys::KeyRing ring_;
  write::KnownSecretStore known_;
  std::unique_ptr<write::PartitionState> state_;
  std::unique_ptr<write::Sequencer> sequencer_;
  bool restored_ = false;
};

// Reads the whole log with a key ring of its own.
class Reading final : public VerifySource {
 public:
  Reading(log::EventLog& eventLog, keys::KeyProvider& provider, crypto::RandomSource& random)
      : ring_(provider, random), reader_(eventLog.read(PartitionId{0}, log::FoldState{})) {}
  bool next(VerifyItem& item) override {
    while (reader_->next(record_)) {
      if (record_.kind != log::RecordKind::entry) continue;
      const auto outcome = keys::openRecord(*ring_.workspace(record_.workspace), record_.seq, record_.leaf, record_.value, opened_);
      item.workspace = record_.workspace;
      item.seq = record_.seq;
      item.previous = record_.previous;
      item.leaf = record_.leaf;
      item.content = outcome == keys::OpenOutcome::opened ? VerifyItem::Content::present : VerifyItem::Content::damaged;
      item.bytes = opened_.entry;
      return true;
    }
    return false;
  }

 private:
  keys::KeyRing ring_;
  std::unique_ptr<log::PartitionReader> reader_;
  log::ValidRecord record_;
  keys::OpenedRecord opened_;
};

struct Terminal {
  unsigned count = 0;
  Timestamp recordedAt;
};

// What the log says, gathered without the code under test.
struct Evidence {
  std::map<std::pair<std::uint64_t, std::uint64_t>, LeafHash> leaves;  // by workspace and seq
  std::map<std::string, unsigned> ids;                                 // entries by id
  std::map<std::string, unsigned> grants;                              // by workspace and lease
  std::map<std::string, Terminal> terminals;
  std::map<std::string, Timestamp> expiresAt;
  bool ok = true;
  std::string problem;
};

inline Evidence gather(log::EventLog& eventLog, keys::KeyProvider& provider, crypto::RandomSource& random) {
  Evidence evidence;
  {
    Reading source(eventLog, provider, random);
    const VerifyReport report = verify(source, Strictness::strict, nullptr);
    evidence.ok = report.ok();
    if (!report.ok()) evidence.problem = report.problems.front().what + " at seq " + std::to_string(report.problems.front().seq);
  }
  Reading source(eventLog, provider, random);
  VerifyItem item;
  Arena arena;
  while (source.next(item)) {
    evidence.leaves[{item.workspace.value, item.seq.value}] = item.leaf;
    EntryView view;
    arena.reset();
    if (readEntry(item.bytes, Strictness::strict, arena, view) != nullptr) continue;
    ++evidence.ids[toUuid(view.id)];
    const std::string lease = std::to_string(item.workspace.value) + "/" + std::string(view.body.text(Field::leaseId));
    if (view.kind() == Kind::leaseGranted) {
      ++evidence.grants[lease];
      evidence.expiresAt[lease] = view.body.time(Field::expiresAt);
    }
    if (view.kind() == Kind::leaseRenewed) evidence.expiresAt[lease] = view.body.time(Field::expiresAt);
    if (view.body.flag(Field::terminal)) {
      ++evidence.terminals[lease].count;
      evidence.terminals[lease].recordedAt = view.recordedAt;
    }
  }
  return evidence;
}

}  // namespace counterfoil::test
