// Looks for bytes in all memory of this process, libraries' heaps and thread stacks included: the proof that a secret is gone.
#pragma once

#include <pthread.h>

#include <cstdint>
#include <cstdio>
#include <span>
#include <stdexcept>
#include <vector>

namespace counterfoil::crypto::test {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool kCanScanMemory = false;  // shadow memory and quarantines keep what was freed
#else
inline constexpr bool kCanScanMemory = true;
#endif

// The second half of a secret, kept inverted so that the scan does not find its own needle. The half, because malloc writes its links over
// the first 16 bytes of a freed block, which would pass for wiping.
class Needle {
 public:
  explicit Needle(std::span<const std::uint8_t> bytes) {
    for (const std::uint8_t byte : bytes.subspan(bytes.size() / 2)) inverted_.push_back(static_cast<std::uint8_t>(~byte));
  }

  // How often it occurs in `memory`.
  std::size_t occurrencesIn(std::span<const std::uint8_t> memory) const { return countIn(memory.data(), memory.size()); }

  // How often it occurs in the writable memory of this process. Other threads must rest.
  [[gnu::noinline]] std::size_t occurrences() const {
    std::size_t found = 0;
    for (const auto& [begin, end] : writableRanges()) found += countIn(reinterpret_cast<const volatile std::uint8_t*>(begin), end - begin);
    return found;
  }

 private:
  struct Range {
    std::uintptr_t begin;
    std::uintptr_t end;
  };

  std::size_t countIn(const volatile std::uint8_t* memory, std::size_t size) const {
    std::size_t found = 0;
    for (std::size_t i = 0; i + inverted_.size() <= size; ++i) {
      if (static_cast<std::uint8_t>(~memory[i]) != inverted_[0]) continue;
      std::size_t same = 1;
      while (same < inverted_.size() && static_cast<std::uint8_t>(~memory[i + same]) == inverted_[same]) ++same;
      if (same == inverted_.size()) ++found;
    }
    return found;
  }

  static std::vector<Range> writableRanges() {
    std::vector<Range> ranges;
    ranges.reserve(4096);  // in one large block: small ones would be taken from, and written over, what was just freed
    std::FILE* const maps = std::fopen("/proc/self/maps", "r");
    if (maps == nullptr) return ranges;
    char line[512];
    while (std::fgets(line, sizeof(line), maps) != nullptr) {
      unsigned long begin = 0;
      unsigned long end = 0;
      char permissions[5] = {};
      if (std::sscanf(line, "%lx-%lx %4s", &begin, &end, permissions) != 3) continue;
      if (permissions[0] == 'r' && permissions[1] == 'w') ranges.push_back({begin, end});
    }
    std::fclose(maps);
    return ranges;
  }

  std::vector<std::uint8_t> inverted_;
};

// Runs `body` in a thread of its own and gives what that left on its stack. The frame of `body` lies deep enough that the end of the
// thread does not write over it.
class OwnStack {
 public:
  explicit OwnStack(void (*body)()) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, memory_.data(), memory_.size());
    pthread_t thread;
    if (pthread_create(&thread, &attributes, &runDeep, reinterpret_cast<void*>(body)) != 0) throw std::runtime_error("no thread");
    pthread_join(thread, nullptr);
    pthread_attr_destroy(&attributes);
  }
  std::span<const std::uint8_t> bytes() const { return memory_; }

 private:
  [[gnu::noinline]] static void* runDeep(void* body) {
    volatile std::uint8_t above[16 * 1024];
    above[0] = 1;
    reinterpret_cast<void (*)()>(body)();
    above[sizeof(above) - 1] = 1;
    return nullptr;
  }

  std::vector<std::uint8_t> memory_ = std::vector<std::uint8_t>(512 * 1024);
};

}  // namespace counterfoil::crypto::test
