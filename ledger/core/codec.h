// Canonical Cap'n Proto bytes of schema structures (docs/formats.md): written once, then opaque; read in one pass that rejects
// whatever the writer would not have written. Pure; thread safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "ledger/core/value.h"

namespace counterfoil {

// Canonical form: one segment, root pointer included, preorder, trailing zeros dropped, every empty text, data, list and all-default
// structure a null pointer. Appends to nothing: `out` is replaced. The result is a whole number of 8-byte words, at least one.
void encodeCanonical(const StructValue& value, std::vector<std::uint8_t>& out);
std::vector<std::uint8_t> encodeCanonical(const StructValue& value);

enum class Strictness : std::uint8_t {
  strict,   // every kind, field and enumeration value must be known
  lenient,  // what a newer writer added is checked for form only, and left out of the value
};

// What decoding found. `problem` is nullptr on success, else a static text that names what is wrong and never a value.
struct DecodeResult {
  StructValue value;
  const char* problem = nullptr;
  bool unknownParts = false;  // lenient: something of a newer writer was met
  explicit operator bool() const { return problem == nullptr; }
};

// Reads canonical bytes of `table`. Texts and data of the result point into `bytes`, the rest lies in `arena`. Unaligned input is fine.
// Checks: form, size limits, UTF-8, NUL, list limits. Cost: one pass over the bytes.
DecodeResult decodeCanonical(const StructTable& table, crypto::Bytes bytes, Strictness strictness, Arena& arena);

}  // namespace counterfoil
