// The sequencer's state on disk, so that a restart need not read the whole log (DESIGN decision 14). A cache: on any doubt it is ignored
// and the log is read from zero.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "ledger/write/partition_state.h"

namespace counterfoil::write {

// "partition-<number>.snapshot".
inline std::filesystem::path snapshotPath(const std::filesystem::path& folder, PartitionId partition) {
  return folder / ("partition-" + std::to_string(partition.value) + ".snapshot");
}

// File: magic, body, SHA-256 of all before. Workspace sections are sealed under K_state; the wrapped keys stand beside them, so the key
// provider is needed to read it. Mode 0600; written to a temporary file, synced, renamed, folder synced.
class SnapshotFile {
 public:
  explicit SnapshotFile(std::filesystem::path path) : path_(std::move(path)) {}

  // The committed state; nothing may be in flight. Throws Fault(diskFull | logUnavailable); an older snapshot then stays as it was.
  void write(PartitionState& state, KnownSecretStore& known, keys::KeyRing& ring, crypto::RandomSource& random) const;

  // Into fresh objects. False: there is none, or it is not usable; `why` then says so in words (empty: there is none). The objects are then
  // unusable and must be made anew.
  bool read(PartitionState& state, KnownSecretStore& known, keys::KeyRing& ring, std::string& why) const;

  void remove() const;

 private:
  std::filesystem::path path_;
};

}  // namespace counterfoil::write
