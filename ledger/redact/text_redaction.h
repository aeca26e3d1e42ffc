// What becomes of the texts of one request, class by class (EVENTS: redaction classes). Used by RedactionWalk.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ledger/core/event.h"
#include "ledger/core/redaction_keys.h"
#include "ledger/crypto/random.h"
#include "ledger/redact/scanner.h"
#include "ledger/redact/secret_search.h"
#include "ledger/redact/text_rules.h"

namespace counterfoil::redact {

// One per request; everything given must outlive it. Returned texts lie in `kept`, the arena of what may be recorded; nothing else is ever
// copied there. Adds to `result` as it goes. Lenient: what would refuse a request is rewritten and listed instead.
class TextRedaction {
 public:
  TextRedaction(RedactionKeys& keys, const KnownSecrets* known, crypto::RandomSource& random, const EntryId& entry, bool lenient,
                Arena& kept, RedactionResult& result);

  // `secret`: its fingerprint. Other texts of the request are searched for it from now on.
  std::string_view secret(const FieldValue& value, const FieldPath& path);
  // The texts that the functions below will be called with, once secret() was for the last time; documents left out.
  void expect(std::vector<std::string_view> texts) { search_.survey(std::move(texts)); }
  // `id`. `person`: it names a human, whatever it looks like.
  std::string_view identifier(std::string_view text, const FieldPath& path, std::size_t bytesMax, bool person);
  // A `clear` text: only what has a public digest's form.
  std::string_view publicDigest(std::string_view text, const FieldPath& path);
  // `digest`.
  std::string_view keyedDigest(std::string_view text, const FieldPath& path, std::size_t bytesMax);
  // `scanned`. One with a limit of its own above the usual is a document: a secret refuses it, because it may not be rewritten.
  std::string_view scanned(std::string_view text, const FieldPath& path, std::size_t bytesMax);
  // `personal`: commits to what is left of the text once secrets are out.
  void personal(std::string_view text, const FieldPath& path, std::size_t bytesMax, const std::shared_ptr<const SubjectKey>& key);
  // After the last of these: makes the commitments and disclosures of all values at once. The request's own texts still live.
  void commitAll();

  // The key of a person's id.
  std::shared_ptr<const SubjectKey> personKey(std::string_view id);
  std::shared_ptr<const SubjectKey> workspaceKey();
  crypto::Digest keyedDigest(crypto::Bytes bytes);

  bool lenient() const { return lenient_; }
  // Lists that something was taken out of a field, or cut.
  void note(const FieldPath& path, std::string_view rule);
  // Throws Fault(invalidUtf8 | invalidValue) for what no entry may hold.
  void checkCharacters(std::string_view text, const FieldPath& path) const;

 private:
  std::string fingerprint(const crypto::Digest& valueDigest);
  std::string_view asFingerprint(std::string_view text, const FieldPath& path, std::string_view rule);
  // All that must go out of `text`, in order and without overlap. False if it cannot be known.
  bool find(std::string_view text, bool contacts, bool document);
  std::string replaced(std::string_view text, const FieldPath& path);
  std::string cut(std::string_view text, std::size_t bytesMax, std::size_t originalBytes, const FieldPath& path);
  void commit(const std::shared_ptr<const SubjectKey>& key, const FieldPath& path, std::string_view value);
  void use(const KeyId& id);

  // A value that will be committed to.
  struct Personal {
    std::shared_ptr<const SubjectKey> key;
    std::string path;
    std::string_view value;
    crypto::AeadNonce nonce;
  };

  RedactionKeys& keys_;
  crypto::RandomSource& random_;
  const EntryId& entry_;
  const bool lenient_;
  Arena& kept_;
  RedactionResult& result_;
  SecretSearch search_;
  std::shared_ptr<const FingerprintKey> fingerprintKey_;
  std::vector<std::pair<std::string_view, std::shared_ptr<const SubjectKey>>> persons_;
  std::vector<Personal> personal_;
  std::vector<crypto::SecretBytes> rewritten_;  // values that are not the request's own texts
  std::vector<Finding> findings_;
  std::vector<ScanHit> hits_;
};

}  // namespace counterfoil::redact
