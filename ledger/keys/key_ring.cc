// Keys on their way into the log and out of it, and the workspaces that have them.
#include "ledger/keys/key_ring.h"

#include <algorithm>
#include <cstring>

#include "ledger/core/check.h"
#include "ledger/core/outcome.h"
#include "ledger/keys/workspace_keys_state.h"

namespace counterfoil::keys {
namespace {

// One wrapped key, and whose.
struct Arriving {
  WorkspaceKeys* keys;
  const WrappedKey* wrapped;
};

bool isWellFormed(const WrappedKey& wrapped, crypto::Bytes plaintext) {
  const bool isSubject = wrapped.purpose == KeyPurpose::subject;
  if (plaintext.size() != crypto::kAeadKeySize + (isSubject ? sizeof(DirectoryTag) : 0)) return false;
  return wrapped.purpose != KeyPurpose::fingerprint || (wrapped.generation != 0 && wrapped.generation <= 0xffffffff);
}

WrappedKey formOf(const KeyId& id, const DataKey& key) {
  WrappedKey form;
  form.keyId = id;
  form.purpose = key.purpose;
  form.generation = key.generation;
  form.kek = key.wrapped.version;
  form.nonce = key.wrapped.nonce;
  form.sealed = key.wrapped.sealed;
  return form;
}

}  // namespace

ToWrap::ToWrap(const KeyId& keyId, const DataKey& key) : id(keyId), purpose(key.purpose), generation(key.generation) {
  const crypto::Bytes bytes = key.keyBytes();
  plaintext.reserve(bytes.size() + key.tag.size());
  plaintext.assign(bytes.begin(), bytes.end());
  if (purpose == KeyPurpose::subject) plaintext.insert(plaintext.end(), key.tag.begin(), key.tag.end());
}

std::vector<WrappedKey> WorkspaceKeys::State::wrapAll(std::span<const ToWrap> toWrap) {
  std::vector<WrappedKey> result(toWrap.size());
  if (toWrap.empty()) return result;
  std::vector<std::array<std::uint8_t, 40>> associatedData(toWrap.size());
  std::vector<WrapRequest> requests(toWrap.size());
  for (std::size_t index = 0; index < toWrap.size(); ++index) {
    result[index].keyId = toWrap[index].id;
    result[index].purpose = toWrap[index].purpose;
    result[index].generation = toWrap[index].generation;
    associatedData[index] = wrapAssociatedData(number, result[index]);
    requests[index] = {associatedData[index], toWrap[index].plaintext};
  }
  std::vector<Wrapped> wrapped = provider.wrap(number, kNewestVersion, requests);
  COUNTERFOIL_CHECK(wrapped.size() == requests.size());
  for (std::size_t index = 0; index < toWrap.size(); ++index) {
    result[index].kek = wrapped[index].version;
    result[index].nonce = wrapped[index].nonce;
    result[index].sealed = std::move(wrapped[index].sealed);
  }
  return result;
}

std::vector<KeyId> WorkspaceKeys::State::withDirectory(std::span<const KeyId> used) const {
  std::vector<KeyId> result;
  const auto collect = [&](const KeyId& id) {
    const auto found = keys.find(id);
    if (found == keys.end() || found->second.status != KeyStatus::pending) return;
    if (std::find(result.begin(), result.end(), id) == result.end()) result.push_back(id);
  };
  for (const KeyId& id : used) {
    const auto found = keys.find(id);
    if (found == keys.end()) continue;
    if (found->second.subject != nullptr && found->second.tag != DirectoryTag{} && directory != nullptr) collect(directory->id);
    collect(id);
  }
  return result;
}

namespace {

// Opens what is not known yet in one request, and adds it. `stateOf` gives the private part of a workspace's keys.
template <class StateOf>
ApplyOutcome applyArriving(KeyProvider& provider, std::span<const Arriving> arriving, const StateOf& stateOf) {
  std::vector<const Arriving*> unknown;
  for (const Arriving& one : arriving) {
    auto& state = stateOf(*one.keys);
    const std::shared_lock lock(state.mutex);
    if (state.gone.load(std::memory_order_acquire)) continue;
    if (!state.keys.contains(one.wrapped->keyId) && !state.forgotten.contains(one.wrapped->keyId)) unknown.push_back(&one);
  }
  std::vector<std::array<std::uint8_t, 40>> associatedData(unknown.size());
  std::vector<UnwrapRequest> requests(unknown.size());
  for (std::size_t index = 0; index < unknown.size(); ++index) {
    const WrappedKey& wrapped = *unknown[index]->wrapped;
    const WorkspaceNumber number = unknown[index]->keys->workspace();
    associatedData[index] = wrapAssociatedData(number, wrapped);
    requests[index] = {number, wrapped.kek, wrapped.nonce, associatedData[index], wrapped.sealed};
  }
  std::vector<Unwrapped> opened;
  if (!requests.empty()) opened = provider.unwrap(requests);
  COUNTERFOIL_CHECK(opened.size() == requests.size());
  ApplyOutcome outcome = ApplyOutcome::applied;
  for (std::size_t index = 0; index < opened.size(); ++index) {
    if (opened[index].outcome == UnwrapOutcome::missing) outcome = ApplyOutcome::someWithheld;
    if (opened[index].outcome == UnwrapOutcome::notAuthentic) return ApplyOutcome::damaged;
    if (opened[index].outcome == UnwrapOutcome::opened && !isWellFormed(*unknown[index]->wrapped, opened[index].plaintext.bytes())) {
      return ApplyOutcome::damaged;
    }
  }
  for (std::size_t index = 0; index < opened.size(); ++index) {
    if (opened[index].outcome != UnwrapOutcome::opened) continue;
    const WrappedKey& wrapped = *unknown[index]->wrapped;
    const crypto::Bytes plaintext = opened[index].plaintext.bytes();
    DirectoryTag tag{};
    if (wrapped.purpose == KeyPurpose::subject) std::memcpy(tag.data(), plaintext.data() + crypto::kAeadKeySize, tag.size());
    auto& state = stateOf(*unknown[index]->keys);
    state.hasKek.store(true, std::memory_order_release);
    const std::unique_lock lock(state.mutex);
    if (state.gone.load(std::memory_order_acquire)) continue;
    if (state.keys.contains(wrapped.keyId) || state.forgotten.contains(wrapped.keyId)) continue;
    state.add(wrapped.keyId, wrapped.purpose, wrapped.generation, tag, crypto::SecretBytes(plaintext.first(crypto::kAeadKeySize)),
              KeyStatus::durable);
  }
  for (const Arriving& one : arriving) {
    auto& state = stateOf(*one.keys);
    const std::unique_lock lock(state.mutex);
    // Whoever replaced it destroys what came before: nothing is carried under an older version any more.
    state.newestKek = std::max(state.newestKek, one.wrapped->kek);
    const auto found = state.keys.find(one.wrapped->keyId);
    if (found == state.keys.end()) continue;
    state.setStatus(found->second, KeyStatus::durable);
    // The form under the latest version: an older one may be destroyed next.
    if (one.wrapped->kek > found->second.wrapped.version) {
      found->second.wrapped = {one.wrapped->kek, one.wrapped->nonce, one.wrapped->sealed};
    }
  }
  return outcome;
}

}  // namespace

ApplyOutcome WorkspaceKeys::applyWrapped(std::span<const WrappedKey> wrapped) {
  std::vector<Arriving> arriving;
  arriving.reserve(wrapped.size());
  for (const WrappedKey& key : wrapped) arriving.push_back({this, &key});
  const auto stateOf = [](WorkspaceKeys& keys) -> State& { return *keys.state_; };
  return applyArriving(state_->provider, arriving, stateOf);
}

void WorkspaceKeys::prepare(std::span<const KeyId> used) {
  if (state_->pending.load(std::memory_order_acquire) == 0) return;
  std::vector<ToWrap> toWrap;
  {
    const std::shared_lock lock(state_->mutex);
    for (const KeyId& id : state_->withDirectory(used)) {
      const DataKey& key = state_->keys.find(id)->second;
      if (!state_->isWrapped(key)) toWrap.emplace_back(id, key);
    }
  }
  if (toWrap.empty()) return;
  std::vector<WrappedKey> wrapped = state_->wrapAll(toWrap);
  const std::unique_lock lock(state_->mutex);
  for (WrappedKey& form : wrapped) {
    state_->newestKek = std::max(state_->newestKek, form.kek);
    const auto found = state_->keys.find(form.keyId);
    if (found == state_->keys.end() || state_->isWrapped(found->second)) continue;
    found->second.wrapped = {form.kek, form.nonce, std::move(form.sealed)};
  }
}

std::vector<WrappedKey> WorkspaceKeys::carry(std::span<const KeyId> used) {
  // Keys that this record uses were made before its request came here.
  if (state_->pending.load(std::memory_order_acquire) == 0) return {};
  // A new version may come between the two steps. One that stays older than what was seen before is a provider that was set back.
  constexpr int kTries = 3;
  for (int left = kTries; left > 0; --left) {
    prepare(used);
    const std::unique_lock lock(state_->mutex);
    const std::vector<KeyId> pending = state_->withDirectory(used);
    const auto isWrapped = [&](const KeyId& id) { return state_->isWrapped(state_->keys.find(id)->second); };
    if (!std::all_of(pending.begin(), pending.end(), isWrapped)) continue;
    std::vector<WrappedKey> result;
    for (const KeyId& id : pending) {
      DataKey& key = state_->keys.find(id)->second;
      state_->setStatus(key, KeyStatus::carried);
      result.push_back(formOf(id, key));
    }
    return result;
  }
  throw Fault(ErrorCode::notReady, "the provider of keys no longer has the newest version of a workspace's key-encryption key",
              "was its storage replaced by an older copy?");
}

Renewal WorkspaceKeys::renew() {
  Renewal result;
  result.version = state_->provider.createVersion(state_->number);
  std::vector<ToWrap> kept;
  {
    const std::unique_lock lock(state_->mutex);
    // Before they are collected: what is carried after this is wrapped under the new version, what was carried before is among them.
    state_->newestKek = std::max(state_->newestKek, result.version);
    for (const auto& [id, key] : state_->keys) {
      if (key.status != KeyStatus::pending) kept.emplace_back(id, key);
    }
    result.drops = state_->drops;
  }
  // In an order that does not depend on the hash table.
  std::sort(kept.begin(), kept.end(), [](const ToWrap& left, const ToWrap& right) { return left.id < right.id; });
  result.keys = state_->wrapAll(kept);
  return result;
}

void WorkspaceKeys::destroyBefore(std::uint32_t version) {
  if (version > 1) state_->provider.destroyVersion(state_->number, version - 1);
}

void WorkspaceKeys::forgetAll() {
  const std::unique_lock lock(state_->mutex);
  state_->gone.store(true, std::memory_order_release);
  std::vector<KeyId> all;
  for (const auto& [id, key] : state_->keys) all.push_back(id);
  for (const KeyId& id : all) state_->remove(id);
}

bool WorkspaceKeys::hasKeyEncryptionKey() const {
  return state_->provider.currentVersion(state_->number) != 0;
}

bool WorkspaceKeys::gone() const {
  return state_->gone.load(std::memory_order_acquire);
}

std::uint32_t WorkspaceKeys::destroyAll() {
  forgetAll();
  const std::uint32_t newest = state_->provider.currentVersion(state_->number);
  if (newest != 0) state_->provider.destroyVersion(state_->number, newest);
  return newest;
}

std::vector<WrappedKey> WorkspaceKeys::durableKeys() const {
  std::vector<WrappedKey> result;
  {
    const std::shared_lock lock(state_->mutex);
    for (const auto& [id, key] : state_->keys) {
      if (key.status == KeyStatus::durable) result.push_back(formOf(id, key));
    }
  }
  std::sort(result.begin(), result.end(), [](const WrappedKey& left, const WrappedKey& right) { return left.keyId < right.keyId; });
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
  if (!dropped.empty()) ++state_->drops;
}

void WorkspaceKeys::forget(const KeyId& id) {
  const std::unique_lock lock(state_->mutex);
  state_->forgotten.insert(id);
  state_->remove(id);
}

std::uint64_t WorkspaceKeys::drops() const {
  const std::shared_lock lock(state_->mutex);
  return state_->drops;
}

bool WorkspaceKeys::isCarried(const KeyId& id) const {
  const std::shared_lock lock(state_->mutex);
  const auto found = state_->keys.find(id);
  return found != state_->keys.end() && found->second.status != KeyStatus::pending;
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

ApplyOutcome KeyRing::applyWrapped(std::span<const WorkspaceWrappedKeys> keys) {
  std::vector<std::shared_ptr<WorkspaceKeys>> owners;
  std::vector<Arriving> arriving;
  for (const WorkspaceWrappedKeys& each : keys) {
    owners.push_back(workspace(each.workspace));
    for (const WrappedKey& wrapped : each.keys) arriving.push_back({owners.back().get(), &wrapped});
  }
  const auto stateOf = [](WorkspaceKeys& one) -> WorkspaceKeys::State& { return *one.state_; };
  return applyArriving(state_->provider, arriving, stateOf);
}

void KeyRing::dropPending(const std::function<bool(WorkspaceNumber)>& of) {
  const std::shared_lock lock(state_->mutex);
  for (const auto& [number, keys] : state_->workspaces) {
    if (of({number})) keys->dropPending();
  }
}

}  // namespace counterfoil::keys
