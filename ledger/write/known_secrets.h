// The fingerprints a workspace has seen, for the scanner: the last million a workspace, oldest forgotten first.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ledger/core/redaction_keys.h"

namespace counterfoil::write {

// One writer (the sequencer), any number of readers. A tag that a rolled-back batch added stays: it only makes the scanner more careful.
class KnownSecretStore final : public KnownSecrets {
 public:
  explicit KnownSecretStore(std::size_t tagsMaxPerWorkspace = 1'000'000) : tagsMax_(tagsMaxPerWorkspace) {}
  bool contains(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) const override;
  bool empty(WorkspaceNumber workspace) const override;
  void add(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag);
  // For snapshots, in order of arrival.
  void save(WorkspaceNumber workspace, std::vector<std::uint8_t>& out) const;
  bool load(WorkspaceNumber workspace, crypto::Bytes bytes);

 private:
  struct Key {
    std::uint32_t generation;
    FingerprintTag tag;
    friend bool operator==(const Key&, const Key&) = default;
  };
  struct KeyHash {
    std::size_t operator()(const Key& key) const noexcept;
  };
  struct Tags {
    mutable std::shared_mutex mutex;
    std::unordered_set<Key, KeyHash> known;
    std::deque<Key> order;
  };
  std::shared_ptr<Tags> find(WorkspaceNumber workspace) const;

  std::size_t tagsMax_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<WorkspaceNumber, std::shared_ptr<Tags>, WorkspaceNumberHash> workspaces_;
};

}  // namespace counterfoil::write
