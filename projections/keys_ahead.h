// Keys that stand further on in the log than the records they open: a key-encryption key was replaced and destroyed, and what survived was
// wrapped anew behind everything recorded before.
#pragma once

#include <mutex>

#include "ledger/keys/key_ring.h"
#include "ledger/log/event_log.h"

namespace counterfoil::views {

// For a reader that starts at the beginning of a partition with an empty ring. Thread safe.
class KeysAhead {
 public:
  // Both outlive it.
  KeysAhead(log::EventLog& eventLog, PartitionId partition, keys::KeyRing& ring) : log_(eventLog), partition_(partition), ring_(ring) {}
  // Called for a record that does not open: the first time the whole partition is read for records of keys, and true is returned: the
  // record may open now. After that false: it is one that nobody opens. Throws Fault(logDamaged) and the log's own.
  bool learn();

 private:
  log::EventLog& log_;
  const PartitionId partition_;
  keys::KeyRing& ring_;
  std::mutex mutex_;
  bool learnt_ = false;
};

}  // namespace counterfoil::views
