#include "ledger/core/policy_pattern.h"

#include <algorithm>
#include <array>

#include "ledger/core/limits.h"

namespace counterfoil {
namespace {

// The kinds of a principal, as in JSON.
constexpr std::array<std::string_view, 5> kGranteeKinds = {"human", "agent", "service", "operator", "ledger"};

// What a byte means in a requested value or a pattern. One look at each byte decides which of the slower rules apply at all.
enum ByteClass : std::uint8_t { kControl = 1, kC1Lead = 2, kWildcard = 4, kBackslash = 8, kPercent = 16, kDot = 32, kSlash = 64 };

constexpr std::array<std::uint8_t, 256> kByteClasses = [] {
  std::array<std::uint8_t, 256> out{};
  for (std::size_t byte = 0; byte < 0x20; ++byte) out[byte] = kControl;
  out[0x7f] = kControl;
  out[0xc2] = kC1Lead;  // U+0080..U+00BF in UTF-8
  for (const char c : {'*', '?', '#'}) out[static_cast<std::size_t>(c)] = kWildcard;
  out['\\'] = kBackslash;
  out['%'] = kPercent;
  out['.'] = kDot;
  out['/'] = kSlash;
  return out;
}();

std::uint8_t classesOf(std::string_view text) {
  std::uint8_t classes = 0;
  for (const char c : text) classes = static_cast<std::uint8_t>(classes | kByteClasses[static_cast<unsigned char>(c)]);
  return classes;
}

bool hasControl(std::string_view text, std::uint8_t classes) {
  if ((classes & kControl) != 0) return true;
  if ((classes & kC1Lead) == 0) return false;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    if (static_cast<unsigned char>(text[i]) == 0xc2 && static_cast<unsigned char>(text[i + 1]) < 0xa0) return true;
  }
  return false;
}

bool isAlpha(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

// Length of a leading `scheme://` (RFC 3986 3.1), 0 if there is none.
std::size_t schemeLength(std::string_view value) {
  const std::size_t colon = value.find("://");
  if (colon == std::string_view::npos || colon == 0 || !isAlpha(value[0])) return 0;
  const bool scheme = std::all_of(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(colon),
                                  [](char c) { return isAlpha(c) || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.'; });
  return scheme ? colon + 3 : 0;
}

// The path rules alone. `open` is the literal part of a pattern that ends in `*`: its last segment is not complete, so it may be empty.
PolicyForm formOfPath(std::string_view value, std::uint8_t classes, bool open) {
  if ((classes & kBackslash) != 0) return PolicyForm::backslash;
  if ((classes & kPercent) != 0) return PolicyForm::percent;
  if ((classes & (kDot | kSlash)) == 0) return PolicyForm::plain;
  std::string_view rest = value.substr(schemeLength(value));
  if (rest.empty()) return open ? PolicyForm::plain : PolicyForm::emptySegment;
  if (rest.size() == value.size() && rest.front() == '/') rest.remove_prefix(1);  // an absolute path
  for (;;) {
    const std::size_t slash = rest.find('/');
    const std::string_view segment = rest.substr(0, slash);
    const bool last = slash == std::string_view::npos;
    if (segment.empty()) return last && open ? PolicyForm::plain : PolicyForm::emptySegment;
    if (segment == "." || segment == "..") return PolicyForm::dotSegment;
    if (last) return PolicyForm::plain;
    rest.remove_prefix(slash + 1);
  }
}

bool isKindId(std::string_view source) {
  const std::size_t colon = source.find(':');
  if (colon == std::string_view::npos || colon + 1 == source.size()) return false;
  return std::find(kGranteeKinds.begin(), kGranteeKinds.end(), source.substr(0, colon)) != kGranteeKinds.end();
}

}  // namespace

PolicyPatternProblem compilePattern(PolicyField field, std::string_view source, PolicyPattern& out) {
  if (source.empty()) return PolicyPatternProblem::empty;
  if (source.size() > limits::kScannedBytesMax) return PolicyPatternProblem::tooLong;
  const std::uint8_t classes = classesOf(source);
  if (hasControl(source, classes)) return PolicyPatternProblem::control;
  const std::size_t star = source.find('*');
  const bool prefix = star != std::string_view::npos;
  if (prefix) {
    if (star + 1 != source.size()) return PolicyPatternProblem::misplacedStar;
    if (star > 0 && std::string_view(":/-").find(source[star - 1]) == std::string_view::npos) return PolicyPatternProblem::misplacedStar;
  }
  const std::string_view text = source.substr(0, star);
  if (!text.empty()) {
    if (field == PolicyField::grantee && !isKindId(source)) return PolicyPatternProblem::notKindId;
    if (field == PolicyField::resource && formOfPath(text, classes, prefix) != PolicyForm::plain) return PolicyPatternProblem::notPlain;
  }
  out = {text, prefix, headOf(text)};
  return PolicyPatternProblem::none;
}

PolicyForm formOfScope(std::string_view value) {
  if (value.empty()) return PolicyForm::empty;
  return hasControl(value, classesOf(value)) ? PolicyForm::control : PolicyForm::plain;
}

PolicyForm formOfResource(std::string_view value) {
  if (value.empty()) return PolicyForm::empty;
  const std::uint8_t classes = classesOf(value);
  return hasControl(value, classes) ? PolicyForm::control : formOfPath(value, classes, false);
}

std::string_view describe(PolicyForm form) {
  switch (form) {
    case PolicyForm::plain:
      return "plain";
    case PolicyForm::empty:
      return "empty";
    case PolicyForm::control:
      return "a control character";
    case PolicyForm::dotSegment:
      return "a `.` or `..` path segment";
    case PolicyForm::emptySegment:
      return "an empty path segment";
    case PolicyForm::backslash:
      return "a backslash";
    case PolicyForm::percent:
      return "percent-encoding";
  }
  return "";
}

PolicyValue policyValue(std::string_view text) {
  PolicyValue value{text, text.size(), headOf(text), ~std::uint64_t{0}};
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((kByteClasses[static_cast<unsigned char>(text[i])] & kWildcard) == 0) continue;
    value.literal = i;
    value.literalMask = headOf(text.substr(0, i)).mask;
    break;
  }
  return value;
}

}  // namespace counterfoil
