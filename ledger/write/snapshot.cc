#include "ledger/write/snapshot.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "ledger/core/bytes.h"

namespace counterfoil::write {
namespace {

constexpr std::string_view kMagic = "counterfoil snapshot 3\n";

struct Descriptor {
  int value = -1;
  explicit Descriptor(int descriptor) : value(descriptor) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value >= 0) ::close(value);
  }
};

[[noreturn]] void cannotWrite(const std::filesystem::path& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT;
  throw Fault(full ? ErrorCode::diskFull : ErrorCode::logUnavailable,
              "cannot write the snapshot " + path.string() + ": " + std::strerror(error),
              full ? "free space on that file system; nothing recorded is lost, the next start reads the log instead"
                   : "check the folder's permissions; nothing recorded is lost, the next start reads the log instead");
}

std::vector<std::uint8_t> associatedData(WorkspaceNumber workspace, Position next) {
  std::vector<std::uint8_t> data;
  ByteWriter writer(data);
  writer.text("counterfoil snapshot v1");
  writer.number(workspace.value);
  writer.number(next.value);
  return data;
}

void saveKeys(ByteWriter& writer, const std::vector<keys::WrappedKey>& wrapped) {
  writer.number(wrapped.size());
  for (const keys::WrappedKey& key : wrapped) {
    writer.fixed(key.keyId.bytes);
    writer.number(static_cast<std::uint64_t>(key.purpose));
    writer.number(key.generation);
    writer.number(key.kek);
    writer.fixed(key.nonce);
    writer.text({reinterpret_cast<const char*>(key.sealed.data()), key.sealed.size()});
  }
}

bool readKeys(ByteReader& reader, std::vector<keys::WrappedKey>& wrapped) {
  for (std::uint64_t left = reader.count(40); left > 0; --left) {
    keys::WrappedKey key;
    reader.fixed(key.keyId.bytes);
    key.purpose = static_cast<keys::KeyPurpose>(reader.number());
    key.generation = reader.number();
    key.kek = static_cast<std::uint32_t>(reader.number());
    reader.fixed(key.nonce);
    const std::string_view sealed = reader.text();
    key.sealed.assign(sealed.begin(), sealed.end());
    if (reader.failed()) return false;
    wrapped.push_back(std::move(key));
  }
  return !reader.failed();
}

void skipSealed(ByteReader& reader) {
  crypto::AeadNonce nonce{};
  reader.fixed(nonce);
  reader.text();
}

// The keys of all workspaces in one go, before their sections are opened: a key service is asked once for all and not once for each.
// `reader` is a copy.
bool loadKeys(ByteReader reader, keys::KeyRing& ring) {
  std::vector<keys::WorkspaceWrappedKeys> all;
  for (std::uint64_t left = reader.count(30); left > 0; --left) {
    keys::WorkspaceWrappedKeys& each = all.emplace_back();
    each.workspace = WorkspaceNumber{reader.number()};
    reader.flag();
    if (!readKeys(reader, each.keys)) return false;
    skipSealed(reader);
  }
  return !reader.failed() && ring.applyWrapped(all) == keys::ApplyOutcome::applied;
}

void seal(ByteWriter& writer, const keys::LogKey& key, WorkspaceNumber workspace, Position next, const std::vector<std::uint8_t>& plain,
          crypto::RandomSource& random) {
  const auto nonce = random.bytes<crypto::kAeadNonceSize>();
  writer.fixed(nonce);
  const auto sealed = key.aead.seal(nonce, associatedData(workspace, next), plain);
  writer.text({reinterpret_cast<const char*>(sealed.data()), sealed.size()});
}

std::optional<crypto::SecretBytes> open(ByteReader& reader, const keys::LogKey& key, WorkspaceNumber workspace, Position next) {
  crypto::AeadNonce nonce{};
  reader.fixed(nonce);
  const std::string_view sealed = reader.text();
  if (reader.failed()) return std::nullopt;
  return key.aead.open(nonce, associatedData(workspace, next), {reinterpret_cast<const std::uint8_t*>(sealed.data()), sealed.size()});
}

void store(const std::filesystem::path& path, const std::vector<std::uint8_t>& bytes) {
  const std::filesystem::path temporary = path.string() + ".new";
  {
    ::unlink(temporary.c_str());
    const Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
    if (file.value < 0) cannotWrite(temporary, errno);
    for (std::size_t at = 0; at < bytes.size();) {
      const ssize_t written = ::write(file.value, bytes.data() + at, bytes.size() - at);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) {
        const int error = written < 0 ? errno : ENOSPC;
        ::unlink(temporary.c_str());
        cannotWrite(path, error);
      }
      at += static_cast<std::size_t>(written);
    }
    if (::fsync(file.value) != 0) {
      const int error = errno;
      ::unlink(temporary.c_str());
      cannotWrite(path, error);
    }
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) cannotWrite(path, errno);
  const Descriptor folder(::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder.value < 0 || ::fsync(folder.value) != 0) cannotWrite(path, errno);
}

// nullopt: there is no such file.
std::optional<std::vector<std::uint8_t>> fetch(const std::filesystem::path& path, std::string& why) {
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (file.value < 0) {
    if (errno != ENOENT) why = std::string("it cannot be opened: ") + std::strerror(errno);
    return std::nullopt;
  }
  struct stat facts {};
  if (::fstat(file.value, &facts) != 0) return std::nullopt;
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(facts.st_size));
  for (std::size_t at = 0; at < bytes.size();) {
    const ssize_t count = ::read(file.value, bytes.data() + at, bytes.size() - at);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      why = "it cannot be read";
      return std::nullopt;
    }
    at += static_cast<std::size_t>(count);
  }
  return bytes;
}

}  // namespace

void SnapshotFile::write(PartitionState& state, KnownSecretStore& known, keys::KeyRing& ring, crypto::RandomSource& random) const {
  std::vector<std::uint8_t> bytes(kMagic.begin(), kMagic.end());
  ByteWriter writer(bytes);
  const log::FoldState& durable = state.durable();
  std::vector<std::uint8_t> part;
  durable.save(part);
  writer.text({reinterpret_cast<const char*>(part.data()), part.size()});
  writer.integer(state.lastRecordedAt().nanoseconds);
  std::vector<WorkspaceNumber> numbers;
  for (const WorkspaceNumber number : state.workspaces()) {
    if (state.workspace(number).head().size() != 0) numbers.push_back(number);
  }
  writer.number(numbers.size());
  for (const WorkspaceNumber number : numbers) {
    // An erased workspace has no keys; what is kept of it is no secret.
    const bool erased = state.workspace(number).erased();
    const auto workspaceKeys = ring.workspace(erased ? kSystemWorkspace : number);
    writer.number(number.value);
    writer.flag(erased);
    saveKeys(writer, erased ? std::vector<keys::WrappedKey>{} : workspaceKeys->durableKeys());
    part.clear();
    std::vector<std::uint8_t> section;
    state.workspace(number).save(section);
    ByteWriter parts(part);
    parts.text({reinterpret_cast<const char*>(section.data()), section.size()});
    section.clear();
    if (!erased) known.save(number, section);
    parts.text({reinterpret_cast<const char*>(section.data()), section.size()});
    seal(writer, *workspaceKeys->stateKey(), number, durable.next, part, random);
  }
  part.clear();
  state.window().save(part);
  seal(writer, *ring.workspace(kSystemWorkspace)->stateKey(), kSystemWorkspace, durable.next, part, random);
  const crypto::Digest digest = crypto::sha256(bytes);
  bytes.insert(bytes.end(), digest.begin(), digest.end());
  store(path_, bytes);
}

bool SnapshotFile::read(PartitionState& state, KnownSecretStore& known, keys::KeyRing& ring, std::string& why) const {
  const auto bytes = fetch(path_, why);
  if (!bytes) return false;
  if (bytes->size() < kMagic.size() + crypto::kDigestSize || std::memcmp(bytes->data(), kMagic.data(), kMagic.size()) != 0) {
    why = "it is of another version or no snapshot";
    return false;
  }
  const crypto::Bytes body(bytes->data(), bytes->size() - crypto::kDigestSize);
  if (!crypto::equalConstantTime(crypto::sha256(body), crypto::Bytes(bytes->data() + body.size(), crypto::kDigestSize))) {
    why = "its digest does not match: it was cut short or changed";
    return false;
  }
  ByteReader reader(body.subspan(kMagic.size()));
  const std::string_view fold = reader.text();
  why = "its content is not in the expected form";
  if (!log::FoldState::load({reinterpret_cast<const std::uint8_t*>(fold.data()), fold.size()}, state.durable_)) return false;
  state.lastRecordedAt_ = reader.integer();
  if (!loadKeys(reader, ring)) return false;
  std::vector<keys::WrappedKey> passedOver;
  for (std::uint64_t left = reader.count(30); left > 0; --left) {
    const WorkspaceNumber number{reader.number()};
    const bool erased = reader.flag();
    const auto workspaceKeys = ring.workspace(erased ? kSystemWorkspace : number);
    passedOver.clear();
    if (!readKeys(reader, passedOver)) return false;
    const auto part = open(reader, *workspaceKeys->stateKey(), number, state.durable_.next);
    if (!part) {
      why = "a section does not open under the workspace's key";
      return false;
    }
    ByteReader parts(part->bytes());
    const std::string_view section = parts.text();
    const std::string_view secrets = parts.text();
    if (parts.failed() || !state.workspace(number).load({reinterpret_cast<const std::uint8_t*>(section.data()), section.size()}))
      return false;
    if (!erased && !known.load(number, {reinterpret_cast<const std::uint8_t*>(secrets.data()), secrets.size()})) return false;
    const auto head = state.durable_.heads.find(number);
    if (head == state.durable_.heads.end() || head->second.size != state.workspace(number).head().size() ||
        head->second.last != state.workspace(number).head().last) {
      why = "its chains and its place in the log disagree";
      return false;
    }
  }
  const auto window = open(reader, *ring.workspace(kSystemWorkspace)->stateKey(), kSystemWorkspace, state.durable_.next);
  if (!window || !state.window().load(window->bytes()) || !reader.complete()) return false;
  why.clear();
  return true;
}

void SnapshotFile::remove() const {
  std::error_code ignored;
  std::filesystem::remove(path_, ignored);
}

}  // namespace counterfoil::write
