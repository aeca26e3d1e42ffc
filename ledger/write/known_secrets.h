// The fingerprints a workspace has seen, for the scanner: the last million a workspace, oldest forgotten first.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <shared_mutex>
#include <unordered_map>
#include <vector>

#include "ledger/core/redaction_keys.h"

namespace counterfoil::write {

// One writer (the sequencer), any number of readers. A tag that a rolled-back batch added stays: it only makes the scanner more careful.
class KnownSecretStore final : public KnownSecrets {
 public:
  explicit KnownSecretStore(std::size_t tagsMaxPerWorkspace = 1'000'000) : tagsMax_(tagsMaxPerWorkspace) {}
  bool contains(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) const override;
  bool containsAny(WorkspaceNumber workspace, std::span<const GenerationTag> tags) const override;
  bool empty(WorkspaceNumber workspace) const override;
  void add(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag);
  // For snapshots, in order of arrival.
  void save(WorkspaceNumber workspace, std::vector<std::uint8_t>& out) const;
  bool load(WorkspaceNumber workspace, crypto::Bytes bytes);

 private:
  // Half of each tag, generation mixed in, in one flat table: a look that finds nothing, as nearly all do, costs one access to memory.
  // Two secrets share their half once in 2^64 looks at each other; a text that holds none is then redacted.
  class Halves {
   public:
    static std::uint64_t of(const GenerationTag& tag);
    bool contains(std::uint64_t half) const;
    // False if it is there.
    bool insert(std::uint64_t half);
    void erase(std::uint64_t half);
    std::size_t size() const { return size_; }
    // Ahead of contains().
    void prefetch(std::uint64_t half) const;

   private:
    std::size_t next(std::size_t place) const { return (place + 1) & (places_.size() - 1); }
    std::size_t placeOf(std::uint64_t half) const;
    void grow();
    std::vector<std::uint64_t> places_;  // open addressing; 0: free; a power of two of them, or none
    std::size_t size_ = 0;
  };
  struct Tags {
    mutable std::shared_mutex mutex;
    Halves known;
    std::deque<GenerationTag> order;
  };
  // Null if there are none. Once there they stay as long as the store.
  Tags* find(WorkspaceNumber workspace) const;

  std::size_t tagsMax_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<WorkspaceNumber, std::unique_ptr<Tags>, WorkspaceNumberHash> workspaces_;
};

}  // namespace counterfoil::write
