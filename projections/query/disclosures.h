// Personal values for readers who may see them. Views hold none: each value is taken from its entry's record in the log, and shown only if
// the record is the one that the view's leaf names and the value is the one that the entry commits to.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/entry.h"
#include "ledger/core/json.h"
#include "ledger/keys/key_ring.h"
#include "ledger/keys/record_cipher.h"
#include "ledger/log/event_log.h"

namespace counterfoil::query {

// An entry as its view has it, and where the view says that its record is.
struct EntryPlace {
  Sequence seq;
  LeafHash leaf;
  Position log;
};

// redact::disclose: the value behind a commitment, or nullopt.
using OpenDisclosure =
    std::function<std::optional<crypto::SecretBytes>(const SubjectKey& key, WorkspaceNumber workspace, const EntryId& entry,
                                                     const SealedDisclosure& disclosure, const crypto::Digest& commitment)>;

// What the values of one page may cost. A page that has cost as much ends early, with a cursor.
struct DisclosureLimits {
  std::size_t bytes = 8 * 1024 * 1024;
  std::int64_t milliseconds = 5'000;
};

// Of one page, or one entry. Used by one thread, which it blocks while the log is read: not one that serves connections.
class Disclosures {
 public:
  // Entries whose values are asked for at once: at most so many times limits::kDisclosureBytesMax are held beyond DisclosureLimits::bytes.
  static constexpr std::size_t kAtOnce = 32;

  // `log` and `clock` outlive it. `keys`: of the workspace, fed with every key of its records.
  Disclosures(log::EventLog& log, std::shared_ptr<keys::WorkspaceKeys> keys, OpenDisclosure open, const Clock& clock,
              DisclosureLimits limits = {});

  // The values of each of `places`, in their order; places ascend or descend. Left out are those whose keys are gone: a person's, or the
  // record's. nullopt: the time was over before all of them were read. Throws Fault: viewDamaged (at its place in the log is another
  // record, or none), logDamaged (the record, or a value in it, is not what was chained), logUnavailable.
  std::optional<std::vector<std::vector<DisclosedValue>>> of(std::span<const EntryPlace> places);
  // Whether the page should end with what it has.
  bool spent() const { return bytes_ >= limits_.bytes || late(); }

 private:
  bool late() const;
  void read(const EntryPlace& place, std::vector<DisclosedValue>& values);
  void openAll(const EntryView& entry, std::vector<DisclosedValue>& values);

  log::EventLog& log_;
  const std::shared_ptr<keys::WorkspaceKeys> keys_;
  const OpenDisclosure open_;
  const Clock& clock_;
  const DisclosureLimits limits_;
  const std::int64_t startedAt_;
  std::size_t bytes_ = 0;  // of values given
  std::unique_ptr<log::RecordFinder> finder_;
  log::StoredRecord record_;
  keys::OpenedRecord opened_;
  Arena arena_;
};

}  // namespace counterfoil::query
