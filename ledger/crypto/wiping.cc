#include "ledger/crypto/wiping.h"

#include <alloca.h>
#include <openssl/crypto.h>

#include <cstring>
#include <utility>

namespace counterfoil::crypto {

void wipe(void* data, std::size_t size) noexcept {
  // glibc's memset behind a compiler barrier: the promise of OPENSSL_cleanse, which stores only a word a turn. For the arenas and
  // stacks of parsers (16 KiB: measured 0.93 us with OPENSSL_cleanse, 0.10 us with this) that shows in the cost of an entry.
  if (size > 0) explicit_bzero(data, size);
}

// Never inlined: the block must lie below the caller's frame.
[[gnu::noinline]] void wipeStackBelow(std::size_t bytes) noexcept {
  void* const block = alloca(bytes);
  wipe(block, bytes);
}

SecretBytes::SecretBytes(std::span<const std::uint8_t> bytes)
    : data_(bytes.empty() ? nullptr : std::make_unique_for_overwrite<std::uint8_t[]>(bytes.size())), size_(bytes.size()) {
  if (size_ > 0) std::memcpy(data_.get(), bytes.data(), size_);
}

SecretBytes::SecretBytes(std::string_view text)
    : SecretBytes(std::span<const std::uint8_t>(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())) {}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    wipe(data_.get(), size_);
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() {
  wipe(data_.get(), size_);
}

SecretBytes SecretBytes::clone() const {
  return SecretBytes(bytes());
}

void* WipingResource::do_allocate(std::size_t bytes, std::size_t alignment) {
  return upstream_->allocate(bytes, alignment);
}

void WipingResource::do_deallocate(void* pointer, std::size_t bytes, std::size_t alignment) {
  wipe(pointer, bytes);
  upstream_->deallocate(pointer, bytes, alignment);
}

bool equalConstantTime(std::span<const std::uint8_t> left, std::span<const std::uint8_t> right) noexcept {
  if (left.size() != right.size()) return false;
  return left.empty() || CRYPTO_memcmp(left.data(), right.data(), left.size()) == 0;
}

}  // namespace counterfoil::crypto
