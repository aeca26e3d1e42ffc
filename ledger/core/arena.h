// A bump allocator that holds everything one event or command points to, and wipes it when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

#include "ledger/core/block_pool.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil {

// Move-only, not thread safe. Pointers stay valid until reset() or destruction, moves included.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&& other) noexcept : last_(std::exchange(other.last_, nullptr)), used_(std::exchange(other.used_, 0)) {}
  Arena& operator=(Arena&& other) noexcept {
    if (this != &other) {
      clear();
      last_ = std::exchange(other.last_, nullptr);
      used_ = std::exchange(other.used_, 0);
    }
    return *this;
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { clear(); }

  // Uninitialised room for `count` values of a trivially destructible type.
  template <class T>
  T* room(std::size_t count) {
    static_assert(std::is_trivially_destructible_v<T>);
    return reinterpret_cast<T*>(allocate(count * sizeof(T)));
  }
  template <class T>
  std::span<T> array(std::size_t count) {
    T* first = room<T>(count);
    for (std::size_t index = 0; index < count; ++index) new (first + index) T();
    return {first, count};
  }
  std::string_view copy(std::string_view text) {
    if (text.empty()) return {};
    char* target = room<char>(text.size());
    std::memcpy(target, text.data(), text.size());
    return {target, text.size()};
  }
  std::string_view copy(std::span<const std::uint8_t> bytes) {
    return copy(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
  }
  // Wipes what was used and keeps the first block for the next use.
  void reset() {
    while (last_ != nullptr && last_->previous != nullptr) drop();
    if (last_ == nullptr) return;
    crypto::wipe(last_->content(), used_);
    used_ = 0;
  }

 private:
  // Stands at the front of its block.
  struct Block {
    Block* previous;
    std::size_t size;     // of the content
    std::size_t touched;  // of the content, known once another block follows
    std::uint8_t* content() { return reinterpret_cast<std::uint8_t*>(this) + sizeof(Block); }
  };
  static_assert(sizeof(Block) % 8 == 0);
  static constexpr std::size_t kFirstSize = kPooledBlockBytes - sizeof(Block);

  std::uint8_t* allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + 7) & ~std::size_t{7};
    if (last_ == nullptr || last_->size - used_ < rounded) grow(rounded);
    std::uint8_t* result = last_->content() + used_;
    used_ += rounded;
    return result;
  }
  void grow(std::size_t least) {
    std::size_t size = last_ == nullptr ? kFirstSize : last_->size * 2;
    if (size < least) size = least;
    std::uint8_t* bytes = size == kFirstSize ? takePooledBlock() : new std::uint8_t[size + sizeof(Block)];
    if (last_ != nullptr) last_->touched = used_;
    last_ = new (bytes) Block{last_, size, 0};
    used_ = 0;
  }
  void clear() noexcept {
    while (last_ != nullptr) drop();
  }
  void drop() noexcept {
    Block* block = std::exchange(last_, last_->previous);
    crypto::wipe(block->content(), used_);
    used_ = last_ == nullptr ? 0 : last_->touched;
    auto* bytes = reinterpret_cast<std::uint8_t*>(block);
    if (block->size == kFirstSize) {
      givePooledBlock(bytes);
    } else {
      delete[] bytes;
    }
  }

  Block* last_ = nullptr;
  std::size_t used_ = 0;  // of the last block
};

}  // namespace counterfoil
