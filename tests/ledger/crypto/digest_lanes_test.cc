#include "ledger/crypto/digest_lanes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <vector>

#include "ledger/crypto/error.h"
#include "ledger/crypto/hmac.h"
#include "ledger/crypto/random.h"
#include "tests/ledger/crypto/memory_scan.h"
#include "tests/ledger/crypto/test_bytes.h"

namespace counterfoil::crypto {
namespace {

using test::asBytes;
using test::toHex;

constexpr std::size_t kLanes = ShortMessages::kLanes;

// `count` messages of sizes that differ, the longest of them `size` bytes.
std::vector<std::vector<std::uint8_t>> messagesOf(std::size_t count, std::size_t size, DeterministicRandom& random) {
  std::vector<std::vector<std::uint8_t>> messages(count);
  for (std::size_t index = 0; index < count; ++index) {
    messages[index].resize(size - std::min(size, index * 5));
    random.fill(messages[index]);
  }
  return messages;
}

TEST(ShortMessages, KnownAnswers) {
  ShortMessages messages;
  ASSERT_TRUE(messages.add({}));
  ASSERT_TRUE(messages.add(asBytes("abc")));
  ASSERT_TRUE(messages.add(asBytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnop")));
  std::array<Digest, kLanes> digests;
  messages.digests(digests);
  EXPECT_EQ(toHex(digests[0]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(toHex(digests[1]), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

// Every number of messages up to more than there are lanes, and every size around the ends of blocks, all different in one call.
TEST(Sha256Together, EqualsOneHashAfterAnother) {
  DeterministicRandom random(11);
  for (std::size_t count = 0; count <= 2 * kLanes + 3; ++count) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{55}, std::size_t{56}, std::size_t{63}, std::size_t{64}, std::size_t{65},
                                   std::size_t{119}, std::size_t{120}, std::size_t{128}, std::size_t{1000}}) {
      const auto inputs = messagesOf(count, size, random);
      const std::vector<Bytes> messages(inputs.begin(), inputs.end());
      std::vector<Digest> digests(count);
      sha256Together(messages, digests);
      for (std::size_t index = 0; index < count; ++index) ASSERT_EQ(digests[index], sha256(inputs[index])) << count << " " << size;
    }
  }
  std::array<Digest, 1> small;
  const std::vector<Bytes> two(2);
  EXPECT_THROW(sha256Together(two, small), CryptoError);
}

TEST(MacsTogether, EqualOneMacAfterAnother) {
  DeterministicRandom random(12);
  std::vector<HmacKey> keys;
  for (std::size_t index = 0; index < 2 * kLanes + 3; ++index) keys.emplace_back(Bytes(random.bytes<32>()));
  for (std::size_t count = 0; count <= keys.size(); ++count) {
    for (const std::size_t size : {std::size_t{0}, std::size_t{55}, std::size_t{56}, std::size_t{64}, std::size_t{200}}) {
      const auto inputs = messagesOf(count, size, random);
      std::vector<MacJob> jobs;
      for (std::size_t index = 0; index < count; ++index) jobs.push_back({&keys[index], inputs[index]});
      std::vector<Digest> macs(count);
      macsTogether(jobs, macs);
      for (std::size_t index = 0; index < count; ++index) ASSERT_EQ(macs[index], keys[index].mac({inputs[index]})) << count << " " << size;
    }
  }
  std::array<Digest, 1> small;
  const std::vector<MacJob> two{{&keys[0], {}}, {&keys[1], {}}};
  EXPECT_THROW(macsTogether(two, small), CryptoError);
}

// Every number of lanes, so that both ways of computing are taken, and every size that fits.
TEST(ShortMessages, EqualOneHashAfterAnother) {
  DeterministicRandom random(7);
  ShortMessages messages;
  for (std::size_t count = 1; count <= kLanes; ++count) {
    for (std::size_t size = 0; size <= kShortMessageMax; ++size) {
      const auto inputs = messagesOf(count, size, random);
      for (const auto& input : inputs) ASSERT_TRUE(messages.add(input));
      std::array<Digest, kLanes> digests;
      messages.digests(std::span(digests).first(count));
      for (std::size_t lane = 0; lane < count; ++lane)
        ASSERT_EQ(digests[lane], sha256(inputs[lane])) << count << " " << size << " " << lane;
      messages.clear();
    }
  }
}

TEST(ShortMessages, RefusesWhatDoesNotFit) {
  ShortMessages messages;
  const std::vector<std::uint8_t> longest(kShortMessageMax);
  EXPECT_FALSE(messages.add(std::vector<std::uint8_t>(kShortMessageMax + 1)));
  EXPECT_EQ(messages.size(), 0u);
  for (std::size_t lane = 0; lane < kLanes; ++lane) ASSERT_TRUE(messages.add(longest));
  EXPECT_TRUE(messages.full());
  EXPECT_FALSE(messages.add(longest));
  EXPECT_EQ(messages.size(), kLanes);
}

// All lanes against one alone, which is OpenSSL's own step, from states that are no beginning of a message.
TEST(CompressLanes, GoesOnFromAnyState) {
  DeterministicRandom random(8);
  for (std::size_t count = 1; count <= kLanes; ++count) {
    std::array<ShortMessages::Words, kLanes> states;
    std::array<ShortMessages::Block, kLanes> blocks;
    random.fill({reinterpret_cast<std::uint8_t*>(states.data()), sizeof(states)});
    for (auto& block : blocks) random.fill(block);
    std::array<ShortMessages::Words, kLanes> expected = states;
    for (std::size_t lane = 0; lane < count; ++lane) {
      std::array<ShortMessages::Words, kLanes> one{expected[lane]};
      std::array<ShortMessages::Block, kLanes> block{blocks[lane]};
      compressLanes(one, block, 1);
      expected[lane] = one[0];
    }
    compressLanes(states, blocks, count);
    EXPECT_EQ(states, expected) << count << " lanes; those not counted stay";
  }
}

TEST(HmacLanes, EqualOneMacAfterAnother) {
  DeterministicRandom random(9);
  for (const std::size_t keySize : {0u, 16u, 32u, 64u, 100u}) {
    std::vector<std::uint8_t> keyBytes(keySize);
    random.fill(keyBytes);
    const HmacKey key(keyBytes);
    for (std::size_t count = 0; count <= kLanes; ++count) {
      std::array<Digest, kLanes> messages;
      for (Digest& message : messages) random.fill(message);
      std::array<Digest, kLanes> macs{};
      key.macs(std::span(messages).first(count), macs);
      for (std::size_t lane = 0; lane < count; ++lane) ASSERT_EQ(macs[lane], key.mac({messages[lane]})) << keySize << " " << count;
      for (std::size_t lane = count; lane < kLanes; ++lane) ASSERT_EQ(macs[lane], Digest{});
    }
  }
  const HmacKey key(asBytes("key"));
  std::array<Digest, kLanes + 1> many{};
  std::array<Digest, kLanes + 1> macs;
  EXPECT_THROW(key.macs(many, macs), CryptoError);
  EXPECT_THROW(key.macs(std::span(many).first(2), std::span(macs).first(1)), CryptoError);
}

// Candidates for secrets go through the lanes: as bytes, and as the words of a schedule.
std::array<std::uint8_t, 40> candidate;

void hashCandidates() {
  ShortMessages messages;
  for (std::size_t lane = 0; lane < 5; ++lane) (void)messages.add(Bytes(candidate).subspan(lane));
  std::array<Digest, kLanes> digests;
  messages.digests(digests);
}
void hashOneCandidate() {
  ShortMessages messages;
  (void)messages.add(candidate);
  std::array<Digest, 1> digests;
  messages.digests(digests);
}
void hashWithoutWiping() {
  [[maybe_unused]] volatile std::uint8_t block[64];
  for (std::size_t i = 0; i < candidate.size(); ++i) block[i] = candidate[i];
}

TEST(ShortMessages, LeaveNothingOnTheStack) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  SystemRandom random;
  random.fill(candidate);
  const auto swapped = [] {
    auto result = candidate;
    for (std::size_t word = 0; word + 4 <= result.size(); word += 4) std::reverse(&result[word], &result[word] + 4);
    return result;
  }();
  const test::Needle plain(candidate);
  const test::Needle asWords(swapped);
  EXPECT_EQ(plain.occurrencesIn(test::OwnStack(hashWithoutWiping).bytes()), 1u) << "the watcher sees nothing";
  for (void (*const body)() : {&hashCandidates, &hashOneCandidate}) {
    const test::OwnStack after(body);
    EXPECT_EQ(plain.occurrencesIn(after.bytes()), 0u);
    EXPECT_EQ(asWords.occurrencesIn(after.bytes()), 0u);
  }
}

void hashTheSameInAllLanes() {
  ShortMessages messages;
  while (messages.add(candidate)) {
  }
  std::array<Digest, kLanes> digests;
  messages.digests(digests);
}

// From sixteen words of the schedule in a row the message can be computed back. Equal messages make a word stand beside itself.
TEST(ShortMessages, LeaveNoScheduleOnTheStack) {
  if (!test::kCanScanMemory) GTEST_SKIP() << "memory of a sanitized program cannot be scanned";
  SystemRandom random;
  random.fill(candidate);
  std::array<std::uint32_t, 64> schedule{};
  for (std::size_t i = 0; i < candidate.size(); ++i) schedule[i / 4] |= std::uint32_t{candidate[i]} << (24 - 8 * (i % 4));
  schedule[candidate.size() / 4] = 0x80000000;
  schedule[15] = static_cast<std::uint32_t>(8 * candidate.size());
  for (std::size_t t = 16; t < 64; ++t) {
    const std::uint32_t w15 = schedule[t - 15];
    const std::uint32_t w2 = schedule[t - 2];
    schedule[t] = schedule[t - 16] + schedule[t - 7] + (std::rotr(w15, 7) ^ std::rotr(w15, 18) ^ (w15 >> 3)) +
                  (std::rotr(w2, 17) ^ std::rotr(w2, 19) ^ (w2 >> 10));
  }
  const test::OwnStack after(hashTheSameInAllLanes);
  for (std::size_t t = 48; t < 64; ++t) {
    std::array<std::uint32_t, kLanes> row;
    row.fill(schedule[t]);
    const test::Needle needle(Bytes(reinterpret_cast<const std::uint8_t*>(row.data()), sizeof(row)));
    EXPECT_EQ(needle.occurrencesIn(after.bytes()), 0u) << t;
  }
}

}  // namespace
}  // namespace counterfoil::crypto
