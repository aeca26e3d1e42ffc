// HMAC-SHA-256 (RFC 2104) and HKDF-SHA-256 (RFC 5869) for one 32-byte output block, which is two HMACs.
#pragma once

#include <initializer_list>
#include <memory>

#include "ledger/crypto/digest.h"
#include "ledger/crypto/digest_lanes.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil::crypto {

struct MacJob;

// HMAC under a key whose two padded blocks were absorbed once; each mac() then costs two short hashes.
// Safe to use from several threads at once: mac() copies the prepared state into a thread's own context.
class HmacKey {
 public:
  explicit HmacKey(Bytes key);
  ~HmacKey();
  HmacKey(HmacKey&&) noexcept;
  HmacKey& operator=(HmacKey&&) noexcept;

  // MAC of the concatenation of `parts`.
  Digest mac(std::initializer_list<Bytes> parts) const;
  // MACs of at most ShortMessages::kLanes digests at once; `out` must have as many places.
  void macs(std::span<const Digest> messages, std::span<Digest> out) const;

 private:
  friend void macsTogether(std::span<const MacJob> jobs, std::span<Digest> out);
  struct State;
  std::unique_ptr<State> state_;  // wiped on destruction
};

// One of several messages, each under a key of its own.
struct MacJob {
  const HmacKey* key = nullptr;
  Bytes message;
};
// The MACs of any number of messages of any length, several at once where the processor can. `out` must have as many places.
void macsTogether(std::span<const MacJob> jobs, std::span<Digest> out);

Digest hmacSha256(Bytes key, std::initializer_list<Bytes> parts);

// HKDF with an empty salt and the given info; 32 bytes. RFC 5869 2.2, 2.3 with L = 32.
SecretBytes hkdfSha256(Bytes inputKey, Bytes info);

}  // namespace counterfoil::crypto
