// AES-256-GCM (NIST SP 800-38D) with 12-byte nonces and 16-byte tags.
#pragma once

#include <array>
#include <memory>
#include <optional>
#include <vector>

#include "ledger/crypto/digest.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil::crypto {

inline constexpr std::size_t kAeadKeySize = 32;
inline constexpr std::size_t kAeadNonceSize = 12;
inline constexpr std::size_t kAeadTagSize = 16;
using AeadNonce = std::array<std::uint8_t, kAeadNonceSize>;

// A key with its schedule set up once. seal() and open() may be called from several threads at once.
class AeadKey {
 public:
  // `key` must be 32 bytes, else CryptoError.
  explicit AeadKey(Bytes key);
  ~AeadKey();
  AeadKey(AeadKey&&) noexcept;
  AeadKey& operator=(AeadKey&&) noexcept;

  // Writes ciphertext || tag to `out`, which must hold plaintext.size() + 16 bytes. The nonce must never be used twice under this key.
  void seal(const AeadNonce& nonce, Bytes associatedData, Bytes plaintext, std::span<std::uint8_t> out) const;
  std::vector<std::uint8_t> seal(const AeadNonce& nonce, Bytes associatedData, Bytes plaintext) const;

  // `sealed` = ciphertext || tag. Writes sealed.size() - 16 bytes to `out`. False if it does not authenticate; `out` is then wiped.
  bool open(const AeadNonce& nonce, Bytes associatedData, Bytes sealed, std::span<std::uint8_t> out) const;
  std::optional<SecretBytes> open(const AeadNonce& nonce, Bytes associatedData, Bytes sealed) const;

 private:
  struct State;
  std::unique_ptr<State> state_;  // wiped on destruction
};

// Seals messages each under a key that is used this once; `out` as above. Nothing is left of the keys when this is gone. Setting an AeadKey
// up for each would cost more than the messages. For one thread.
class OneTimeSealer {
 public:
  OneTimeSealer() = default;
  ~OneTimeSealer();
  OneTimeSealer(const OneTimeSealer&) = delete;
  OneTimeSealer& operator=(const OneTimeSealer&) = delete;
  void seal(Bytes key, const AeadNonce& nonce, Bytes associatedData, Bytes plaintext, std::span<std::uint8_t> out);

 private:
  bool used_ = false;
};

}  // namespace counterfoil::crypto
