// Any bytes as an entry. What strict reading accepts must be exactly what the writer writes of it, and lenient reading accepts it too.
#include <algorithm>
#include <cstdlib>

#include "ledger/core/entry.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace counterfoil;
  const crypto::Bytes bytes(data, size);
  Arena arena;
  EntryView lenient;
  const bool readable = readEntry(bytes, Strictness::lenient, arena, lenient) == nullptr;
  EntryView strict;
  if (readEntry(bytes, Strictness::strict, arena, strict) != nullptr) return 0;
  if (!readable || !lenient.known || lenient.kindNumber != strict.kindNumber) std::abort();
  const std::vector<std::uint8_t> again = encodeCanonical(strict.entry);
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  Arena copies;
  if (encodeCanonical(deepCopy(copies, lenient.entry)) != again) std::abort();
  return 0;
}
