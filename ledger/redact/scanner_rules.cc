#include "ledger/redact/scanner_rules.h"

#include <algorithm>
#include <array>
#include <limits>

#include "ledger/redact/scanner_text.h"

namespace counterfoil::redact {

namespace {

constexpr std::array kNameRules = {
    NameRule{"authorization", NameKind::kAuthorization},
    NameRule{"password", NameKind::kPassword},
    NameRule{"passwd", NameKind::kPassword},
    NameRule{"passphrase", NameKind::kPassword},
    NameRule{"passcode", NameKind::kPassword},
    NameRule{"pwd", NameKind::kPassword},
    NameRule{"_pass", NameKind::kPassword},
    NameRule{"_pw", NameKind::kPassword},
    NameRule{"secret", NameKind::kSecret},
    NameRule{"token", NameKind::kSecret},
    NameRule{"credential", NameKind::kSecret},
    NameRule{"accesskey", NameKind::kSecret},
    NameRule{"access_key", NameKind::kSecret},
    NameRule{"access-key", NameKind::kSecret},
    NameRule{"access key", NameKind::kSecret},
    NameRule{"accountkey", NameKind::kSecret},
    NameRule{"account_key", NameKind::kSecret},
    NameRule{"sharedkey", NameKind::kSecret},
    NameRule{"authkey", NameKind::kSecret},
    NameRule{"auth_key", NameKind::kSecret},
    NameRule{"auth-key", NameKind::kSecret},
    NameRule{"privatekey", NameKind::kSecret},
    NameRule{"private_key", NameKind::kSecret},
    NameRule{"private-key", NameKind::kSecret},
    NameRule{"private key", NameKind::kSecret},
    NameRule{"signingkey", NameKind::kSecret},
    NameRule{"signing_key", NameKind::kSecret},
    NameRule{"signing-key", NameKind::kSecret},
    NameRule{"encryptionkey", NameKind::kSecret},
    NameRule{"encryption_key", NameKind::kSecret},
    NameRule{"encryption-key", NameKind::kSecret},
    NameRule{"masterkey", NameKind::kSecret},
    NameRule{"master_key", NameKind::kSecret},
    NameRule{"licensekey", NameKind::kSecret},
    NameRule{"license_key", NameKind::kSecret},
    NameRule{"install_key", NameKind::kSecret},
    NameRule{"installkey", NameKind::kSecret},
    NameRule{"_auth", NameKind::kSecret},
    NameRule{"_jwt", NameKind::kSecret},
    NameRule{"apikey", NameKind::kApiKey},
    NameRule{"api_key", NameKind::kApiKey},
    NameRule{"api-key", NameKind::kApiKey},
    NameRule{"api key", NameKind::kApiKey},
    NameRule{"apitoken", NameKind::kSecret},
    NameRule{"signature", NameKind::kSignature},
    NameRule{"?sig=", NameKind::kSignature},
    NameRule{"&sig=", NameKind::kSignature},
    NameRule{"sessionid", NameKind::kSession},
    NameRule{"session_id", NameKind::kSession},
    NameRule{"session-id", NameKind::kSession},
    NameRule{"sessid", NameKind::kSession},
    NameRule{"_session", NameKind::kSession},
    NameRule{"connect.sid", NameKind::kSession},
};

// First or last words after a keyword that turn it into a description.
constexpr std::array<std::string_view, 78> kDescribingWords = {
    "id",      "ids",       "name",     "names",    "type",     "types",       "size",      "sizes",      "length",  "len",
    "url",     "urls",      "uri",      "uris",     "file",     "files",       "filename",  "path",       "paths",   "dir",
    "version", "versions",  "hash",     "hashes",   "digest",   "expiry",      "expires",   "expiration", "expired", "count",
    "limit",   "limits",    "policy",   "policies", "field",    "fields",      "label",     "labels",     "arn",     "arns",
    "status",  "state",     "format",   "provider", "class",    "manager",     "store",     "reader",     "writer",  "ttl",
    "age",     "lifetime",  "endpoint", "issuer",   "audience", "scope",       "scopes",    "ref",        "refs",    "reference",
    "prefix",  "suffix",    "index",    "number",   "usage",    "used",        "algorithm", "algo",       "method",  "required",
    "enabled", "generator", "factory",  "accessor", "checksum", "fingerprint", "min",       "max"};

constexpr std::array<std::string_view, 22> kHarmlessPrefixes = {
    "public", "csrf", "xsrf", "next",     "page",   "pagination", "continuation", "clientrequest", "idempotency", "cancellation", "sync",
    "pub",    "max",  "num",  "nextpage", "resume", "change",     "dummy",        "fake",          "mock",        "sample",       "non"};

// FNV-1a, 64 bits.
constexpr std::uint64_t ruleHashOf(std::string_view value) {
  std::uint64_t hash = 0xcbf29ce484222325ULL;
  for (char c : value) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
  return hash;
}

constexpr std::array<std::uint64_t, 17> kPublishedExamples = {ruleHashOf("AKIA"
                                                                         "IOSFODNN7EXAMPLE"),
                                                              ruleHashOf("wJalrXUtnFEMI/K7MDENG/"
                                                                         "bPxRfiCYEXAMPLEKEY"),
                                                              0x6acbd824bd32bbd4ULL,
                                                              0x29a336c7244f48ddULL,
                                                              0x816cd10fdb11ead0ULL,
                                                              0x828818f833257868ULL,
                                                              0x12113c2e6979f447ULL,
                                                              0x294c63f8344d5df1ULL,
                                                              0x6835e0f288832a40ULL,
                                                              0xe7666dbb286c6c2eULL,
                                                              0xdb9422f1dd332dccULL,
                                                              0x515cb771a4238032ULL,
                                                              0xadbd04e3fe1b6d49ULL,
                                                              0xe754678ea2b14ef1ULL,
                                                              0xc73f1e61952e6987ULL,
                                                              0x08b545962adc7d8bULL,
                                                              0x99b2726346a1e92aULL};

// Splits at _ - . and before capitals; calls `visit(word)` with the word in lower case, at most 24 characters of it.
template <class Visit>
void forEachWord(std::string_view name, Visit&& visit) {
  std::array<char, 24> word{};
  std::size_t size = 0;
  auto flush = [&] {
    if (size > 0) visit(std::string_view(word.data(), size));
    size = 0;
  };
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    if (!isOf(c, kAlnum)) {
      flush();
      continue;
    }
    if (isOf(c, kUpper) && i > 0 && !isOf(name[i - 1], kUpper)) flush();
    if (size < word.size()) word[size++] = lowerOf(c);
  }
  flush();
}

struct Alphabet {
  char letter;
  unsigned bits;
};
// Hex, lower and upper alphabets are single bits of CharBit or unions of them.
constexpr std::array kAlphabets = {Alphabet{'d', kDigit},
                                   Alphabet{'h', kHexDigit},
                                   Alphabet{'l', kLower | kDigit},
                                   Alphabet{'u', kUpper | kDigit},
                                   Alphabet{'a', kAlnum},
                                   Alphabet{'w', kWord},
                                   Alphabet{'t', kUrlBase64},
                                   Alphabet{'q', kUrlBase64 | kEquals},
                                   Alphabet{'b', kAlnum | kPlusSlash},
                                   Alphabet{'B', kBase64Any},
                                   Alphabet{'r', kUrlBase64 | kDot | kTilde}};

std::uint32_t parseNumber(std::string_view pattern, std::size_t& at) {
  std::uint32_t number = 0;
  while (at < pattern.size() && isOf(pattern[at], kDigit)) number = number * 10 + static_cast<std::uint32_t>(pattern[at++] - '0');
  return number;
}

}  // namespace

std::span<const NameRule> nameRules() {
  return kNameRules;
}

bool isDescribingSuffix(std::string_view suffix) {
  if (!suffix.empty() && (suffix.front() == 's' || suffix.front() == 'S')) {
    const bool plural = suffix.size() == 1 || !isOf(suffix[1], kLower);
    if (plural) suffix.remove_prefix(1);
  }
  bool first = true;
  bool firstDescribes = false;
  bool lastDescribes = false;
  forEachWord(suffix, [&](std::string_view word) {
    lastDescribes = std::find(kDescribingWords.begin(), kDescribingWords.end(), word) != kDescribingWords.end();
    if (first) firstDescribes = lastDescribes;
    first = false;
  });
  // "secretsmanager", "tokenizer", "credentialed": the keyword is only the beginning of another word.
  const bool otherWord = !suffix.empty() && isOf(suffix.front(), kLower) &&
                         (startsWithFolded(suffix, 0, "manager") || startsWithFolded(suffix, 0, "iz") ||
                          startsWithFolded(suffix, 0, "ary") || startsWithFolded(suffix, 0, "ed") || startsWithFolded(suffix, 0, "less"));
  return firstDescribes || lastDescribes || otherWord;
}

bool isHarmlessPrefix(std::string_view prefix) {
  std::array<char, 48> joined{};
  std::size_t size = 0;
  bool harmless = false;
  forEachWord(prefix, [&](std::string_view word) {
    harmless = harmless || std::find(kHarmlessPrefixes.begin(), kHarmlessPrefixes.end(), word) != kHarmlessPrefixes.end();
    if (size + word.size() <= joined.size())
      size = static_cast<std::size_t>(std::copy(word.begin(), word.end(), joined.begin() + static_cast<std::ptrdiff_t>(size)) -
                                      joined.begin());
  });
  const std::string_view whole(joined.data(), size);
  return harmless || whole.ends_with("clientrequest") || whole.ends_with("nextpage");
}

bool isPublishedExample(std::string_view value) {
  const std::uint64_t hash = ruleHashOf(value);
  return std::find(kPublishedExamples.begin(), kPublishedExamples.end(), hash) != kPublishedExamples.end();
}

Format parseFormat(const FormatRule& rule) {
  Format format{rule.rule, rule.pattern, {}, {}};
  const std::string_view pattern = rule.pattern;
  std::size_t at = std::min(pattern.find('%'), pattern.size());
  format.prefix = pattern.substr(0, at);
  while (at < pattern.size()) {
    FormatElement element;
    if (pattern[at] != '%') {
      const std::size_t end = std::min(pattern.find('%', at), pattern.size());
      element.extra = static_cast<std::uint16_t>(at);
      element.least = element.most = static_cast<std::uint32_t>(end - at);
      at = end;
    } else {
      const char letter = pattern[at + 1];
      for (const Alphabet& alphabet : kAlphabets) {
        if (alphabet.letter == letter) element.bits = alphabet.bits;
      }
      at += 3;  // %c{
      element.least = element.most = parseNumber(pattern, at);
      if (pattern[at] == ',') {
        ++at;
        element.most = pattern[at] == '}' ? std::numeric_limits<std::uint32_t>::max() : parseNumber(pattern, at);
      }
      ++at;  // }
    }
    format.rest.push_back(element);
  }
  return format;
}

std::size_t matchFormat(const Format& format, std::string_view text, std::size_t at, std::size_t& work) {
  if (text.compare(at, format.prefix.size(), format.prefix) != 0) return 0;
  std::size_t end = at + format.prefix.size();
  unsigned lastBits = 0;
  for (const FormatElement& element : format.rest) {
    if (element.bits == 0) {
      if (text.compare(end, element.least, format.pattern.substr(element.extra, element.least)) != 0) return 0;
      end += element.least;
      lastBits = 0;
      continue;
    }
    const std::size_t start = end;
    end = runEnd(text, end, element.bits, element.most);
    work += end - start + 1;
    if (end - start < element.least) return 0;
    lastBits = element.bits;
  }
  const bool goesOn = end < text.size() && isOf(text[end], (lastBits & ~static_cast<unsigned>(kEquals)) | kAlnum);
  return goesOn ? 0 : end;
}

}  // namespace counterfoil::redact
