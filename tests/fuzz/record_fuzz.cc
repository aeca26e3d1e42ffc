// Any bytes as each structure around the entry. What strict reading accepts must be exactly what the writer writes of it.
#include <algorithm>
#include <cstdlib>

#include "ledger/core/codec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace counterfoil;
  const SchemaTables& tables = schemaTables();
  const crypto::Bytes bytes(data, size);
  Arena arena;
  for (const StructTable* table : {tables.record, tables.sealed, tables.keys, tables.claim, tables.genesis}) {
    arena.reset();
    const bool readable = static_cast<bool>(decodeCanonical(*table, bytes, Strictness::lenient, arena));
    const DecodeResult strict = decodeCanonical(*table, bytes, Strictness::strict, arena);
    if (!strict) continue;
    if (!readable || strict.unknownParts) std::abort();
    const std::vector<std::uint8_t> again = encodeCanonical(strict.value);
    if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end())) std::abort();
  }
  return 0;
}
