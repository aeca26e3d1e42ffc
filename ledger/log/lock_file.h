// The lock that makes one process the writer of a data folder: flock(2) on a file that is never deleted and holds the owner's process id.
#pragma once

#include <filesystem>

namespace counterfoil::log {

// As flock(2): 0, or -1 with errno. Tests put theirs here.
using FileLock = int (*)(int descriptor, int operation);
int systemFileLock(int descriptor, int operation);

// Held from construction to destruction; the kernel gives it up when the process dies. Not inherited by programs this one starts.
class LockFile {
 public:
  // Throws Fault(dataInUse) naming the holder's process id, Fault(noFileLocks) if the file system has no locks, Fault(logUnavailable) if
  // the file cannot be opened. The file is made if missing, mode 0600.
  explicit LockFile(const std::filesystem::path& path, FileLock lock = systemFileLock);
  ~LockFile();
  LockFile(const LockFile&) = delete;
  LockFile& operator=(const LockFile&) = delete;

 private:
  int descriptor_ = -1;
};

}  // namespace counterfoil::log
