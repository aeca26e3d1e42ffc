#include "ledger/redact/scanner_text.h"

#include <algorithm>
#include <cmath>

namespace counterfoil::redact {

namespace {

constexpr std::array<std::uint16_t, 256> makeCharBits() {
  std::array<std::uint16_t, 256> bits{};
  auto add = [&bits](unsigned char c, unsigned bit) { bits[c] = static_cast<std::uint16_t>(bits[c] | bit); };
  for (unsigned char c = '0'; c <= '9'; ++c) add(c, kDigit | kHexDigit);
  for (unsigned char c = 'a'; c <= 'z'; ++c) add(c, kLower);
  for (unsigned char c = 'A'; c <= 'Z'; ++c) add(c, kUpper);
  for (unsigned char c = 'a'; c <= 'f'; ++c) add(c, kHexDigit);
  for (unsigned char c = 'A'; c <= 'F'; ++c) add(c, kHexDigit);
  add('_', kUnderscore);
  add('-', kDash);
  add('.', kDot);
  add('+', kPlusSlash);
  add('/', kPlusSlash);
  add('=', kEquals);
  add('~', kTilde);
  for (char c : {' ', '\t', '\r', '\n'}) add(static_cast<unsigned char>(c), kSpace);
  return bits;
}

// Letter pairs that English words and product names are made of; the rows are the first letter. About half of all 676
// pairs: a word has nearly only these, random letters have them every other time.
constexpr std::array<std::string_view, 26> kCommonPairs = {"bcdfgilmnprstuvwy",
                                                           "aeilorsuy",
                                                           "acehiklorstuy",
                                                           "adeiorsuy",
                                                           "acdeflmnoprstuvwxy",
                                                           "aefilorstu",
                                                           "aehilnorsu",
                                                           "aeiortuy",
                                                           "abcdefglmnoprstvz",
                                                           "aeou",
                                                           "aeilnsuy",
                                                           "adeiloprstuy",
                                                           "abeimopsuy",
                                                           "acdegiknostuy",
                                                           "bcdfgiklmnoprstuvwx",
                                                           "aehilopqrstu",
                                                           "u",
                                                           "abcdegikmnoprstuvy",
                                                           "acehiklmnopqstuwy",
                                                           "aehiloprstuwy",
                                                           "abcdegilmnprst",
                                                           "aeios",
                                                           "aehinors",
                                                           "aceipt",
                                                           "acelmops",
                                                           "aeio"};

constexpr std::array<std::uint32_t, 26> makePairBits() {
  std::array<std::uint32_t, 26> rows{};
  for (std::size_t row = 0; row < rows.size(); ++row) {
    for (char second : kCommonPairs[row]) rows[row] |= 1U << (second - 'a');
  }
  return rows;
}

constexpr std::array<std::uint32_t, 26> kPairBits = makePairBits();

bool isCommonPair(char first, char second) {
  return ((kPairBits[static_cast<std::size_t>(lowerOf(first) - 'a')] >> (lowerOf(second) - 'a')) & 1U) != 0;
}

constexpr std::size_t kEntropyMax = 512;

// gain[n] = (n + 1) log2(n + 1) - n log2(n): what one more of a character adds.
struct Logs {
  std::array<double, kEntropyMax> gain{};
  Logs() {
    double before = 0.0;
    for (std::size_t n = 0; n < gain.size(); ++n) {
      const double next = static_cast<double>(n + 1) * std::log2(static_cast<double>(n + 1));
      gain[n] = next - before;
      before = next;
    }
  }
};
const Logs kLogs;

struct Shape {
  std::size_t digits = 0;
  std::size_t letters = 0;
  std::size_t uppers = 0;
  std::size_t others = 0;
  std::size_t changes = 0;  // neighbours of different class, but not a capital before small letters (a new word)
  std::size_t pairs = 0;
  std::size_t commonPairs = 0;
};

Shape shapeOf(std::string_view value) {
  Shape shape;
  char before = '\0';
  for (char c : value) {
    if (isOf(c, kDigit)) {
      ++shape.digits;
      if (isOf(before, kAlpha)) ++shape.changes;
    } else if (isOf(c, kAlpha)) {
      ++shape.letters;
      if (isOf(c, kUpper)) ++shape.uppers;
      if (isOf(before, kDigit) || (isOf(before, kLower) && isOf(c, kUpper))) ++shape.changes;
      if (isOf(before, kAlpha)) {
        ++shape.pairs;
        if (isCommonPair(before, c)) ++shape.commonPairs;
      }
    } else {
      ++shape.others;
    }
    before = c;
  }
  return shape;
}

std::size_t distinctOf(std::string_view value) {
  std::array<bool, 256> seen{};
  std::size_t distinct = 0;
  for (char c : value) {
    bool& mark = seen[static_cast<unsigned char>(c)];
    if (!mark) ++distinct;
    mark = true;
  }
  return distinct;
}

// Characters inside runs of three or more that count up (abc, 4567): keyboards and documentation, not generators.
std::size_t countingCharacters(std::string_view value) {
  std::size_t inside = 0;
  std::size_t run = 1;
  for (std::size_t i = 1; i <= value.size(); ++i) {
    const bool follows = i < value.size() && (value[i] == value[i - 1] + 1 || (value[i - 1] == '9' && value[i] == '0'));
    if (follows) {
      ++run;
      continue;
    }
    if (run >= 3) inside += run;
    run = 1;
  }
  return inside;
}

// A run of these shows that somebody painted over a value.
bool hasMaskRun(std::string_view value) {
  std::size_t run = 1;
  for (std::size_t i = 1; i < value.size(); ++i) {
    const bool same = lowerOf(value[i]) == lowerOf(value[i - 1]);
    const char c = lowerOf(value[i]);
    run = same && (c == 'x' || c == '*' || c == '#' || c == '.') ? run + 1 : 1;
    if (run >= (c == 'x' ? 5U : 3U)) return true;
  }
  return false;
}

// A provider's prefix before a body of hex digits.
bool endsInHexBody(std::string_view value) {
  std::size_t begin = value.size();
  bool digit = false;
  bool letter = false;
  while (begin > 0 && isOf(value[begin - 1], kDigit | kHexDigit) && !isOf(value[begin - 1], kUpper)) {
    --begin;
    digit = digit || isOf(value[begin], kDigit);
    letter = letter || isOf(value[begin], kAlpha);
  }
  return value.size() - begin >= 20 && digit && letter && entropyOf(value.substr(begin)) >= 2.8;
}

// Groups of mostly digits, as in tokens made of account and application numbers; not a date.
bool isNumbered(std::string_view value, const Shape& shape) {
  const bool date = value.size() >= 10 && value[4] == '-' && value[7] == '-' && isOf(value[0], kDigit);
  return !date && value.size() >= 24 && shape.digits >= 16 && shape.letters >= 4 && shape.digits * 10 >= value.size() * 6 &&
         entropyOf(value) >= 2.8;
}

constexpr std::array<std::string_view, 26> kStandInWords = {
    "example", "sample",    "placeholder", "changeme",    "change_me",  "change-me", "your_",         "your-",  "yourpass",
    "yourtok", "yoursec",   "yourapi",     "dummy",       "redacted",   "insert",    "replace",       "fixme",  "tokenhere",
    "keyhere", "undefined", "hidden",      "secret_here", "stringhere", "my-bot",    "password_here", "not_set"};

constexpr std::uint32_t makeStandInInitials() {
  std::uint32_t initials = 0;
  for (std::string_view word : kStandInWords) initials |= 1U << (word.front() - 'a');
  return initials;
}
constexpr std::uint32_t kStandInInitials = makeStandInInitials();

}  // namespace

const std::array<std::uint16_t, 256> kCharBits = makeCharBits();

bool startsWithFolded(std::string_view text, std::size_t at, std::string_view lowerLiteral) {
  if (at > text.size() || text.size() - at < lowerLiteral.size()) return false;
  for (std::size_t i = 0; i < lowerLiteral.size(); ++i) {
    if (lowerOf(text[at + i]) != lowerLiteral[i]) return false;
  }
  return true;
}

bool containsFolded(std::string_view text, std::string_view lowerLiteral) {
  if (lowerLiteral.size() > text.size()) return false;
  for (std::size_t at = 0; at + lowerLiteral.size() <= text.size(); ++at) {
    if (startsWithFolded(text, at, lowerLiteral)) return true;
  }
  return false;
}

std::size_t runEnd(std::string_view text, std::size_t at, unsigned bits, std::size_t cap) {
  const std::size_t limit = cap < text.size() - at ? at + cap : text.size();
  while (at < limit && isOf(text[at], bits)) ++at;
  return at;
}

bool isBoundaryBefore(std::string_view text, std::size_t at) {
  if (at == 0 || !isOf(text[at - 1], kAlnum)) return true;
  const char before = text[at - 1];
  if (at >= 2 && text[at - 2] == '\\' && (before == 'n' || before == 't' || before == 'r')) return true;
  return at >= 3 && text[at - 3] == '%' && isOf(text[at - 2], kHexDigit) && isOf(before, kHexDigit);
}

bool isUuid(std::string_view value) {
  if (value.size() != 36) return false;
  for (std::size_t i = 0; i < value.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? value[i] != '-' : !isOf(value[i], kHexDigit)) return false;
  }
  return true;
}

bool isHex(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return isOf(c, kHexDigit); });
}

bool isDigits(std::string_view value) {
  return !value.empty() && std::all_of(value.begin(), value.end(), [](char c) { return isOf(c, kDigit); });
}

double entropyOf(std::string_view value) {
  if (value.empty()) return 0.0;
  value = value.substr(0, kEntropyMax);
  std::array<std::uint16_t, 256> counts{};
  double sum = 0.0;  // of count * log2(count), kept as each character comes
  for (char c : value) {
    std::uint16_t& count = counts[static_cast<unsigned char>(c)];
    sum += kLogs.gain[count];
    ++count;
  }
  const double size = static_cast<double>(value.size());
  return std::log2(size) - sum / size;
}

bool isPlaceholder(std::string_view value) {
  if (value.empty()) return true;
  if (value.find("${") != std::string_view::npos || value.find("{{") != std::string_view::npos ||
      value.find("$(") != std::string_view::npos || value.find("...") != std::string_view::npos) {
    return true;
  }
  const char first = value.front();
  const char last = value.back();
  if ((first == '<' && last == '>') || (first == '[' && last == ']') || (first == '%' && last == '%' && value.size() > 2)) return true;
  if (first == '$' && value.size() > 1 && isOf(value[1], kWord)) {
    return std::all_of(value.begin() + 1, value.end(), [](char c) { return isOf(c, kWord | kDot | kDash); }) &&
           value.substr(1).find_first_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") == 0;
  }
  if (value.size() >= 8 && distinctOf(value) <= 3) return true;
  if (hasMaskRun(value)) return true;
  if (value.size() >= 10 && !isUuid(value) && 2 * countingCharacters(value) >= value.size()) return true;
  if (value.size() <= 48) {  // longer ones meet a short word by chance
    for (std::size_t at = 0; at < value.size(); ++at) {
      if (!isOf(value[at], kAlpha) || ((kStandInInitials >> (lowerOf(value[at]) - 'a')) & 1U) == 0) continue;
      for (std::string_view word : kStandInWords) {
        if (word.front() == lowerOf(value[at]) && startsWithFolded(value, at, word)) return true;
      }
    }
  }
  return false;
}

bool looksRandom(std::string_view value) {
  if (value.size() < 10) return false;
  const Shape shape = shapeOf(value);
  if (shape.letters + shape.digits < 10 || shape.others * 2 > value.size()) return false;
  if (endsInHexBody(value) || isNumbered(value, shape)) return true;
  double alphabet = 10.0;
  if (shape.letters > 0) alphabet = isHex(value) ? 16.0 : (shape.uppers > 0 && shape.uppers < shape.letters ? 62.0 : 36.0);
  const double reachable = std::min(std::log2(static_cast<double>(value.size())), std::log2(alphabet));
  if (entropyOf(value) < 0.72 * reachable) return false;
  const double size = static_cast<double>(shape.letters + shape.digits);
  const double changes = static_cast<double>(shape.changes) / size;
  const double common = shape.pairs == 0 ? 0.0 : static_cast<double>(shape.commonPairs) / static_cast<double>(shape.pairs);
  if (shape.letters == 0) return value.size() >= 15;
  if (shape.digits == 0) return value.size() >= 16 && shape.pairs >= 10 && common < (shape.uppers == 0 ? 0.68 : 0.75);
  // Names with a number at the end change class once or twice; generators do every few characters.
  if (changes >= 0.2) return shape.digits >= 2 || value.size() >= 20;
  return shape.pairs >= 6 && common < 0.65 && changes >= 0.06;
}

bool looksWordy(std::string_view value) {
  const Shape shape = shapeOf(value);
  if (shape.digits > 0) return shape.letters >= 8 && shape.changes <= 1 && shape.commonPairs * 10 >= shape.pairs * 9;
  return shape.pairs == 0 || shape.commonPairs * 10 >= shape.pairs * 7;
}

}  // namespace counterfoil::redact
