// What the scanner asks about characters and values: alphabets, boundaries, randomness, stand-ins. All linear in the value.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace counterfoil::redact {

// Bits of a character's membership.
enum CharBit : std::uint16_t {
  kDigit = 1 << 0,
  kLower = 1 << 1,
  kUpper = 1 << 2,
  kHexDigit = 1 << 3,
  kUnderscore = 1 << 4,
  kDash = 1 << 5,
  kDot = 1 << 6,
  kPlusSlash = 1 << 7,
  kEquals = 1 << 8,
  kTilde = 1 << 9,
  kSpace = 1 << 10,  // space, tab, CR, LF
  kAlpha = kLower | kUpper,
  kAlnum = kAlpha | kDigit,
  kWord = kAlnum | kUnderscore,
  kUrlBase64 = kWord | kDash,
  kBase64Any = kUrlBase64 | kPlusSlash | kEquals,
  kName = kWord | kDash | kDot,
};

extern const std::array<std::uint16_t, 256> kCharBits;  // constant-initialised

inline bool isOf(char c, unsigned bits) {
  return (kCharBits[static_cast<unsigned char>(c)] & bits) != 0;
}

inline char lowerOf(char c) {
  return isOf(c, kUpper) ? static_cast<char>(c | 0x20) : c;
}

// True if `text` at `at` continues with `lowerLiteral`, letters in any case.
bool startsWithFolded(std::string_view text, std::size_t at, std::string_view lowerLiteral);
// True if `lowerLiteral` is contained, letters in any case. Cost: text times the literal's first-letter hits.
bool containsFolded(std::string_view text, std::string_view lowerLiteral);

// End of the run of `bits` that begins at `at`, at most `cap` characters.
std::size_t runEnd(std::string_view text, std::size_t at, unsigned bits, std::size_t cap);

// True if a token may begin at `at`: the character before is no letter or digit, or closes an escape (\n, %3D).
bool isBoundaryBefore(std::string_view text, std::size_t at);

// 8-4-4-4-12 hex digits, nothing else.
bool isUuid(std::string_view value);
// Only hex digits.
bool isHex(std::string_view value);
bool isDigits(std::string_view value);

// Shannon entropy in bits a character, of the first 512 characters.
double entropyOf(std::string_view value);

// True if the value stands in for a secret: a variable, a run of x or *, a word such as "example", counting sequences.
bool isPlaceholder(std::string_view value);

// True if the value looks drawn at random rather than written by a person: entropy near what its length allows, and
// either characters that change class often or letter pairs that words do not have.
bool looksRandom(std::string_view value);

// True if the value reads like a word or an identifier made of words ("Required", "AcceptanceTimeoutSeconds", "db_main").
bool looksWordy(std::string_view value);

}  // namespace counterfoil::redact
