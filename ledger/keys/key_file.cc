#include "ledger/keys/key_file.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <system_error>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"

namespace counterfoil::keys {
namespace {

constexpr std::string_view kMagic = "counterfoil key-encryption key v1\n";
constexpr std::string_view kUnfinishedPrefix = ".new-";
constexpr std::size_t kFileBytesMax = 1024;
constexpr std::size_t kFileKeyBytes = 32;
constexpr mode_t kOthers = S_IRWXG | S_IRWXO;

[[noreturn]] void failWrite(int error, const std::filesystem::path& path) {
  // EFBIG is a limit on file sizes: to whoever runs the ledger it is the same lack of room.
  if (error == ENOSPC || error == EDQUOT || error == EFBIG) {
    throw Fault(ErrorCode::diskFull, "no room to write " + path.string(), "free space on its file system and try again");
  }
  if (error == EACCES || error == EPERM || error == EROFS) {
    throw Fault(ErrorCode::keyPermissions, "cannot write " + path.string(), "give the ledger's user write access to the keys folder");
  }
  throw Fault(ErrorCode::notReady, "cannot write " + path.string() + ": " + std::generic_category().message(error));
}

[[noreturn]] void failRead(int error, const std::filesystem::path& path, std::string_view mode) {
  if (error == ELOOP) {
    throw Fault(ErrorCode::keyPermissions, path.string() + " is a symbolic link", "put the real file or folder in its place");
  }
  if (error == EACCES || error == EPERM) {
    throw Fault(ErrorCode::keyPermissions, "cannot read " + path.string(),
                "chown it to the ledger's user, then chmod " + std::string(mode));
  }
  throw Fault(ErrorCode::notReady, "cannot read " + path.string() + ": " + std::generic_category().message(error));
}

// Keys that others may read are no keys; a folder that others may change holds whatever they like.
void checkOwner(int file, const std::filesystem::path& path, std::string_view mode) {
  struct stat facts {};
  if (::fstat(file, &facts) != 0) failRead(errno, path, mode);
  if (facts.st_uid != ::geteuid()) {
    throw Fault(ErrorCode::keyPermissions, path.string() + " belongs to another user", "chown it to the user the ledger runs as");
  }
  if ((facts.st_mode & kOthers) != 0) {
    throw Fault(ErrorCode::keyPermissions, path.string() + " is open to other users", "chmod " + std::string(mode) + " " + path.string());
  }
}

bool writeAll(int file, crypto::Bytes content) {
  while (!content.empty()) {
    const ssize_t written = ::write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    content = content.subspan(static_cast<std::size_t>(written));
  }
  return true;
}

std::string hexCheck(std::string_view text) {
  return toHex(crypto::sha256(crypto::Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size())));
}

// The lines before the key: with the key's fixed length they make the file's only possible form.
std::string headLines(WorkspaceNumber workspace, std::uint32_t version) {
  return std::string(kMagic) + "workspace " + std::to_string(workspace.value) + "\nversion " + std::to_string(version) + "\nkey ";
}

void wipeString(std::string& text) {
  crypto::wipe(text.data(), text.size());
}

}  // namespace

crypto::SecretBytes keyFileText(WorkspaceNumber workspace, std::uint32_t version, crypto::Bytes key) {
  std::string text;
  text.reserve(kFileBytesMax);  // never moved, so wiping it once is enough
  text += headLines(workspace, version);
  std::string encoded = toBase64(key);
  text += encoded;
  text += '\n';
  text += "check " + hexCheck(text) + "\n";
  crypto::SecretBytes result{std::string_view(text)};
  wipeString(encoded);
  wipeString(text);
  return result;
}

std::optional<crypto::SecretBytes> parseKeyFile(std::string_view text, WorkspaceNumber workspace, std::uint32_t version) {
  const std::string head = headLines(workspace, version);
  constexpr std::size_t kEncodedBytes = (kFileKeyBytes + 2) / 3 * 4;
  if (!text.starts_with(head) || text.size() < head.size() + kEncodedBytes) return std::nullopt;
  std::optional<std::vector<std::uint8_t>> key = fromBase64(text.substr(head.size(), kEncodedBytes));
  if (!key || key->size() != kFileKeyBytes) return std::nullopt;
  crypto::SecretBytes result{crypto::Bytes(*key)};
  crypto::wipe(key->data(), key->size());
  // Written again it must be the same file: whatever differs, the check line included, is damage.
  if (keyFileText(workspace, version, result.bytes()).text() != text) return std::nullopt;
  return result;
}

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
  std::swap(number_, other.number_);
  return *this;
}

Descriptor::~Descriptor() {
  if (number_ >= 0) ::close(number_);
}

std::optional<KeyFolder> KeyFolder::open(const std::filesystem::path& path) {
  Descriptor folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!folder) {
    if (errno == ENOENT) return std::nullopt;
    // Linux answers O_DIRECTORY | O_NOFOLLOW on a link with ENOTDIR.
    failRead(errno == ENOTDIR ? ELOOP : errno, path, "700");
  }
  checkOwner(folder.get(), path, "700");
  return KeyFolder(path, std::move(folder));
}

KeyFolder KeyFolder::make(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), S_IRWXU) == 0) {
    const Descriptor parent(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!parent || ::fsync(parent.get()) != 0) failWrite(errno, path.parent_path());
  } else if (errno != EEXIST) {
    if (errno == ENOENT) {
      throw Fault(ErrorCode::keyMissing, "there is no keys folder " + path.parent_path().string(),
                  "restore it from its backup, or run init");
    }
    failWrite(errno, path);
  }
  std::optional<KeyFolder> folder = open(path);
  if (!folder) failWrite(ENOENT, path);
  return std::move(*folder);
}

std::vector<std::string> KeyFolder::names() const {
  // A descriptor of its own: reading moves the position, and the folder may be read by several threads.
  const int copy = ::openat(folder_.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(copy < 0 ? nullptr : ::fdopendir(copy), ::closedir);
  if (!entries) failRead(errno, path_, "700");
  std::vector<std::string> result;
  errno = 0;
  while (const dirent* entry = ::readdir(entries.get())) {  // NOLINT(concurrency-mt-unsafe): the stream is this call's own
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") result.emplace_back(name);
  }
  if (errno != 0) failRead(errno, path_, "700");
  return result;
}

bool KeyFolder::has(const std::string& name) const {
  struct stat facts {};
  return ::fstatat(folder_.get(), name.c_str(), &facts, AT_SYMLINK_NOFOLLOW) == 0;
}

void KeyFolder::lock() const {
  while (::flock(folder_.get(), LOCK_EX) != 0) {
    if (errno == EINTR) continue;
    throw Fault(ErrorCode::noFileLocks, "cannot lock " + path_.string(), "keep the keys folder on a local file system");
  }
}

std::optional<crypto::SecretBytes> KeyFolder::read(const std::string& name) const {
  const std::filesystem::path path = path_ / name;
  // O_NONBLOCK: something that is no file (a pipe) must not hold us up.
  const Descriptor file(::openat(folder_.get(), name.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    failRead(errno, path, "600");
  }
  checkOwner(file.get(), path, "600");
  struct Content {
    std::array<std::uint8_t, kFileBytesMax> bytes;
    std::size_t size = 0;
    ~Content() { crypto::wipe(bytes.data(), size); }
  } content;
  while (content.size < content.bytes.size()) {
    const ssize_t got = ::read(file.get(), content.bytes.data() + content.size, content.bytes.size() - content.size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) failRead(errno, path, "600");
    if (got == 0) break;
    content.size += static_cast<std::size_t>(got);
  }
  return crypto::SecretBytes(crypto::Bytes(content.bytes.data(), content.size));
}

void KeyFolder::write(const std::string& name, crypto::Bytes content, crypto::RandomSource& random) const {
  const std::string unfinished = std::string(kUnfinishedPrefix) + toHex(random.bytes<8>());
  const Descriptor file(
      ::openat(folder_.get(), unfinished.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!file) failWrite(errno, path_ / name);
  // 1. The content is durable under a name nobody reads. A crash here leaves the unfinished file; the next change shreds it.
  // 2. The name appears. 3. The name is durable.
  const bool done = writeAll(file.get(), content) && ::fsync(file.get()) == 0 &&
                    ::renameat(folder_.get(), unfinished.c_str(), folder_.get(), name.c_str()) == 0;
  if (!done) {
    const int error = errno;
    ::unlinkat(folder_.get(), unfinished.c_str(), 0);
    failWrite(error, path_ / name);
  }
  if (::fsync(folder_.get()) != 0) {
    // Whether the name survives a crash is unknown, so nobody may have it.
    const int error = errno;
    ::unlinkat(folder_.get(), name.c_str(), 0);
    failWrite(error, path_ / name);
  }
}

void KeyFolder::shred(const std::string& name) const {
  const Descriptor file(::openat(folder_.get(), name.c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (file) {
    // On media that keep old blocks this is no more than an effort; the file system below must be encrypted or on one that overwrites.
    std::array<std::uint8_t, kFileBytesMax> zeros{};
    struct stat facts {};
    if (::fstat(file.get(), &facts) != 0) failWrite(errno, path_ / name);
    const std::size_t size = std::min(static_cast<std::size_t>(std::max<off_t>(facts.st_size, 0)), zeros.size());
    if (!writeAll(file.get(), crypto::Bytes(zeros).first(size)) || ::fsync(file.get()) != 0) failWrite(errno, path_ / name);
  } else if (errno == ENOENT) {
    return;
  } else if (errno != ELOOP) {
    failWrite(errno, path_ / name);
  }
  if (::unlinkat(folder_.get(), name.c_str(), 0) != 0 && errno != ENOENT) failWrite(errno, path_ / name);
  sync();
}

void KeyFolder::shredUnfinished() const {
  for (const std::string& name : names()) {
    if (name.starts_with(kUnfinishedPrefix)) shred(name);
  }
}

void KeyFolder::sync() const {
  if (::fsync(folder_.get()) != 0) failWrite(errno, path_);
}

}  // namespace counterfoil::keys
