// Carries out what the record says of keys: replaces the key-encryption key of a workspace and destroys the one before it, and with that
// everything that only it opened: the keys of erased persons, and of months whose time is over (write/retention.h). A workspace that is
// erased loses all of them.
//
// What is owed follows from entries alone (WorkspaceState::owesKeyRenewal()), so a crash at any step leaves it owed, and it is done again:
//   1. a new key-encryption key, and every surviving key wrapped under it   - a crash leaves a version that nobody needs
//   2. the wrapped keys are durable in the log                              - the same; readers know both forms
//   3. the versions before are destroyed                                    - nothing but step 2 opens the survivors from here on
//   4. `key.destroyed`, one for each key and one for the version            - until then it is owed
// A month's key is owed its destruction once what it holds was carried on; when that is to be done follows from the clock.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "ledger/core/clock.h"
#include "ledger/core/ids.h"
#include "ledger/core/outcome.h"

namespace counterfoil::write {

class Ledger;

class KeyRenewals {
 public:
  // Works in a thread of its own, for the partitions that this node writes, until it is destroyed. Both outlive it; the ledger runs.
  KeyRenewals(Ledger& ledger, const Clock& clock);
  ~KeyRenewals();
  // What is owed now is done at once instead of with what comes in the next seconds. Returns when nothing is owed, or a renewal fails.
  void finish();
  // Why the last renewal failed, while none has succeeded since.
  std::optional<Fault> trouble() const;

 private:
  struct DoomedKey {
    std::string id;  // hex
    std::string_view purpose;
    std::uint64_t generation = 0;
  };
  struct Owed {
    WorkspaceNumber workspace;
    std::vector<DoomedKey> keys;
  };

  struct Progress {
    std::int64_t notBefore = 0;  // monotonic
    unsigned failures = 0;       // in a row
    std::optional<Fault> fault;  // of the last one
  };

  void run();
  bool stopping() const;
  std::vector<Owed> collect() const;
  // Workspaces of which a month is to go.
  std::vector<WorkspaceNumber> collectDue() const;
  std::optional<Fault> carryDue();
  // Workspaces whose erasure is ordered, and their end: their own chain's where this node writes it, that of their keys where it writes
  // `_system`.
  std::vector<WorkspaceNumber> collectErasing() const;
  std::optional<Fault> eraseWorkspaces();
  void eraseWorkspace(WorkspaceNumber number);
  // True if all went well.
  bool round(bool now);
  // What went wrong, told so that nobody's values are in it.
  template <class Work>
  static std::optional<Fault> attempt(const Work& work);
  void renew(const Owed& owed);

  Ledger& ledger_;
  const Clock& clock_;
  std::mutex working_;  // one round at a time, and of what follows
  std::map<WorkspaceNumber, Progress> progress_;
  std::int64_t lookForMonthsAt_ = 0;  // monotonic
  std::int64_t eraseAt_ = 0;          // the same: after a failure it is not tried at once
  std::optional<Fault> monthsTrouble_;   // of the last look
  std::optional<Fault> erasureTrouble_;  // of the last try
  mutable std::mutex mutex_;  // of what follows
  std::condition_variable wake_;
  bool stopping_ = false;
  std::optional<Fault> trouble_;
  std::thread thread_;
};

}  // namespace counterfoil::write
