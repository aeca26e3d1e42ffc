#include "ledger/redact/contact_rules.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "ledger/redact/scanner_text.h"

namespace counterfoil::redact {

namespace {

constexpr std::size_t kLocalMax = 64;
constexpr std::size_t kDomainMax = 253;

// Letters of other scripts count as letters: addresses may be internationalised.
bool isWordByte(char c) {
  return isOf(c, kAlnum) || static_cast<unsigned char>(c) >= 0x80;
}
bool isLocalByte(char c) {
  return isWordByte(c) || (c != '\0' && std::strchr("._%+-'", c) != nullptr);
}

constexpr std::array<std::string_view, 8> kImageEndings = {"png", "jpg", "jpeg", "gif", "svg", "webp", "bmp", "ico"};

bool isImageRatio(std::string_view domain) {
  if (domain.size() < 4 || !isOf(domain[0], kDigit) || lowerOf(domain[1]) != 'x') return false;
  const std::string_view ending = domain.substr(domain.rfind('.') + 1);
  return std::any_of(kImageEndings.begin(), kImageEndings.end(),
                     [ending](std::string_view known) { return known.size() == ending.size() && startsWithFolded(ending, 0, known); });
}

// End of a dotted domain that begins at `start`, or `start` if there is none.
std::size_t domainEnd(std::string_view text, std::size_t start, std::size_t& work) {
  const std::size_t limit = std::min(text.size(), start + kDomainMax);
  std::size_t end = start;
  while (end < limit && (isWordByte(text[end]) || ((text[end] == '.' || text[end] == '-') && end > start && isWordByte(text[end - 1])) ||
                         (text[end] == '-' && end > start && text[end - 1] == '-'))) {
    ++end;
  }
  work += end - start;
  while (end > start && !isWordByte(text[end - 1])) --end;
  const std::string_view domain = text.substr(start, end - start);
  const std::size_t dot = domain.rfind('.');
  if (dot == std::string_view::npos || dot == 0) return start;
  const std::string_view top = domain.substr(dot + 1);
  const bool punycode = top.starts_with("xn--");
  if (top.size() < 2 || top.size() > 24 || isImageRatio(domain)) return start;
  const bool letters = std::all_of(top.begin(), top.end(), [](char c) { return isWordByte(c) && !isOf(c, kDigit); });
  return letters || punycode ? end : start;
}

}  // namespace

std::optional<ScanHit> matchEmail(std::string_view text, std::size_t floor, std::size_t at, std::size_t& work) {
  std::size_t begin = at;
  while (begin > floor && at - begin < kLocalMax && isLocalByte(text[begin - 1])) --begin;
  work += at - begin + 1;
  // A percent-encoded character before the address (mailto%3Aa@b.example) is no part of it.
  const std::size_t escape = text.substr(begin, at - begin).rfind('%');
  if (escape != std::string_view::npos && at - begin - escape > 3 && isOf(text[begin + escape + 1], kHexDigit) &&
      isOf(text[begin + escape + 2], kHexDigit))
    begin += escape + 3;
  while (begin < at && !isWordByte(text[begin])) ++begin;
  if (begin == at || !isLocalByte(text[at - 1]) || text[at - 1] == '.') return std::nullopt;
  const std::size_t end = domainEnd(text, at + 1, work);
  if (end == at + 1) return std::nullopt;
  const std::string_view local = text.substr(begin, at - begin);
  const bool remote = end < text.size() && (text[end] == ':' || text[end] == '/');
  if (local == "git" || (remote && begin >= 3 && text.compare(begin - 3, 3, "://") == 0 && local == "git")) return std::nullopt;
  return ScanHit{begin, end, "email"};
}

std::optional<ScanHit> matchInternationalNumber(std::string_view text, std::size_t at, std::size_t& work) {
  if (at > 0 && (isOf(text[at - 1], kAlnum | kPlusSlash | kUnderscore) || text[at - 1] == '.')) return std::nullopt;
  if (at + 1 >= text.size() || !isOf(text[at + 1], kDigit) || text[at + 1] == '0') return std::nullopt;
  std::size_t digits = 0;
  std::size_t end = at + 1;  // after the last digit
  std::size_t separators = 0;
  for (std::size_t i = at + 1; i < text.size() && digits <= 15; ++i) {
    const char c = text[i];
    ++work;
    if (isOf(c, kDigit)) {
      ++digits;
      separators = 0;
      end = i + 1;
    } else if ((c == ' ' || c == '-' || c == '.' || c == '(' || c == ')' || c == '/') && separators < 2) {
      ++separators;
    } else {
      break;
    }
  }
  if (digits < 8 || digits > 15 ||
      (end < text.size() && (text[end] == '@' || isOf(text[end], kAlpha | kUnderscore | kEquals | kPlusSlash))))
    return std::nullopt;
  return ScanHit{at, end, "telephone"};
}

std::optional<ScanHit> matchNationalNumber(std::string_view text, std::size_t floor, std::size_t at, std::size_t& work) {
  work += 14;
  auto digit = [text](std::size_t i) { return i < text.size() && isOf(text[i], kDigit); };
  if (at < floor + 7 || !digit(at + 1) || !digit(at + 2) || !digit(at + 3) || !digit(at + 4) || digit(at + 5)) return std::nullopt;
  if (!digit(at - 1) || !digit(at - 2) || !digit(at - 3) || text[at - 3] < '2') return std::nullopt;
  std::size_t area = at - 4;  // the separator after the area code
  std::size_t begin = 0;
  if (text[area] == '-' || text[area] == '.') {
    begin = area - 3;
  } else if (text[area] == ' ' || text[area] == ')') {
    if (text[area] == ' ') --area;
    if (text[area] != ')' || area < floor + 4 || text[area - 4] != '(') return std::nullopt;
    begin = area - 4;
  } else {
    return std::nullopt;
  }
  if (begin < floor) return std::nullopt;
  const std::size_t code = text[begin] == '(' ? begin + 1 : begin;
  if (!digit(code) || !digit(code + 1) || !digit(code + 2) || text[code] < '2') return std::nullopt;
  const std::size_t end = at + 5;
  if (begin > 0 && isOf(text[begin - 1], kUrlBase64 | kDot | kPlusSlash)) return std::nullopt;
  if (end < text.size() && (text[end] == '@' || isOf(text[end], kUrlBase64 | kPlusSlash) || (text[end] == '.' && digit(end + 1))))
    return std::nullopt;
  return ScanHit{begin, end, "telephone"};
}

namespace {

std::size_t nextContactSign(std::string_view text, std::size_t at, std::size_t end) {
#if defined(__SSE2__)
  // A sign is worth a look: @, +, or a dash between digits. Sixteen places at a time, the neighbours by unaligned loads.
  const __m128i email = _mm_set1_epi8('@');
  const __m128i plus = _mm_set1_epi8('+');
  const __m128i dash = _mm_set1_epi8('-');
  const __m128i toBottom = _mm_set1_epi8(static_cast<char>(-128 - '0'));
  const __m128i aboveNine = _mm_set1_epi8(static_cast<char>(-128 + 10));
  auto digits = [&](std::size_t from) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + from));
    return _mm_cmplt_epi8(_mm_add_epi8(bytes, toBottom), aboveNine);
  };
  if (at == 0 && end > 0) {  // the first byte has no neighbour to load
    if (text[0] == '@' || text[0] == '+') return 0;
    at = 1;
  }
  while (at + 17 <= end) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(text.data() + at));
    const __m128i number = _mm_and_si128(_mm_cmpeq_epi8(bytes, dash), _mm_and_si128(digits(at - 1), digits(at + 1)));
    const __m128i any = _mm_or_si128(number, _mm_or_si128(_mm_cmpeq_epi8(bytes, email), _mm_cmpeq_epi8(bytes, plus)));
    const unsigned mask = static_cast<unsigned>(_mm_movemask_epi8(any));
    if (mask != 0) return at + static_cast<std::size_t>(std::countr_zero(mask));
    at += 16;
  }
#endif
  while (at < end) {
    const char c = text[at];
    if (c == '@' || c == '+' || (c == '-' && at > 0 && isOf(text[at - 1], kDigit))) break;
    ++at;
  }
  return at;
}

}  // namespace

void findContacts(std::string_view text, std::size_t begin, std::size_t end, std::vector<ScanHit>& hits, std::size_t& work) {
  std::size_t floor = begin;
  std::size_t at = begin;
  while ((at < end) && (at = nextContactSign(text, at, end)) < end) {
    ++work;
    std::optional<ScanHit> hit;
    if (text[at] == '@') {
      hit = matchEmail(text, floor, at, work);
    } else if (text[at] == '+') {
      hit = matchInternationalNumber(text, at, work);
    } else {
      hit = matchNationalNumber(text, floor, at, work);
    }
    ++at;
    if (!hit || hit->end > end) continue;
    hits.push_back(*hit);
    at = floor = hit->end;
  }
}

}  // namespace counterfoil::redact
