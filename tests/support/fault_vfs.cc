#include "tests/support/fault_vfs.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <new>

namespace counterfoil::test {
namespace {

constexpr std::size_t kSector = 512;

std::vector<std::uint8_t> contentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

sqlite3_vfs* realVfs() {
  static sqlite3_vfs* const vfs = [] {
    sqlite3_initialize();
    return sqlite3_vfs_find("unix");
  }();
  return vfs;
}

}  // namespace

// SQLite's C interface: a file of ours is this, followed in memory by the default VFS's own.
struct FaultVfsCalls {
  struct Handle {
    sqlite3_file base;
    FaultVfs* disk;
    std::string* path;  // null: a temporary file, passed through
  };

  static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }
  static sqlite3_file* real(sqlite3_file* file) { return reinterpret_cast<sqlite3_file*>(reinterpret_cast<char*>(file) + sizeof(Handle)); }
  static const sqlite3_io_methods* methods(sqlite3_file* file) { return real(file)->pMethods; }
  static FaultVfs& disk(sqlite3_vfs* vfs) { return *static_cast<FaultVfs*>(vfs->pAppData); }

  static int close(sqlite3_file* file) {
    delete handle(file).path;
    return methods(file)->xClose(real(file));
  }
  static int read(sqlite3_file* file, void* target, int size, sqlite3_int64 at) {
    if (handle(file).disk->lost()) return SQLITE_IOERR_READ;
    return methods(file)->xRead(real(file), target, size, at);
  }
  static int change(sqlite3_file* file, FaultVfs::Operation operation, const void* bytes) {
    Handle& self = handle(file);
    const auto pass = [&] {
      return operation.truncates ? methods(file)->xTruncate(real(file), static_cast<sqlite3_int64>(operation.at))
                                 : methods(file)->xWrite(real(file), bytes, static_cast<int>(operation.bytes.size()),
                                                         static_cast<sqlite3_int64>(operation.at));
    };
    if (self.path == nullptr) return pass();
    const std::lock_guard guard(self.disk->mutex_);
    if (self.disk->lost_) return SQLITE_IOERR_WRITE;
    ++self.disk->writes_;
    bool takesEffect = true;
    const int code = self.disk->strike(self.disk->writePlan_, *self.path, takesEffect);
    const bool dies = self.disk->countsDown();
    if (takesEffect) {
      const int result = pass();
      if (result != SQLITE_OK) return result;
      self.disk->files_[*self.path].pending.push_back(std::move(operation));
    }
    return dies ? SQLITE_IOERR_WRITE : code;
  }
  static int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
    const auto* const first = static_cast<const std::uint8_t*>(bytes);
    return change(file, {false, static_cast<std::uint64_t>(at), {first, first + size}}, bytes);
  }
  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    return change(file, {true, static_cast<std::uint64_t>(size), {}}, nullptr);
  }
  static int sync(sqlite3_file* file, int) {
    Handle& self = handle(file);
    if (self.path == nullptr) return SQLITE_OK;
    const std::lock_guard guard(self.disk->mutex_);
    if (self.disk->lost_) return SQLITE_IOERR_FSYNC;
    ++self.disk->syncs_;
    bool takesEffect = true;
    const int code = self.disk->strike(self.disk->syncPlan_, *self.path, takesEffect);
    // Power that goes during a sync leaves it to the seed what arrived.
    if (self.disk->countsDown()) return SQLITE_IOERR_FSYNC;
    FaultVfs::File& kept = self.disk->files_[*self.path];
    if (takesEffect) {
      self.disk->settle(kept);
    } else {
      kept.pending.clear();
    }
    return code;
  }
  static int size(sqlite3_file* file, sqlite3_int64* result) { return methods(file)->xFileSize(real(file), result); }
  static int lock(sqlite3_file* file, int level) { return methods(file)->xLock(real(file), level); }
  static int unlock(sqlite3_file* file, int level) { return methods(file)->xUnlock(real(file), level); }
  static int reserved(sqlite3_file* file, int* result) { return methods(file)->xCheckReservedLock(real(file), result); }
  static int control(sqlite3_file* file, int operation, void* argument) {
    // The default VFS would grow a file ahead behind our back.
    if (operation == SQLITE_FCNTL_SIZE_HINT || operation == SQLITE_FCNTL_CHUNK_SIZE) return SQLITE_NOTFOUND;
    return methods(file)->xFileControl(real(file), operation, argument);
  }
  static int sectorSize(sqlite3_file* file) { return methods(file)->xSectorSize(real(file)); }
  static int characteristics(sqlite3_file* file) { return methods(file)->xDeviceCharacteristics(real(file)); }
  static int mapShared(sqlite3_file* file, int page, int bytes, int extend, void volatile** result) {
    return methods(file)->xShmMap(real(file), page, bytes, extend, result);
  }
  static int lockShared(sqlite3_file* file, int offset, int count, int flags) {
    return methods(file)->xShmLock(real(file), offset, count, flags);
  }
  static void barrier(sqlite3_file* file) { methods(file)->xShmBarrier(real(file)); }
  static int unmapShared(sqlite3_file* file, int remove) { return methods(file)->xShmUnmap(real(file), remove); }

  // Version 2: no memory-mapped reading, it would pass us by.
  static const sqlite3_io_methods* table() {
    static const sqlite3_io_methods kTable = [] {
      sqlite3_io_methods result{};
      result.iVersion = 2;
      result.xClose = close;
      result.xRead = read;
      result.xWrite = write;
      result.xTruncate = truncate;
      result.xSync = sync;
      result.xFileSize = size;
      result.xLock = lock;
      result.xUnlock = unlock;
      result.xCheckReservedLock = reserved;
      result.xFileControl = control;
      result.xSectorSize = sectorSize;
      result.xDeviceCharacteristics = characteristics;
      result.xShmMap = mapShared;
      result.xShmLock = lockShared;
      result.xShmBarrier = barrier;
      result.xShmUnmap = unmapShared;
      return result;
    }();
    return &kTable;
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* outFlags) {
    Handle& self = handle(file);
    self.base.pMethods = nullptr;
    self.disk = &disk(vfs);
    self.path = nullptr;
    const std::lock_guard guard(self.disk->mutex_);
    if (self.disk->lost_) return SQLITE_CANTOPEN;
    std::error_code error;
    const bool existed = path != nullptr && std::filesystem::exists(path, error);
    std::memset(static_cast<void*>(real(file)), 0, static_cast<std::size_t>(realVfs()->szOsFile));
    const int code = realVfs()->xOpen(realVfs(), path, real(file), flags, outFlags);
    if (code != SQLITE_OK) {
      if (methods(file) != nullptr) methods(file)->xClose(real(file));
      return code;
    }
    self.base.pMethods = table();
    if (path != nullptr) {
      self.path = new std::string(path);
      self.disk->opened(*self.path, existed);
    }
    return SQLITE_OK;
  }
  static int remove(sqlite3_vfs* vfs, const char* path, int syncFolder) {
    FaultVfs& self = disk(vfs);
    const std::lock_guard guard(self.mutex_);
    if (self.lost_ || self.countsDown()) return SQLITE_IOERR_DELETE;
    const int code = realVfs()->xDelete(realVfs(), path, 0);
    const auto file = self.files_.find(path);
    if (code != SQLITE_OK || file == self.files_.end()) return code;
    FaultVfs::File gone;
    if (syncFolder == 0 && file->second.durableName) gone.deleted = std::move(file->second.durable);
    file->second = std::move(gone);
    return code;
  }
  static int access(sqlite3_vfs* vfs, const char* path, int flags, int* result) {
    if (disk(vfs).lost()) return SQLITE_IOERR_ACCESS;
    return realVfs()->xAccess(realVfs(), path, flags, result);
  }
};

FaultVfs::FaultVfs() {
  static std::atomic<int> count = 0;
  name_ = "fault-" + std::to_string(++count);
  vfs_ = *realVfs();
  vfs_.iVersion = 1;
  vfs_.pNext = nullptr;
  vfs_.zName = name_.c_str();
  vfs_.pAppData = this;
  vfs_.szOsFile = static_cast<int>(sizeof(FaultVfsCalls::Handle)) + realVfs()->szOsFile;
  vfs_.xOpen = FaultVfsCalls::open;
  vfs_.xDelete = FaultVfsCalls::remove;
  vfs_.xAccess = FaultVfsCalls::access;
  // The rest (full path names, randomness, time) take no part; the default VFS's functions do not look at pAppData for them.
  sqlite3_vfs_register(&vfs_, 0);
}

FaultVfs::~FaultVfs() {
  sqlite3_vfs_unregister(&vfs_);
}

void FaultVfs::fail(DiskOperation operation, std::uint64_t nth, int code, bool lasting, bool takesEffect) {
  const std::lock_guard guard(mutex_);
  (operation == DiskOperation::write ? writePlan_ : syncPlan_) = {nth, code, lasting, takesEffect};
}

void FaultVfs::heal() {
  const std::lock_guard guard(mutex_);
  writePlan_ = {};
  syncPlan_ = {};
}

void FaultVfs::failOnly(std::string suffix) {
  const std::lock_guard guard(mutex_);
  onlySuffix_ = std::move(suffix);
}

void FaultVfs::lose() {
  const std::lock_guard guard(mutex_);
  lost_ = true;
}

void FaultVfs::loseAfter(std::uint64_t operations) {
  const std::lock_guard guard(mutex_);
  fuse_ = operations;
}

bool FaultVfs::lost() const {
  const std::lock_guard guard(mutex_);
  return lost_;
}

std::uint64_t FaultVfs::syncs() const {
  const std::lock_guard guard(mutex_);
  return syncs_;
}

std::uint64_t FaultVfs::writes() const {
  const std::lock_guard guard(mutex_);
  return writes_;
}

// What is there before we first see it counts as durable.
void FaultVfs::opened(const std::string& path, bool existed) {
  File& file = files_[path];
  if (file.present) return;
  file.present = true;
  file.pending.clear();
  file.durableName = existed;
  file.durable = existed ? contentOf(path) : std::vector<std::uint8_t>();
}

int FaultVfs::strike(Plan& plan, const std::string& path, bool& takesEffect) {
  if (plan.left == 0 || !path.ends_with(onlySuffix_)) return SQLITE_OK;
  if (plan.left > 1) {
    --plan.left;
    return SQLITE_OK;
  }
  takesEffect = plan.takesEffect;
  if (!plan.lasting) plan.left = 0;
  return plan.code;
}

bool FaultVfs::countsDown() {
  if (!fuse_) return false;
  if (*fuse_ > 0) {
    --*fuse_;
    return false;
  }
  lost_ = true;
  return true;
}

void FaultVfs::put(File& file, const Operation& operation) {
  if (operation.truncates) {
    file.durable.resize(operation.at);
    return;
  }
  const std::size_t end = operation.at + operation.bytes.size();
  if (file.durable.size() < end) file.durable.resize(end);
  std::copy(operation.bytes.begin(), operation.bytes.end(), file.durable.begin() + static_cast<std::ptrdiff_t>(operation.at));
}

void FaultVfs::settle(File& file) {
  for (const Operation& operation : file.pending) put(file, operation);
  file.pending.clear();
  file.durableName = true;  // SQLite syncs the folder of a new file with its first sync
  file.deleted.reset();
}

void FaultVfs::survive(File& file, std::mt19937_64& dice) {
  const std::uint64_t way = dice() % 3;
  const std::size_t kept = file.pending.empty() ? 0 : dice() % (file.pending.size() + 1);
  for (std::size_t index = 0; index < file.pending.size(); ++index) {
    const Operation& operation = file.pending[index];
    if (operation.truncates) {
      if (way == 0 ? index < kept : dice() % 2 == 0) put(file, operation);
      continue;
    }
    if (way == 0 && index > kept) break;
    const bool whole = way == 0 && index < kept;
    bool torn = false;
    for (std::size_t from = 0; from < operation.bytes.size();) {
      // Up to the end of the disk's sector, not of the write's.
      const std::size_t step = std::min(kSector - (operation.at + from) % kSector, operation.bytes.size() - from);
      // A torn write of a prefix ends somewhere; a subset takes each sector by itself, most of them or few.
      if (way == 0 && !whole) torn = torn || dice() % 3 == 0;
      const bool keep = way == 0 ? !torn : (way == 1 ? dice() % 8 != 0 : dice() % 8 == 0);
      if (keep) {
        const auto first = operation.bytes.begin() + static_cast<std::ptrdiff_t>(from);
        put(file, {false, operation.at + from, {first, first + static_cast<std::ptrdiff_t>(step)}});
      }
      from += step;
    }
  }
  file.pending.clear();
}

void FaultVfs::restart(std::uint64_t seed) {
  const std::lock_guard guard(mutex_);
  std::mt19937_64 dice(seed);
  for (auto& [path, file] : files_) {
    std::error_code error;
    // Moved away by a rename we did not see: its new name is tracked by itself.
    if (file.present && !std::filesystem::exists(path, error)) continue;
    bool named = file.durableName || (file.present && (seed == 1 || (seed > 1 && dice() % 2 == 0)));
    if (seed == 1) {
      settle(file);
      named = file.present;
    } else if (seed > 1) {
      survive(file, dice);
    }
    if (!file.present || !named) {
      named = false;
      if (file.deleted && seed != 1 && (seed == 0 || dice() % 2 == 0)) {
        file.durable = *file.deleted;
        named = true;
      }
    }
    // A new file in place of the old one: connections of the dead process must not see it.
    std::filesystem::remove(path, error);
    if (named) {
      std::ofstream(path, std::ios::binary)
          .write(reinterpret_cast<const char*>(file.durable.data()), static_cast<std::streamsize>(file.durable.size()));
      std::filesystem::permissions(path, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write, error);
    }
    // The index in shared memory is no file of a disk; it dies with its processes.
    std::filesystem::remove(path + "-shm", error);
  }
  files_.clear();
  writePlan_ = {};
  syncPlan_ = {};
  fuse_.reset();
  lost_ = false;
}

}  // namespace counterfoil::test
