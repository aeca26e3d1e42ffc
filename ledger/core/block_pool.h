// Blocks of one size that go round between threads: an arena's first block is taken on the thread that parses and given back on the thread
// that answers, some thousand times a second, which is what general allocators are slowest at.
#pragma once

#include <cstddef>
#include <cstdint>

namespace counterfoil {

inline constexpr std::size_t kPooledBlockBytes = 4'096;

// Uninitialised, aligned for any type. Throws std::bad_alloc. Thread safe.
std::uint8_t* takePooledBlock();
// Of takePooledBlock(), on any thread. Whoever gives it back has wiped it: its next owner may be anybody.
void givePooledBlock(std::uint8_t* block) noexcept;

}  // namespace counterfoil
