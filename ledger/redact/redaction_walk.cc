#include "ledger/redact/redaction_walk.h"

#include <algorithm>

#include "ledger/core/check.h"
#include "ledger/core/codec.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::redact {
namespace {

constexpr std::string_view kPresent = "1";
constexpr std::size_t kTextsUsual = 24;

bool isPerson(PrincipalValue principal) {
  return !principal.id.empty() && (principal.kind == PrincipalKind::human || looksLikeEmail(principal.id));
}

std::optional<Field> fieldOf(Subject subject) {
  switch (subject) {
    case Subject::actor:
      return Field::actor;
    case Subject::grantee:
      return Field::grantee;
    case Subject::decidedBy:
      return Field::decidedBy;
    case Subject::onBehalfOf:
      return Field::onBehalfOf;
    case Subject::workspace:
      break;
  }
  return std::nullopt;
}

bool isStructure(const FieldTable& field) {
  return field.type == FieldType::structure || field.type == FieldType::structureList;
}

// Filled by the ledger, and a clear text: an address pseudonym. What stands there in a request means nothing.
bool isOwnClearText(const FieldTable& field) {
  return field.ledgerOnly && field.redaction == RedactionClass::clear && field.type == FieldType::text;
}

}  // namespace

RedactionWalk::RedactionWalk(TextRedaction& texts, StructValue common, StructValue body, Arena& kept, RedactionResult& result)
    : texts_(texts), common_(common), body_(body), kept_(kept), result_(result) {}

void RedactionWalk::run() {
  moveWhatIsNoAddress(common_);
  moveWhatIsNoAddress(body_);
  keptCommon_ = skeleton(common_);
  keptBody_ = skeleton(body_);
  for (const Step step : {Step::secrets, Step::ids, Step::texts, Step::personal}) {
    walk(step, common_, keptCommon_, nullptr);
    walk(step, body_, keptBody_, nullptr);
    if (step == Step::secrets) expectTexts();
  }
  texts_.commitAll();
  const auto byPath = [](const auto& left, const auto& right) { return left.path < right.path; };
  std::sort(result_.commitments.begin(), result_.commitments.end(), byPath);
  std::sort(result_.disclosures.begin(), result_.disclosures.end(), byPath);
  std::size_t disclosed = 0;
  for (const SealedDisclosure& disclosure : result_.disclosures) disclosed += disclosure.sealed.size();
  if (disclosed > limits::kDisclosureBytesMax)
    throw Fault(ErrorCode::tooLarge, "the personal values together are too large", "shorten them");
}

crypto::Digest RedactionWalk::requestDigest(std::uint16_t kind) {
  std::vector<std::pair<FieldValue*, FieldValue>> saved;
  for (StructValue* const structure : {&keptCommon_, &keptBody_}) {
    for (std::size_t index = 0; index < structure->table->fields.size(); ++index) {
      const FieldTable& field = structure->table->fields[index];
      const bool isUnion = field.structure != nullptr && field.structure->isUnion;
      if (!field.ledgerOnly && !isUnion) continue;
      FieldValue& value = structure->values[index];
      saved.emplace_back(&value, value);
      value = {};
      if (!isUnion) continue;
      StructValue operation = makeStruct(kept_, *field.structure);
      operation.discriminant = kind;
      operation.member = &keptBody_;
      keptCommon_.setStructure(kept_, field.field, operation);
    }
  }
  for (FieldValue* const field : personalFields_) *field = FieldValue::ofText(kPresent);
  std::vector<std::uint8_t> bytes;
  encodeCanonical(keptCommon_, bytes);
  for (FieldValue* const field : personalFields_) *field = {};
  for (const auto& [field, value] : saved) *field = value;
  for (const auto& [field, value] : pseudonyms_) *field = value;
  return texts_.keyedDigest(crypto::Bytes(bytes));
}

RedactionWalk::Step RedactionWalk::stepOf(const FieldTable& field) {
  switch (field.redaction) {
    case RedactionClass::secret:
      return Step::secrets;
    case RedactionClass::scanned:
      return Step::texts;
    case RedactionClass::personal:
      return Step::personal;
    default:
      return Step::ids;
  }
}

// The same structure without its texts: only what cannot hold one is copied.
StructValue RedactionWalk::skeleton(const StructValue& source) {
  StructValue kept = makeStruct(kept_, *source.table);
  for (std::size_t index = 0; index < source.table->fields.size(); ++index) {
    kept.values[index] = skeletonField(source.table->fields[index], source.values[index]);
  }
  return kept;
}

FieldValue RedactionWalk::skeletonField(const FieldTable& field, const FieldValue& source) {
  switch (field.type) {
    case FieldType::text:
    case FieldType::textList:
      return {};
    case FieldType::data:
      // Digests of the ledger's own; no request has them.
      COUNTERFOIL_CHECK(field.redaction == RedactionClass::clear);
      return FieldValue::ofText(kept_.copy(source.text()));
    case FieldType::structure:
    case FieldType::structureList: {
      if (source.count == 0 || field.structure->isUnion) return {};
      const std::span<StructValue> items = kept_.array<StructValue>(source.count);
      std::transform(source.structures().begin(), source.structures().end(), items.begin(),
                     [&](const StructValue& item) { return skeleton(item); });
      return {0, items.data(), source.count, SecretForm::none};
    }
    default:
      return {source.number, nullptr, 0, SecretForm::none};
  }
}

void RedactionWalk::moveWhatIsNoAddress(StructValue& source) {
  for (std::size_t index = 0; index < source.table->fields.size(); ++index) {
    const FieldTable& field = source.table->fields[index];
    FieldValue& value = source.values[index];
    if (!field.isAddress || value.absent() || normaliseAddress(value.text())) continue;
    COUNTERFOIL_CHECK(field.addressFallback.has_value());
    FieldValue& fallback = source.at(*field.addressFallback);
    const FieldPath path{nullptr, field.name};
    if (!fallback.absent() && !texts_.lenient()) {
      throw Fault(ErrorCode::invalidValue, path.text() + " is no IP address", "send an IPv4 or IPv6 address", path.text());
    }
    if (fallback.absent()) {
      fallback = value;
    } else {
      texts_.note(path, "not-an-address");
    }
    value = {};
  }
}

void RedactionWalk::expectTexts() {
  std::vector<std::string_view> texts;
  texts.reserve(kTextsUsual);
  listTexts(common_, texts);
  listTexts(body_, texts);
  texts_.expect(std::move(texts));
}

void RedactionWalk::listTexts(const StructValue& source, std::vector<std::string_view>& texts) const {
  for (std::size_t index = 0; index < source.table->fields.size(); ++index) {
    const FieldTable& field = source.table->fields[index];
    const FieldValue& value = source.values[index];
    const bool document = field.redaction == RedactionClass::scanned && field.bytesMax > limits::kScannedBytesMax;
    if (value.count == 0 || document || field.redaction == RedactionClass::secret || field.redaction == RedactionClass::digest) continue;
    if (field.type == FieldType::text) {
      if (!isOwnClearText(field)) texts.push_back(value.text());
    } else if (field.type == FieldType::textList) {
      texts.insert(texts.end(), value.texts().begin(), value.texts().end());
    } else if (isStructure(field) && !field.structure->isUnion) {
      for (const StructValue& item : value.structures()) listTexts(item, texts);
    }
  }
}

void RedactionWalk::walk(Step step, const StructValue& source, StructValue kept, const FieldPath* parent) {
  for (std::size_t index = 0; index < source.table->fields.size(); ++index) {
    const FieldTable& field = source.table->fields[index];
    const FieldValue& value = source.values[index];
    if (value.count == 0) continue;
    const FieldPath path{parent, field.name};
    if (isStructure(field)) {
      structures(step, field, value, kept.values[index], path);
      continue;
    }
    if (field.type == FieldType::data || stepOf(field) != step || isOwnClearText(field)) continue;
    if (step == Step::personal) {
      COUNTERFOIL_CHECK(parent == nullptr && field.type == FieldType::text);
      personal(field, value, kept, path);
      personalFields_.push_back(&kept.values[index]);
    } else {
      kept.values[index] = field.type == FieldType::textList ? textList(field, value, path) : text(field, value, path);
    }
  }
}

void RedactionWalk::structures(Step step, const FieldTable& field, const FieldValue& source, const FieldValue& kept,
                               const FieldPath& path) {
  if (field.structure->isUnion) return;
  for (std::size_t index = 0; index < source.count; ++index) {
    const FieldPath item{&path, {}, field.type == FieldType::structureList ? index : FieldPath::kNoIndex};
    if (field.structure == schemaTables().principal) {
      if (step == Step::ids) principal(source.structures()[index], kept.structures()[index], item);
    } else {
      walk(step, source.structures()[index], kept.structures()[index], &item);
    }
  }
}

void RedactionWalk::principal(const StructValue& source, StructValue kept, const FieldPath& path) {
  const std::string_view id = source.text(Field::id);
  if (id.empty()) return;
  const FieldPath idPath{&path, "id"};
  if (isPseudonym(id) && !texts_.lenient()) {
    throw Fault(ErrorCode::invalidValue, idPath.text() + " is a pseudonym", "name a person by the person's own id", idPath.text());
  }
  const bool human = source.number(Field::kind) == static_cast<std::uint64_t>(PrincipalKind::human);
  kept.at(Field::id) = FieldValue::ofText(texts_.identifier(id, idPath, kept.table->find(Field::id)->bytesMax, human));
}

void RedactionWalk::personal(const FieldTable& field, const FieldValue& source, StructValue kept, const FieldPath& path) {
  const auto key = subjectKey(field.subject);
  texts_.personal(source.text(), path, field.bytesMax, key);
  if (!field.isAddress || !field.addressPseudonym) return;
  const std::optional<std::string> address = normaliseAddress(source.text());
  COUNTERFOIL_CHECK(address.has_value());  // others were moved to the fallback field
  pseudonyms_.emplace_back(&kept.at(*field.addressPseudonym), FieldValue::ofText(kept_.copy(addressPseudonymOf(*key, *address))));
}

FieldValue RedactionWalk::text(const FieldTable& field, const FieldValue& source, const FieldPath& path) {
  if (field.redaction != RedactionClass::secret) return FieldValue::ofText(keptText(field, source.text(), path));
  FieldValue result = FieldValue::ofText(texts_.secret(source, path));
  result.secretForm = SecretForm::fingerprint;
  return result;
}

FieldValue RedactionWalk::textList(const FieldTable& field, const FieldValue& source, const FieldPath& path) {
  std::size_t count = source.count;
  if (count > field.itemsMax) {
    if (!texts_.lenient()) {
      const std::string name = path.text();
      throw Fault(ErrorCode::tooLong, name + " has more than " + std::to_string(field.itemsMax) + " items", "send fewer", name);
    }
    texts_.note(path, "items-dropped:" + std::to_string(count - field.itemsMax));
    count = field.itemsMax;
  }
  const std::span<std::string_view> items = kept_.array<std::string_view>(count);
  for (std::size_t index = 0; index < count; ++index) {
    const std::string_view item = source.texts()[index];
    if (!item.empty()) items[index] = keptText(field, item, FieldPath{&path, {}, index});
  }
  return FieldValue::ofTexts(items);
}

std::string_view RedactionWalk::keptText(const FieldTable& field, std::string_view text, const FieldPath& path) {
  switch (field.redaction) {
    case RedactionClass::id:
      return texts_.identifier(text, path, field.bytesMax, false);
    case RedactionClass::scanned:
      return texts_.scanned(text, path, field.bytesMax);
    case RedactionClass::digest:
      return texts_.keyedDigest(text, path, field.bytesMax);
    case RedactionClass::clear:
      return texts_.publicDigest(text, path);
    default:
      break;
  }
  COUNTERFOIL_CHECK(!"a class that no text may have");
  return {};
}

std::shared_ptr<const SubjectKey> RedactionWalk::subjectKey(Subject subject) {
  for (const std::optional<Field> field : {fieldOf(subject), fieldOf(Subject::onBehalfOf)}) {
    if (!field || subject == Subject::workspace) continue;
    for (const StructValue* const structure : {&common_, &body_}) {
      if (!structure->has(*field)) continue;
      const PrincipalValue principal = principalOf(*structure, *field);
      if (isPerson(principal)) return texts_.personKey(principal.id);
    }
  }
  return texts_.workspaceKey();
}

}  // namespace counterfoil::redact
