#include "ledger/log/lock_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>
#include <system_error>

#include "ledger/core/outcome.h"

namespace counterfoil::log {
namespace {

constexpr std::size_t kPidDigitsMax = 20;

std::string textOf(int error) {
  return std::generic_category().message(error);
}

// The process id in the file; empty if it holds anything else.
std::string holderOf(int descriptor) {
  std::array<char, kPidDigitsMax + 1> bytes{};
  const ssize_t size = ::pread(descriptor, bytes.data(), bytes.size(), 0);
  std::string digits;
  for (ssize_t index = 0; index < size && bytes[static_cast<std::size_t>(index)] != '\n'; ++index) {
    const char digit = bytes[static_cast<std::size_t>(index)];
    if (digit < '0' || digit > '9') return {};
    digits += digit;
  }
  return digits;
}

Fault lockFault(int error, int descriptor, const std::string& path) {
  if (error == EWOULDBLOCK) {
    const std::string holder = holderOf(descriptor);
    return Fault(ErrorCode::dataInUse, path + ": held by " + (holder.empty() ? "another process" : "process " + holder),
                 "stop that process, or use its API");
  }
  if (error == ENOLCK || error == EOPNOTSUPP || error == ENOSYS) {
    return Fault(ErrorCode::noFileLocks, path + ": the file system has no file locks (" + textOf(error) + ")",
                 "put the data folder on a local file system");
  }
  return Fault(ErrorCode::logUnavailable, path + ": locking: " + textOf(error));
}

}  // namespace

int systemFileLock(int descriptor, int operation) {
  return ::flock(descriptor, operation);
}

LockFile::LockFile(const std::filesystem::path& path, FileLock lock) {
  descriptor_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (descriptor_ < 0) throw Fault(ErrorCode::logUnavailable, path.string() + ": opening: " + textOf(errno));
  int result = 0;
  do {
    result = lock(descriptor_, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  if (result != 0) {
    const Fault fault = lockFault(errno, descriptor_, path.string());
    ::close(descriptor_);
    throw fault;
  }
  // Only for people: whoever fails to get the lock is told who has it. The umask may have taken bits away, or an earlier file had more.
  const std::string pid = std::to_string(::getpid()) + "\n";
  const bool written = ::fchmod(descriptor_, 0600) == 0 && ::ftruncate(descriptor_, 0) == 0 &&
                       ::pwrite(descriptor_, pid.data(), pid.size(), 0) == static_cast<ssize_t>(pid.size());
  if (!written && errno != ENOSPC && errno != EDQUOT) {
    const int error = errno;
    ::close(descriptor_);
    throw Fault(ErrorCode::logUnavailable, path.string() + ": writing: " + textOf(error));
  }
}

LockFile::~LockFile() {
  ::close(descriptor_);
}

}  // namespace counterfoil::log
