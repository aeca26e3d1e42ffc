// An SQLite VFS that loses power, fills up and breaks on command. Registered under a name of its own; give that name to the code under
// test.
//
// Files really exist (through the default VFS), so several connections, locks and shared memory work as ever; only durability is played:
// fsync is not passed on, instead each file is kept twice, as it is and as it was when last synced, with the operations in between.
//
//   FaultVfs disk;                      // options.vfs = disk.name()
//   disk.loseAfter(n);  or  disk.lose() // now, or after n more writes, truncations and syncs, the power is gone: every call fails
//   log.reset();                        // the dead process goes
//   disk.restart(seed);                 // the folder becomes what a disk might hold, and works again
//
// What restart() keeps of the unsynced operations is chosen by the seed: none, all, a prefix whose last write is torn at a 512-byte sector,
// or any subset of sectors in any order of arrival. Seeds 0 and 1 mean none and all. A file never synced may be missing; one deleted
// without a folder sync may be back. Bytes next to a torn write are not harmed (SQLite counts on that: SQLITE_IOCAP_POWERSAFE_OVERWRITE).
//
// Thread safe. Outlives every connection opened through it. Files not opened through it (lock files, renames) are as durable as they look.
#pragma once

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace counterfoil::test {

enum class DiskOperation : std::uint8_t { write, sync };

class FaultVfs {
 public:
  FaultVfs();
  ~FaultVfs();
  FaultVfs(const FaultVfs&) = delete;
  FaultVfs& operator=(const FaultVfs&) = delete;
  const std::string& name() const { return name_; }

  // The `nth` (1: the next) operation of that kind from now on answers `code` (SQLITE_FULL, SQLITE_IOERR_WRITE, SQLITE_IOERR_FSYNC...).
  // `lasting`: and so does every later one, until heal(). `takesEffect`: it is carried out nevertheless. Truncations count as writes. What
  // a failed sync was to keep never reaches the disk, though the process goes on seeing it and later syncs succeed: so does Linux.
  void fail(DiskOperation operation, std::uint64_t nth, int code, bool lasting = false, bool takesEffect = false);
  void heal();
  // Only operations on files whose name ends so count for fail(); empty: all.
  void failOnly(std::string suffix);

  // The power goes, now or in the middle of the operation after the next `operations` ones (writes, truncations, syncs, deletions).
  void lose();
  void loseAfter(std::uint64_t operations);
  bool lost() const;
  // All connections opened before must be closed. Puts what survived in place and works again; faults are healed.
  void restart(std::uint64_t seed);

  // Since construction.
  std::uint64_t syncs() const;
  std::uint64_t writes() const;

 private:
  friend struct FaultVfsCalls;
  struct Operation {
    bool truncates = false;
    std::uint64_t at = 0;  // or the new size
    std::vector<std::uint8_t> bytes;
  };
  struct File {
    std::vector<std::uint8_t> durable;
    bool durableName = false;                          // the folder entry was synced
    bool present = false;                              // the process sees it
    std::optional<std::vector<std::uint8_t>> deleted;  // durable content of a file of that name whose deletion was not synced
    std::vector<Operation> pending;
  };
  struct Plan {
    std::uint64_t left = 0;  // operations until it strikes; 0: no plan
    int code = SQLITE_OK;
    bool lasting = false;
    bool takesEffect = false;
  };

  // All of these with mutex_ held.
  void opened(const std::string& path, bool existed);
  int strike(Plan& plan, const std::string& path, bool& takesEffect);
  bool countsDown();
  void put(File& file, const Operation& operation);
  void settle(File& file);
  void survive(File& file, std::mt19937_64& dice);

  std::string name_;
  sqlite3_vfs vfs_{};
  mutable std::mutex mutex_;
  std::map<std::string, File> files_;
  Plan writePlan_;
  Plan syncPlan_;
  std::string onlySuffix_;
  std::optional<std::uint64_t> fuse_;
  bool lost_ = false;
  std::uint64_t syncs_ = 0;
  std::uint64_t writes_ = 0;
};

}  // namespace counterfoil::test
