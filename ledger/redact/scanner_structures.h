// Secrets known by their structure rather than by a prefix and a length. Each matcher looks at one place of the text,
// reads a bounded number of bytes around it (or bytes that its hit then covers), and adds them to `work`.
#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

#include "ledger/redact/scanner.h"

namespace counterfoil::redact {

// Three to five dot-separated base64url parts, the first an encoded JSON object, beginning at `at`.
std::optional<ScanHit> matchJwt(std::string_view text, std::size_t at, std::size_t& work);

// A PEM or PGP private key block whose "-----BEGIN" is at `at`, with its lines; also one cut off before its end.
std::optional<ScanHit> matchPrivateKey(std::string_view text, std::size_t at, std::size_t& work);

// The password, or the token in the place of a user, of a URL whose "://" is at `at`.
std::optional<ScanHit> matchUserinfo(std::string_view text, std::size_t at, std::size_t& work);

// The password of "user:password" after a command line's -u or --user that ends before `at`.
std::optional<ScanHit> matchCommandUser(std::string_view text, std::size_t at, std::size_t& work);

// Bot tokens <digits>:AA<33> with the colon at `at`.
std::optional<ScanHit> matchTelegram(std::string_view text, std::size_t at, std::size_t& work);

// Azure AD client secrets: three characters and a digit before "Q~", 31 to 34 after; the digit is at `at`.
std::optional<ScanHit> matchAzureSecret(std::string_view text, std::size_t at, std::size_t& work);

// Mailchimp keys: 32 hex digits before "-us<n>" at `at`.
std::optional<ScanHit> matchMailchimp(std::string_view text, std::size_t at, std::size_t& work);

// Terraform Cloud tokens: 14 characters before ".atlasv1." at `at`, 60 to 70 after.
std::optional<ScanHit> matchTerraform(std::string_view text, std::size_t at, std::size_t& work);

// App access tokens <digits>|<27> within 48 bytes after the word at `at`.
std::optional<ScanHit> matchFacebookApp(std::string_view text, std::size_t at, std::size_t& work);

// The random path segments of a webhook address, where "hooks." or "webhook" is at `at`: who knows the address may post.
std::optional<ScanHit> matchWebhook(std::string_view text, std::size_t at, std::size_t& work);

// A 40 character secret access key within 64 bytes after an access key id that ends at `at` (pairs in CSV and logs).
std::optional<ScanHit> matchAwsSecretAfterId(std::string_view text, std::size_t at, std::size_t& work);

// "Basic" credentials: base64 of printable text with a colon.
bool isBasicCredential(std::string_view value);

// True if somebody may have chosen the value as a password: not a stand-in and not the word "password" itself.
bool isPlausiblePassword(std::string_view value);

}  // namespace counterfoil::redact
