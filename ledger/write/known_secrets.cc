#include "ledger/write/known_secrets.h"

#include <algorithm>
#include <cstring>
#include <mutex>
#include <utility>

#include "ledger/core/bytes.h"

namespace counterfoil::write {

std::uint64_t KnownSecretStore::Halves::of(const GenerationTag& tag) {
  std::uint64_t half = 0;  // the tag is a MAC: any eight bytes spread well
  std::memcpy(&half, tag.tag.data(), sizeof(half));
  half ^= tag.generation * 0x9e3779b97f4a7c15ULL;
  return half == 0 ? 1 : half;
}

// Where it is, or the free place where it would go.
std::size_t KnownSecretStore::Halves::placeOf(std::uint64_t half) const {
  std::size_t place = half & (places_.size() - 1);
  while (places_[place] != 0 && places_[place] != half) place = next(place);
  return place;
}

bool KnownSecretStore::Halves::contains(std::uint64_t half) const {
  return !places_.empty() && places_[placeOf(half)] == half;
}

void KnownSecretStore::Halves::prefetch(std::uint64_t half) const {
  if (!places_.empty()) __builtin_prefetch(&places_[half & (places_.size() - 1)]);
}

bool KnownSecretStore::Halves::insert(std::uint64_t half) {
  if (2 * size_ >= places_.size()) grow();
  std::uint64_t& place = places_[placeOf(half)];
  if (place == half) return false;
  place = half;
  ++size_;
  return true;
}

void KnownSecretStore::Halves::erase(std::uint64_t half) {
  if (!contains(half)) return;
  std::size_t hole = placeOf(half);
  places_[hole] = 0;
  --size_;
  // Whatever follows without a gap may have come to its place past the hole: it would not be found any more.
  for (std::size_t place = next(hole); places_[place] != 0; place = next(place)) {
    const std::size_t home = places_[place] & (places_.size() - 1);
    const std::size_t fromHome = (place - home) & (places_.size() - 1);
    const std::size_t fromHole = (place - hole) & (places_.size() - 1);
    if (fromHome < fromHole) continue;
    places_[hole] = places_[place];
    places_[place] = 0;
    hole = place;
  }
}

void KnownSecretStore::Halves::grow() {
  constexpr std::size_t kPlacesMin = 16;
  const std::vector<std::uint64_t> old = std::exchange(places_, std::vector<std::uint64_t>(std::max(kPlacesMin, 2 * places_.size())));
  for (const std::uint64_t half : old) {
    if (half != 0) places_[placeOf(half)] = half;
  }
}

KnownSecretStore::Tags* KnownSecretStore::find(WorkspaceNumber workspace) const {
  const std::shared_lock lock(mutex_);
  const auto found = workspaces_.find(workspace);
  return found == workspaces_.end() ? nullptr : found->second.get();
}

bool KnownSecretStore::contains(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) const {
  const GenerationTag one{generation, tag};
  return containsAny(workspace, std::span(&one, 1));
}

bool KnownSecretStore::containsAny(WorkspaceNumber workspace, std::span<const GenerationTag> wanted) const {
  const Tags* const tags = find(workspace);
  if (tags == nullptr) return false;
  const std::shared_lock lock(tags->mutex);
  for (const GenerationTag& tag : wanted) tags->known.prefetch(Halves::of(tag));
  return std::any_of(wanted.begin(), wanted.end(), [&](const GenerationTag& tag) { return tags->known.contains(Halves::of(tag)); });
}

bool KnownSecretStore::empty(WorkspaceNumber workspace) const {
  const Tags* const tags = find(workspace);
  if (tags == nullptr) return true;
  const std::shared_lock lock(tags->mutex);
  return tags->known.size() == 0;
}

void KnownSecretStore::add(WorkspaceNumber workspace, std::uint32_t generation, const FingerprintTag& tag) {
  Tags* tags = find(workspace);
  if (tags == nullptr) {
    const std::unique_lock lock(mutex_);
    std::unique_ptr<Tags>& place = workspaces_[workspace];
    if (place == nullptr) place = std::make_unique<Tags>();
    tags = place.get();
  }
  const std::unique_lock lock(tags->mutex);
  const GenerationTag key{generation, tag};
  if (!tags->known.insert(Halves::of(key))) return;
  tags->order.push_back(key);
  if (tags->order.size() <= tagsMax_) return;
  tags->known.erase(Halves::of(tags->order.front()));
  tags->order.pop_front();
}

void KnownSecretStore::save(WorkspaceNumber workspace, std::vector<std::uint8_t>& out) const {
  ByteWriter writer(out);
  const Tags* const tags = find(workspace);
  if (tags == nullptr) {
    writer.number(0);
    return;
  }
  const std::shared_lock lock(tags->mutex);
  writer.number(tags->order.size());
  for (const GenerationTag& key : tags->order) {
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
