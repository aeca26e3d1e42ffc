#include "ledger/core/merkle.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <stdexcept>

namespace counterfoil {
namespace {

constexpr std::array<std::uint8_t, 1> kLeafPrefix = {0x00};
constexpr std::uint8_t kNodePrefix = 0x01;

// Largest power of two below `size` >= 2: where RFC 6962 splits a tree.
std::size_t splitOf(std::size_t size) {
  return std::bit_floor(size - 1);
}

bool isOdd(std::uint64_t value) {
  return (value & 1) != 0;
}

// The position of a node on its way up: `node` in a level whose last node is `last`. Both verifiers walk the same way.
struct Climb {
  std::uint64_t node;
  std::uint64_t last;

  // The next proof hash stands to the left of the current node.
  bool siblingIsLeft() const { return isOdd(node) || node == last; }
  void up() {
    node >>= 1;
    last >>= 1;
  }
  // A last node without right sibling is its own parent for some levels.
  void skipLevelsWithoutSibling() {
    while (!isOdd(node) && node != 0) up();
  }
};

}  // namespace

LeafHash leafHash(crypto::Bytes entry) {
  return LeafHash{crypto::sha256({kLeafPrefix, entry})};
}

TreeHash nodeHash(const TreeHash& left, const TreeHash& right) {
  // In one piece: three updates cost more than copying 64 bytes.
  std::array<std::uint8_t, 1 + 2 * crypto::kDigestSize> input;
  input[0] = kNodePrefix;
  std::copy(left.begin(), left.end(), input.begin() + 1);
  std::copy(right.begin(), right.end(), input.begin() + 1 + crypto::kDigestSize);
  return crypto::sha256(input);
}

TreeHash emptyTreeRoot() {
  return crypto::sha256(crypto::Bytes{});
}

TreeFrontier::TreeFrontier(std::uint64_t size, std::vector<TreeHash> hashes) : size_(size), hashes_(std::move(hashes)) {
  if (hashes_.size() != static_cast<std::size_t>(std::popcount(size))) {
    throw std::invalid_argument("a tree frontier must have one hash for each bit set in its size");
  }
}

void TreeFrontier::append(const LeafHash& leaf) {
  TreeHash hash = leaf.bytes;
  // Each bit set at the low end of the size is a complete subtree as large as the one in hand: join them, as in a binary carry.
  for (std::uint64_t rest = size_; isOdd(rest); rest >>= 1) {
    hash = nodeHash(hashes_.back(), hash);
    hashes_.pop_back();
  }
  hashes_.push_back(hash);
  ++size_;
}

TreeHash TreeFrontier::root() const {
  if (hashes_.empty()) return emptyTreeRoot();
  TreeHash result = hashes_.back();
  for (std::size_t i = hashes_.size() - 1; i > 0; --i) result = nodeHash(hashes_[i - 1], result);
  return result;
}

TreeHash treeRoot(std::span<const LeafHash> leaves) {
  TreeFrontier frontier;
  for (const LeafHash& leaf : leaves) frontier.append(leaf);
  return frontier.root();
}

std::vector<TreeHash> inclusionProof(std::uint64_t index, std::span<const LeafHash> leaves) {
  if (index >= leaves.size()) throw std::invalid_argument("an inclusion proof needs an index inside the tree");
  std::vector<TreeHash> proof;
  // From the root down; the RFC lists from the leaf up.
  std::size_t place = index;
  while (leaves.size() > 1) {
    const std::size_t split = splitOf(leaves.size());
    if (place < split) {
      proof.push_back(treeRoot(leaves.subspan(split)));
      leaves = leaves.first(split);
    } else {
      proof.push_back(treeRoot(leaves.first(split)));
      leaves = leaves.subspan(split);
      place -= split;
    }
  }
  std::reverse(proof.begin(), proof.end());
  return proof;
}

bool verifyInclusion(std::uint64_t index, std::uint64_t size, const LeafHash& leaf, std::span<const TreeHash> proof, const TreeHash& root) {
  if (index >= size) return false;
  Climb climb{index, size - 1};
  TreeHash hash = leaf.bytes;
  for (const TreeHash& sibling : proof) {
    if (climb.last == 0) return false;  // the proof goes on above the root
    if (climb.siblingIsLeft()) {
      hash = nodeHash(sibling, hash);
      climb.skipLevelsWithoutSibling();
    } else {
      hash = nodeHash(hash, sibling);
    }
    climb.up();
  }
  return climb.last == 0 && hash == root;
}

std::vector<TreeHash> consistencyProof(std::uint64_t oldSize, std::span<const LeafHash> leaves) {
  if (oldSize == 0 || oldSize > leaves.size()) throw std::invalid_argument("a consistency proof needs an old size from 1 to the size");
  std::vector<TreeHash> proof;
  std::size_t old = oldSize;
  bool isOldRoot = true;  // the part in hand is the whole old tree, whose root the verifier has
  while (old != leaves.size()) {
    const std::size_t split = splitOf(leaves.size());
    if (old <= split) {
      proof.push_back(treeRoot(leaves.subspan(split)));
      leaves = leaves.first(split);
    } else {
      proof.push_back(treeRoot(leaves.first(split)));
      leaves = leaves.subspan(split);
      old -= split;
      isOldRoot = false;
    }
  }
  if (!isOldRoot) proof.push_back(treeRoot(leaves));
  std::reverse(proof.begin(), proof.end());
  return proof;
}

bool verifyConsistency(std::uint64_t oldSize, std::uint64_t size, const TreeHash& oldRoot, const TreeHash& root,
                       std::span<const TreeHash> proof) {
  if (oldSize == 0 || oldSize > size) return false;
  if (oldSize == size) return proof.empty() && oldRoot == root;
  if (proof.empty()) return false;

  // An old tree that is complete is itself the first node; the proof then leaves it out.
  TreeHash first = oldRoot;
  if (!std::has_single_bit(oldSize)) {
    first = proof.front();
    proof = proof.subspan(1);
  }
  Climb climb{oldSize - 1, size - 1};
  while (isOdd(climb.node)) climb.up();
  TreeHash oldHash = first;
  TreeHash hash = first;
  for (const TreeHash& sibling : proof) {
    if (climb.last == 0) return false;
    if (climb.siblingIsLeft()) {
      oldHash = nodeHash(sibling, oldHash);
      hash = nodeHash(sibling, hash);
      climb.skipLevelsWithoutSibling();
    } else {
      hash = nodeHash(hash, sibling);
    }
    climb.up();
  }
  return climb.last == 0 && oldHash == oldRoot && hash == root;
}

}  // namespace counterfoil
