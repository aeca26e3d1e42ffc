// What WorkspaceKeys keeps in memory. Included by its own sources only.
#pragma once

#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <shared_mutex>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "ledger/keys/key_ring.h"

namespace counterfoil::keys {

// Pending: no record has it yet. Carried: a record on its way has it.
enum class KeyStatus : std::uint8_t { pending, carried, durable };

using DirectoryTag = crypto::Digest;

struct DirectoryTagHash {
  std::size_t operator()(const DirectoryTag& tag) const noexcept {
    std::size_t result = 0;
    std::memcpy(&result, tag.data(), sizeof(result));
    return result;
  }
};

// K_directory or K_digest.
struct MacKey {
  KeyId id;
  crypto::SecretBytes bytes;
  crypto::HmacKey hmac;
};

// One data key. Exactly one of the pointers is set, by its purpose; `bytes` is the key itself where the object does not have it.
struct DataKey {
  KeyPurpose purpose{};
  KeyStatus status = KeyStatus::durable;  // changed by setStatus() alone
  std::uint64_t generation = 0;
  DirectoryTag tag{};  // subjects: zero for the workspace's own
  Wrapped wrapped;     // version 0: not wrapped yet, which a durable key never is
  crypto::SecretBytes bytes;
  std::shared_ptr<const LogKey> aead;
  std::shared_ptr<const MacKey> mac;
  std::shared_ptr<const SubjectKey> subject;
  std::shared_ptr<const FingerprintKey> fingerprint;

  crypto::Bytes keyBytes() const;
};

// What wrapping needs, copied out from under the lock: the provider may block.
struct ToWrap {
  KeyId id;
  KeyPurpose purpose;
  std::uint64_t generation;
  crypto::WipingVector plaintext;  // the key, and a subject's directory tag

  ToWrap(const KeyId& keyId, const DataKey& key);
};

// `keys` is the authority; the others find a key by what it is for and hold only ids that are in `keys`.
struct WorkspaceKeys::State {
  State(WorkspaceNumber ownNumber, KeyProvider& ownProvider, crypto::RandomSource& ownRandom)
      : number(ownNumber), provider(ownProvider), random(ownRandom) {}

  const WorkspaceNumber number;
  KeyProvider& provider;
  crypto::RandomSource& random;
  std::atomic<bool> hasKek = false;  // a key-encryption key was seen at the provider
  std::atomic<bool> gone = false;    // the workspace was erased
  // Changed under the lock, read without: most entries bring no key, and nearly none is redacted under one that was dropped.
  std::atomic<std::uint64_t> pending = 0;   // keys of this status
  std::atomic<std::uint64_t> removals = 0;  // so far

  mutable std::shared_mutex mutex;  // guards all below
  std::unordered_map<KeyId, DataKey, IdHash<KeyId>> keys;
  std::unordered_map<DirectoryTag, std::shared_ptr<const SubjectKey>, DirectoryTagHash> subjects;
  std::map<std::uint64_t, std::shared_ptr<const LogKey>> logKeys;               // by month
  std::map<std::uint64_t, std::shared_ptr<const FingerprintKey>> fingerprints;  // by generation
  std::shared_ptr<const SubjectKey> workspaceSubject;
  std::shared_ptr<const MacKey> directory;
  std::shared_ptr<const MacKey> digest;
  std::shared_ptr<const LogKey> state;
  std::unordered_set<KeyId, IdHash<KeyId>> forgotten;  // of erased persons: never taken again
  std::uint64_t drops = 0;                             // how often keys that were on their way to the log were dropped
  std::uint32_t newestKek = 0;  // seen so far: a form under an older one may be worthless by the time a record carries it

  // The functions below expect the lock to be held for writing.

  // Builds the key from its bytes, indexes it, and returns it. Replaces another key of the same use.
  DataKey& add(const KeyId& id, KeyPurpose purpose, std::uint64_t generation, const DirectoryTag& tag, crypto::SecretBytes bytes,
               KeyStatus status);
  // A fresh pending key.
  DataKey& make(KeyPurpose purpose, std::uint64_t generation, const DirectoryTag& tag = {});
  // Out of `keys` and out of what finds it.
  void remove(const KeyId& id);
  void setStatus(DataKey& key, KeyStatus status);

  void requireNotGone() const;
  // Makes the first key-encryption key if the provider has none. Expects the lock not to be held: it may block.
  void needKek();
  bool isWrapped(const DataKey& key) const { return key.wrapped.version != 0 && key.wrapped.version >= newestKek; }
  // The pending ones of `used`, and the directory key of subjects among them, each once. Expects the lock to be held.
  std::vector<KeyId> withDirectory(std::span<const KeyId> used) const;
  // Wraps under the provider's newest version. Expects the lock not to be held.
  std::vector<WrappedKey> wrapAll(std::span<const ToWrap> keys);
  // What `find` knows, else what it finds after `makeKey`; only the second takes the lock for writing. Expects the lock not to be held.
  template <class Find, class Make>
  auto findOrMake(const Find& find, const Make& makeKey) {
    {
      const std::shared_lock lock(mutex);
      if (auto found = find()) return found;
    }
    needKek();
    const std::unique_lock lock(mutex);
    if (auto found = find()) return found;
    requireNotGone();
    makeKey();
    return find();
  }
  DirectoryTag tagOf(const MacKey& key, PrincipalKind kind, std::string_view id) const;
};

}  // namespace counterfoil::keys
