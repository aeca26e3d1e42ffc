// The patterns of a policy and the forms of the values they are held against. Bytes are compared as they are: no case folding, no
// Unicode normalisation, no regular expressions (docs/policy.md).
#pragma once

#include <cstdint>
#include <cstring>
#include <string_view>

namespace counterfoil {

// The first eight bytes of a text as a number and the bits of it that count: tells most texts apart without a look at them.
struct PolicyTextHead {
  std::uint64_t bits = 0;
  std::uint64_t mask = 0;
};

inline PolicyTextHead headOf(std::string_view text) {
  PolicyTextHead head;
  if (text.empty()) return head;
  const std::size_t length = text.size() < sizeof head.bits ? text.size() : sizeof head.bits;
  std::memcpy(&head.bits, text.data(), length);
  std::memset(&head.mask, 0xff, length);
  return head;
}

// One pattern, compiled. Does not own its text.
struct PolicyPattern {
  std::string_view text;  // the literal part, without the `*`
  bool prefix = false;    // ended in `*`: stands for `text` followed by at least one more byte
  PolicyTextHead head;    // of `text`
};

enum class PolicyPatternProblem : std::uint8_t {
  none,
  empty,
  tooLong,        // longer than a `scanned` field
  control,        // holds a control character
  misplacedStar,  // `*` neither alone nor the last character after `:`, `/` or `-`
  notPlain,       // a resource pattern no resource in plain form can match
  notKindId,      // a grantee pattern that is not `kind:id` of a known kind
};

enum class PolicyField : std::uint8_t { grantee, host, scope, resource };

// Checks and compiles one pattern of a list of `field`. `*` alone compiles to {"", prefix}. On `none` only `out` is written; it points into
// `source`.
PolicyPatternProblem compilePattern(PolicyField field, std::string_view source, PolicyPattern& out);

// Why a requested value cannot be covered by any allow rule, because another system could read it as a different name.
enum class PolicyForm : std::uint8_t {
  plain,
  empty,
  control,       // C0, DEL or C1 control character
  dotSegment,    // a `.` or `..` path segment
  emptySegment,  // `//` (other than the one after a leading `scheme:`) or a `/` at the end
  backslash,
  percent,  // percent-encoding of any kind
};

// The form of a scope: only `empty` and `control` are possible, a scope is an opaque word and may be a URL.
PolicyForm formOfScope(std::string_view value);
// The form of a resource.
PolicyForm formOfResource(std::string_view value);
// "a `..` path segment" and so on, for explanations.
std::string_view describe(PolicyForm form);

// A requested value with what the rules need to know of it, made once a request. Does not own its text.
struct PolicyValue {
  std::string_view text;
  // Length of the part before the first `*`, `?` or `#`: what follows may widen the value, or be ignored, by whoever serves it.
  std::size_t literal = 0;
  PolicyTextHead head;            // of `text`
  std::uint64_t literalMask = 0;  // the bits of `head` that belong to the literal part
};

PolicyValue policyValue(std::string_view text);

// True if `text` begins with the pattern's text, given that the heads agree: a text within its head needs no second look.
inline bool restBeginsWith(std::string_view text, const PolicyPattern& pattern) {
  return text.size() >= pattern.text.size() && (pattern.text.size() <= sizeof pattern.head.bits || text.starts_with(pattern.text));
}

// True if `pattern` covers all that `value` can stand for. For allow rules.
inline bool covers(const PolicyPattern& pattern, const PolicyValue& value) {
  if (((pattern.head.bits ^ value.head.bits) & pattern.head.mask) != 0) return false;
  if (pattern.prefix ? value.text.size() <= pattern.text.size() : value.text.size() != pattern.text.size()) return false;
  return restBeginsWith(value.text, pattern);
}

// True if `value` can stand for something `pattern` names. For deny rules: never narrower than `covers`.
inline bool touches(const PolicyPattern& pattern, const PolicyValue& value) {
  if (((pattern.head.bits ^ value.head.bits) & pattern.head.mask & value.literalMask) != 0) return false;
  if (value.literal == value.text.size()) {
    return (pattern.prefix || value.text.size() == pattern.text.size()) && restBeginsWith(value.text, pattern);
  }
  const std::string_view literal = value.text.substr(0, value.literal);
  return pattern.text.starts_with(literal) || (pattern.prefix && literal.starts_with(pattern.text));
}

}  // namespace counterfoil
