// The text form of one key-encryption key, and durable files for it. Used by FileKeyProvider only.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/core/ids.h"
#include "ledger/crypto/random.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil::keys {

// The file's text; a secret.
crypto::SecretBytes keyFileText(WorkspaceNumber workspace, std::uint32_t version, crypto::Bytes key);
// The key in such a text; nullopt if a byte of it is not as written, or it belongs to another workspace or version.
std::optional<crypto::SecretBytes> parseKeyFile(std::string_view text, WorkspaceNumber workspace, std::uint32_t version);

// A file descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor();
  int get() const { return number_; }
  explicit operator bool() const { return number_ >= 0; }

 private:
  int number_;
};

// One folder of key files, held open: nothing in it is reached by a path that someone could change meanwhile.
class KeyFolder {
 public:
  // Opens `path`; nullopt if there is none. Fault(keyPermissions) if it is a symbolic link, belongs to somebody else or is open to others.
  static std::optional<KeyFolder> open(const std::filesystem::path& path);
  // The same, made if there is none (0700, parent synced). Fault(diskFull).
  static KeyFolder make(const std::filesystem::path& path);

  // Names in it, `.` and `..` left out.
  std::vector<std::string> names() const;
  bool has(const std::string& name) const;
  // Waits until no other process changes the folder; until this object goes. Fault(noFileLocks).
  void lock() const;
  // The whole file; nullopt if there is none. Fault(keyPermissions) as for folders, Fault(keyDamaged) if it is no file of ours by its size.
  std::optional<crypto::SecretBytes> read(const std::string& name) const;
  // A new file `name` with this content, durable on return. Fault(diskFull); nothing is left behind then. The caller holds the lock and
  // knows that there is no such file.
  void write(const std::string& name, crypto::Bytes content, crypto::RandomSource& random) const;
  // Overwrites, removes, syncs. A name that is not there is no fault.
  void shred(const std::string& name) const;
  // Shreds what an interrupted write left. The caller holds the lock.
  void shredUnfinished() const;

 private:
  KeyFolder(std::filesystem::path path, Descriptor folder) : path_(std::move(path)), folder_(std::move(folder)) {}
  void sync() const;

  std::filesystem::path path_;
  Descriptor folder_;
};

}  // namespace counterfoil::keys
