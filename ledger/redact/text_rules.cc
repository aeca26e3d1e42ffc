#include "ledger/redact/text_rules.h"

#include <algorithm>
#include <array>

namespace counterfoil::redact {
namespace {

bool isAlphanumeric(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}
bool isHexDigit(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}
bool isBase64(char c) {
  return isAlphanumeric(c) || c == '+' || c == '/' || c == '-' || c == '_';
}

constexpr std::array<bool, 256> kIdBytes = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:@/+-")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

}  // namespace

bool hasIdForm(std::string_view text) {
  return !text.empty() && isAlphanumeric(text.front()) &&
         std::all_of(text.begin(), text.end(), [](char c) { return kIdBytes[static_cast<unsigned char>(c)]; });
}

bool hasPublicDigestForm(std::string_view text) {
  for (const std::string_view prefix : {"sha256:", "sha384:", "sha512:"}) {
    if (text.starts_with(prefix)) {
      text.remove_prefix(prefix.size());
      break;
    }
  }
  constexpr std::size_t kHexMin = 32;
  constexpr std::size_t kHexMax = 128;
  if (text.size() % 2 == 0 && text.size() >= kHexMin && text.size() <= kHexMax && std::all_of(text.begin(), text.end(), isHexDigit))
    return true;
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  text.remove_suffix(padding);
  // 32, 48 and 64 bytes.
  const bool fits = text.size() == 43 || (text.size() == 64 && padding == 0) || text.size() == 86;
  return fits && std::all_of(text.begin(), text.end(), isBase64);
}

std::string_view cutAtCharacter(std::string_view text, std::size_t bytesMax) {
  if (text.size() <= bytesMax) return text;
  // Back to the first byte of the character that the cut would divide.
  while (bytesMax > 0 && (static_cast<unsigned char>(text[bytesMax]) & 0xc0) == 0x80) --bytesMax;
  return text.substr(0, bytesMax);
}

std::string FieldPath::text() const {
  std::string result = parent == nullptr ? std::string() : parent->text();
  if (!name.empty()) {
    result += '/';
    result += name;
  }
  if (index != kNoIndex) {
    result += '/';
    result += std::to_string(index);
  }
  return result;
}

}  // namespace counterfoil::redact
