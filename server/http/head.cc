#include "server/http/head.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "ledger/core/encoding.h"

namespace counterfoil::server {
namespace {

int hexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes what stands before the next `separator` off the front.
std::string_view cut(std::string_view& text, char separator) {
  const std::size_t end = text.find(separator);
  const std::string_view first = text.substr(0, end);
  text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  return first;
}

bool lowerHex(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool allZero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

}  // namespace

std::string lowerCase(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

bool mayComeOnce(std::string_view lowerName) {
  constexpr std::array<std::string_view, 10> kOnce = {"host",
                                                      "content-length",
                                                      "transfer-encoding",
                                                      "content-type",
                                                      "authorization",
                                                      "idempotency-key",
                                                      "last-event-id",
                                                      "traceparent",
                                                      "x-counterfoil-forwarded-by",
                                                      "x-counterfoil-client-certificate"};
  return std::find(kOnce.begin(), kOnce.end(), lowerName) != kOnce.end();
}

std::string_view RequestHead::header(std::string_view lowerCaseName) const {
  for (const auto& [name, value] : headers) {
    if (name == lowerCaseName) return value;
  }
  return {};
}

std::optional<std::string> percentDecode(std::string_view text, bool plusIsSpace) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t index = 0; index < text.size(); ++index) {
    char c = text[index];
    if (c == '%') {
      if (index + 2 >= text.size()) return std::nullopt;
      const int high = hexDigit(text[index + 1]);
      const int low = hexDigit(text[index + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = static_cast<char>(high * 16 + low);
      index += 2;
    } else if (c == '+' && plusIsSpace) {
      c = ' ';
    }
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
    result += c;
  }
  if (!isUtf8(result)) return std::nullopt;
  return result;
}

bool readTarget(std::string_view target, RequestHead& head) {
  if (target.empty() || target.front() != '/') return false;
  const std::size_t mark = target.find('?');
  std::string_view path = target.substr(1, mark == std::string_view::npos ? mark : mark - 1);
  // A fragment never reaches a server; a path with one was not made by a client.
  if (target.find('#') != std::string_view::npos) return false;
  for (;;) {
    const std::size_t end = path.find('/');
    auto segment = percentDecode(path.substr(0, end), false);
    if (!segment) return false;
    head.segments.push_back(std::move(*segment));
    if (end == std::string_view::npos) break;
    path.remove_prefix(end + 1);
  }
  if (mark == std::string_view::npos) return true;
  std::string_view query = target.substr(mark + 1);
  while (!query.empty()) {
    std::string_view pair = cut(query, '&');
    if (pair.empty()) continue;
    auto name = percentDecode(cut(pair, '='), true);
    auto value = percentDecode(pair, true);
    if (!name || !value) return false;
    head.query.emplace_back(std::move(*name), std::move(*value));
  }
  return true;
}

std::string mediaTypeOf(std::string_view contentType) {
  return lowerCase(trimmed(contentType.substr(0, contentType.find(';'))));
}

bool accepts(std::string_view accept, std::string_view mediaType) {
  if (trimmed(accept).empty()) return true;
  const std::string_view type = mediaType.substr(0, mediaType.find('/'));
  while (!accept.empty()) {
    std::string_view item = cut(accept, ',');
    const std::string range = lowerCase(trimmed(cut(item, ';')));
    bool weightless = false;
    while (!item.empty()) {
      const std::string parameter = lowerCase(trimmed(cut(item, ';')));
      if (parameter.starts_with("q=")) weightless = parameter.find_first_not_of("0.", 2) == std::string::npos;
    }
    const bool covers = range == "*/*" || range == mediaType || (range.ends_with("/*") && range.substr(0, range.size() - 2) == type);
    if (covers && !weightless) return true;
  }
  return false;
}

std::string traceparentOf(std::string_view header) {
  header = trimmed(header);
  // version "-" trace-id "-" parent-id "-" flags; a later version may have more behind.
  if (header.size() < 55 || header.size() > 256) return {};
  if (header[2] != '-' || header[35] != '-' || header[52] != '-') return {};
  const std::string_view version = header.substr(0, 2);
  const std::string_view trace = header.substr(3, 32);
  const std::string_view parent = header.substr(36, 16);
  if (!lowerHex(version) || !lowerHex(trace) || !lowerHex(parent) || !lowerHex(header.substr(53, 2))) return {};
  if (version == "ff" || allZero(trace) || allZero(parent)) return {};
  if (header.size() > 55 && (version == "00" || header[55] != '-')) return {};
  return std::string(header.substr(0, 55));
}

std::string_view bearerOf(std::string_view authorization) {
  authorization = trimmed(authorization);
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size() || lowerCase(authorization.substr(0, kScheme.size())) != kScheme) return {};
  return trimmed(authorization.substr(kScheme.size()));
}

}  // namespace counterfoil::server
