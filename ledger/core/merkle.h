// RFC 6962 Merkle trees: hashes, the growing root, inclusion and consistency proofs. Pure; no I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "ledger/core/ids.h"

namespace counterfoil {

using TreeHash = crypto::Digest;

// SHA-256(0x00 || entry bytes), RFC 6962 2.1.
LeafHash leafHash(crypto::Bytes entry);
// SHA-256(0x01 || left || right), RFC 6962 2.1.
TreeHash nodeHash(const TreeHash& left, const TreeHash& right);
// SHA-256(""), the root of no leaves.
TreeHash emptyTreeRoot();

// The frontier of a tree that only grows: the roots of its complete subtrees, largest first (at most 64 hashes).
// Appending costs one hash amortised, root() at most 63. Copyable; not thread safe.
class TreeFrontier {
 public:
  TreeFrontier() = default;
  // From stored parts; `hashes` must have popcount(size) members, largest subtree first, else std::invalid_argument.
  TreeFrontier(std::uint64_t size, std::vector<TreeHash> hashes);
  void append(const LeafHash& leaf);
  std::uint64_t size() const { return size_; }
  TreeHash root() const;
  const std::vector<TreeHash>& hashes() const { return hashes_; }
  friend bool operator==(const TreeFrontier&, const TreeFrontier&) = default;

 private:
  std::uint64_t size_ = 0;
  std::vector<TreeHash> hashes_;
};

// Root over leaf hashes.
TreeHash treeRoot(std::span<const LeafHash> leaves);

// PATH(index, D[size]) of RFC 6962 2.1.1, lowest sibling first. index < size = leaves.size().
std::vector<TreeHash> inclusionProof(std::uint64_t index, std::span<const LeafHash> leaves);
// RFC 9162 2.1.3.2. False for anything but an exact proof.
bool verifyInclusion(std::uint64_t index, std::uint64_t size, const LeafHash& leaf, std::span<const TreeHash> proof, const TreeHash& root);

// PROOF(oldSize, D[size]) of RFC 6962 2.1.2. 0 < oldSize <= size.
std::vector<TreeHash> consistencyProof(std::uint64_t oldSize, std::span<const LeafHash> leaves);
// RFC 9162 2.1.4.2.
bool verifyConsistency(std::uint64_t oldSize, std::uint64_t size, const TreeHash& oldRoot, const TreeHash& root,
                       std::span<const TreeHash> proof);

}  // namespace counterfoil
