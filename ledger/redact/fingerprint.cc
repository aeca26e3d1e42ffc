#include "ledger/redact/fingerprint.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "ledger/core/encoding.h"

namespace counterfoil::redact {
namespace {

constexpr std::string_view kFingerprintPrefix = "fp2:";
constexpr std::string_view kPseudonymPrefix = "p2:";
constexpr std::string_view kAddressPrefix = "n2:";
// Sixteen bytes in base64url.
constexpr std::size_t kTagDigits = 22;

std::string firstHalf(std::string_view prefix, const crypto::Digest& digest) {
  std::string result(prefix);
  result += toBase64Url(crypto::Bytes(digest).first(16));
  return result;
}

}  // namespace

FingerprintTag fingerprintTag(const FingerprintKey& key, const crypto::Digest& valueDigest) {
  const crypto::Digest mac = key.hmac().mac({valueDigest});
  FingerprintTag tag;
  std::copy_n(mac.begin(), tag.size(), tag.begin());
  return tag;
}

std::string fingerprintText(std::uint32_t generation, const FingerprintTag& tag) {
  std::string result;
  result.reserve(kFingerprintPrefix.size() + 11 + kTagDigits);
  result += kFingerprintPrefix;
  result += std::to_string(generation);
  result += ':';
  result += toBase64Url(tag);
  return result;
}

std::string fingerprintText(const FingerprintKey& key, const crypto::Digest& valueDigest) {
  return fingerprintText(key.generation(), fingerprintTag(key, valueDigest));
}

std::optional<ParsedFingerprint> parseFingerprint(std::string_view text) {
  if (!text.starts_with(kFingerprintPrefix)) return std::nullopt;
  text.remove_prefix(kFingerprintPrefix.size());
  ParsedFingerprint result{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), result.generation);
  if (error != std::errc{} || result.generation == 0 || text.front() == '0') return std::nullopt;
  text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  if (text.size() != 1 + kTagDigits || text.front() != ':') return std::nullopt;
  const auto tag = fromBase64Url(text.substr(1));
  if (!tag || tag->size() != result.tag.size()) return std::nullopt;
  std::copy(tag->begin(), tag->end(), result.tag.begin());
  return result;
}

std::vector<std::string> fingerprintTexts(RedactionKeys& keys, const crypto::Digest& valueDigest) {
  std::vector<std::string> result;
  const auto living = keys.livingFingerprints();
  for (auto key = living.rbegin(); key != living.rend(); ++key) result.push_back(fingerprintText(**key, valueDigest));
  return result;
}

std::string pseudonymOf(const SubjectKey& key) {
  return firstHalf(kPseudonymPrefix, key.pseudonym());
}

bool isPseudonym(std::string_view text) {
  if (!text.starts_with(kPseudonymPrefix) || text.size() != kPseudonymPrefix.size() + kTagDigits) return false;
  return fromBase64Url(text.substr(kPseudonymPrefix.size())).has_value();
}

std::string addressPseudonymOf(const SubjectKey& key, std::string_view normalisedAddress) {
  return firstHalf(kAddressPrefix, key.hmac().mac({crypto::bytesOf("counterfoil address v1\n"), crypto::bytesOf(normalisedAddress)}));
}

}  // namespace counterfoil::redact
