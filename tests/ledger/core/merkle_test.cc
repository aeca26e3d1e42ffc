#include "ledger/core/merkle.h"

#include <gtest/gtest.h>

#include <bit>
#include <boost/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "ledger/core/encoding.h"
#include "tests/support/vectors.h"

namespace counterfoil {
namespace {

namespace json = boost::json;

constexpr const char* kVectors = "vectors/transparency/rfc6962/";

crypto::Bytes leafBytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

std::optional<json::value> readVectors(const std::string& name) {
  const auto text = test::readShared(kVectors + name);
  if (!text) return std::nullopt;
  return json::parse(*text);
}

// nullopt for bytes that are no hash; our types cannot even carry those.
std::optional<TreeHash> asHash(const std::optional<std::vector<std::uint8_t>>& bytes) {
  if (!bytes || bytes->size() != crypto::kDigestSize) return std::nullopt;
  TreeHash hash;
  std::copy(bytes->begin(), bytes->end(), hash.begin());
  return hash;
}

std::optional<TreeHash> base64Hash(const json::value& text) {
  return asHash(fromBase64(std::string_view(text.as_string())));
}

// Some roots of the consistency vectors are words such as "dont care 2"; filled up, they still differ where the words do.
TreeHash paddedHash(const json::value& text) {
  auto bytes = fromBase64(std::string_view(text.as_string())).value();
  bytes.resize(crypto::kDigestSize);
  return asHash(bytes).value();
}

TreeHash hexHash(const json::value& text) {
  return asHash(fromHex(std::string_view(text.as_string()))).value();
}

std::vector<TreeHash> hexHashes(const json::value& list) {
  std::vector<TreeHash> result;
  for (const json::value& item : list.as_array()) result.push_back(hexHash(item));
  return result;
}

std::optional<std::vector<TreeHash>> base64Proof(const json::value& list) {
  std::vector<TreeHash> result;
  if (list.is_null()) return result;
  for (const json::value& item : list.as_array()) {
    const auto hash = base64Hash(item);
    if (!hash) return std::nullopt;
    result.push_back(*hash);
  }
  return result;
}

std::vector<LeafHash> numberedLeaves(std::size_t count) {
  std::vector<LeafHash> leaves;
  for (std::size_t i = 0; i < count; ++i) leaves.push_back(leafHash(leafBytes("leaf " + std::to_string(i))));
  return leaves;
}

// MTH of RFC 6962 2.1, word for word.
TreeHash definedRoot(std::span<const LeafHash> leaves) {
  if (leaves.empty()) return emptyTreeRoot();
  if (leaves.size() == 1) return leaves[0].bytes;
  std::size_t split = 1;
  while (split * 2 < leaves.size()) split *= 2;
  return nodeHash(definedRoot(leaves.first(split)), definedRoot(leaves.subspan(split)));
}

std::vector<LeafHash> referenceLeaves(const json::value& tree) {
  std::vector<LeafHash> leaves;
  for (const json::value& input : tree.at("leaf_inputs_hex").as_array()) {
    leaves.push_back(leafHash(fromHex(std::string_view(input.as_string())).value()));
  }
  return leaves;
}

void flip(TreeHash& hash, std::size_t bit) {
  hash[bit / 8] = static_cast<std::uint8_t>(hash[bit / 8] ^ (1 << bit % 8));
}

TEST(MerkleVectors, Inclusion) {
  const auto cases = readVectors("inclusion.json");
  if (!cases) GTEST_SKIP() << test::kSharedMissing;
  int good = 0;
  for (const json::value& item : cases->as_array()) {
    const auto root = base64Hash(item.at("root"));
    const auto leaf = base64Hash(item.at("leafHash"));
    const auto proof = base64Proof(item.at("proof"));
    const bool valid = root && leaf && proof &&
                       verifyInclusion(item.at("leafIdx").to_number<std::uint64_t>(), item.at("treeSize").to_number<std::uint64_t>(),
                                       LeafHash{*leaf}, *proof, *root);
    EXPECT_EQ(valid, !item.at("wantErr").as_bool()) << item.at("file");
    good += valid ? 1 : 0;
  }
  EXPECT_EQ(cases->as_array().size(), 98u);
  EXPECT_EQ(good, 6);
}

TEST(MerkleVectors, Consistency) {
  const auto cases = readVectors("consistency.json");
  if (!cases) GTEST_SKIP() << test::kSharedMissing;
  int good = 0;
  for (const json::value& item : cases->as_array()) {
    const TreeHash oldRoot = paddedHash(item.at("root1"));
    const TreeHash root = paddedHash(item.at("root2"));
    const auto proof = base64Proof(item.at("proof"));
    const bool valid = proof && verifyConsistency(item.at("size1").to_number<std::uint64_t>(), item.at("size2").to_number<std::uint64_t>(),
                                                  oldRoot, root, *proof);
    EXPECT_EQ(valid, !item.at("wantErr").as_bool()) << item.at("file");
    good += valid ? 1 : 0;
  }
  EXPECT_EQ(cases->as_array().size(), 98u);
  EXPECT_EQ(good, 6);
}

TEST(MerkleVectors, ReferenceTree) {
  const auto tree = readVectors("reference-tree.json");
  if (!tree) GTEST_SKIP() << test::kSharedMissing;
  const std::vector<LeafHash> leaves = referenceLeaves(*tree);
  ASSERT_EQ(leaves.size(), 8u);
  const json::array& roots = tree->at("root_by_size").as_array();
  ASSERT_EQ(roots.size(), 9u);
  for (std::size_t size = 0; size < roots.size(); ++size) EXPECT_EQ(treeRoot(std::span(leaves).first(size)), hexHash(roots[size])) << size;
  const json::array& levels = tree->at("node_hashes_by_level").as_array();
  for (std::size_t level = 0; level < levels.size(); ++level) {
    const std::vector<TreeHash> nodes = hexHashes(levels[level]);
    const std::size_t width = std::size_t{1} << level;
    for (std::size_t i = 0; i < nodes.size(); ++i) EXPECT_EQ(treeRoot(std::span(leaves).subspan(i * width, width)), nodes[i]) << level;
  }
  for (const json::value& item : tree->at("hasher").as_array()) {
    if (item.at("op") == "empty-root") {
      EXPECT_EQ(emptyTreeRoot(), hexHash(item.at("out")));
    } else if (item.at("op") == "leaf") {
      const auto input = fromHex(std::string_view(item.at("in").at(0).as_string())).value();
      EXPECT_EQ(leafHash(input).bytes, hexHash(item.at("out")));
    }
  }
}

// The published proofs over `leaves`: made the same, and accepted.
void expectProofs(const json::value& file, std::span<const LeafHash> leaves, std::size_t inclusions, std::size_t consistencies) {
  ASSERT_EQ(file.at("inclusion").as_array().size(), inclusions);
  for (const json::value& item : file.at("inclusion").as_array()) {
    const auto index = item.at("index").to_number<std::uint64_t>();
    const auto size = item.at("size").to_number<std::uint64_t>();
    const std::vector<TreeHash> proof = hexHashes(item.at("proof"));
    EXPECT_EQ(inclusionProof(index, leaves.first(size)), proof) << index << " of " << size;
    EXPECT_TRUE(verifyInclusion(index, size, leaves[index], proof, treeRoot(leaves.first(size)))) << index << " of " << size;
  }
  ASSERT_EQ(file.at("consistency").as_array().size(), consistencies);
  for (const json::value& item : file.at("consistency").as_array()) {
    const auto oldSize = item.at("size1").to_number<std::uint64_t>();
    const auto size = item.at("size2").to_number<std::uint64_t>();
    const std::vector<TreeHash> proof = hexHashes(item.at("proof"));
    EXPECT_EQ(consistencyProof(oldSize, leaves.first(size)), proof) << oldSize << " to " << size;
    EXPECT_TRUE(verifyConsistency(oldSize, size, treeRoot(leaves.first(oldSize)), treeRoot(leaves.first(size)), proof))
        << oldSize << " to " << size;
  }
}

TEST(MerkleVectors, ReferenceTreeProofs) {
  const auto tree = readVectors("reference-tree.json");
  if (!tree) GTEST_SKIP() << test::kSharedMissing;
  expectProofs(*tree, referenceLeaves(*tree), 36, 36);
}

TEST(MerkleVectors, NumberedLeaves) {
  const auto tree = readVectors("leaf-n-tree.json");
  if (!tree) GTEST_SKIP() << test::kSharedMissing;
  const std::vector<LeafHash> leaves = numberedLeaves(1000);
  std::size_t roots = 0;
  for (const auto& [size, root] : tree->at("root_by_size").as_object()) {
    const std::size_t count = std::stoul(std::string(size));
    ASSERT_LE(count, leaves.size());
    EXPECT_EQ(treeRoot(std::span(leaves).first(count)), hexHash(root)) << size;
    ++roots;
  }
  EXPECT_EQ(roots, 28u);
  expectProofs(*tree, leaves, 9, 10);
}

TEST(MerkleProperties, FrontierEqualsTheDefinitionForEverySize) {
  const std::vector<LeafHash> leaves = numberedLeaves(300);
  TreeFrontier frontier;
  for (std::size_t size = 0; size <= leaves.size(); ++size) {
    const TreeHash root = definedRoot(std::span(leaves).first(size));
    ASSERT_EQ(frontier.size(), size);
    ASSERT_EQ(frontier.root(), root) << size;
    ASSERT_EQ(treeRoot(std::span(leaves).first(size)), root) << size;
    ASSERT_EQ(frontier.hashes().size(), static_cast<std::size_t>(std::popcount(size)));
    // Stored and read back, it goes on the same.
    TreeFrontier restored(frontier.size(), frontier.hashes());
    ASSERT_EQ(restored, frontier);
    if (size == leaves.size()) break;
    restored.append(leaves[size]);
    frontier.append(leaves[size]);
    ASSERT_EQ(restored, frontier);
  }
}

TEST(MerkleProperties, FrontierRefusesPartsThatDoNotFit) {
  EXPECT_THROW(TreeFrontier(0, {TreeHash{}}), std::invalid_argument);
  EXPECT_THROW(TreeFrontier(1, {}), std::invalid_argument);
  EXPECT_THROW(TreeFrontier(6, {TreeHash{}}), std::invalid_argument);
  EXPECT_THROW(TreeFrontier(6, {TreeHash{}, {}, {}}), std::invalid_argument);
  EXPECT_NO_THROW(TreeFrontier(6, {TreeHash{}, {}}));
  // The largest tree that can be counted.
  TreeFrontier full(~std::uint64_t{0} - 1, std::vector<TreeHash>(63));
  full.append(LeafHash{});
  EXPECT_EQ(full.size(), ~std::uint64_t{0});
  EXPECT_EQ(full.hashes().size(), 64u);
}

TEST(MerkleProperties, EveryInclusionProofVerifiesAndNothingElse) {
  const std::vector<LeafHash> leaves = numberedLeaves(70);
  for (std::size_t size = 1; size <= leaves.size(); ++size) {
    const std::span tree = std::span(leaves).first(size);
    const TreeHash root = definedRoot(tree);
    for (std::size_t index = 0; index < size; ++index) {
      std::vector<TreeHash> proof = inclusionProof(index, tree);
      ASSERT_TRUE(verifyInclusion(index, size, leaves[index], proof, root)) << index << " of " << size;
      for (std::size_t other = 0; other < size + 2; ++other) {
        ASSERT_TRUE(other == index || !verifyInclusion(other, size, leaves[index], proof, root)) << index << " as " << other;
      }
      proof.push_back(root);
      ASSERT_FALSE(verifyInclusion(index, size, leaves[index], proof, root)) << "longer";
      proof.pop_back();
      if (proof.empty()) continue;
      proof.pop_back();
      ASSERT_FALSE(verifyInclusion(index, size, leaves[index], proof, root)) << "shorter";
    }
  }
}

TEST(MerkleProperties, EveryConsistencyProofVerifiesAndNothingElse) {
  const std::vector<LeafHash> leaves = numberedLeaves(70);
  for (std::size_t size = 1; size <= leaves.size(); ++size) {
    const TreeHash root = definedRoot(std::span(leaves).first(size));
    for (std::size_t oldSize = 1; oldSize <= size; ++oldSize) {
      const TreeHash oldRoot = definedRoot(std::span(leaves).first(oldSize));
      std::vector<TreeHash> proof = consistencyProof(oldSize, std::span(leaves).first(size));
      ASSERT_TRUE(verifyConsistency(oldSize, size, oldRoot, root, proof)) << oldSize << " to " << size;
      ASSERT_TRUE(oldSize == size || !verifyConsistency(oldSize, size, root, oldRoot, proof)) << "swapped";
      ASSERT_FALSE(verifyConsistency(0, size, oldRoot, root, proof));
      ASSERT_FALSE(verifyConsistency(size + 1, size, oldRoot, root, proof));
      proof.push_back(root);
      ASSERT_FALSE(verifyConsistency(oldSize, size, oldRoot, root, proof)) << "longer";
      proof.pop_back();
      if (proof.empty()) continue;
      proof.pop_back();
      ASSERT_FALSE(verifyConsistency(oldSize, size, oldRoot, root, proof)) << "shorter";
    }
  }
}

TEST(MerkleProperties, EveryChangedBitOfAnInclusionProofIsRefused) {
  const std::vector<LeafHash> leaves = numberedLeaves(21);
  TreeHash root = definedRoot(leaves);
  for (const std::size_t index : {0, 1, 7, 15, 16, 19, 20}) {
    std::vector<TreeHash> proof = inclusionProof(index, leaves);
    LeafHash leaf = leaves[index];
    for (std::size_t bit = 0; bit < 256; ++bit) {
      for (TreeHash& hash : proof) {
        flip(hash, bit);
        ASSERT_FALSE(verifyInclusion(index, leaves.size(), leaf, proof, root)) << index << " bit " << bit;
        flip(hash, bit);
      }
      flip(root, bit);
      ASSERT_FALSE(verifyInclusion(index, leaves.size(), leaf, proof, root));
      flip(root, bit);
      flip(leaf.bytes, bit);
      ASSERT_FALSE(verifyInclusion(index, leaves.size(), leaf, proof, root));
      flip(leaf.bytes, bit);
    }
    ASSERT_TRUE(verifyInclusion(index, leaves.size(), leaf, proof, root));
  }
}

TEST(MerkleProperties, EveryChangedBitOfAConsistencyProofIsRefused) {
  const std::vector<LeafHash> leaves = numberedLeaves(21);
  TreeHash root = definedRoot(leaves);
  for (const std::size_t oldSize : {1, 2, 3, 7, 8, 16, 17, 20, 21}) {
    TreeHash oldRoot = definedRoot(std::span(leaves).first(oldSize));
    std::vector<TreeHash> proof = consistencyProof(oldSize, leaves);
    for (std::size_t bit = 0; bit < 256; ++bit) {
      for (TreeHash& hash : proof) {
        flip(hash, bit);
        ASSERT_FALSE(verifyConsistency(oldSize, leaves.size(), oldRoot, root, proof)) << oldSize << " bit " << bit;
        flip(hash, bit);
      }
      flip(root, bit);
      ASSERT_FALSE(verifyConsistency(oldSize, leaves.size(), oldRoot, root, proof));
      flip(root, bit);
      flip(oldRoot, bit);
      ASSERT_FALSE(verifyConsistency(oldSize, leaves.size(), oldRoot, root, proof));
      flip(oldRoot, bit);
    }
    ASSERT_TRUE(verifyConsistency(oldSize, leaves.size(), oldRoot, root, proof));
  }
}

// Only the arithmetic is tested here: trees that nobody can build.
TEST(MerkleProperties, HugeSizesEndAndAreRefused) {
  const std::uint64_t huge = ~std::uint64_t{0};
  for (const std::size_t length : {0, 1, 63, 64, 65, 1000}) {
    const std::vector<TreeHash> proof(length);
    EXPECT_FALSE(verifyInclusion(huge - 1, huge, LeafHash{}, proof, TreeHash{}));
    EXPECT_FALSE(verifyInclusion(huge, huge, LeafHash{}, proof, TreeHash{}));
    EXPECT_FALSE(verifyInclusion(0, huge, LeafHash{}, proof, TreeHash{}));
    EXPECT_FALSE(verifyConsistency(huge - 1, huge, TreeHash{}, TreeHash{}, proof));
    EXPECT_FALSE(verifyConsistency(std::uint64_t{1} << 63, huge, TreeHash{}, TreeHash{}, proof));
  }
  // A leaf at the far end of 2^63 + 1 leaves hangs directly under the root.
  const LeafHash leaf = leafHash(leafBytes("last"));
  const TreeHash rest = leafHash(leafBytes("all before")).bytes;
  const std::uint64_t half = std::uint64_t{1} << 63;
  EXPECT_TRUE(verifyInclusion(half, half + 1, leaf, std::vector{rest}, nodeHash(rest, leaf.bytes)));
}

// A root does not commit to its size: a proof that climbs on above the claimed tree would hash to the root of a larger one.
TEST(MerkleProperties, ProofsThatClimbAboveTheRootAreRefused) {
  const std::vector<LeafHash> leaves = numberedLeaves(8);
  const TreeHash a = leaves[0].bytes;
  const TreeHash b = leaves[1].bytes;
  const TreeHash c = leaves[2].bytes;
  const TreeHash d = leaves[3].bytes;
  const TreeHash above = leaves[4].bytes;
  EXPECT_TRUE(verifyInclusion(1, 2, leaves[1], std::vector{a}, nodeHash(a, b)));
  EXPECT_FALSE(verifyInclusion(0, 1, leaves[1], std::vector{a}, nodeHash(a, b)));
  EXPECT_FALSE(verifyInclusion(1, 2, leaves[1], std::vector{a, above}, nodeHash(above, nodeHash(a, b))));

  const TreeHash ab = nodeHash(a, b);
  const TreeHash three = nodeHash(ab, c);
  const TreeHash four = nodeHash(ab, nodeHash(c, d));
  EXPECT_TRUE(verifyConsistency(3, 4, three, four, std::vector{c, d, ab}));
  EXPECT_FALSE(verifyConsistency(3, 4, nodeHash(above, three), nodeHash(above, four), std::vector{c, d, ab, above}));
}

TEST(MerkleProperties, ProofsOutsideTheTreeThrow) {
  const std::vector<LeafHash> leaves = numberedLeaves(5);
  EXPECT_THROW(inclusionProof(5, leaves), std::invalid_argument);
  EXPECT_THROW(inclusionProof(0, {}), std::invalid_argument);
  EXPECT_THROW(consistencyProof(0, leaves), std::invalid_argument);
  EXPECT_THROW(consistencyProof(6, leaves), std::invalid_argument);
}

}  // namespace
}  // namespace counterfoil
