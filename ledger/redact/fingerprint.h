// Keyed fingerprints of secrets, pseudonyms of persons and addresses, commitments (FORMATS: Secrets, Personal values).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/event.h"
#include "ledger/core/redaction_keys.h"

namespace counterfoil::redact {

// First 16 bytes of HMAC(K_fingerprint, valueDigest); valueDigest = SHA-256 of the exact bytes of the secret.
FingerprintTag fingerprintTag(const FingerprintKey& key, const crypto::Digest& valueDigest);
// "fp2:<generation>:<base64url of the tag>".
std::string fingerprintText(const FingerprintKey& key, const crypto::Digest& valueDigest);
std::string fingerprintText(std::uint32_t generation, const FingerprintTag& tag);
// The parts of such a text; nullopt if it is none.
struct ParsedFingerprint {
  std::uint32_t generation;
  FingerprintTag tag;
};
std::optional<ParsedFingerprint> parseFingerprint(std::string_view text);
// The texts of one secret under every living generation, newest first: what a search compares with.
std::vector<std::string> fingerprintTexts(RedactionKeys& keys, const crypto::Digest& valueDigest);

// "p2:" + base64url(HMAC(K_subject, "counterfoil pseudonym v1")[0:16]).
std::string pseudonymOf(const SubjectKey& key);
// True if `text` has the form of a person's pseudonym.
bool isPseudonym(std::string_view text);
// "n2:" + base64url(HMAC(K_subject, "counterfoil address v1\n" ip)[0:16]) of a normalised address.
std::string addressPseudonymOf(const SubjectKey& key, std::string_view normalisedAddress);
// RFC 5952 text; IPv4-mapped IPv6 as IPv4; a port, brackets or a zone are dropped. nullopt if the text is no address.
std::optional<std::string> normaliseAddress(std::string_view text);

// A personal value as it came: valid UTF-8. `nonce` must be fresh.
struct PersonalText {
  const SubjectKey* key = nullptr;
  std::string_view path, value;
  crypto::AeadNonce nonce;
};
// Its commitment and its sealed disclosure.
struct PersonalValue {
  FieldCommitment commitment;
  SealedDisclosure disclosure;
};
// Of all personal values of an entry, in their order: several cost little more than one.
std::vector<PersonalValue> commitTo(WorkspaceNumber workspace, const EntryId& entry, std::span<const PersonalText> values);
// The value behind a commitment, or nullopt if the disclosure does not open or does not match `commitment`.
std::optional<crypto::SecretBytes> disclose(const SubjectKey& key, WorkspaceNumber workspace, const EntryId& entry,
                                            const SealedDisclosure& disclosure, const crypto::Digest& commitment);

}  // namespace counterfoil::redact
