// A bump allocator that holds everything one event or command points to, and wipes it when it goes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

#include "ledger/crypto/wiping.h"

namespace counterfoil {

// Move-only, not thread safe. Pointers stay valid until reset() or destruction, moves included.
class Arena {
 public:
  Arena() = default;
  Arena(Arena&& other) noexcept : blocks_(std::move(other.blocks_)), used_(other.used_) {
    other.blocks_.clear();
    other.used_ = 0;
  }
  Arena& operator=(Arena&& other) noexcept {
    if (this != &other) {
      wipeAll();
      blocks_ = std::move(other.blocks_);
      used_ = other.used_;
      other.blocks_.clear();
      other.used_ = 0;
    }
    return *this;
  }
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena() { wipeAll(); }

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
    for (auto& block : blocks_) crypto::wipe(block.data.get(), block.touched);
    if (blocks_.size() > 1) blocks_.resize(1);
    if (!blocks_.empty()) blocks_.front().touched = 0;
    used_ = 0;
  }

 private:
  struct Block {
    std::unique_ptr<std::uint8_t[]> data;
    std::size_t size = 0;
    std::size_t touched = 0;
  };
  static constexpr std::size_t kFirstBlock = 4096;

  std::uint8_t* allocate(std::size_t bytes) {
    const std::size_t rounded = (bytes + 7) & ~std::size_t{7};
    if (blocks_.empty() || blocks_.back().size - used_ < rounded) {
      std::size_t size = blocks_.empty() ? kFirstBlock : blocks_.back().size * 2;
      if (size < rounded) size = rounded;
      blocks_.push_back({std::unique_ptr<std::uint8_t[]>(new std::uint8_t[size]), size, 0});
      used_ = 0;
    }
    std::uint8_t* result = blocks_.back().data.get() + used_;
    used_ += rounded;
    blocks_.back().touched = used_;
    return result;
  }
  void wipeAll() noexcept {
    for (auto& block : blocks_) crypto::wipe(block.data.get(), block.touched);
    blocks_.clear();
  }

  std::vector<Block> blocks_;
  std::size_t used_ = 0;  // of the last block
};

}  // namespace counterfoil
