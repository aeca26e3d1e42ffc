#include "ledger/crypto/digest_lanes.h"

// As in digest.cc; here it is what a processor does one block at a time.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <bit>
#include <cstring>

#include "ledger/crypto/wiping.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace counterfoil::crypto {
namespace {

constexpr std::size_t kLanes = ShortMessages::kLanes;
using Words = ShortMessages::Words;
using Block = ShortMessages::Block;

constexpr Words kInitial = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

// As SHA256_Transform leaves its schedule there too, see hmac.cc.
constexpr std::size_t kScheduleStackBytes = 2048;

std::uint32_t bigEndian(std::uint32_t word) {
  return std::endian::native == std::endian::little ? __builtin_bswap32(word) : word;
}

void compressOne(Words& state, const Block& block) {
  SHA256_CTX context;
  std::memcpy(context.h, state.data(), sizeof(context.h));
  SHA256_Transform(&context, block.data());
  std::memcpy(state.data(), context.h, sizeof(context.h));
  wipe(context.h, sizeof(context.h));
}

#if defined(__x86_64__)

alignas(64) constexpr std::array<std::uint32_t, 64> kRound = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be,
    0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa,
    0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85,
    0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3,
    0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f,
    0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

// One word of each lane.
using Lane [[gnu::vector_size(4 * kLanes)]] = std::uint32_t;

// FIPS 180-4, 6.2.2, in all lanes at once. Inlined into a function for each kind of processor below. `schedule` is scratch: the caller
// wipes it.
[[gnu::always_inline]] inline void rounds(Lane* state, Lane* schedule) {
  Lane a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  for (std::size_t t = 0; t < 64; ++t) {
    Lane& w = schedule[t & 15];
    if (t >= 16) {
      const Lane w15 = schedule[(t + 1) & 15];
      const Lane w2 = schedule[(t + 14) & 15];
      w += schedule[(t + 9) & 15] + ((w15 >> 7 | w15 << 25) ^ (w15 >> 18 | w15 << 14) ^ w15 >> 3) +
           ((w2 >> 17 | w2 << 15) ^ (w2 >> 19 | w2 << 13) ^ w2 >> 10);
    }
    const Lane first = h + ((e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^ (e >> 25 | e << 7)) + (g ^ (e & (f ^ g))) + kRound[t] + w;
    const Lane second = ((a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^ (a >> 22 | a << 10)) + ((a & b) | (c & (a | b)));
    h = g;
    g = f;
    f = e;
    e = d + first;
    d = c;
    c = b;
    b = a;
    a = first + second;
  }
  state[0] += a;
  state[1] += b;
  state[2] += c;
  state[3] += d;
  state[4] += e;
  state[5] += f;
  state[6] += g;
  state[7] += h;
}

[[gnu::target("avx512f,avx512vl")]] void roundsWithRotation(Lane* state, Lane* schedule) {
  rounds(state, schedule);
}
[[gnu::target("avx2")]] void roundsOfEight(Lane* state, Lane* schedule) {
  rounds(state, schedule);
}

using Rounds = void (*)(Lane*, Lane*);

// Null where one block at a time is faster: without eight lanes, and on processors that have instructions for SHA-256.
Rounds chooseRounds() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kShaBit = 1U << 29;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (ebx & kShaBit) != 0) return nullptr;
  if (__builtin_cpu_supports("avx512vl") > 0) return &roundsWithRotation;
  return __builtin_cpu_supports("avx2") > 0 ? &roundsOfEight : nullptr;
}

bool compressTogether(std::span<Words, kLanes> states, std::span<const Block, kLanes> blocks, std::size_t count) {
  static const Rounds kRounds = chooseRounds();
  // Below, the empty lanes cost more than one block at a time.
  constexpr std::size_t kLanesMin = 3;
  if (kRounds == nullptr || count < kLanesMin) return false;
  struct Work {
    Lane state[8];
    Lane schedule[16];
    ~Work() { wipe(this, sizeof(*this)); }
  } work;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::size_t from = lane < count ? lane : 0;
    for (std::size_t word = 0; word < 16; ++word) {
      std::uint32_t value = 0;
      std::memcpy(&value, blocks[from].data() + 4 * word, sizeof(value));
      work.schedule[word][lane] = bigEndian(value);
    }
    for (std::size_t word = 0; word < 8; ++word) work.state[word][lane] = states[from][word];
  }
  kRounds(work.state, work.schedule);
  for (std::size_t lane = 0; lane < count; ++lane) {
    for (std::size_t word = 0; word < 8; ++word) states[lane][word] = work.state[word][lane];
  }
  return true;
}

#else

bool compressTogether(std::span<Words, kLanes>, std::span<const Block, kLanes>, std::size_t) {
  return false;
}

#endif

}  // namespace

void compressLanes(std::span<Words, kLanes> states, std::span<const Block, kLanes> blocks, std::size_t count) {
  if (compressTogether(states, blocks, count)) return;
  for (std::size_t lane = 0; lane < count; ++lane) compressOne(states[lane], blocks[lane]);
}

bool ShortMessages::add(Bytes message) {
  if (full() || message.size() > kShortMessageMax) return false;
  Block& block = blocks_[size_++];
  block.fill(0);
  if (!message.empty()) std::memcpy(block.data(), message.data(), message.size());
  block[message.size()] = 0x80;
  const std::size_t bits = message.size() * 8;
  block[62] = static_cast<std::uint8_t>(bits >> 8);
  block[63] = static_cast<std::uint8_t>(bits);
  return true;
}

void ShortMessages::digests(std::span<Digest> out) const {
  std::array<Words, kLanes> states;
  states.fill(kInitial);
  compressLanes(states, blocks_, size_);
  wipeStackBelow(kScheduleStackBytes);
  for (std::size_t lane = 0; lane < size_; ++lane) {
    for (std::uint32_t& word : states[lane]) word = bigEndian(word);
    std::memcpy(out[lane].data(), states[lane].data(), kDigestSize);
  }
}

void ShortMessages::clear() {
  wipe(blocks_.data(), size_ * sizeof(Block));
  size_ = 0;
}

}  // namespace counterfoil::crypto
