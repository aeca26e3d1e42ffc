#include "server/auth/token_key_file.h"

#include <algorithm>
#include <span>

#include "ledger/core/encoding.h"

namespace counterfoil::server {
namespace {

constexpr std::string_view kBegin = "-----BEGIN PRIVATE KEY-----";
constexpr std::string_view kEnd = "-----END PRIVATE KEY-----";
constexpr std::size_t kLineDigits = 64;
constexpr std::size_t kNumberBytes = 32;

// PrivateKeyInfo { 0, { id-ecPublicKey, prime256v1 }, ECPrivateKey { 1, secret, [1] uncompressed point } }: for this curve the lengths
// never change, so the DER is these bytes with the three numbers between them.
constexpr std::array<std::uint8_t, 36> kBeforeSecret = {0x30, 0x81, 0x87, 0x02, 0x01, 0x00, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86,
                                                        0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d,
                                                        0x03, 0x01, 0x07, 0x04, 0x6d, 0x30, 0x6b, 0x02, 0x01, 0x01, 0x04, 0x20};
constexpr std::array<std::uint8_t, 6> kBeforePoint = {0xa1, 0x44, 0x03, 0x42, 0x00, 0x04};
constexpr std::size_t kSecretAt = kBeforeSecret.size();
constexpr std::size_t kXAt = kSecretAt + kNumberBytes + kBeforePoint.size();
constexpr std::size_t kYAt = kXAt + kNumberBytes;
constexpr std::size_t kDerBytes = kYAt + kNumberBytes;
static_assert(kDerBytes == 3 + 0x87);

void wipeText(std::string& text) {
  crypto::wipe(text.data(), text.size());
}

}  // namespace

crypto::SecretBytes tokenKeyPem(const TokenKeyNumbers& key) {
  std::array<std::uint8_t, kDerBytes> der{};
  const auto put = [&](std::size_t at, std::span<const std::uint8_t> bytes) {
    std::copy(bytes.begin(), bytes.end(), der.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0, kBeforeSecret);
  put(kSecretAt, key.secret);
  put(kSecretAt + kNumberBytes, kBeforePoint);
  put(kXAt, key.x);
  put(kYAt, key.y);
  std::string digits = toBase64(der);
  std::string text;
  text.reserve(kBegin.size() + digits.size() * 2 + kEnd.size());  // never moved while it is written: nothing is left behind
  text.append(kBegin).append("\n");
  for (std::size_t at = 0; at < digits.size(); at += kLineDigits) text.append(digits, at, kLineDigits).append("\n");
  text.append(kEnd).append("\n");
  crypto::SecretBytes result{std::string_view(text)};
  crypto::wipe(der.data(), der.size());
  wipeText(digits);
  wipeText(text);
  return result;
}

std::optional<TokenKeyNumbers> parseTokenKeyPem(std::string_view pem) {
  constexpr std::string_view kSpace = " \t\r\n";
  const std::size_t last = pem.find_last_not_of(kSpace);
  if (last == std::string_view::npos) return std::nullopt;
  pem = pem.substr(pem.find_first_not_of(kSpace), last + 1 - pem.find_first_not_of(kSpace));
  if (!pem.starts_with(kBegin) || !pem.ends_with(kEnd) || pem.size() < kBegin.size() + kEnd.size()) return std::nullopt;
  pem.remove_prefix(kBegin.size());
  pem.remove_suffix(kEnd.size());
  std::string digits;
  digits.reserve(pem.size());
  for (const char digit : pem) {
    if (kSpace.find(digit) == std::string_view::npos) digits += digit;
  }
  std::optional<std::vector<std::uint8_t>> der = fromBase64(digits);
  wipeText(digits);
  if (!der) return std::nullopt;
  const bool ours = der->size() == kDerBytes && std::equal(kBeforeSecret.begin(), kBeforeSecret.end(), der->begin()) &&
                    std::equal(kBeforePoint.begin(), kBeforePoint.end(), der->begin() + kSecretAt + kNumberBytes);
  std::optional<TokenKeyNumbers> result;
  if (ours) {
    result.emplace();
    std::copy_n(der->begin() + kSecretAt, kNumberBytes, result->secret.begin());
    std::copy_n(der->begin() + kXAt, kNumberBytes, result->x.begin());
    std::copy_n(der->begin() + kYAt, kNumberBytes, result->y.begin());
  }
  crypto::wipe(der->data(), der->size());
  return result;
}

}  // namespace counterfoil::server
