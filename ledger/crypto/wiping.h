// Memory that held a secret is overwritten before it is given back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <memory_resource>
#include <span>
#include <string_view>
#include <vector>

namespace counterfoil::crypto {

// Overwrites in a way the compiler may not drop (explicit_bzero).
void wipe(void* data, std::size_t size) noexcept;

// Overwrites about `bytes` of the calling thread's stack below the caller's frame; parsers leave decoded secrets there.
void wipeStackBelow(std::size_t bytes = 16 * 1024) noexcept;

// Bytes of a secret: no printer, no copy, wiped on destruction and on move-from. Copy on purpose with clone().
class SecretBytes {
 public:
  SecretBytes() = default;
  explicit SecretBytes(std::span<const std::uint8_t> bytes);
  explicit SecretBytes(std::string_view text);
  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  SecretBytes clone() const;
  std::span<const std::uint8_t> bytes() const { return {data_.get(), size_}; }
  // The same bytes as text, for scanners and parsers. Never log it.
  std::string_view text() const { return {reinterpret_cast<const char*>(data_.get()), size_}; }
  std::size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

 private:
  std::unique_ptr<std::uint8_t[]> data_;
  std::size_t size_ = 0;
};

// A memory resource that wipes every block on deallocation; for parsers and containers that may hold secrets.
class WipingResource final : public std::pmr::memory_resource {
 public:
  explicit WipingResource(std::pmr::memory_resource* upstream = std::pmr::new_delete_resource()) : upstream_(upstream) {}

 private:
  void* do_allocate(std::size_t bytes, std::size_t alignment) override;
  void do_deallocate(void* pointer, std::size_t bytes, std::size_t alignment) override;
  bool do_is_equal(const std::pmr::memory_resource& other) const noexcept override { return this == &other; }
  std::pmr::memory_resource* upstream_;
};

// Standard allocator that wipes on deallocation.
template <class T>
struct WipingAllocator {
  using value_type = T;
  WipingAllocator() = default;
  template <class U>
  WipingAllocator(const WipingAllocator<U>&) {}  // NOLINT: required conversion
  T* allocate(std::size_t count) { return std::allocator<T>{}.allocate(count); }
  void deallocate(T* pointer, std::size_t count) {
    wipe(pointer, count * sizeof(T));
    std::allocator<T>{}.deallocate(pointer, count);
  }
  friend bool operator==(const WipingAllocator&, const WipingAllocator&) { return true; }
};

using WipingVector = std::vector<std::uint8_t, WipingAllocator<std::uint8_t>>;

// Compares in time that depends on the lengths only (CRYPTO_memcmp).
bool equalConstantTime(std::span<const std::uint8_t> left, std::span<const std::uint8_t> right) noexcept;

}  // namespace counterfoil::crypto
