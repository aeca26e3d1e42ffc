// What redaction needs to know of a workspace's keys, so that it need not know the key ring. Implemented by keys::WorkspaceKeys.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "ledger/core/ids.h"
#include "ledger/core/value.h"
#include "ledger/crypto/aead.h"
#include "ledger/crypto/hmac.h"
#include "ledger/crypto/short_hash.h"

namespace counterfoil {

// K_subject of one person, or of the workspace itself (FORMATS: Keys). Immutable; shared between threads; wiped with the last reference.
// What is derived from the key is prepared at first use: a node that reads a log meets far more keys than it uses.
class SubjectKey {
 public:
  SubjectKey(const KeyId& id, crypto::SecretBytes key) : id_(id), key_(std::move(key)) {}
  const KeyId& id() const { return id_; }
  // HMAC under the key itself: salts, pseudonyms.
  const crypto::HmacKey& hmac() const { return prepared().hmac; }
  // MAC of "counterfoil pseudonym v1", of which the first half is the person's pseudonym.
  const crypto::Digest& pseudonym() const { return prepared().pseudonym; }
  // HMAC under HKDF-Extract(empty salt, key): one mac over (info, 0x01) is HKDF-SHA-256 for 32 bytes (RFC 5869 2.3).
  const crypto::HmacKey& expand() const { return prepared().expand; }
  crypto::Bytes bytes() const { return key_.bytes(); }

 private:
  struct Prepared {
    crypto::HmacKey hmac;
    crypto::HmacKey expand;
    crypto::Digest pseudonym;
  };
  const Prepared& prepared() const {
    std::call_once(once_, [this] {
      crypto::Digest extracted = crypto::hmacSha256({}, {key_.bytes()});
      static constexpr std::string_view kPseudonym = "counterfoil pseudonym v1";
      crypto::HmacKey hmac(key_.bytes());
      const crypto::Digest pseudonym = hmac.mac({{reinterpret_cast<const std::uint8_t*>(kPseudonym.data()), kPseudonym.size()}});
      prepared_ = std::make_unique<Prepared>(Prepared{std::move(hmac), crypto::HmacKey(extracted), pseudonym});
      crypto::wipe(extracted.data(), extracted.size());
    });
    return *prepared_;
  }

  KeyId id_;
  crypto::SecretBytes key_;
  mutable std::once_flag once_;
  mutable std::unique_ptr<const Prepared> prepared_;
};

// K_fingerprint of one generation.
class FingerprintKey {
 public:
  FingerprintKey(const KeyId& id, std::uint32_t generation, crypto::SecretBytes key)
      : id_(id), generation_(generation), key_(std::move(key)), hmac_(key_.bytes()) {
    static constexpr std::uint8_t kPurpose[] = {'m', 'e', 'm', 'o', 'r', 'y'};
    crypto::Digest mac = hmac_.mac({kPurpose});
    std::copy_n(mac.begin(), memoryKey_.size(), memoryKey_.begin());
    crypto::wipe(mac.data(), mac.size());
  }
  ~FingerprintKey() { crypto::wipe(memoryKey_.data(), memoryKey_.size()); }
  FingerprintKey(const FingerprintKey&) = delete;
  FingerprintKey& operator=(const FingerprintKey&) = delete;
  const KeyId& id() const { return id_; }
  std::uint32_t generation() const { return generation_; }
  const crypto::HmacKey& hmac() const { return hmac_; }
  // For tables in memory of texts that were fingerprinted; once the key is gone nobody can ask them.
  const crypto::ShortHashKey& memoryKey() const { return memoryKey_; }
  crypto::Bytes bytes() const { return key_.bytes(); }

 private:
  KeyId id_;
  std::uint32_t generation_;
  crypto::SecretBytes key_;
  crypto::HmacKey hmac_;
  crypto::ShortHashKey memoryKey_;
};

// The keys of one workspace. Thread safe. Keys made here stay pending until a record that carries them is durable; whoever uses one names
// it in RedactionResult::keysUsed.
class RedactionKeys {
 public:
  virtual ~RedactionKeys() = default;
  virtual WorkspaceNumber workspace() const = 0;
  // The person's key, made if there is none. `id` is the person's own id.
  virtual std::shared_ptr<const SubjectKey> subject(PrincipalKind kind, std::string_view id) = 0;
  // The person's key if it exists; null if the person is unknown or erased.
  virtual std::shared_ptr<const SubjectKey> findSubject(PrincipalKind kind, std::string_view id) = 0;
  // The key for personal values without a person.
  virtual std::shared_ptr<const SubjectKey> workspaceSubject() = 0;
  // The generation under which new fingerprints are made.
  virtual std::shared_ptr<const FingerprintKey> currentFingerprint() = 0;
  // All living generations, oldest first (at most four).
  virtual std::vector<std::shared_ptr<const FingerprintKey>> livingFingerprints() = 0;
  // HMAC under K_digest, and that key's id.
  virtual crypto::Digest keyedDigest(std::initializer_list<crypto::Bytes> parts, KeyId& usedKey) = 0;
};

// The first sixteen bytes of HMAC(K_fingerprint, SHA-256(value)).
using FingerprintTag = std::array<std::uint8_t, 16>;

// A tag and the generation of the key it was made with.
struct GenerationTag {
  std::uint32_t generation;
  FingerprintTag tag;
  friend bool operator==(const GenerationTag&, const GenerationTag&) = default;
};

// The secrets a workspace has fingerprinted: of live leases, and the last million of ended ones. Thread safe for readers.
class KnownSecrets {
 public:
  virtual ~KnownSecrets() = default;
  virtual bool contains(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) const = 0;
  // True if one of `tags` is known: a whole text asked for at once.
  virtual bool containsAny(WorkspaceNumber workspace, std::span<const GenerationTag> tags) const {
    return std::any_of(tags.begin(), tags.end(), [&](const GenerationTag& each) { return contains(workspace, each.generation, each.tag); });
  }
  // True if the workspace has none: texts need not be searched for them.
  virtual bool empty(WorkspaceNumber workspace) const = 0;
};

}  // namespace counterfoil
