// The scanner's tables: published token formats, names that announce a credential, values everybody knows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace counterfoil::redact {

// A token format as its provider publishes it. `pattern` is literal text with runs `%c{min,max}` (or `{n}`, `{min,}`) of
//   %d digit   %h hex   %l a-z0-9   %u A-Z0-9   %a letter or digit   %w %a and _   %t %w and -   %q %t and =
//   %b %a and + /   %B base64 of both alphabets and =   %r %t and . ~
// A run takes all it can and nothing is tried twice, so a match costs no more than it covers. The pattern begins with at
// least three literal characters; the token must not be part of a longer run of letters, digits or its last alphabet.
struct FormatRule {
  std::string_view rule;
  std::string_view pattern;
};
std::span<const FormatRule> formatRules();

// How much a value must look like a secret when a name of this kind stands beside it.
enum class NameKind : std::uint8_t {
  kPassword,       // chosen by people: short and readable values count
  kSecret,         // secret, token, credential: random values, also plain hex digests and UUIDs
  kApiKey,         // as kSecret, but bare hex counts only in a query or an X- header: digests, revisions and public
                   // browser keys stand beside "apiKey" as often as secrets do
  kSignature,      // signatures that grant access for as long as they live (presigned URLs, SAS)
  kSession,        // session cookies
  kAuthorization,  // a scheme word and its value
};

struct NameRule {
  std::string_view word;  // lower case, found anywhere in a name
  NameKind kind;
};
std::span<const NameRule> nameRules();

// True if the rest of a name after its keyword says that the value is not the credential itself (tokenId, secret_length).
bool isDescribingSuffix(std::string_view suffix);
// True if what stands before the keyword says the same (csrfToken, publicToken, nextToken).
bool isHarmlessPrefix(std::string_view prefix);

// Values printed in manuals and public sample projects: AWS's documentation keys, the browser keys of Google's Firebase
// samples. Kept as hashes so that the sources themselves scan clean.
bool isPublishedExample(std::string_view value);

// A parsed FormatRule.
struct FormatElement {
  unsigned bits = 0;        // CharBit alphabet of a run; 0: a literal
  std::uint16_t extra = 0;  // index into the literal text, or flags of the alphabet
  std::uint32_t least = 0;  // characters of the run; of a literal: its length
  std::uint32_t most = 0;
};
struct Format {
  std::string_view rule;
  std::string_view pattern;
  std::string_view prefix;  // the leading literal
  std::vector<FormatElement> rest;
};
Format parseFormat(const FormatRule& rule);

// End of the token of this format that begins at `at`, 0 if there is none. `work` grows by the characters read.
std::size_t matchFormat(const Format& format, std::string_view text, std::size_t at, std::size_t& work);

}  // namespace counterfoil::redact
