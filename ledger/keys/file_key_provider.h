// Key-encryption keys as files: `<keys>/kek/<number>/<version>.key`, folders 0700, files 0600 (docs/formats.md: key files).
//
// A file is text: a magic line, workspace, version, the key in base64 and a SHA-256 check over the lines before it. It appears whole or not
// at all. A destroyed version leaves `<version>.destroyed` behind, so that its number is never used again.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "ledger/crypto/random.h"
#include "ledger/keys/key_file.h"
#include "ledger/keys/key_provider.h"

namespace counterfoil::keys {

// Keys once read stay in memory until they are destroyed, here or by another process (each use looks whether the file is still there).
// Faults beside those of the seam: noFileLocks, if the file system cannot lock a folder.
class FileKeyProvider final : public KeyProvider {
 public:
  // `folder` is the keys folder, which must exist; kek/ in it is made when the first key is. `random` must outlive the provider.
  FileKeyProvider(std::filesystem::path folder, crypto::RandomSource& random);
  ~FileKeyProvider() override;

  std::uint32_t currentVersion(WorkspaceNumber workspace) override;
  std::uint32_t createVersion(WorkspaceNumber workspace) override;
  std::vector<Wrapped> wrap(WorkspaceNumber workspace, std::uint32_t version, std::span<const WrapRequest> requests) override;
  std::vector<Unwrapped> unwrap(std::span<const UnwrapRequest> requests) override;
  void destroyVersion(WorkspaceNumber workspace, std::uint32_t version) override;

 private:
  using KeyName = std::pair<std::uint64_t, std::uint32_t>;

  // As it is at this moment; nullopt if the workspace has none.
  std::optional<KeyFolder> open(WorkspaceNumber workspace) const;
  // Null if the version is not there. `folder` was just opened.
  std::shared_ptr<const crypto::AeadKey> key(const std::optional<KeyFolder>& folder, WorkspaceNumber workspace, std::uint32_t version);
  std::filesystem::path folderOf(WorkspaceNumber workspace) const;

  std::filesystem::path root_;  // <keys>/kek
  crypto::RandomSource& random_;
  std::mutex mutex_;
  std::map<KeyName, std::shared_ptr<const crypto::AeadKey>> loaded_;
};

}  // namespace counterfoil::keys
