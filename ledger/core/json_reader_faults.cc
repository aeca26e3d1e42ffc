// What a JsonReader says about a document it refuses. Names of the schema only; nothing that the caller wrote.
#include "ledger/core/json_reader.h"
#include "ledger/core/limits.h"

namespace counterfoil {

bool JsonReader::isSecret(const FieldTable& field) {
  return field.redaction == RedactionClass::secret && field.type == FieldType::text;
}

std::uint64_t JsonReader::numberMax(FieldType type) {
  switch (type) {
    case FieldType::unsigned8:
      return 0xff;
    case FieldType::unsigned16:
      return 0xffff;
    case FieldType::unsigned32:
      return 0xffff'ffff;
    default:
      return limits::kJsonIntegerMax;
  }
}

std::string_view JsonReader::nameOf(SecretForm form) {
  switch (form) {
    case SecretForm::value:
      return "value";
    case SecretForm::sha256:
      return "sha256";
    case SecretForm::fingerprint:
      return "fingerprint";
    case SecretForm::none:
      break;
  }
  return "";
}

SecretForm JsonReader::formOf(std::string_view name) {
  for (const SecretForm form : {SecretForm::value, SecretForm::sha256, SecretForm::fingerprint}) {
    if (name == nameOf(form)) return form;
  }
  return SecretForm::none;
}

void JsonReader::failAt(std::string path, ErrorCode code, std::string detail, std::string hint) {
  if (!failed()) fault_.emplace(code, std::move(detail), std::move(hint), std::move(path));
}

void JsonReader::failValue(std::string hint) {
  const std::string at = path();
  failAt(at, ErrorCode::invalidValue, (at.empty() ? "the document" : at) + " must be " + expectation(), std::move(hint));
}

// The member's name is the caller's text and may be a secret in the wrong place: its parent and number must do.
void JsonReader::failUnknown() {
  const bool outer = where_ == Where::members;
  const std::string parent = outer ? "" : "/" + field_->name;
  const std::string number = std::to_string(outer ? members_ : innerMembers_);
  failAt(parent, ErrorCode::unknownField,
         (outer ? std::string("the document") : parent) + " has a member that is not known here: number " + number + ", counted from 1",
         "leave it out, or compare its name with the fields of this request");
}

std::string JsonReader::path() const {
  if (where_ == Where::document || where_ == Where::end) return "";
  if (member_ == Member::id) return "/id";
  if (member_ == Member::kind) return "/kind";
  if (field_ == nullptr) return "";
  const std::string outer = "/" + field_->name;
  if (where_ == Where::list) return outer + "/" + std::to_string(itemCount_);
  if (where_ == Where::principal && innerField_ != nullptr) return outer + "/" + innerField_->name;
  if (where_ == Where::secret && innerForm_ != SecretForm::none) return outer + "/" + std::string(nameOf(innerForm_));
  return outer;
}

std::string JsonReader::expectation() const {
  if (where_ == Where::document) return "an object";
  if (where_ == Where::list) return "a text";
  if (where_ == Where::principal) return innerField_->type == FieldType::enumeration ? "one of " + listedValues() : "a text";
  if (where_ == Where::secret) {
    if (innerForm_ == SecretForm::sha256) return "64 hexadecimal digits";
    return innerForm_ == SecretForm::value ? "a text that is not empty" : "a fingerprint as shown in entries, fp2:<generation>:<tag>";
  }
  if (member_ == Member::kind) return "a text";
  if (member_ == Member::id) return target_.isFact ? "a UUID of version 7 or 8" : "a UUID of version 7";
  switch (field_->type) {
    case FieldType::boolean:
      return "true or false";
    case FieldType::time:
      return "an RFC 3339 time such as 2026-03-01T09:30:00Z, after 1678 and before 2262";
    case FieldType::enumeration:
      return "one of " + listedValues();
    case FieldType::textList:
      return "a list of texts";
    case FieldType::structure:
      return R"(an object {"kind","id"})";
    case FieldType::text:
      return isSecret(*field_) ? R"(an object with one member: "value", "sha256" or "fingerprint")" : "a text";
    default:
      return "a whole number from 0 to " + std::to_string(numberMax(field_->type));
  }
}

std::string JsonReader::listedValues() const {
  const EnumTable& values = *(where_ == Where::principal ? innerField_ : field_)->enumeration;
  std::string list;
  for (std::size_t value = 1; value < values.texts.size(); ++value) {
    if (where_ == Where::principal && value == static_cast<std::size_t>(PrincipalKind::ledger)) continue;
    list += (list.empty() ? "" : ", ") + values.texts[value];
  }
  return list;
}

void JsonReader::textTooLong() {
  if (failed()) return;
  const std::string at = path();
  failAt(at, ErrorCode::tooLong,
         (at.empty() ? "the document" : at) + " is a text of more than " + std::to_string(kJsonTextBytesMax) + " bytes", {});
}

}  // namespace counterfoil
