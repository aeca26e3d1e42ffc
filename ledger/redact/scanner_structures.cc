#include "ledger/redact/scanner_structures.h"

#include <algorithm>
#include <array>

#include "ledger/redact/scanner_text.h"

namespace counterfoil::redact {

namespace {

constexpr std::size_t kAuthorityMax = 256;
constexpr std::size_t kPrivateKeyBodyMin = 40;

constexpr std::array<std::string_view, 25> kPasswordStandIns = {
    "pass",  "password", "passwd", "passwort", "pwd",  "secret", "token",       "yyy",    "xxx",     "user", "username", "test", "changeit",
    "value", "string",   "null",   "none",     "true", "false",  "credentials", "apikey", "api_key", "key",  "pw",       "nil"};

bool isPasswordStandIn(std::string_view value) {
  return std::any_of(kPasswordStandIns.begin(), kPasswordStandIns.end(),
                     [value](std::string_view word) { return word.size() == value.size() && startsWithFolded(value, 0, word); });
}

int base64Value(char c) {
  if (isOf(c, kUpper)) return c - 'A';
  if (isOf(c, kLower)) return c - 'a' + 26;
  if (isOf(c, kDigit)) return c - '0' + 52;
  if (c == '+' || c == '-') return 62;
  return c == '/' || c == '_' ? 63 : -1;
}

// A value that begins as a variable or a pattern of a template: what follows is no literal password.
bool beginsAsTemplate(std::string_view value) {
  return value.empty() || value.front() == '<' || value.front() == '[' || value.starts_with("${") || value.starts_with("$(") ||
         value.starts_with("{{") || value.starts_with("%s") || value.starts_with("***");
}

}  // namespace

bool isPlausiblePassword(std::string_view value) {
  return !beginsAsTemplate(value) && !isPasswordStandIn(value) && !isPlaceholder(value);
}

bool isBasicCredential(std::string_view value) {
  std::uint32_t group = 0;
  unsigned bits = 0;
  std::size_t decoded = 0;
  bool colon = false;
  for (char c : value.substr(0, 512)) {
    const int digit = base64Value(c);
    if (digit < 0) break;
    group = (group << 6) | static_cast<std::uint32_t>(digit);
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    const unsigned byte = (group >> bits) & 0xffU;
    if (byte < 0x20 || byte == 0x7f) return false;
    colon = colon || byte == ':';
    ++decoded;
  }
  return colon && decoded >= 4;
}

std::optional<ScanHit> matchJwt(std::string_view text, std::size_t at, std::size_t& work) {
  if (!isBoundaryBefore(text, at)) return std::nullopt;
  constexpr std::size_t kPartMax = 16 * 1024;
  std::size_t end = runEnd(text, at, kUrlBase64, kPartMax);
  work += end - at;
  if (end - at < 14 || end >= text.size() || text[end] != '.') return std::nullopt;
  std::size_t parts = 1;
  while (parts < 5 && end < text.size() && text[end] == '.') {
    const std::size_t start = end + 1;
    const std::size_t next = runEnd(text, start, kUrlBase64, kPartMax);
    work += next - start;
    if (parts == 1 && next - start < 8) return std::nullopt;
    if (next == start && parts >= 2) {  // an empty signature, or the end of a sentence
      end = parts == 2 ? start : end;
      break;
    }
    end = next;
    ++parts;
  }
  if (isPlaceholder(text.substr(at, std::min<std::size_t>(end - at, 256)))) return std::nullopt;
  return ScanHit{at, end, "jwt"};
}

std::optional<ScanHit> matchPrivateKey(std::string_view text, std::size_t at, std::size_t& work) {
  const std::string_view header = text.substr(at, 72);
  std::size_t keyword = header.find("PRIVATE KEY");
  work += header.size();
  if (keyword == std::string_view::npos) return std::nullopt;
  std::size_t body = at + keyword + 11;
  if (startsWithFolded(text, body, " block")) body += 6;
  while (body < text.size() && text[body] == '-') ++body;
  // Key lines, header lines ("Proc-Type: 4,ENCRYPTED") and escaped line ends; the next dashes end the block.
  std::size_t end = body;
  std::size_t material = 0;
  while (end < text.size()) {
    const char c = text[end];
    if (c == '-' && text.compare(end, 5, "-----") == 0) break;
    if (!isOf(c, kBase64Any | kSpace | kDot) && c != '\\' && c != ':' && c != ',' && c != '(' && c != ')') break;
    if (isOf(c, kAlnum | kPlusSlash)) ++material;
    ++end;
  }
  work += end - at;
  if (material < kPrivateKeyBodyMin || isPlaceholder(text.substr(body, std::min<std::size_t>(end - body, 200)))) return std::nullopt;
  if (text.compare(end, 8, "-----END") == 0) {
    const std::size_t close = text.find("-----", end + 8);
    end = close == std::string_view::npos || close - end > 80 ? end + 8 : close + 5;
  }
  return ScanHit{at, end, "private-key"};
}

std::optional<ScanHit> matchUserinfo(std::string_view text, std::size_t at, std::size_t& work) {
  const std::size_t start = at + 3;
  const std::size_t limit = std::min(text.size(), start + kAuthorityMax);
  std::size_t sign = std::string_view::npos;
  std::size_t colon = std::string_view::npos;
  std::size_t end = start;
  for (; end < limit; ++end) {
    const char c = text[end];
    if (isOf(c, kSpace) || c == '/' || c == '?' || c == '"' || c == '\'' || c == '`' || c == '\\' || c == '|') break;
    if (c == '<' || c == '>') break;
    if (c == '@') sign = end;
    if (c == ':' && colon == std::string_view::npos) colon = end;
  }
  // A password may hold a slash or a question mark; the first @ within reach then still ends it.
  work += end - start + 1;
  if (sign == std::string_view::npos) {
    if (colon == std::string_view::npos || end >= limit || (text[end] != '/' && text[end] != '?')) return std::nullopt;
    if (colon + 1 < end && isDigits(text.substr(colon + 1, end - colon - 1))) return std::nullopt;  // host:port/path
    std::size_t later = end;
    const std::size_t reach = std::min(limit, end + 64);
    while (later < reach && !isOf(text[later], kSpace) && text[later] != '"' && text[later] != '\'' && text[later] != '@') ++later;
    work += later - end;
    if (later >= reach || text[later] != '@' || text.substr(start, colon - start).find('.') != std::string_view::npos) return std::nullopt;
    sign = later;
  }
  if (sign == start) return std::nullopt;
  if (colon != std::string_view::npos && colon < sign) {
    const std::string_view password = text.substr(colon + 1, sign - colon - 1);
    if (password.size() < 3 || !isPlausiblePassword(password)) return std::nullopt;
    return ScanHit{colon + 1, sign, "url-userinfo"};
  }
  const std::string_view user = text.substr(start, sign - start);
  if (user.size() < 16 || isPlaceholder(user) || !(looksRandom(user) || (isHex(user) && user.size() >= 32))) return std::nullopt;
  return ScanHit{start, sign, "url-userinfo"};
}

std::optional<ScanHit> matchCommandUser(std::string_view text, std::size_t at, std::size_t& work) {
  std::size_t start = at;
  while (start < text.size() && start < at + 4 && (text[start] == ' ' || text[start] == '=')) ++start;
  if (start >= text.size()) return std::nullopt;
  const char quote = text[start] == '"' || text[start] == '\'' ? text[start] : '\0';
  if (quote != '\0') ++start;
  const std::size_t limit = std::min(text.size(), start + 256);
  std::size_t colon = std::string_view::npos;
  std::size_t end = start;
  for (; end < limit; ++end) {
    const char c = text[end];
    if (quote != '\0' ? c == quote : (isOf(c, kSpace) || c == '"' || c == '\'')) break;
    if (c == ':' && colon == std::string_view::npos) colon = end;
  }
  work += end - start + 1;
  // -u "user":"password"
  if (quote != '\0' && colon == std::string_view::npos && end + 2 < limit && text[end + 1] == ':' && text[end + 2] == quote) {
    colon = end + 2;
    end = std::min(text.find(quote, colon + 1), limit);
    work += end - colon;
  }
  if (colon == std::string_view::npos) return std::nullopt;
  const std::string_view user = text.substr(start, colon - start);
  const std::string_view password = text.substr(colon + 1, end - colon - 1);
  if (password.size() < 4 || password == user || beginsAsTemplate(user.empty() ? ":" : user) || !isPlausiblePassword(password))
    return std::nullopt;
  if (password.front() == '$' && password.size() <= 3) return std::nullopt;  // a shell's $2
  return ScanHit{colon + 1, end, "command-line-password"};
}

std::optional<ScanHit> matchTelegram(std::string_view text, std::size_t at, std::size_t& work) {
  std::size_t start = at;
  while (start > 0 && at - start < 11 && isOf(text[start - 1], kDigit)) --start;
  const std::size_t end = runEnd(text, at + 1, kUrlBase64, 40);
  work += end - start;
  const std::size_t digits = at - start;
  if (digits < 7 || digits > 10 || end - at - 1 < 34 || end - at - 1 > 36) return std::nullopt;
  if (start > 0 && isOf(text[start - 1], kAlnum) && !(text[start - 1] == 't' && start >= 3 && text.compare(start - 3, 3, "bot") == 0))
    return std::nullopt;
  return ScanHit{start, end, "telegram-token"};
}

std::optional<ScanHit> matchAzureSecret(std::string_view text, std::size_t at, std::size_t& work) {
  constexpr unsigned kAlphabet = kUrlBase64 | kDot | kTilde;
  if (at < 3) return std::nullopt;
  for (std::size_t i = at - 3; i < at; ++i) {
    if (!isOf(text[i], kAlphabet)) return std::nullopt;
  }
  if (at > 3 && isOf(text[at - 4], kAlphabet)) return std::nullopt;
  const std::size_t end = runEnd(text, at + 3, kAlphabet, 35);
  work += 40;
  const std::string_view tail = text.substr(at + 3, end - at - 3);
  if (tail.size() < 31 || tail.size() > 34 || isPlaceholder(tail)) return std::nullopt;
  return ScanHit{at - 3, end, "azure-client-secret"};
}

std::optional<ScanHit> matchMailchimp(std::string_view text, std::size_t at, std::size_t& work) {
  work += 34;
  if (at < 32 || !isHex(text.substr(at - 32, 32)) || !isBoundaryBefore(text, at - 32)) return std::nullopt;
  const std::size_t end = runEnd(text, at + 3, kDigit, 3);
  if (end - at - 3 > 2 || (end < text.size() && isOf(text[end], kUrlBase64))) return std::nullopt;
  return ScanHit{at - 32, end, "mailchimp-key"};
}

std::optional<ScanHit> matchTerraform(std::string_view text, std::size_t at, std::size_t& work) {
  const std::size_t end = runEnd(text, at + 9, kUrlBase64 | kEquals, 72);
  work += 90;
  if (at < 14 || runEnd(text, at - 14, kAlnum, 14) != at || !isBoundaryBefore(text, at - 14)) return std::nullopt;
  if (end - at - 9 < 60 || isPlaceholder(text.substr(at - 14, 14)) || isPlaceholder(text.substr(at + 9, end - at - 9))) return std::nullopt;
  return ScanHit{at - 14, end, "terraform-token"};
}

std::optional<ScanHit> matchFacebookApp(std::string_view text, std::size_t at, std::size_t& work) {
  const std::size_t limit = std::min(text.size(), at + 56);
  for (std::size_t i = at; i < limit; ++i) {
    if (!isOf(text[i], kDigit) || isOf(text[i - (i > 0 ? 1 : 0)], kAlpha)) continue;
    const std::size_t bar = runEnd(text, i, kDigit, 17);
    work += bar - i;
    if (bar - i >= 15 && bar < text.size() && text[bar] == '|') {
      const std::size_t end = runEnd(text, bar + 1, kUrlBase64, 29);
      work += 30;
      if (end - bar - 1 >= 26 && end - bar - 1 <= 28) return ScanHit{i, end, "facebook-token"};
    }
    i = bar;
  }
  work += limit - at;
  return std::nullopt;
}

std::optional<ScanHit> matchWebhook(std::string_view text, std::size_t at, std::size_t& work) {
  constexpr std::size_t kAddressMax = 256;
  const std::size_t end = runEnd(text, at, kBase64Any | kDot | kTilde, kAddressMax);
  work += end - at;
  std::size_t slash = text.substr(at, end - at).find('/');
  std::size_t first = 0;
  std::size_t last = 0;
  while (slash != std::string_view::npos) {
    const std::size_t begin = at + slash + 1;
    slash = text.substr(at, end - at).find('/', slash + 1);
    const std::size_t close = slash == std::string_view::npos ? end : at + slash;
    const std::string_view segment = text.substr(begin, close - begin);
    work += segment.size();
    if (segment.size() < 16 || isPlaceholder(segment) || isUuid(segment) || !looksRandom(segment)) continue;
    if (first == 0) first = begin;
    last = close;
  }
  if (first == 0) return std::nullopt;
  return ScanHit{first, last, "webhook-address"};
}

std::optional<ScanHit> matchAwsSecretAfterId(std::string_view text, std::size_t at, std::size_t& work) {
  const std::size_t limit = std::min(text.size(), at + 64);
  std::size_t i = at;
  while (i < limit) {
    const std::size_t end = runEnd(text, i, kAlnum | kPlusSlash, 41);
    work += end - i + 1;
    const std::string_view run = text.substr(i, end - i);
    if (run.size() == 40 && !isHex(run) && looksRandom(run) && !isPlaceholder(run)) {
      return ScanHit{i, end, "aws-secret-access-key"};
    }
    i = end + 1;
  }
  return std::nullopt;
}

}  // namespace counterfoil::redact
