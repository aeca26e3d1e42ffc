#include "ledger/crypto/random.h"

#include <openssl/err.h>
#include <openssl/rand.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "ledger/crypto/digest.h"
#include "ledger/crypto/error.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil::crypto {
namespace {

void drawFromSystem(std::span<std::uint8_t> out) {
  if (RAND_priv_bytes_ex(nullptr, out.data(), out.size(), 0) != 1) {
    ERR_clear_error();
    throw CryptoError("random: no unpredictable bytes available");
  }
}

// Bytes drawn ahead for one thread, in a page of their own that the kernel zeroes in a forked child, however it was forked: `left`
// is then 0, so a child never gives out what its parent does. It also stays out of core dumps.
class Block {
 public:
  Block() {
    void* const mapped = mmap(nullptr, sizeof(Page), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED) throw CryptoError("random: no memory");
    page_ = static_cast<Page*>(mapped);
    (void)madvise(page_, sizeof(Page), MADV_DONTDUMP);
    zeroedOnFork_ = madvise(page_, sizeof(Page), MADV_WIPEONFORK) == 0;
  }
  ~Block() {
    wipe(page_, sizeof(Page));
    munmap(page_, sizeof(Page));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  void fill(std::span<std::uint8_t> out) {
    if (out.size() > kDirectBytes) return drawFromSystem(out);
    // A kernel without MADV_WIPEONFORK (before 4.14): a system call each time instead.
    if (!zeroedOnFork_ && page_->owner != getpid()) page_->left = 0;
    if (page_->left < out.size()) {
      page_->left = 0;
      drawFromSystem(page_->bytes);
      page_->left = sizeof(page_->bytes);
      page_->owner = getpid();
    }
    std::uint8_t* const from = page_->bytes + sizeof(page_->bytes) - page_->left;
    // Taken before it is given: should anything end this call early, the bytes are lost rather than given twice.
    page_->left -= out.size();
    std::memcpy(out.data(), from, out.size());
    wipe(from, out.size());
  }

 private:
  // Larger requests would only spill the block.
  static constexpr std::size_t kDirectBytes = 512;
  static constexpr std::size_t kPageBytes = 4096;
  struct Page {
    std::size_t left;
    pid_t owner;
    std::uint8_t bytes[kPageBytes - 2 * sizeof(std::size_t)];
  };
  static_assert(sizeof(Page) == kPageBytes);

  Page* page_ = nullptr;
  bool zeroedOnFork_ = false;
};

}  // namespace

void SystemRandom::fill(std::span<std::uint8_t> out) {
  thread_local Block block;
  if (!out.empty()) block.fill(out);
}

void DeterministicRandom::fill(std::span<std::uint8_t> out) {
  // One range of counters a call, so that concurrent calls never give the same bytes.
  const std::size_t blocks = (out.size() + kDigestSize - 1) / kDigestSize;
  std::uint64_t counter = std::atomic_ref<std::uint64_t>(counter_).fetch_add(blocks, std::memory_order_relaxed);
  while (!out.empty()) {
    std::array<std::uint8_t, 16> input;
    for (std::size_t i = 0; i < 8; ++i) {
      input[i] = static_cast<std::uint8_t>(seed_ >> (8 * i));
      input[8 + i] = static_cast<std::uint8_t>(counter >> (8 * i));
    }
    ++counter;
    const Digest digest = sha256(input);
    const std::size_t size = std::min(out.size(), digest.size());
    std::memcpy(out.data(), digest.data(), size);
    out = out.subspan(size);
  }
}

}  // namespace counterfoil::crypto
