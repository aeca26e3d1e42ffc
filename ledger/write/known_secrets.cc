#include "ledger/write/known_secrets.h"

#include <cstring>
#include <mutex>

#include "ledger/core/bytes.h"

namespace counterfoil::write {

std::size_t KnownSecretStore::KeyHash::operator()(const Key& key) const noexcept {
  std::size_t result = 0;  // the tag is a MAC: any eight bytes spread well
  std::memcpy(&result, key.tag.data(), sizeof(result));
  return result;
}

std::shared_ptr<KnownSecretStore::Tags> KnownSecretStore::find(WorkspaceNumber workspace) const {
  const std::shared_lock lock(mutex_);
  const auto found = workspaces_.find(workspace);
  return found == workspaces_.end() ? nullptr : found->second;
}

bool KnownSecretStore::contains(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) const {
  const auto tags = find(workspace);
  if (!tags) return false;
  const std::shared_lock lock(tags->mutex);
  return tags->known.contains({generation, tag});
}

bool KnownSecretStore::empty(WorkspaceNumber workspace) const {
  const auto tags = find(workspace);
  if (!tags) return true;
  const std::shared_lock lock(tags->mutex);
  return tags->known.empty();
}

void KnownSecretStore::add(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) {
  auto tags = find(workspace);
  if (!tags) {
    const std::unique_lock lock(mutex_);
    tags = workspaces_.try_emplace(workspace, std::make_shared<Tags>()).first->second;
  }
  const std::unique_lock lock(tags->mutex);
  const Key key{generation, tag};
  if (!tags->known.insert(key).second) return;
  tags->order.push_back(key);
  if (tags->order.size() <= tagsMax_) return;
  tags->known.erase(tags->order.front());
  tags->order.pop_front();
}

void KnownSecretStore::save(WorkspaceNumber workspace, std::vector<std::uint8_t>& out) const {
  ByteWriter writer(out);
  const auto tags = find(workspace);
  if (!tags) {
    writer.number(0);
    return;
  }
  const std::shared_lock lock(tags->mutex);
  writer.number(tags->order.size());
  for (const Key& key : tags->order) {
    writer.number(key.generation);
    writer.fixed(key.tag);
  }
}

bool KnownSecretStore::load(WorkspaceNumber workspace, crypto::Bytes bytes) {
  ByteReader reader(bytes);
  for (std::uint64_t left = reader.count(17); left > 0; --left) {
    const auto generation = static_cast<std::uint32_t>(reader.number());
    FingerprintTag tag{};
    reader.fixed(tag);
    if (!reader.failed()) add(workspace, generation, tag);
  }
  return reader.complete();
}

}  // namespace counterfoil::write
