// SHA-256 of several messages at once, one in each lane of the processor's vector registers. For look-ups of many candidates and for the
// values of an entry, where one hash after another costs more than everything else together.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "ledger/crypto/digest.h"

namespace counterfoil::crypto {

// What fits in one block of SHA-256 beside its padding.
inline constexpr std::size_t kShortMessageMax = 55;

// Up to eight messages of at most 55 bytes. Holds copies of them; wiped by clear() and on destruction. Not thread safe.
class ShortMessages {
 public:
  static constexpr std::size_t kLanes = 8;
  using Block = std::array<std::uint8_t, 64>;
  using Words = std::array<std::uint32_t, 8>;

  ShortMessages() = default;
  ShortMessages(const ShortMessages&) = delete;
  ShortMessages& operator=(const ShortMessages&) = delete;
  ~ShortMessages() { clear(); }

  std::size_t size() const { return size_; }
  bool full() const { return size_ == kLanes; }
  // False if the message is too long or there is no lane left; nothing is changed then.
  bool add(Bytes message);
  // The digests of all messages in the order of add(). `out` must have size() places. Leaves nothing of the messages on the stack.
  void digests(std::span<Digest> out) const;
  void clear();

 private:
  alignas(64) std::array<Block, kLanes> blocks_;
  std::size_t size_ = 0;
};

// One step of SHA-256 in each of the first `count` lanes: `states[i]` takes in `blocks[i]`. The same as SHA256_Transform of each. May
// leave a schedule on the stack, as SHA256_Transform does.
void compressLanes(std::span<ShortMessages::Words, ShortMessages::kLanes> states,
                   std::span<const ShortMessages::Block, ShortMessages::kLanes> blocks, std::size_t count);

// What `states` become by at most kLanes messages of any length and their padding, each behind `before` bytes that its state has taken in
// already, whole blocks of them. Leaves a schedule on the stack as compressLanes() does.
void absorbLanes(std::span<ShortMessages::Words> states, std::span<const Bytes> messages, std::size_t before);

// The digests of any number of messages of any length. `out` must have as many places.
void sha256Together(std::span<const Bytes> messages, std::span<Digest> out);

// A state as the digest it stands for: big-endian.
void putWords(const ShortMessages::Words& words, Digest& out);

}  // namespace counterfoil::crypto
