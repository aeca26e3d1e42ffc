#include "ledger/crypto/digest_lanes.h"

// As in digest.cc; here it is what a processor does one block at a time.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "ledger/crypto/error.h"
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

// 0x80 and the length.
constexpr std::size_t kPaddingLeast = 9;

// Below, the empty lanes cost more than one block at a time.
constexpr std::size_t kLanesMin = 2;

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
// wipes it. Sixteen rounds stand behind one another, so that neither the words nor the working variables are moved about (measured: a
// quarter of the time).
[[gnu::always_inline]] inline void rounds(Lane* state, Lane* schedule) {
  Lane a = state[0], b = state[1], c = state[2], d = state[3], e = state[4], f = state[5], g = state[6], h = state[7];
  const auto round = [&](std::size_t t, const Lane& w) __attribute__((always_inline)) {
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
  };
#pragma GCC unroll 16
  for (std::size_t t = 0; t < 16; ++t) round(t, schedule[t]);
  for (std::size_t from = 16; from < 64; from += 16) {
#pragma GCC unroll 16
    for (std::size_t t = 0; t < 16; ++t) {
      const Lane w15 = schedule[(t + 1) & 15];
      const Lane w2 = schedule[(t + 14) & 15];
      schedule[t] += schedule[(t + 9) & 15] + ((w15 >> 7 | w15 << 25) ^ (w15 >> 18 | w15 << 14) ^ w15 >> 3) +
                     ((w2 >> 17 | w2 << 15) ^ (w2 >> 19 | w2 << 13) ^ w2 >> 10);
      round(from + t, schedule[t]);
    }
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

// Eight rows of eight words become their columns.
[[gnu::always_inline]] inline void transpose(Lane* rows) {
  Lane pairs[8];
  for (std::size_t row = 0; row < 8; row += 2) {
    pairs[row] = __builtin_shuffle(rows[row], rows[row + 1], Lane{0, 8, 1, 9, 4, 12, 5, 13});
    pairs[row + 1] = __builtin_shuffle(rows[row], rows[row + 1], Lane{2, 10, 3, 11, 6, 14, 7, 15});
  }
  Lane fours[8];
  for (std::size_t row = 0; row < 8; row += 4) {
    for (std::size_t half = 0; half < 2; ++half) {
      fours[row + 2 * half] = __builtin_shuffle(pairs[row + half], pairs[row + half + 2], Lane{0, 1, 8, 9, 4, 5, 12, 13});
      fours[row + 2 * half + 1] = __builtin_shuffle(pairs[row + half], pairs[row + half + 2], Lane{2, 3, 10, 11, 6, 7, 14, 15});
    }
  }
  for (std::size_t row = 0; row < 4; ++row) {
    rows[row] = __builtin_shuffle(fours[row], fours[row + 4], Lane{0, 1, 2, 3, 8, 9, 10, 11});
    rows[row + 4] = __builtin_shuffle(fours[row], fours[row + 4], Lane{4, 5, 6, 7, 12, 13, 14, 15});
  }
}

// Message words are big-endian.
[[gnu::always_inline]] inline void swapBytes(Lane& words) {
  using Octets [[gnu::vector_size(sizeof(Lane))]] = std::uint8_t;
  constexpr Octets kOrder = {3,  2,  1,  0,  7,  6,  5,  4,  11, 10, 9,  8,  15, 14, 13, 12,
                             19, 18, 17, 16, 23, 22, 21, 20, 27, 26, 25, 24, 31, 30, 29, 28};
  words = reinterpret_cast<Lane>(__builtin_shuffle(reinterpret_cast<Octets>(words), kOrder));
}

struct Work {
  Lane state[8];
  Lane schedule[16];
  ~Work() { wipe(this, sizeof(*this)); }
};

// The empty lanes do again what the first one does.
[[gnu::always_inline]] inline void compressEight(Words* states, const Block* blocks, std::size_t count, Work& work) {
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const std::size_t from = lane < count ? lane : 0;
    std::memcpy(&work.state[lane], states[from].data(), sizeof(Lane));
    std::memcpy(&work.schedule[lane], blocks[from].data(), sizeof(Lane));
    std::memcpy(&work.schedule[lane + 8], blocks[from].data() + sizeof(Lane), sizeof(Lane));
  }
  for (Lane& words : work.schedule) swapBytes(words);
  transpose(work.state);
  transpose(work.schedule);
  transpose(work.schedule + 8);
  rounds(work.state, work.schedule);
  transpose(work.state);
  for (std::size_t lane = 0; lane < count; ++lane) std::memcpy(states[lane].data(), &work.state[lane], sizeof(Lane));
}

[[gnu::target("avx512f,avx512vl,avx512bw")]] void compressWithRotation(Words* states, const Block* blocks, std::size_t count, Work& work) {
  compressEight(states, blocks, count, work);
}
[[gnu::target("avx2")]] void compressWithShifts(Words* states, const Block* blocks, std::size_t count, Work& work) {
  compressEight(states, blocks, count, work);
}

using Compress = void (*)(Words*, const Block*, std::size_t, Work&);

// Null where one block at a time is faster: without eight lanes, and on processors that have instructions for SHA-256.
Compress chooseCompress() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned kShaBit = 1U << 29;
  if (__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) == 0 || (ebx & kShaBit) != 0) return nullptr;
  if (__builtin_cpu_supports("avx512vl") > 0 && __builtin_cpu_supports("avx512bw") > 0) return &compressWithRotation;
  return __builtin_cpu_supports("avx2") > 0 ? &compressWithShifts : nullptr;
}

Compress chosen() {
  static const Compress kCompress = chooseCompress();
  return kCompress;
}

bool haveLanes() {
  return chosen() != nullptr;
}

bool compressTogether(std::span<Words, kLanes> states, std::span<const Block, kLanes> blocks, std::size_t count) {
  if (count < kLanesMin || !haveLanes()) return false;
  Work work;
  chosen()(states.data(), blocks.data(), count, work);
  return true;
}

#else

bool haveLanes() {
  return false;
}

bool compressTogether(std::span<Words, kLanes>, std::span<const Block, kLanes>, std::size_t) {
  return false;
}

#endif

}  // namespace

namespace {

// The 64 bytes of a padded message (FIPS 180-4, 5.1.1) that begin at `from`. `before`: bytes that were hashed before the message.
void fillBlock(Bytes message, std::size_t from, std::size_t before, Block& block) {
  if (message.size() >= from + block.size()) {
    std::memcpy(block.data(), message.data() + from, block.size());
    return;
  }
  block.fill(0);
  if (message.size() >= from) {
    const std::size_t rest = message.size() - from;
    if (rest > 0) std::memcpy(block.data(), message.data() + from, rest);
    block[rest] = 0x80;
  }
  if (message.size() + kPaddingLeast > from + block.size()) return;  // the length stands in the next one
  std::uint64_t bits = (static_cast<std::uint64_t>(before) + message.size()) * 8;
  for (std::size_t index = block.size(); bits != 0; bits >>= 8) block[--index] = static_cast<std::uint8_t>(bits);
}

// All blocks of one message in a row, as the library does that best.
void absorbOne(Words& state, Bytes message, std::size_t before) {
  SHA256_CTX context;
  SHA256_Init(&context);
  std::memcpy(context.h, state.data(), sizeof(context.h));
  const std::uint64_t bits = static_cast<std::uint64_t>(before) * 8;
  context.Nl = static_cast<SHA_LONG>(bits);
  context.Nh = static_cast<SHA_LONG>(bits >> 32);
  SHA256_Update(&context, message.data(), message.size());
  Digest digest;
  SHA256_Final(digest.data(), &context);
  std::memcpy(state.data(), context.h, sizeof(context.h));
  wipe(digest.data(), digest.size());
  wipe(&context, sizeof(context));
}

// True if the padded message ends with the block that begins at `from`.
bool endsWith(Bytes message, std::size_t from) {
  return message.size() + kPaddingLeast <= from + sizeof(Block);
}

}  // namespace

void compressLanes(std::span<Words, kLanes> states, std::span<const Block, kLanes> blocks, std::size_t count) {
  if (compressTogether(states, blocks, count)) return;
  for (std::size_t lane = 0; lane < count; ++lane) compressOne(states[lane], blocks[lane]);
}

void absorbLanes(std::span<ShortMessages::Words> states, std::span<const Bytes> messages, std::size_t before) {
  if (messages.size() > kLanes || states.size() < messages.size()) throw CryptoError("digest: more messages than lanes");
  if (messages.size() < kLanesMin || !haveLanes()) {
    for (std::size_t lane = 0; lane < messages.size(); ++lane) absorbOne(states[lane], messages[lane], before);
    return;
  }
  struct Scratch {
    std::array<Words, kLanes> states;
    std::array<Block, kLanes> blocks;
    ~Scratch() { wipe(this, sizeof(*this)); }
  } scratch;
  // The longest first: those that still have a block are always the first ones.
  std::array<std::size_t, kLanes> order{};
  for (std::size_t lane = 0; lane < messages.size(); ++lane) order[lane] = lane;
  std::sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(messages.size()),
            [&](std::size_t left, std::size_t right) { return messages[left].size() > messages[right].size(); });
  for (std::size_t lane = 0; lane < messages.size(); ++lane) scratch.states[lane] = states[order[lane]];
  std::size_t count = messages.size();
  for (std::size_t from = 0; count > 0; from += sizeof(Block)) {
    for (std::size_t lane = 0; lane < count; ++lane) fillBlock(messages[order[lane]], from, before, scratch.blocks[lane]);
    compressLanes(scratch.states, scratch.blocks, count);
    while (count > 0 && endsWith(messages[order[count - 1]], from)) --count;
  }
  for (std::size_t lane = 0; lane < messages.size(); ++lane) states[order[lane]] = scratch.states[lane];
}

void sha256Together(std::span<const Bytes> messages, std::span<Digest> out) {
  if (out.size() < messages.size()) throw CryptoError("digest: no room for the digests");
  for (std::size_t from = 0; from < messages.size(); from += kLanes) {
    const std::size_t count = std::min(kLanes, messages.size() - from);
    std::array<Words, kLanes> states;
    states.fill(kInitial);
    absorbLanes(states, messages.subspan(from, count), 0);
    for (std::size_t lane = 0; lane < count; ++lane) putWords(states[lane], out[from + lane]);
  }
}

void putWords(const ShortMessages::Words& words, Digest& out) {
  for (std::size_t index = 0; index < words.size(); ++index) {
    const std::uint32_t word = bigEndian(words[index]);
    std::memcpy(out.data() + index * sizeof(word), &word, sizeof(word));
  }
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
    putWords(states[lane], out[lane]);
  }
}

void ShortMessages::clear() {
  wipe(blocks_.data(), size_ * sizeof(Block));
  size_ = 0;
}

}  // namespace counterfoil::crypto
