// The entries of a log as the verifier asks for them, decrypted where keys are at hand.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "ledger/core/verify.h"
#include "ledger/keys/key_ring.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/log/event_log.h"
#include "projections/keys_ahead.h"

namespace counterfoil::cmd {

class LogSource final : public VerifySource {
 public:
  // `ring` null: content is not checked. With `provider`, what no key opens though its workspace's key-encryption key is at hand is
  // damaged; without, it is not checked. All must outlive the source.
  LogSource(log::EventLog& eventLog, keys::KeyRing* ring, keys::KeyProvider* provider = nullptr);
  // Throws what PartitionReader::next throws.
  bool next(VerifyItem& item) override;

 private:
  // The next record of the log, one partition after the other.
  bool nextRecord();
  void openContent(VerifyItem& item);
  bool hasKeyEncryptionKey(WorkspaceNumber workspace);
  keys::OpenOutcome open();

  log::EventLog& log_;
  std::vector<PartitionId> toRead_;  // that of `_system` is read first: it is at the end
  keys::KeyRing* ring_;
  keys::KeyProvider* provider_;
  std::map<WorkspaceNumber, bool> hasKey_;  // asked for once
  std::unique_ptr<log::PartitionReader> reader_;
  std::optional<views::KeysAhead> keysAhead_;  // of the partition that is read
  log::ValidRecord record_;
  keys::OpenedRecord opened_;
};

}  // namespace counterfoil::cmd
