#include "ledger/crypto/random.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "ledger/crypto/digest.h"
#include "ledger/crypto/wiping.h"
#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/crypto/test_bytes.h"

namespace counterfoil::crypto {
namespace {

using Draw = std::array<std::uint8_t, 16>;

TEST(SystemRandom, NeverGivesTheSameBytesTwice) {
  SystemRandom random;
  std::mutex mutex;
  std::set<Draw> seen;
  std::size_t drawn = 0;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        for (int i = 0; i < 3'000; ++i) {  // several blocks a thread
          const Draw draw = random.bytes<16>();
          const std::lock_guard lock(mutex);
          seen.insert(draw);
          ++drawn;
        }
      });
    }
  }
  EXPECT_EQ(seen.size(), drawn);
}

TEST(SystemRandom, FillsAllOfEverySize) {
  SystemRandom random;
  for (const std::size_t size : {1, 2, 7, 31, 511, 512, 513, 4'079, 4'080, 4'081, 10'000}) {
    // A byte stays zero in all of 16 draws with probability 2^-128.
    std::vector<std::uint8_t> touched(size, 0);
    for (int round = 0; round < 16; ++round) {
      std::vector<std::uint8_t> out(size, 0);
      random.fill(out);
      for (std::size_t i = 0; i < size; ++i) touched[i] = static_cast<std::uint8_t>(touched[i] | out[i]);
    }
    EXPECT_EQ(std::count(touched.begin(), touched.end(), 0), 0) << size;
  }
  random.fill({});
}

// The bits of a good source are balanced: 2^20 bits have a standard deviation of 512, six of which is one in 5 * 10^8.
TEST(SystemRandom, BitsAreBalanced) {
  SystemRandom random;
  long ones = 0;
  for (int i = 0; i < (1 << 20) / 128; ++i) {
    for (const std::uint8_t byte : random.bytes<16>()) ones += __builtin_popcount(byte);
  }
  EXPECT_NEAR(static_cast<double>(ones), 1 << 19, 6 * 512);
}

Draw drawInChild(SystemRandom& random, bool forkAgain) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (forkAgain) {
      const pid_t grandchild = fork();
      if (grandchild != 0) {
        int status = 0;
        waitpid(grandchild, &status, 0);
        _exit(status == 0 ? 0 : 1);
      }
    }
    const Draw draw = random.bytes<16>();
    _exit(write(ends[1], draw.data(), draw.size()) == static_cast<ssize_t>(draw.size()) ? 0 : 1);
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  Draw draw{};
  EXPECT_EQ(read(ends[0], draw.data(), draw.size()), static_cast<ssize_t>(draw.size()));
  close(ends[0]);
  close(ends[1]);
  return draw;
}

TEST(SystemRandom, ForkedChildDrawsItsOwn) {
  SystemRandom random;
  (void)random.bytes<16>();  // a block is there to be inherited
  const std::vector<Draw> draws = {drawInChild(random, false), drawInChild(random, false), drawInChild(random, true), random.bytes<16>()};
  EXPECT_EQ(std::set<Draw>(draws.begin(), draws.end()).size(), draws.size());
}

TEST(SystemRandom, GivenBytesAreNotKept) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  SystemRandom random;
  auto bytes = random.bytes<32>();
  const test::Needle needle(bytes);
  EXPECT_GE(needle.occurrences(), 1u);
  wipe(bytes.data(), bytes.size());
  EXPECT_EQ(needle.occurrences(), 0u);
}

TEST(DeterministicRandom, IsTheHashOfSeedAndCounter) {
  DeterministicRandom random(0x0102030405060708);
  std::vector<std::uint8_t> out(40);
  random.fill(out);
  const Digest first = sha256(test::hex("08070605040302010000000000000000"));
  const Digest second = sha256(test::hex("08070605040302010100000000000000"));
  EXPECT_EQ(test::toHex(out), (test::toHex(first) + test::toHex(second)).substr(0, 80));
  // The next call begins with a block of its own.
  EXPECT_EQ(random.bytes<32>(), sha256(test::hex("08070605040302010200000000000000")));
}

TEST(DeterministicRandom, SameSeedSameBytesOtherSeedOtherBytes) {
  DeterministicRandom first(7);
  DeterministicRandom again(7);
  DeterministicRandom other(8);
  for (int i = 0; i < 10; ++i) {
    const auto bytes = first.bytes<33>();
    EXPECT_EQ(bytes, again.bytes<33>());
    EXPECT_NE(bytes, other.bytes<33>());
  }
}

TEST(DeterministicRandom, ThreadsGetDifferentBytes) {
  DeterministicRandom random(9);
  std::mutex mutex;
  std::set<Draw> seen;
  {
    std::vector<std::jthread> threads;
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([&] {
        std::vector<Draw> own;
        for (int i = 0; i < 2'000; ++i) own.push_back(random.bytes<16>());
        const std::lock_guard lock(mutex);
        seen.insert(own.begin(), own.end());
      });
    }
  }
  EXPECT_EQ(seen.size(), 8'000u);
}

}  // namespace
}  // namespace counterfoil::crypto
