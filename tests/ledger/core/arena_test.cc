#include "ledger/core/arena.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "ledger/core/block_pool.h"

namespace counterfoil {
namespace {

bool isZero(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  for (std::size_t index = 0; index < size; ++index) {
    if (bytes[index] != 0) return false;
  }
  return true;
}

TEST(Arena, CopiesDoNotShareTheirSource) {
  Arena arena;
  std::string source = "a value";
  const std::string_view copy = arena.copy(source);
  source.assign(source.size(), 'x');
  EXPECT_EQ(copy, "a value");
  EXPECT_TRUE(arena.copy(std::string_view()).empty());
}

TEST(Arena, RoomIsAlignedAndDoesNotOverlap) {
  Arena arena;
  std::uint8_t* previousEnd = nullptr;
  for (std::size_t size = 1; size < 100; ++size) {
    auto* room = arena.room<std::uint8_t>(size);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(room) % 8, 0U) << size;
    if (previousEnd != nullptr && size < 60) {
      EXPECT_GE(room, previousEnd) << size;
    }
    previousEnd = room + size;
  }
}

TEST(Arena, ArraysAreValueInitialised) {
  Arena arena;
  std::memset(arena.room<std::uint8_t>(256), 0xff, 256);
  arena.reset();
  for (const std::uint64_t item : arena.array<std::uint64_t>(32)) EXPECT_EQ(item, 0U);
}

TEST(Arena, PointersSurviveGrowthAndMoves) {
  Arena arena;
  const std::string_view small = arena.copy("small");
  const std::string large(100'000, 'L');
  const std::string_view kept = arena.copy(large);
  for (int round = 0; round < 1000; ++round) arena.copy(std::string_view("filling one block after the other"));
  Arena moved = std::move(arena);
  Arena assigned;
  assigned.copy("goes away");
  assigned = std::move(moved);
  EXPECT_EQ(small, "small");
  EXPECT_EQ(kept, large);
}

TEST(Arena, AMovedFromArenaIsEmptyAndUsable) {
  Arena arena;
  const std::string_view kept = arena.copy("kept");
  Arena moved = std::move(arena);
  const std::string_view other = arena.copy("other");  // NOLINT: what a moved-from arena does is the point
  EXPECT_NE(static_cast<const void*>(kept.data()), static_cast<const void*>(other.data()));
  EXPECT_EQ(kept, "kept");
  arena.reset();
  EXPECT_EQ(kept, "kept");
}

TEST(Arena, ResetWipesWhatWasUsedAndKeepsTheFirstBlock) {
  Arena arena;
  // The first block stays the arena's after reset(), so looking at it is allowed.
  char* room = arena.room<char>(64);
  std::memcpy(room, "hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-hunter2-", 64);
  arena.copy(std::string(10'000, 's'));
  arena.reset();
  EXPECT_TRUE(isZero(room, 64));
  EXPECT_EQ(arena.room<char>(64), room);
}

TEST(Arena, ResetAgainAndAgainWipesEachTime) {
  Arena arena;
  for (std::size_t round = 1; round < 50; ++round) {
    char* room = arena.room<char>(round * 16);
    std::memset(room, 's', round * 16);
    arena.reset();
    EXPECT_TRUE(isZero(room, round * 16)) << round;
  }
}

#if !defined(__SANITIZE_ADDRESS__)
// Blocks go round: what one arena held must be gone before another gets its block.
TEST(Arena, ABlockThatIsTakenAgainHoldsNothingOfItsLastOwner) {
  const char* first = nullptr;
  {
    Arena arena;
    char* room = arena.room<char>(2'000);
    std::memset(room, 's', 2'000);
    arena.copy(std::string(100'000, 's'));  // so that the first block is not the last one
    first = room;
  }
  Arena next;
  const char* room = next.room<char>(2'000);
  ASSERT_EQ(room, first);
  EXPECT_TRUE(isZero(room, 2'000));
}

TEST(BlockPool, ABlockGivenBackElsewhereComesRound) {
  std::vector<std::uint8_t*> blocks(1'000);
  for (std::uint8_t*& block : blocks) block = takePooledBlock();
  EXPECT_EQ(std::set<std::uint8_t*>(blocks.begin(), blocks.end()).size(), blocks.size());
  std::thread other([&] {
    for (std::uint8_t* block : blocks) givePooledBlock(block);
  });
  other.join();
  const std::set<std::uint8_t*> given(blocks.begin(), blocks.end());
  std::size_t known = 0;
  for (std::uint8_t*& block : blocks) {
    block = takePooledBlock();
    known += given.count(block);
  }
  EXPECT_EQ(std::set<std::uint8_t*>(blocks.begin(), blocks.end()).size(), blocks.size());
  EXPECT_GE(known, 900U);
  for (std::uint8_t* block : blocks) givePooledBlock(block);
}
#endif

TEST(BlockPool, ThreadsTakeAndGiveAtOnce) {
  std::vector<std::thread> threads;
  std::atomic<std::size_t> broken{0};
  for (unsigned number = 0; number < 4; ++number) {
    threads.emplace_back([&broken, number] {
      std::vector<std::uint8_t*> held;
      for (unsigned round = 0; round < 20'000; ++round) {
        if (held.size() > 100 || (round % 3 == 2 && !held.empty())) {
          std::uint8_t* block = held.back();
          held.pop_back();
          if (block[0] != number || block[kPooledBlockBytes - 1] != number) ++broken;
          givePooledBlock(block);
        } else {
          std::uint8_t* block = takePooledBlock();
          block[0] = block[kPooledBlockBytes - 1] = static_cast<std::uint8_t>(number);
          held.push_back(block);
        }
      }
      for (std::uint8_t* block : held) givePooledBlock(block);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(broken, 0U);
}

}  // namespace
}  // namespace counterfoil
