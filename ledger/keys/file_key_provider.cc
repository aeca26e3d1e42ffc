#include "ledger/keys/file_key_provider.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string>

#include "ledger/core/outcome.h"
#include "ledger/keys/key_file.h"

namespace counterfoil::keys {
namespace {

constexpr std::string_view kKeySuffix = ".key";
constexpr std::string_view kDestroyedSuffix = ".destroyed";

std::string keyName(std::uint32_t version) {
  return std::to_string(version) + std::string(kKeySuffix);
}
std::string destroyedName(std::uint32_t version) {
  return std::to_string(version) + std::string(kDestroyedSuffix);
}

// The version in such a name; 0 if it is no such name.
std::uint32_t versionIn(std::string_view name, std::string_view suffix) {
  if (!name.ends_with(suffix)) return 0;
  name.remove_suffix(suffix.size());
  std::uint32_t version = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), version);
  if (error != std::errc{} || end != name.data() + name.size() || name.starts_with('0')) return 0;
  return version;
}

struct Versions {
  std::uint32_t newestLiving = 0;
  std::uint32_t greatest = 0;  // destroyed ones included
};

// A key file beside its mark of destruction was about to be shredded when the process ended: it is destroyed.
Versions versionsIn(const KeyFolder& folder) {
  Versions versions;
  std::vector<std::uint32_t> living;
  std::vector<std::uint32_t> destroyed;
  for (const std::string& name : folder.names()) {
    if (const std::uint32_t version = versionIn(name, kKeySuffix)) living.push_back(version);
    if (const std::uint32_t version = versionIn(name, kDestroyedSuffix)) destroyed.push_back(version);
  }
  for (const std::uint32_t version : destroyed) versions.greatest = std::max(versions.greatest, version);
  for (const std::uint32_t version : living) {
    versions.greatest = std::max(versions.greatest, version);
    if (std::find(destroyed.begin(), destroyed.end(), version) == destroyed.end()) {
      versions.newestLiving = std::max(versions.newestLiving, version);
    }
  }
  return versions;
}

// Oldest first.
std::vector<std::uint32_t> livingUpTo(const KeyFolder& folder, std::uint32_t last) {
  std::vector<std::uint32_t> versions;
  for (const std::string& name : folder.names()) {
    const std::uint32_t version = versionIn(name, kKeySuffix);
    if (version != 0 && version <= last) versions.push_back(version);
  }
  std::sort(versions.begin(), versions.end());
  return versions;
}

// What an interrupted call left: half a new key, a destroyed key that is still there.
void finishInterrupted(const KeyFolder& folder) {
  folder.shredUnfinished();
  for (const std::string& name : folder.names()) {
    if (const std::uint32_t version = versionIn(name, kDestroyedSuffix)) folder.shred(keyName(version));
  }
}

[[noreturn]] void failMissingFile(const std::filesystem::path& folder, std::uint32_t version) {
  throw Fault(ErrorCode::keyMissing, "there is no key-encryption key " + (folder / keyName(version)).string(),
              "restore the keys folder from its backup; if the key was destroyed on purpose, what it protected is gone");
}

}  // namespace

FileKeyProvider::FileKeyProvider(std::filesystem::path folder, crypto::RandomSource& random)
    : root_(std::move(folder) / "kek"), random_(random) {}

FileKeyProvider::~FileKeyProvider() = default;

std::filesystem::path FileKeyProvider::folderOf(WorkspaceNumber workspace) const {
  return root_ / std::to_string(workspace.value);
}

std::optional<KeyFolder> FileKeyProvider::open(WorkspaceNumber workspace) const {
  return KeyFolder::open(root_) ? KeyFolder::open(folderOf(workspace)) : std::nullopt;
}

std::uint32_t FileKeyProvider::currentVersion(WorkspaceNumber workspace) {
  const std::optional<KeyFolder> folder = open(workspace);
  return folder ? versionsIn(*folder).newestLiving : 0;
}

std::uint32_t FileKeyProvider::createVersion(WorkspaceNumber workspace) {
  KeyFolder::make(root_);
  const KeyFolder folder = KeyFolder::make(folderOf(workspace));
  folder.lock();
  finishInterrupted(folder);
  const std::uint32_t greatest = versionsIn(folder).greatest;
  if (greatest == std::numeric_limits<std::uint32_t>::max()) throw Fault(ErrorCode::notReady, "no version of the key is left");
  const std::uint32_t version = greatest + 1;
  std::array<std::uint8_t, crypto::kAeadKeySize> key;
  random_.fill(key);
  const crypto::SecretBytes text = keyFileText(workspace, version, key);
  crypto::wipe(key.data(), key.size());
  folder.write(keyName(version), text.bytes(), random_);
  return version;
}

std::shared_ptr<const crypto::AeadKey> FileKeyProvider::key(const std::optional<KeyFolder>& folder, WorkspaceNumber workspace,
                                                            std::uint32_t version) {
  const KeyName name{workspace.value, version};
  const std::scoped_lock lock(mutex_);
  if (!folder || version == 0 || folder->has(destroyedName(version)) || !folder->has(keyName(version))) {
    loaded_.erase(name);
    return nullptr;
  }
  if (const auto found = loaded_.find(name); found != loaded_.end()) return found->second;
  const std::optional<crypto::SecretBytes> text = folder->read(keyName(version));
  if (!text) return nullptr;
  const std::optional<crypto::SecretBytes> bytes = parseKeyFile(text->text(), workspace, version);
  if (!bytes) {
    throw Fault(ErrorCode::keyDamaged, (folderOf(workspace) / keyName(version)).string() + " is not as it was written",
                "restore this file from the backup of the keys folder");
  }
  auto result = std::make_shared<const crypto::AeadKey>(bytes->bytes());
  loaded_.emplace(name, result);
  return result;
}

std::vector<Wrapped> FileKeyProvider::wrap(WorkspaceNumber workspace, std::uint32_t version, std::span<const WrapRequest> requests) {
  const std::optional<KeyFolder> folder = open(workspace);
  if (version == kNewestVersion) version = folder ? versionsIn(*folder).newestLiving : 0;
  const auto kek = key(folder, workspace, version);
  if (kek == nullptr) failMissingFile(folderOf(workspace), version);
  std::vector<Wrapped> result;
  result.reserve(requests.size());
  for (const WrapRequest& request : requests) {
    Wrapped wrapped{version, random_.bytes<crypto::kAeadNonceSize>(), {}};
    wrapped.sealed = kek->seal(wrapped.nonce, request.associatedData, request.plaintext);
    result.push_back(std::move(wrapped));
  }
  return result;
}

std::vector<Unwrapped> FileKeyProvider::unwrap(std::span<const UnwrapRequest> requests) {
  std::vector<Unwrapped> result(requests.size());
  for (std::size_t index = 0; index < requests.size(); ++index) {
    const UnwrapRequest& request = requests[index];
    const auto kek = key(open(request.workspace), request.workspace, request.version);
    if (kek == nullptr) continue;
    auto plaintext = kek->open(request.nonce, request.associatedData, request.sealed);
    result[index].outcome = plaintext ? UnwrapOutcome::opened : UnwrapOutcome::notAuthentic;
    if (plaintext) result[index].plaintext = std::move(*plaintext);
  }
  return result;
}

void FileKeyProvider::destroyVersion(WorkspaceNumber workspace, std::uint32_t version) {
  const std::optional<KeyFolder> folder = open(workspace);
  if (!folder) return;
  folder->lock();
  finishInterrupted(*folder);
  if (version > versionsIn(*folder).greatest) return;
  for (const std::uint32_t doomed : livingUpTo(*folder, version)) {
    // The mark first: a crash between the two leaves a key that nobody uses, and whose number nobody takes.
    folder->write(destroyedName(doomed), {}, random_);
    folder->shred(keyName(doomed));
  }
  const std::scoped_lock lock(mutex_);
  loaded_.erase(loaded_.lower_bound(KeyName{workspace.value, 0}), loaded_.upper_bound(KeyName{workspace.value, version}));
}

}  // namespace counterfoil::keys
