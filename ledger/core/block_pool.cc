#include "ledger/core/block_pool.h"

#include <array>
#include <mutex>
#include <new>
#include <vector>

namespace counterfoil {
namespace {

// Given back by one thread and taken by another, a block crosses the shared list; half a thread's list crosses at a time.
constexpr std::size_t kThreadBlocks = 64;
constexpr std::size_t kSharedBlocks = 2'048;  // 8 MiB; what is over goes back to the allocator

class SharedBlocks {
 public:
  std::size_t take(std::uint8_t** target, std::size_t most) noexcept {
    const std::lock_guard guard(mutex_);
    std::size_t taken = 0;
    for (; taken < most && !blocks_.empty(); ++taken) {
      target[taken] = blocks_.back();
      blocks_.pop_back();
    }
    return taken;
  }
  // How many of them it kept.
  std::size_t give(std::uint8_t* const* blocks, std::size_t count) noexcept {
    const std::lock_guard guard(mutex_);
    std::size_t kept = 0;
    for (; kept < count && blocks_.size() < kSharedBlocks; ++kept) blocks_.push_back(blocks[kept]);
    return kept;
  }
  SharedBlocks() { blocks_.reserve(kSharedBlocks); }  // give() never allocates

 private:
  std::mutex mutex_;
  std::vector<std::uint8_t*> blocks_;
};

// Never destroyed: threads may end, and give back, after static objects have gone.
SharedBlocks& shared() {
  static SharedBlocks* const blocks = new SharedBlocks;
  return *blocks;
}

// Outlives ThreadBlocks: what is destroyed after it on the same thread may still give blocks back. (A flag in the object itself would be no
// use: stores to an object that ends are dropped by the compiler.)
thread_local bool threadEnds = false;

class ThreadBlocks {
 public:
  ~ThreadBlocks() {
    giveAway(count_);
    threadEnds = true;
  }
  std::uint8_t* take() {
    if (count_ == 0) count_ = shared().take(blocks_.data(), kThreadBlocks / 2);
    return count_ > 0 ? blocks_[--count_] : new std::uint8_t[kPooledBlockBytes];
  }
  void give(std::uint8_t* block) noexcept {
    if (count_ == kThreadBlocks) giveAway(kThreadBlocks / 2);
    blocks_[count_++] = block;
  }

 private:
  void giveAway(std::size_t many) noexcept {
    const std::size_t first = count_ - many;
    const std::size_t kept = shared().give(&blocks_[first], many);
    for (std::size_t index = first + kept; index < count_; ++index) delete[] blocks_[index];
    count_ = first;
  }

  std::array<std::uint8_t*, kThreadBlocks> blocks_;
  std::size_t count_ = 0;
};

ThreadBlocks& ofThisThread() {
  thread_local ThreadBlocks blocks;
  return blocks;
}

}  // namespace

// Under AddressSanitizer each block is allocated for itself, so that a use after its end is seen.
#if defined(__SANITIZE_ADDRESS__)
std::uint8_t* takePooledBlock() {
  return new std::uint8_t[kPooledBlockBytes];
}
void givePooledBlock(std::uint8_t* block) noexcept {
  delete[] block;
}
#else
std::uint8_t* takePooledBlock() {
  return threadEnds ? new std::uint8_t[kPooledBlockBytes] : ofThisThread().take();
}
void givePooledBlock(std::uint8_t* block) noexcept {
  if (threadEnds) {
    delete[] block;
  } else {
    ofThisThread().give(block);
  }
}
#endif

}  // namespace counterfoil
