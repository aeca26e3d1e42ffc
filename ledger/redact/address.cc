// IP addresses in one text form (RFC 5952), so that equal addresses have equal pseudonyms.
#include <arpa/inet.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>

#include "ledger/redact/fingerprint.h"

namespace counterfoil::redact {
namespace {

// The longest IPv6 text is 45 bytes.
constexpr std::size_t kAddressBytesMax = 45;

using Groups = std::array<std::uint16_t, 8>;

bool parse(int family, std::string_view text, void* out) {
  if (text.empty() || text.size() > kAddressBytesMax) return false;
  std::array<char, kAddressBytesMax + 1> terminated{};
  std::copy(text.begin(), text.end(), terminated.begin());
  return text.find('\0') == std::string_view::npos && ::inet_pton(family, terminated.data(), out) == 1;
}

bool isPort(std::string_view text) {
  unsigned port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  return error == std::errc{} && end == text.data() + text.size() && text.size() <= 5 && port <= 65535;
}

std::string dotted(const std::uint8_t* bytes) {
  std::string result;
  for (int index = 0; index < 4; ++index) {
    if (index > 0) result += '.';
    result += std::to_string(bytes[index]);
  }
  return result;
}

// The first of the longest runs of at least two zero groups (RFC 5952 4.2); {8, 0} if there is none.
struct Run {
  std::size_t begin = 8;
  std::size_t size = 0;
};
Run longestZeros(const Groups& groups) {
  Run best;
  for (std::size_t begin = 0; begin < groups.size();) {
    std::size_t end = begin;
    while (end < groups.size() && groups[end] == 0) ++end;
    if (end - begin >= 2 && end - begin > best.size) best = {begin, end - begin};
    begin = end + 1;
  }
  return best;
}

std::string colons(const Groups& groups) {
  const Run zeros = longestZeros(groups);
  std::string result;
  for (std::size_t index = 0; index < groups.size(); ++index) {
    if (index == zeros.begin) {
      result += "::";
      index += zeros.size - 1;
      continue;
    }
    if (!result.empty() && result.back() != ':') result += ':';
    std::array<char, 4> digits;
    const char* const end = std::to_chars(digits.data(), digits.data() + digits.size(), groups[index], 16).ptr;
    result.append(digits.data(), static_cast<std::size_t>(end - digits.data()));
  }
  return result;
}

std::optional<std::string> ipv6(std::string_view text) {
  if (const std::size_t zone = text.find('%'); zone != std::string_view::npos) {
    if (zone + 1 == text.size()) return std::nullopt;
    text = text.substr(0, zone);
  }
  std::array<std::uint8_t, 16> bytes;
  if (!parse(AF_INET6, text, bytes.data())) return std::nullopt;
  constexpr std::array<std::uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) return dotted(bytes.data() + kMapped.size());
  Groups groups;
  for (std::size_t index = 0; index < groups.size(); ++index) {
    groups[index] = static_cast<std::uint16_t>(bytes[2 * index] << 8 | bytes[2 * index + 1]);
  }
  return colons(groups);
}

}  // namespace

std::optional<std::string> normaliseAddress(std::string_view text) {
  if (text.starts_with('[')) {
    const std::size_t close = text.find(']');
    if (close == std::string_view::npos) return std::nullopt;
    const std::string_view rest = text.substr(close + 1);
    if (!rest.empty() && !(rest.front() == ':' && isPort(rest.substr(1)))) return std::nullopt;
    return ipv6(text.substr(1, close - 1));
  }
  const std::size_t colon = text.find(':');
  if (colon != std::string_view::npos && text.find(':', colon + 1) != std::string_view::npos) return ipv6(text);
  if (colon != std::string_view::npos) {
    if (!isPort(text.substr(colon + 1))) return std::nullopt;
    text = text.substr(0, colon);
  }
  std::array<std::uint8_t, 4> bytes;
  if (!parse(AF_INET, text, bytes.data())) return std::nullopt;
  return dotted(bytes.data());
}

}  // namespace counterfoil::redact
