// The PEM form of a token key: PKCS #8 of a P-256 key (RFC 5208, RFC 5915), as `openssl genpkey` writes it. For TokenKeys only.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "ledger/crypto/wiping.h"

namespace counterfoil::server {

// The numbers of a P-256 key, big endian.
struct TokenKeyNumbers {
  std::array<std::uint8_t, 32> secret{};
  std::array<std::uint8_t, 32> x{};
  std::array<std::uint8_t, 32> y{};
  TokenKeyNumbers() = default;
  TokenKeyNumbers(const TokenKeyNumbers&) = default;
  TokenKeyNumbers& operator=(const TokenKeyNumbers&) = default;
  ~TokenKeyNumbers() { crypto::wipe(secret.data(), secret.size()); }
};

crypto::SecretBytes tokenKeyPem(const TokenKeyNumbers& key);
// nullopt unless it is that very form: line ends may differ, and nothing may stand around it but white space. Whether the point belongs to
// the secret number is not looked at.
std::optional<TokenKeyNumbers> parseTokenKeyPem(std::string_view pem);

}  // namespace counterfoil::server
