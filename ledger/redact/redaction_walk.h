// The walk over the schema that turns a received structure into one that may be kept. Used by Redactor.
#pragma once

#include <utility>
#include <vector>

#include "ledger/redact/text_redaction.h"

namespace counterfoil::redact {

// One per request. Walks four times, so that each step knows what the one before it found: secrets (to search the other texts for them),
// ids, scanned texts, personal values. The candidates of an entry are few; in this order no free text can use up those of an id.
class RedactionWalk {
 public:
  // `common` and `body` are what was received; an address that is none is moved to its fallback field in them.
  RedactionWalk(TextRedaction& texts, StructValue common, StructValue body, Arena& kept, RedactionResult& result);

  // Fills common(), body() and the result, but for the request's digest.
  void run();
  // The kept structure whose canonical bytes the request is compared by (FORMATS: Idempotency): personal fields as "1" where present,
  // the ledger's own fields empty, the body as member `kind` of the union in `common`. Its HMAC.
  crypto::Digest requestDigest(std::uint16_t kind);

  // Valid after run(); they lie in `kept`.
  const StructValue& common() const { return keptCommon_; }
  const StructValue& body() const { return keptBody_; }

 private:
  enum class Step : std::uint8_t { secrets, ids, texts, personal };
  static Step stepOf(const FieldTable& field);

  StructValue skeleton(const StructValue& source);
  FieldValue skeletonField(const FieldTable& field, const FieldValue& source);
  void moveWhatIsNoAddress(StructValue& source);
  // Tells texts_ what the later steps will search.
  void expectTexts();
  void listTexts(const StructValue& source, std::vector<std::string_view>& texts) const;
  void walk(Step step, const StructValue& source, StructValue kept, const FieldPath* parent);
  void structures(Step step, const FieldTable& field, const FieldValue& source, const FieldValue& kept, const FieldPath& path);
  void principal(const StructValue& source, StructValue kept, const FieldPath& path);
  void personal(const FieldTable& field, const FieldValue& source, StructValue kept, const FieldPath& path);
  FieldValue text(const FieldTable& field, const FieldValue& source, const FieldPath& path);
  FieldValue textList(const FieldTable& field, const FieldValue& source, const FieldPath& path);
  std::string_view keptText(const FieldTable& field, std::string_view text, const FieldPath& path);
  std::shared_ptr<const SubjectKey> subjectKey(Subject subject);

  TextRedaction& texts_;
  StructValue common_;
  StructValue body_;
  Arena& kept_;
  RedactionResult& result_;
  StructValue keptCommon_;
  StructValue keptBody_;
  std::vector<FieldValue*> personalFields_;                     // kept ones that stand for a present personal value
  std::vector<std::pair<FieldValue*, FieldValue>> pseudonyms_;  // of addresses, filled in after the digest
};

}  // namespace counterfoil::redact
