// Looks for secrets the ledger knows, and for those of the same request, in its other texts (EVENTS: secret scanning).
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "ledger/core/limits.h"
#include "ledger/core/redaction_keys.h"
#include "ledger/redact/fingerprint.h"

namespace counterfoil::redact {

// Bytes [begin, end) of a text that must not be kept.
struct Finding {
  std::size_t begin = 0;
  std::size_t end = 0;
  std::string_view rule;  // static
  // SHA-256 of a secret that is known: it may stand there encoded. Else the bytes themselves are the secret.
  std::optional<crypto::Digest> secret;
};

inline constexpr std::string_view kKnownSecretRule = "known-secret";

// One per request. The texts given to own() must outlive it.
//
// Most requests hold no secret: the tags of all candidates of all texts are asked for together, and only if one of them is known, or if
// there are more candidates than may be looked up, each text is searched for itself.
class SecretSearch {
 public:
  SecretSearch(RedactionKeys& keys, const KnownSecrets* known);

  // A secret of this request, in the form it was given in.
  void own(std::string_view value);
  void own(const crypto::Digest& valueDigest);
  void own(const ParsedFingerprint& fingerprint);

  // The texts search() will be asked about, but for documents, once the last own() was called. For the very same texts search() then knows
  // at once if nothing is in any of them; it works for others too.
  void survey(std::vector<std::string_view> texts);

  // Appends what is found in `text`, in no order. False if the candidates of one entry are used up: nobody knows then what stands there.
  // A `document` is alone in its entry and searched to its end.
  [[nodiscard]] bool search(std::string_view text, bool document, std::vector<Finding>& findings);

 private:
  class Glance;

  bool nothingToFind() const;
  bool isOwnValue(std::string_view candidate) const;
  bool isSecret(std::string_view candidate, crypto::Digest& digest);
  bool isKnown(const crypto::Digest& digest);
  // The tags that own() stands for, under the living generations.
  void prepare();

  RedactionKeys& keys_;
  const KnownSecrets* known_;  // null if there are none
  std::vector<std::string_view> values_;
  std::vector<crypto::Digest> digests_;
  std::vector<ParsedFingerprint> fingerprints_;
  bool prepared_ = false;
  std::vector<std::string_view> clean_;                        // texts in which survey() found nothing
  std::vector<std::shared_ptr<const FingerprintKey>> living_;  // fetched when first needed
  std::vector<GenerationTag> ownTags_;
  std::size_t remaining_ = limits::kSecretCandidatesMax;
};

}  // namespace counterfoil::redact
