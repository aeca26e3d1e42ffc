#include "ledger/crypto/wiping.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <type_traits>

#include "ledger/crypto/random.h"
#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/crypto/test_bytes.h"

namespace counterfoil::crypto {
namespace {

using test::asBytes;

// Keeps every block it gave out, so that what its users left in freed ones can be read.
class KeepingResource final : public std::pmr::memory_resource {
 public:
  std::size_t freedBlocks() const { return freed_; }
  // Bytes other than zero in blocks that were given back.
  std::size_t leftovers() const { return leftovers_; }

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override {
    void* const block = std::pmr::new_delete_resource()->allocate(bytes, alignment);
    std::memset(block, 0xee, bytes);
    return block;
  }
  void do_deallocate(void* pointer, std::size_t bytes, std::size_t alignment) override {
    const auto* const data = static_cast<const std::uint8_t*>(pointer);
    ++freed_;
    leftovers_ += bytes - static_cast<std::size_t>(std::count(data, data + bytes, std::uint8_t{0}));
    std::pmr::new_delete_resource()->deallocate(pointer, bytes, alignment);
  }
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }

  std::size_t freed_ = 0;
  std::size_t leftovers_ = 0;
};

template <class Resource>
void growString(Resource& resource) {
  std::pmr::string text(&resource);
  for (int i = 0; i < 1'000; ++i) text += "secret";
}

TEST(WipingResource, EveryBlockIsZeroWhenGivenBack) {
  KeepingResource keeping;
  growString(keeping);
  EXPECT_GT(keeping.leftovers(), 0u) << "the watcher sees nothing";

  KeepingResource upstream;
  WipingResource wiping(&upstream);
  growString(wiping);
  EXPECT_GT(upstream.freedBlocks(), 3u);
  EXPECT_EQ(upstream.leftovers(), 0u);
}

TEST(WipingResource, HonoursAlignmentAndIsEqualToItselfOnly) {
  WipingResource first;
  WipingResource second;
  for (const std::size_t alignment : {8, 64, 256}) {
    void* const block = first.allocate(100, alignment);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(block) % alignment, 0u);
    first.deallocate(block, 100, alignment);
  }
  EXPECT_TRUE(first.is_equal(first));
  EXPECT_FALSE(first.is_equal(second));
}

TEST(Wipe, OverwritesExactlyTheRange) {
  for (std::size_t size = 0; size < 100; ++size) {
    std::array<std::uint8_t, 120> buffer;
    buffer.fill(0xee);
    wipe(buffer.data() + 10, size);
    for (std::size_t i = 0; i < buffer.size(); ++i) ASSERT_EQ(buffer[i], i >= 10 && i < 10 + size ? 0 : 0xee) << size << " " << i;
  }
  wipe(nullptr, 0);
}

TEST(SecretBytes, HoldsClonesAndMoves) {
  static_assert(!std::is_copy_constructible_v<SecretBytes> && !std::is_copy_assignable_v<SecretBytes>);
  SecretBytes first("secret");
  EXPECT_EQ(first.text(), "secret");
  const SecretBytes clone = first.clone();
  SecretBytes second = std::move(first);
  EXPECT_TRUE(first.empty());  // NOLINT: says so
  EXPECT_TRUE(first.bytes().empty());
  EXPECT_EQ(second.text(), "secret");
  SecretBytes third(asBytes("another one"));
  third = std::move(second);
  EXPECT_EQ(third.text(), "secret");
  EXPECT_EQ(second.size(), 0u);  // NOLINT: says so
  EXPECT_EQ(clone.text(), "secret");
  SecretBytes& itself = third;
  third = std::move(itself);
  EXPECT_EQ(third.text(), "secret");
  EXPECT_TRUE(SecretBytes(std::string_view()).empty());
  EXPECT_TRUE(SecretBytes().clone().empty());
  EXPECT_EQ(SecretBytes(std::string_view("a\0b", 3)).size(), 3u);
}

// All ways a secret ends: destruction, being assigned over, and the vector form growing.
TEST(SecretBytes, NothingIsLeftInMemory) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  SystemRandom random;
  auto bytes = random.bytes<48>();
  const test::Needle needle(bytes);
  std::optional<SecretBytes> first(std::in_place, std::span<const std::uint8_t>(bytes));
  std::optional<SecretBytes> second(first->clone());
  std::optional<WipingVector> vector(std::in_place, bytes.begin(), bytes.end());
  wipe(bytes.data(), bytes.size());
  EXPECT_EQ(needle.occurrences(), 3u);
  vector->reserve(vector->capacity() + 1);
  EXPECT_EQ(needle.occurrences(), 3u);
  vector.reset();
  EXPECT_EQ(needle.occurrences(), 2u);
  first.reset();
  EXPECT_EQ(needle.occurrences(), 1u);
  *second = SecretBytes("other");
  EXPECT_EQ(needle.occurrences(), 0u);
}

constexpr std::string_view kStackSecret = "a secret that a parser decoded on its stack";

[[gnu::noinline]] void leaveSecretOnStack() {
  volatile char deep[8'000];
  for (std::size_t i = 0; i < sizeof(deep); ++i) deep[i] = kStackSecret[i % kStackSecret.size()];
}

void leaveAndWipe() {
  leaveSecretOnStack();
  wipeStackBelow(16 * 1024);
}

std::size_t secretsIn(std::span<const std::uint8_t> memory) {
  const std::string_view text(reinterpret_cast<const char*>(memory.data()), memory.size());
  std::size_t found = 0;
  for (std::size_t at = text.find(kStackSecret); at != text.npos; at = text.find(kStackSecret, at + 1)) ++found;
  return found;
}

TEST(WipeStackBelow, LeavesNothingOfADeeperFrame) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "a sanitized program keeps locals elsewhere";
  EXPECT_GT(secretsIn(test::OwnStack(leaveSecretOnStack).bytes()), 100u) << "the secret was never there";
  EXPECT_EQ(secretsIn(test::OwnStack(leaveAndWipe).bytes()), 0u);
}

TEST(EqualConstantTime, ComparesBytesAndLengths) {
  EXPECT_TRUE(equalConstantTime({}, {}));
  EXPECT_TRUE(equalConstantTime(asBytes("same"), asBytes("same")));
  EXPECT_FALSE(equalConstantTime(asBytes("same"), asBytes("sam")));
  EXPECT_FALSE(equalConstantTime({}, asBytes("x")));
  EXPECT_FALSE(equalConstantTime(asBytes("same"), asBytes("samf")));
  EXPECT_FALSE(equalConstantTime(asBytes("same"), asBytes("tame")));
}

}  // namespace
}  // namespace counterfoil::crypto
