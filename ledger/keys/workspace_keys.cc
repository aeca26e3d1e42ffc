#include <algorithm>
#include <cstring>
#include <tuple>

#include "ledger/core/check.h"
#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/keys/workspace_keys_state.h"

namespace counterfoil::keys {
namespace {

// What a directory tag is made of; the names of schemas/principal.capnp, which never change.
std::string_view kindText(PrincipalKind kind) {
  switch (kind) {
    case PrincipalKind::human:
      return "human";
    case PrincipalKind::agent:
      return "agent";
    case PrincipalKind::service:
      return "service";
    case PrincipalKind::operatorPerson:
      return "operator";
    case PrincipalKind::ledger:
      return "ledger";
    case PrincipalKind::unspecified:
      break;
  }
  return "unspecified";
}

}  // namespace

crypto::Bytes DataKey::keyBytes() const {
  if (subject) return subject->bytes();
  if (fingerprint) return fingerprint->bytes();
  if (mac) return mac->bytes.bytes();
  return bytes.bytes();
}

DataKey& WorkspaceKeys::State::add(const KeyId& id, KeyPurpose purpose, std::uint64_t generation, const DirectoryTag& tag,
                                   crypto::SecretBytes keyBytes, KeyStatus status) {
  DataKey key;
  key.purpose = purpose;
  key.generation = generation;
  key.tag = tag;
  switch (purpose) {
    case KeyPurpose::subject:
      key.subject = std::make_shared<const SubjectKey>(id, std::move(keyBytes));
      (tag == DirectoryTag{} ? workspaceSubject : subjects[tag]) = key.subject;
      break;
    case KeyPurpose::fingerprint:
      key.fingerprint = std::make_shared<const FingerprintKey>(id, static_cast<std::uint32_t>(generation), std::move(keyBytes));
      fingerprints[generation] = key.fingerprint;
      break;
    case KeyPurpose::directory:
    case KeyPurpose::digest: {
      crypto::HmacKey hmac(keyBytes.bytes());
      key.mac = std::make_shared<const MacKey>(MacKey{id, std::move(keyBytes), std::move(hmac)});
      (purpose == KeyPurpose::directory ? directory : digest) = key.mac;
      break;
    }
    case KeyPurpose::log:
    case KeyPurpose::state:
      key.aead = std::make_shared<const LogKey>(LogKey{id, number, crypto::AeadKey(keyBytes.bytes())});
      key.bytes = std::move(keyBytes);
      (purpose == KeyPurpose::log ? logKeys[generation] : state) = key.aead;
      break;
  }
  DataKey& kept = keys.try_emplace(id).first->second;
  setStatus(kept, KeyStatus::durable);
  kept = std::move(key);
  setStatus(kept, status);
  return kept;
}

void WorkspaceKeys::State::setStatus(DataKey& key, KeyStatus status) {
  if (key.status == KeyStatus::pending) pending.fetch_sub(1, std::memory_order_release);
  if (status == KeyStatus::pending) pending.fetch_add(1, std::memory_order_release);
  key.status = status;
}

DataKey& WorkspaceKeys::State::make(KeyPurpose purpose, std::uint64_t generation, const DirectoryTag& tag) {
  std::array<std::uint8_t, crypto::kAeadKeySize> bytes;
  random.fill(bytes);
  crypto::SecretBytes secret{crypto::Bytes(bytes)};
  crypto::wipe(bytes.data(), bytes.size());
  return add(KeyId{random.bytes<16>()}, purpose, generation, tag, std::move(secret), KeyStatus::pending);
}

void WorkspaceKeys::State::remove(const KeyId& id) {
  const auto found = keys.find(id);
  if (found == keys.end()) return;
  const DataKey& key = found->second;
  const auto isThis = [&](const auto& other) { return other != nullptr && other->id() == id; };
  if (const auto subject = subjects.find(key.tag); subject != subjects.end() && isThis(subject->second)) subjects.erase(subject);
  if (isThis(workspaceSubject)) workspaceSubject = nullptr;
  if (const auto generation = fingerprints.find(key.generation); generation != fingerprints.end() && isThis(generation->second)) {
    fingerprints.erase(generation);
  }
  if (const auto month = logKeys.find(key.generation); month != logKeys.end() && month->second->id == id) logKeys.erase(month);
  for (auto* mac : {&directory, &digest}) {
    if (*mac != nullptr && (*mac)->id == id) *mac = nullptr;
  }
  if (state != nullptr && state->id == id) state = nullptr;
  setStatus(found->second, KeyStatus::durable);
  keys.erase(found);
  removals.fetch_add(1, std::memory_order_release);
}

void WorkspaceKeys::State::requireNotGone() const {
  if (gone.load(std::memory_order_acquire)) {
    throw Fault(ErrorCode::workspaceClosed, "the workspace was erased", "its number and head are all that is left of it");
  }
}

void WorkspaceKeys::State::needKek() {
  requireNotGone();
  if (hasKek.load(std::memory_order_acquire)) return;
  // Two threads may both find none and make one each; the newer is used from then on, the other protects nothing.
  if (provider.currentVersion(number) == 0) provider.createVersion(number);
  hasKek.store(true, std::memory_order_release);
}

DirectoryTag WorkspaceKeys::State::tagOf(const MacKey& key, PrincipalKind kind, std::string_view id) const {
  return key.hmac.mac({crypto::bytesOf(kindText(kind)), crypto::bytesOf("\n"), crypto::bytesOf(id)});
}

WorkspaceKeys::WorkspaceKeys(std::unique_ptr<State> state) : state_(std::move(state)) {}
WorkspaceKeys::~WorkspaceKeys() = default;

WorkspaceNumber WorkspaceKeys::workspace() const {
  return state_->number;
}

std::shared_ptr<const SubjectKey> WorkspaceKeys::subject(PrincipalKind kind, std::string_view id) {
  const auto directory = state_->findOrMake([&] { return state_->directory; }, [&] { state_->make(KeyPurpose::directory, 1); });
  const DirectoryTag tag = state_->tagOf(*directory, kind, id);
  return state_->findOrMake(
      [&]() -> std::shared_ptr<const SubjectKey> {
        const auto found = state_->subjects.find(tag);
        return found == state_->subjects.end() ? nullptr : found->second;
      },
      [&] {
        // Dropped since the tag was made: a key under a forgotten directory would never be found again.
        if (state_->directory != directory) throw Fault(ErrorCode::notReady, "the workspace's keys were dropped meanwhile", "try again");
        state_->make(KeyPurpose::subject, 1, tag);
      });
}

std::shared_ptr<const SubjectKey> WorkspaceKeys::findSubject(PrincipalKind kind, std::string_view id) {
  const std::shared_lock lock(state_->mutex);
  if (state_->directory == nullptr) return nullptr;
  const auto found = state_->subjects.find(state_->tagOf(*state_->directory, kind, id));
  return found == state_->subjects.end() ? nullptr : found->second;
}

std::shared_ptr<const SubjectKey> WorkspaceKeys::workspaceSubject() {
  return state_->findOrMake([&] { return state_->workspaceSubject; }, [&] { state_->make(KeyPurpose::subject, 1); });
}

std::shared_ptr<const FingerprintKey> WorkspaceKeys::currentFingerprint() {
  return state_->findOrMake(
      [&]() -> std::shared_ptr<const FingerprintKey> {
        return state_->fingerprints.empty() ? nullptr : state_->fingerprints.rbegin()->second;
      },
      [&] { state_->make(KeyPurpose::fingerprint, 1); });
}

std::shared_ptr<const FingerprintKey> WorkspaceKeys::nextFingerprint() {
  state_->needKek();
  const std::unique_lock lock(state_->mutex);
  const std::uint64_t newest = state_->fingerprints.empty() ? 0 : state_->fingerprints.rbegin()->first;
  return state_->make(KeyPurpose::fingerprint, newest + 1).fingerprint;
}

std::vector<std::shared_ptr<const FingerprintKey>> WorkspaceKeys::livingFingerprints() {
  constexpr std::size_t kLivingMax = 4;
  const std::shared_lock lock(state_->mutex);
  std::vector<std::shared_ptr<const FingerprintKey>> result;
  const std::size_t all = state_->fingerprints.size();
  auto next = state_->fingerprints.begin();
  std::advance(next, all > kLivingMax ? all - kLivingMax : 0);
  for (; next != state_->fingerprints.end(); ++next) result.push_back(next->second);
  return result;
}

crypto::Digest WorkspaceKeys::keyedDigest(std::initializer_list<crypto::Bytes> parts, KeyId& usedKey) {
  const auto key = state_->findOrMake([&] { return state_->digest; }, [&] { state_->make(KeyPurpose::digest, 1); });
  usedKey = key->id;
  return key->hmac.mac(parts);
}

std::shared_ptr<const LogKey> WorkspaceKeys::logKey(Timestamp recordedAt) {
  const std::uint64_t month = monthGeneration(recordedAt);
  return state_->findOrMake(
      [&]() -> std::shared_ptr<const LogKey> {
        const auto found = state_->logKeys.find(month);
        return found == state_->logKeys.end() ? nullptr : found->second;
      },
      [&] { state_->make(KeyPurpose::log, month); });
}

std::vector<std::pair<std::uint64_t, KeyId>> WorkspaceKeys::months() const {
  const std::shared_lock lock(state_->mutex);
  std::vector<std::pair<std::uint64_t, KeyId>> result;
  for (const auto& [month, key] : state_->logKeys) {
    const auto found = state_->keys.find(key->id);
    if (found != state_->keys.end() && found->second.status == KeyStatus::durable) result.emplace_back(month, key->id);
  }
  return result;
}

std::shared_ptr<const LogKey> WorkspaceKeys::findLogKey(const KeyId& id) {
  const std::shared_lock lock(state_->mutex);
  const auto found = state_->keys.find(id);
  return found == state_->keys.end() || found->second.purpose != KeyPurpose::log ? nullptr : found->second.aead;
}

std::shared_ptr<const SubjectKey> WorkspaceKeys::findSubjectById(const KeyId& id) {
  const std::shared_lock lock(state_->mutex);
  const auto found = state_->keys.find(id);
  return found == state_->keys.end() ? nullptr : found->second.subject;
}

std::shared_ptr<const SubjectKey> WorkspaceKeys::findSubjectByPseudonym(std::string_view pseudonym) {
  constexpr std::string_view kPrefix = "p2:";
  if (!pseudonym.starts_with(kPrefix)) return nullptr;
  const auto wanted = fromBase64Url(pseudonym.substr(kPrefix.size()));
  if (!wanted || wanted->size() != sizeof(crypto::Digest) / 2) return nullptr;
  const auto all = allSubjects();
  const auto isIt = [&](const auto& one) { return std::equal(wanted->begin(), wanted->end(), one->pseudonym().begin()); };
  const auto found = std::find_if(all.begin(), all.end(), isIt);
  return found == all.end() ? nullptr : *found;
}

std::vector<KeyFacts> WorkspaceKeys::list() const {
  std::vector<KeyFacts> result;
  {
    const std::shared_lock lock(state_->mutex);
    for (const auto& [id, key] : state_->keys) {
      if (key.status != KeyStatus::pending) {
        const bool person = key.purpose == KeyPurpose::subject && key.tag != DirectoryTag{};
        result.push_back({id, key.purpose, key.generation, key.wrapped.version, person});
      }
    }
  }
  std::sort(result.begin(), result.end(), [](const KeyFacts& left, const KeyFacts& right) {
    return std::tuple(left.purpose, left.generation, left.id) < std::tuple(right.purpose, right.generation, right.id);
  });
  return result;
}

std::vector<std::shared_ptr<const SubjectKey>> WorkspaceKeys::allSubjects() {
  const std::shared_lock lock(state_->mutex);
  std::vector<std::shared_ptr<const SubjectKey>> result;
  for (const auto& [id, key] : state_->keys) {
    if (key.subject) result.push_back(key.subject);
  }
  return result;
}

std::shared_ptr<const LogKey> WorkspaceKeys::stateKey() {
  return state_->findOrMake([&] { return state_->state; }, [&] { state_->make(KeyPurpose::state, 1); });
}

}  // namespace counterfoil::keys
