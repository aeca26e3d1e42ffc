#include "ledger/redact/secret_search.h"

#include <algorithm>
#include <limits>

#include "ledger/redact/secret_candidates.h"

namespace counterfoil::redact {
namespace {

crypto::Digest digestOf(std::string_view text) {
  return crypto::sha256(crypto::Bytes(reinterpret_cast<const std::uint8_t*>(text.data()), text.size()));
}

}  // namespace

SecretSearch::SecretSearch(RedactionKeys& keys, const KnownSecrets* known)
    : keys_(keys), known_(known == nullptr || known->empty(keys.workspace()) ? nullptr : known) {}

void SecretSearch::own(std::string_view value) {
  // A shorter one would take ordinary words out of every text.
  if (value.size() >= limits::kSecretCandidateBytesMin) values_.push_back(value);
}

void SecretSearch::own(const crypto::Digest& valueDigest) {
  digests_.push_back(valueDigest);
}

void SecretSearch::own(const ParsedFingerprint& fingerprint) {
  fingerprints_.push_back(fingerprint);
}

bool SecretSearch::search(std::string_view text, bool document, std::vector<Finding>& findings) {
  for (const std::string_view value : values_) {
    for (std::size_t at = text.find(value); at != std::string_view::npos; at = text.find(value, at + value.size())) {
      findings.push_back({at, at + value.size(), kKnownSecretRule, digestOf(value)});
    }
  }
  if (known_ == nullptr && values_.empty() && digests_.empty() && fingerprints_.empty()) return true;
  std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  return forEachSecretCandidate(text, document ? unlimited : remaining_,
                                [&](std::string_view candidate, std::size_t begin, std::size_t end) {
                                  crypto::Digest digest;
                                  if (isSecret(candidate, digest)) findings.push_back({begin, end, kKnownSecretRule, digest});
                                });
}

bool SecretSearch::isSecret(std::string_view candidate, crypto::Digest& digest) {
  if (std::find(values_.begin(), values_.end(), candidate) != values_.end()) {
    digest = digestOf(candidate);
    return true;
  }
  if (known_ == nullptr && digests_.empty() && fingerprints_.empty()) return false;
  digest = digestOf(candidate);
  return std::find(digests_.begin(), digests_.end(), digest) != digests_.end() || isKnown(digest);
}

bool SecretSearch::isKnown(const crypto::Digest& digest) {
  if (known_ == nullptr && fingerprints_.empty()) return false;
  if (living_.empty()) living_ = keys_.livingFingerprints();
  for (const auto& key : living_) {
    const FingerprintTag tag = fingerprintTag(*key, digest);
    if (known_ != nullptr && known_->contains(keys_.workspace(), key->generation(), tag)) return true;
    const auto same = [&](const ParsedFingerprint& own) { return own.generation == key->generation() && own.tag == tag; };
    if (std::any_of(fingerprints_.begin(), fingerprints_.end(), same)) return true;
  }
  return false;
}

}  // namespace counterfoil::redact
