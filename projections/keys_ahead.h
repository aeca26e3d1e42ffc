// Keys that stand further on in the log than the records they open: a key-encryption key was replaced and destroyed, and what survived was
// wrapped anew behind everything recorded before.
#pragma once

#include <cstdint>
#include <mutex>

#include "ledger/keys/key_ring.h"
#include "ledger/log/event_log.h"

namespace counterfoil::views {

// For a reader that starts at the beginning of a partition with an empty ring. Thread safe.
class KeysAhead {
 public:
  // Both outlive it.
  KeysAhead(log::EventLog& eventLog, PartitionId partition, keys::KeyRing& ring) : log_(eventLog), partition_(partition), ring_(ring) {}
  // Called for a record that does not open: reads the partition for records of keys, at first from its beginning and later from where it
  // stood, so that the record may open now. Calls that find the log no longer than it was let some hundred others pass without a look: a
  // log in which nothing opens is still read once. Throws Fault(logDamaged), the log's and the provider's own; then it may be called again.
  void learn();

 private:
  log::EventLog& log_;
  const PartitionId partition_;
  keys::KeyRing& ring_;
  std::mutex mutex_;
  log::FoldState from_;
  std::uint64_t passOver_ = 0;
};

}  // namespace counterfoil::views
