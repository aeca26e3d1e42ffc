// Forms of texts: what an id, a public digest and a kept text look like. Pure.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "ledger/core/schema_tables.h"

namespace counterfoil::redact {

// `[A-Za-z0-9][A-Za-z0-9._:@/+-]*`
bool hasIdForm(std::string_view text);

// A digest or key id as anybody may see it: hex of 16 to 64 bytes, base64 of 32, 48 or 64, each also behind `sha256:`, `sha384:`,
// `sha512:`.
bool hasPublicDigestForm(std::string_view text);

// The longest beginning of valid UTF-8 `text` of at most `bytesMax` bytes that ends between two characters.
std::string_view cutAtCharacter(std::string_view text, std::size_t bytesMax);

inline constexpr std::string_view kEllipsis = "\u2026";

// A place in the caller's JSON; made on the stack while walking, written out only when it is needed.
struct FieldPath {
  const FieldPath* parent = nullptr;
  std::string_view name;
  std::size_t index = kNoIndex;
  static constexpr std::size_t kNoIndex = static_cast<std::size_t>(-1);

  // RFC 6901. Names of the schema need no escapes.
  std::string text() const;
};

}  // namespace counterfoil::redact
