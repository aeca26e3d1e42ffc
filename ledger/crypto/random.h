// Randomness as an input (STYLE: time and randomness are injected; only cmd makes the real one).
#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace counterfoil::crypto {

// A source of unpredictable bytes. Implementations are thread safe.
class RandomSource {
 public:
  virtual ~RandomSource() = default;
  // Fills all of `out`. Throws CryptoError rather than giving weak bytes.
  virtual void fill(std::span<std::uint8_t> out) = 0;

  template <std::size_t Size>
  std::array<std::uint8_t, Size> bytes() {
    std::array<std::uint8_t, Size> result;
    fill(result);
    return result;
  }
};

// RAND_priv_bytes, drawn in blocks of 4 KiB per thread; used bytes are wiped from the block. Detects fork.
class SystemRandom final : public RandomSource {
 public:
  void fill(std::span<std::uint8_t> out) override;
};

// Repeatable bytes for golden vectors and simulations: SHA-256(seed || counter). Never for real keys.
class DeterministicRandom final : public RandomSource {
 public:
  explicit DeterministicRandom(std::uint64_t seed) : seed_(seed) {}
  void fill(std::span<std::uint8_t> out) override;

 private:
  std::uint64_t seed_;
  std::uint64_t counter_ = 0;
};

}  // namespace counterfoil::crypto
