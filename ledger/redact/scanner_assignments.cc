#include "ledger/redact/scanner_assignments.h"

#include <algorithm>
#include <array>

#include "ledger/redact/scanner_structures.h"
#include "ledger/redact/scanner_text.h"

namespace counterfoil::redact {

namespace {

constexpr std::size_t kNameMax = 64;     // characters of a name before and after the keyword
constexpr std::size_t kGapMax = 48;      // white space between operator and value: XML indents
constexpr std::size_t kJudgedMax = 96;   // characters of a value that decide
constexpr std::size_t kQuotedMax = 512;  // where a closing quote is looked for

struct Name {
  std::size_t begin = 0;
  std::size_t end = 0;
};

struct Value {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool quoted = false;
};

bool isQuote(char c) {
  return c == '"' || c == '\'' || c == '`';
}

Name nameAround(std::string_view text, std::size_t at, std::size_t keywordEnd, std::size_t& work) {
  Name name{at, runEnd(text, keywordEnd, kName, kNameMax)};
  while (name.begin > 0 && at - name.begin < kNameMax && isOf(text[name.begin - 1], kName)) --name.begin;
  work += name.end - name.begin;
  return name;
}

// Inside arn:...:secret:name the colon separates parts of a name.
bool isInsideArn(std::string_view text, std::size_t nameBegin) {
  const std::size_t start = nameBegin > 96 ? nameBegin - 96 : 0;
  const std::size_t arn = text.substr(start, nameBegin - start).rfind("arn:");
  if (arn == std::string_view::npos) return false;
  const std::string_view between = text.substr(start + arn, nameBegin - start - arn);
  return between.find_first_of(" \t\r\n\"'<>,;=") == std::string_view::npos;
}

std::size_t skipSpace(std::string_view text, std::size_t at, std::size_t cap, bool lines) {
  const std::size_t limit = std::min(text.size(), at + cap);
  while (at < limit && (text[at] == ' ' || text[at] == '\t' || (lines && isOf(text[at], kSpace)))) ++at;
  return at;
}

// Skips closing quotes (also escaped ones) and brackets after a name.
std::size_t skipClosers(std::string_view text, std::size_t at, bool& quote) {
  for (int i = 0; i < 3 && at < text.size(); ++i) {
    if (text[at] == '\\' && at + 1 < text.size() && isQuote(text[at + 1])) {
      at += 2;
      quote = true;
    } else if (isQuote(text[at]) || text[at] == ']') {
      quote = quote || isQuote(text[at]);
      ++at;
    } else if (text.compare(at, 3, "%22") == 0) {
      at += 3;
      quote = true;
    } else {
      break;
    }
  }
  return at;
}

enum class Operator { kNone, kAssign, kComma, kMarkup, kSpace };

// Reads = : := ::= :::= ?= += .= => -> || = %3D %3A > and the comma of an argument list.
Operator readOperator(std::string_view text, std::size_t& at, bool afterQuote) {
  const std::size_t limit = std::min(text.size(), at + 5);
  std::size_t i = at;
  bool assigns = false;
  while (i < limit) {
    const char c = text[i];
    if (c == '=' || c == ':') {
      assigns = true;
    } else if (c == '>' && i > at && (text[i - 1] == '=' || text[i - 1] == '-')) {
      assigns = true;
    } else if (c != '?' && c != '+' && c != '.' && c != '|' && c != '-' && c != '~') {
      break;
    }
    ++i;
  }
  if (assigns) {
    at = i;
    return Operator::kAssign;
  }
  if (startsWithFolded(text, at, "%3d") || startsWithFolded(text, at, "%3a")) {
    at += 3;
    return Operator::kAssign;
  }
  if (at < text.size() && text[at] == '>') {
    ++at;
    return Operator::kMarkup;
  }
  if (afterQuote && at < text.size() && text[at] == ',') {
    ++at;
    return Operator::kComma;
  }
  return Operator::kNone;
}

// The word "value" as the key beside a name: name: TOKEN, value: "..." in its spellings. Moves past its operator.
bool readValueKey(std::string_view text, std::size_t& at) {
  std::size_t i = skipSpace(text, at, kGapMax, true);
  if (i < text.size() && text[i] == ',') i = skipSpace(text, i + 1, kGapMax, true);
  bool quote = false;
  i = skipClosers(text, i, quote);
  if (!startsWithFolded(text, i, "value")) return false;
  i = skipClosers(text, i + 5, quote);
  i = skipSpace(text, i, 4, false);
  if (i >= text.size() || (text[i] != '=' && text[i] != ':')) return false;
  at = i + 1;
  return true;
}

Value readValue(std::string_view text, std::size_t at, bool password, std::size_t& work) {
  Value value;
  char quote = '\0';
  for (int i = 0; i < 2 && at < text.size(); ++i) {
    if (text[at] == '\\' && at + 1 < text.size() && isQuote(text[at + 1])) {
      quote = text[at + 1];
      at += 2;
    } else if (isQuote(text[at])) {
      quote = text[at];
      ++at;
    } else if (text.compare(at, 3, "%22") == 0) {
      at += 3;
    } else if (i == 0 && (text[at] == '[' || text[at] == '(') && at + 1 < text.size() && isQuote(text[at + 1])) {
      ++at;
    } else {
      break;
    }
  }
  value.begin = value.end = at;
  if (quote != '\0') {
    const std::size_t limit = std::min(text.size(), at + kQuotedMax);
    std::size_t end = at;
    while (end < limit && text[end] != quote && text[end] != '\n' &&
           !(text[end] == '\\' && end + 1 < limit && (isQuote(text[end + 1]) || text[end + 1] == 'n')))
      ++end;
    work += end - at + 1;
    if (end < limit) {
      value.end = end;
      value.quoted = true;
      return value;
    }
  }
  const std::string_view stops = password ? " \t\r\n\"'`;&<>\\," : " \t\r\n\"'`;&<>\\,()[]{}|";
  std::size_t end = at;
  const std::size_t limit = std::min(text.size(), at + kJudgedMax);
  while (end < limit && stops.find(text[end]) == std::string_view::npos) {
    if (text[end] == '%' &&
        (startsWithFolded(text, end, "%26") || startsWithFolded(text, end, "%22") || startsWithFolded(text, end, "%20")))
      break;
    ++end;
  }
  work += end - at + 1;
  value.end = end;
  return value;
}

// The judged part of a long unquoted value may have stopped at the cap: the hit takes the rest of the run.
void extendRun(std::string_view text, Value& value, std::size_t& work) {
  if (value.quoted || value.end - value.begin < kJudgedMax) return;
  const std::size_t end = runEnd(text, value.end, kBase64Any | kDot | kTilde, text.size());
  work += end - value.end;
  value.end = end;
}

bool judgePassword(std::string_view value, bool quoted) {
  if (value.size() < 6 || value.size() > 200 || !isPlausiblePassword(value)) return false;
  if (isUuid(value)) return true;
  std::size_t digits = 0;
  std::size_t symbols = 0;
  std::size_t spaces = 0;
  std::size_t letters = 0;
  for (char c : value) {
    if (isOf(c, kDigit))
      ++digits;
    else if (isOf(c, kAlpha))
      ++letters;
    else if (c == ' ')
      ++spaces;
    else if (!isOf(c, kUnderscore | kDash | kDot) && c != '/' && c != ':')
      ++symbols;
  }
  if (spaces > 0) return quoted && digits + symbols > 0 && spaces <= 6;
  if (value.find_first_of("(){}") != std::string_view::npos && !quoted) return false;  // a call: getPassword(x)
  if (symbols > 0) return letters + digits >= 4;
  if (digits > 0) return letters > 0 || value.size() >= 8;
  return letters >= 8 &&
         (!looksWordy(value) || (quoted && value.find_first_of("_-./") == std::string_view::npos && !containsFolded(value, "password") &&
                                 !containsFolded(value, "secret") && isOf(value.front(), kLower) &&
                                 std::any_of(value.begin(), value.end(), [](char c) { return isOf(c, kUpper); })));
}

// Names made of short words and numbers ("sm_prod_eu1", "db-main-2") have no segment that a generator would write.
bool hasRandomSegment(std::string_view value) {
  if (value.size() >= 24) return true;
  std::size_t longest = 0;
  std::size_t run = 0;
  for (char c : value) {
    run = isOf(c, kAlnum) ? run + 1 : 0;
    longest = std::max(longest, run);
  }
  return longest >= 12;
}

bool judgeSecret(std::string_view value, NameKind kind, bool hexCounts) {
  if (value.size() < 10 || isPlaceholder(value)) return false;
  if (isUuid(value)) return true;
  if (value.find(' ') != std::string_view::npos) return false;
  if (isDigits(value)) return kind != NameKind::kApiKey && value.size() >= 15 && value.size() <= 64;
  if (isHex(value) && value.size() >= 12) return hexCounts && value.size() >= 16;
  return looksRandom(value) && hasRandomSegment(value);
}

// A value that is itself a path, a host with a port, a version or a call is no random secret.
bool isReference(std::string_view value) {
  if (value.find("://") != std::string_view::npos || value.starts_with("arn:") || value.front() == '/' || value.starts_with("./"))
    return true;
  const std::size_t call = value.find('(');
  return call != std::string_view::npos && call > 0 && value.back() == ')';
}

std::optional<ScanHit> judge(std::string_view text, Value value, NameKind kind, bool hexCounts, std::size_t& work) {
  if (text.compare(value.end, 3, "...") == 0 || text.substr(value.begin, value.end - value.begin).ends_with("...") ||
      text.compare(value.end, 3, "\xE2\x80\xA6") == 0) {
    return std::nullopt;  // cut off by whoever wrote it
  }
  while (value.end > value.begin && !value.quoted &&
         (text[value.end - 1] == '.' || text[value.end - 1] == ':' || text[value.end - 1] == '!')) {
    if (kind == NameKind::kPassword && text[value.end - 1] == '!') break;
    --value.end;
  }
  const std::string_view whole = text.substr(value.begin, value.end - value.begin);
  const std::string_view judged = whole.substr(0, kJudgedMax);
  work += judged.size() * 4;
  if (judged.empty() || isReference(judged) || isPublishedExample(whole)) return std::nullopt;
  bool secret = false;
  std::string_view rule = "high-entropy-assignment";
  switch (kind) {
    case NameKind::kPassword:
      secret = judgePassword(judged, value.quoted) || judgeSecret(judged, kind, true);
      rule = "password-assignment";
      break;
    case NameKind::kSignature:
      secret = judged.size() >= 40 && !isPlaceholder(judged) && (isHex(judged) || looksRandom(judged)) &&
               judged.find('~') == std::string_view::npos;
      rule = "request-signature";
      break;
    case NameKind::kSession:
      secret = judged.size() >= 16 && judgeSecret(judged, kind, true) && !isUuid(judged);
      rule = "session-cookie";
      break;
    default:
      secret = judgeSecret(judged, kind, hexCounts);
  }
  if (!secret) return std::nullopt;
  extendRun(text, value, work);
  return ScanHit{value.begin, value.end, rule};
}

// Type words between a name and its operator: var token string = "..."
std::size_t skipTypeWord(std::string_view text, std::size_t at) {
  const std::size_t end = runEnd(text, at, kAlpha, 10);
  if (end == at || end >= text.size() || text[end] != ' ') return at;
  const std::size_t next = skipSpace(text, end, 4, false);
  return next < text.size() && text[next] == '=' ? next : at;
}

constexpr std::array<std::string_view, 8> kSchemes = {"bearer", "basic", "token", "apikey", "digest", "negotiate", "bot", "key"};

std::optional<ScanHit> matchScheme(std::string_view text, std::size_t at, std::size_t& work) {
  std::size_t scheme = 0;
  bool basic = false;
  for (std::string_view word : kSchemes) {
    if (!startsWithFolded(text, at, word) || at + word.size() >= text.size()) continue;
    const char after = text[at + word.size()];
    if (after != ' ' && after != ':' && text.compare(at + word.size(), 3, "%20") != 0 && after != '+') continue;
    scheme = word.size() + (after == '%' ? 3 : 1);
    basic = word == "basic";
    break;
  }
  const std::size_t start = skipSpace(text, at + scheme, 4, false);
  Value value = readValue(text, start, false, work);
  if (value.end == value.begin) return std::nullopt;
  const std::string_view judged = text.substr(value.begin, std::min(value.end - value.begin, kJudgedMax));
  work += judged.size() * 4;
  if (isPlaceholder(judged) || isPublishedExample(judged)) return std::nullopt;
  if (basic) {
    if (judged.size() < 6 || !(isBasicCredential(judged) || judgeSecret(judged, NameKind::kSecret, true))) return std::nullopt;
  } else if (!judgeSecret(judged, NameKind::kSecret, true)) {
    return std::nullopt;
  }
  extendRun(text, value, work);
  return ScanHit{value.begin, value.end, basic ? "basic-credential" : scheme > 0 ? "bearer-token" : "authorization-value"};
}

}  // namespace

std::optional<ScanHit> matchBearer(std::string_view text, std::size_t at, std::size_t& work) {
  if (!isBoundaryBefore(text, at)) return std::nullopt;
  return matchScheme(text, at, work);
}

std::optional<ScanHit> matchAssignment(std::string_view text, std::size_t at, const NameRule& rule, std::size_t& work) {
  const std::size_t keywordEnd = at + rule.word.size();
  if (rule.word.back() == '=') return judge(text, readValue(text, keywordEnd, false, work), rule.kind, true, work);
  const Name name = nameAround(text, at, keywordEnd, work);
  bool quote = false;
  std::size_t next = skipClosers(text, name.end, quote);
  next = skipSpace(text, next, 8, false);
  if (!quote) next = skipTypeWord(text, next);
  const bool spaced = next > name.end;
  Operator op = readOperator(text, next, quote);
  const bool flag = text[name.begin] == '-' && (name.begin == 0 || isOf(text[name.begin - 1], kSpace) || isQuote(text[name.begin - 1]));
  if ((op == Operator::kNone || op == Operator::kComma) && readValueKey(text, next)) op = Operator::kAssign;
  if (op == Operator::kNone && flag && spaced) op = Operator::kSpace;
  if (op == Operator::kNone) return std::nullopt;
  const std::string_view suffix = text.substr(keywordEnd, name.end - keywordEnd);
  const std::string_view prefix = text.substr(name.begin, at - name.begin);
  work += suffix.size() + prefix.size() + 16;
  if (isDescribingSuffix(suffix) || isHarmlessPrefix(prefix) || isInsideArn(text, name.begin)) return std::nullopt;
  std::size_t start = skipSpace(text, next, op == Operator::kMarkup ? kGapMax : 8, op == Operator::kMarkup || op == Operator::kComma);
  if (op == Operator::kComma && (start >= text.size() || !(isQuote(text[start]) || text[start] == '\\'))) return std::nullopt;
  if (op == Operator::kMarkup && start > name.begin && name.begin > 0 && text[name.begin - 1] == '/') return std::nullopt;
  if (rule.kind == NameKind::kAuthorization) {
    if (start < text.size() && isQuote(text[start])) ++start;
    return matchScheme(text, start, work);
  }
  if (startsWithFolded(text, start, "bearer ")) return matchScheme(text, start, work);
  const bool query = name.begin > 0 && (text[name.begin - 1] == '?' || text[name.begin - 1] == '&');
  const bool hexCounts = rule.kind != NameKind::kApiKey || query || startsWithFolded(text, name.begin, "x-");
  return judge(text, readValue(text, start, rule.kind == NameKind::kPassword, work), rule.kind, hexCounts, work);
}

}  // namespace counterfoil::redact
