// Keys on their way into the log and out of it, and the workspaces that have them.
#include "ledger/keys/key_ring.h"

#include <algorithm>
#include <cstring>

#include "ledger/core/check.h"
#include "ledger/core/outcome.h"
#include "ledger/keys/workspace_keys_state.h"

namespace counterfoil::keys {
namespace {

// What wrap() needs, copied out from under the lock: the provider may block.
struct ToWrap {
  KeyId id;
  KeyPurpose purpose;
  std::uint64_t generation;
  DirectoryTag tag;
  crypto::SecretBytes bytes;

  ToWrap(const KeyId& keyId, const DataKey& key)
      : id(keyId), purpose(key.purpose), generation(key.generation), tag(key.tag), bytes(key.keyBytes()) {}
};

bool contains(const std::vector<ToWrap>& keys, const KeyId& id) {
  return std::any_of(keys.begin(), keys.end(), [&](const ToWrap& key) { return key.id == id; });
}

}  // namespace

bool WorkspaceKeys::applyWrapped(const WrappedKey& wrapped) {
  {
    const std::unique_lock lock(state_->mutex);
    if (const auto found = state_->keys.find(wrapped.keyId); found != state_->keys.end()) {
      state_->setStatus(found->second, KeyStatus::durable);
      return true;
    }
  }
  const std::optional<crypto::SecretBytes> plain =
      state_->provider.unwrap(state_->number, wrapped.kek, wrapped.nonce, wrapAssociatedData(state_->number, wrapped), wrapped.sealed);
  const bool isSubject = wrapped.purpose == KeyPurpose::subject;
  DirectoryTag tag{};
  if (!plain || plain->size() != crypto::kAeadKeySize + (isSubject ? tag.size() : 0)) return false;
  if (wrapped.purpose == KeyPurpose::fingerprint && (wrapped.generation == 0 || wrapped.generation > 0xffffffff)) return false;
  if (isSubject) std::memcpy(tag.data(), plain->bytes().data() + crypto::kAeadKeySize, tag.size());
  state_->hasKek.store(true, std::memory_order_release);
  const std::unique_lock lock(state_->mutex);
  if (state_->keys.contains(wrapped.keyId)) return true;
  state_->add(wrapped.keyId, wrapped.purpose, wrapped.generation, tag, crypto::SecretBytes(plain->bytes().first(crypto::kAeadKeySize)),
              KeyStatus::durable);
  return true;
}

std::vector<WrappedKey> WorkspaceKeys::carry(std::span<const KeyId> used) {
  // Keys that this record uses were made before its request came here.
  if (state_->pending.load(std::memory_order_acquire) == 0) return {};
  std::vector<ToWrap> pending;
  const auto collect = [&](const KeyId& id) {
    const auto found = state_->keys.find(id);
    if (found == state_->keys.end() || found->second.status != KeyStatus::pending || contains(pending, id)) return;
    pending.emplace_back(id, found->second);
  };
  {
    const std::shared_lock lock(state_->mutex);
    for (const KeyId& id : used) {
      const auto found = state_->keys.find(id);
      if (found == state_->keys.end()) continue;
      if (found->second.subject != nullptr && found->second.tag != DirectoryTag{} && state_->directory != nullptr) {
        collect(state_->directory->id);
      }
      collect(id);
    }
  }
  std::vector<WrappedKey> result;
  if (pending.empty()) return result;
  const std::uint32_t version = state_->provider.currentVersion(state_->number);
  if (version == 0) throw Fault(ErrorCode::keyMissing, "the workspace has no key-encryption key any more");
  for (const ToWrap& key : pending) {
    result.push_back(state_->wrap(version, key.id, key.purpose, key.generation, key.tag, key.bytes.bytes()));
  }
  const std::unique_lock lock(state_->mutex);
  // Another thread may have carried or dropped one meanwhile.
  std::erase_if(result, [&](const WrappedKey& wrapped) {
    const auto found = state_->keys.find(wrapped.keyId);
    if (found == state_->keys.end() || found->second.status != KeyStatus::pending) return true;
    state_->setStatus(found->second, KeyStatus::carried);
    return false;
  });
  return result;
}

std::vector<WrappedKey> WorkspaceKeys::survivors() {
  std::vector<ToWrap> durable;
  {
    const std::shared_lock lock(state_->mutex);
    for (const auto& [id, key] : state_->keys) {
      if (key.status == KeyStatus::durable) durable.emplace_back(id, key);
    }
  }
  // In an order that does not depend on the hash table.
  std::sort(durable.begin(), durable.end(), [](const ToWrap& left, const ToWrap& right) { return left.id < right.id; });
  std::vector<WrappedKey> result;
  if (durable.empty()) return result;
  const std::uint32_t version = state_->provider.currentVersion(state_->number);
  if (version == 0) throw Fault(ErrorCode::keyMissing, "the workspace has no key-encryption key any more");
  for (const ToWrap& key : durable) {
    result.push_back(state_->wrap(version, key.id, key.purpose, key.generation, key.tag, key.bytes.bytes()));
  }
  return result;
}

void WorkspaceKeys::settle(std::span<const KeyId> ids) {
  const std::unique_lock lock(state_->mutex);
  for (const KeyId& id : ids) {
    const auto found = state_->keys.find(id);
    if (found != state_->keys.end() && found->second.status == KeyStatus::carried) state_->setStatus(found->second, KeyStatus::durable);
  }
}

void WorkspaceKeys::dropPending() {
  const std::unique_lock lock(state_->mutex);
  std::vector<KeyId> dropped;
  for (const auto& [id, key] : state_->keys) {
    if (key.status != KeyStatus::durable) dropped.push_back(id);
  }
  for (const KeyId& id : dropped) state_->remove(id);
}

void WorkspaceKeys::forget(const KeyId& id) {
  const std::unique_lock lock(state_->mutex);
  state_->remove(id);
}

std::uint64_t WorkspaceKeys::removals() const {
  return state_->removals.load(std::memory_order_acquire);
}

bool WorkspaceKeys::usable(const KeyId& id) const {
  const std::shared_lock lock(state_->mutex);
  return state_->keys.contains(id);
}

struct KeyRing::State {
  State(KeyProvider& ownProvider, crypto::RandomSource& ownRandom) : provider(ownProvider), random(ownRandom) {}

  KeyProvider& provider;
  crypto::RandomSource& random;
  std::shared_mutex mutex;
  std::unordered_map<WorkspaceNumber, std::shared_ptr<WorkspaceKeys>, WorkspaceNumberHash> workspaces;
};

KeyRing::KeyRing(KeyProvider& provider, crypto::RandomSource& random) : state_(std::make_unique<State>(provider, random)) {}
KeyRing::~KeyRing() = default;

std::shared_ptr<WorkspaceKeys> KeyRing::workspace(WorkspaceNumber number) {
  {
    const std::shared_lock lock(state_->mutex);
    if (const auto found = state_->workspaces.find(number); found != state_->workspaces.end()) return found->second;
  }
  const std::unique_lock lock(state_->mutex);
  std::shared_ptr<WorkspaceKeys>& keys = state_->workspaces[number];
  if (!keys) keys.reset(new WorkspaceKeys(std::make_unique<WorkspaceKeys::State>(number, state_->provider, state_->random)));
  return keys;
}

void KeyRing::dropPending() {
  const std::shared_lock lock(state_->mutex);
  for (const auto& [number, keys] : state_->workspaces) keys->dropPending();
}

}  // namespace counterfoil::keys
