// Ed25519 (RFC 8032) signatures for checkpoints and receipts.
#pragma once

#include <array>
#include <memory>

#include "ledger/crypto/digest.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil::crypto {

using Ed25519PublicKey = std::array<std::uint8_t, 32>;
using Ed25519Signature = std::array<std::uint8_t, 64>;

class Ed25519Key {
 public:
  // From the 32-byte seed; CryptoError if it has another length.
  explicit Ed25519Key(Bytes seed);
  ~Ed25519Key();
  Ed25519Key(Ed25519Key&&) noexcept;
  Ed25519Key& operator=(Ed25519Key&&) noexcept;
  const Ed25519PublicKey& publicKey() const;
  Ed25519Signature sign(Bytes message) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// True only for a valid signature of exactly these bytes.
bool verifyEd25519(const Ed25519PublicKey& key, Bytes message, const Ed25519Signature& signature);

}  // namespace counterfoil::crypto
