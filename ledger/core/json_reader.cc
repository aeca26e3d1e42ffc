#include "ledger/core/json_reader.h"

#include <algorithm>
#include <bit>

#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"

namespace counterfoil {
namespace {

constexpr std::size_t kSeenBits = 64;
constexpr std::size_t kFirstItems = 8;
constexpr std::size_t kSha256HexBytes = 64;
constexpr std::size_t kFingerprintTagBytes = 16;
constexpr std::string_view kUuidHint = "make one for each request and repeat it when you send the request again";

// All field names of the schema by hash, so that a name costs one look-up whatever the structure.
class FieldNames {
 public:
  FieldNames() {
    for (const auto& table : schemaTables().structures) {
      for (const FieldTable& field : table->fields) add(field);
    }
  }
  std::optional<Field> find(std::string_view name) const {
    for (std::size_t slot = hash(name);; ++slot) {
      const Slot& here = slots_[slot % kSlots];
      if (here.name.empty()) return std::nullopt;
      if (here.name == name) return here.field;
    }
  }

 private:
  struct Slot {
    std::string_view name;
    Field field{};
  };
  static constexpr std::size_t kSlots = std::bit_ceil(kFieldCount * 4);

  static std::size_t hash(std::string_view name) {
    std::uint32_t result = 2166136261U;  // FNV-1a
    for (const char letter : name) result = (result ^ static_cast<std::uint8_t>(letter)) * 16777619U;
    return result;
  }
  void add(const FieldTable& field) {
    std::size_t slot = hash(field.name);
    while (!slots_[slot % kSlots].name.empty()) {
      if (slots_[slot % kSlots].name == field.name) return;
      ++slot;
    }
    slots_[slot % kSlots] = {field.name, field.field};
  }

  std::array<Slot, kSlots> slots_;
};

const FieldNames& fieldNames() {
  static const FieldNames kNames;
  return kNames;
}

// A field that JSON can give, the ledger's own ones aside. There is no form for the others: a union is what the route decides, raw bytes
// and lists of structures are written by the ledger only.
bool hasJsonForm(const FieldTable& field) {
  if (field.type == FieldType::structure) return field.structure == schemaTables().principal;
  return field.type != FieldType::data && field.type != FieldType::structureList;
}

bool isNumber(FieldType type) {
  return type == FieldType::unsigned8 || type == FieldType::unsigned16 || type == FieldType::unsigned32 || type == FieldType::unsigned64;
}

// NUL and the C0 controls but tab and newline. Bytes of UTF-8 sequences are above all of them.
bool hasControls(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) { return static_cast<std::uint8_t>(c) < 0x20 && c != '\t' && c != '\n'; });
}

bool isUuidV8(const EntryId& id) {
  return (id.bytes[6] >> 4) == 8 && (id.bytes[8] >> 6) == 2;
}

// "fp2:" generation ":" base64url of 16 bytes (FORMATS: Secrets).
bool isFingerprint(std::string_view text) {
  constexpr std::string_view kPrefix = "fp2:";
  constexpr std::string_view kGenerationMax = "4294967295";
  if (!text.starts_with(kPrefix)) return false;
  text.remove_prefix(kPrefix.size());
  const std::size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon > kGenerationMax.size()) return false;
  const std::string_view generation = text.substr(0, colon);
  if (!std::all_of(generation.begin(), generation.end(), [](char c) { return c >= '0' && c <= '9'; })) return false;
  if ((generation[0] == '0' && colon > 1) || (colon == kGenerationMax.size() && generation > kGenerationMax)) return false;
  const auto tag = fromBase64Url(text.substr(colon + 1));
  return tag.has_value() && tag->size() == kFingerprintTagBytes;
}

bool isSha256Hex(std::string_view text) {
  return text.size() == kSha256HexBytes && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
         });
}

}  // namespace

JsonReader::JsonReader(const JsonTarget& target, std::span<const RouteField> fromRoute) : target_(target) {
  COUNTERFOIL_CHECK(target.body.table->fields.size() <= kSeenBits && target.common.table->fields.size() <= kSeenBits);
  for (const RouteField& given : fromRoute) {
    target_.body.setText(target_.arena, given.field, given.value);
    routeGiven_ |= std::uint64_t{1} << target_.body.table->indexOf[static_cast<std::size_t>(given.field)];
  }
}

// ---- The end of the document ----

void JsonReader::keyTooLong() {
  if (failed()) return;
  nameSize_ = kNameBytesMax + 1;
  key({});
}

void JsonReader::finish() {
  if (failed()) throw *fault_;
  COUNTERFOIL_CHECK(where_ == Where::end);
  const auto require = [](const FieldTable& field, const FieldValue& value) {
    if (!value.absent()) return;
    throw Fault(ErrorCode::invalidValue, "/" + field.name + " is required", "give it; an empty text, an empty list and 0 count as missing",
                "/" + field.name);
  };
  const std::vector<FieldTable>& fields = target_.body.table->fields;
  for (std::size_t index = 0; index < fields.size(); ++index) {
    if (fields[index].required) require(fields[index], target_.body.values[index]);
  }
  if (target_.kind.requiredCommon) {
    const Field field = *target_.kind.requiredCommon;
    require(*target_.common.table->find(field), target_.common.get(field));
  }
}

// ---- Containers ----

void JsonReader::beginObject() {
  if (failed()) return;
  if (where_ == Where::document) {
    where_ = Where::members;
    return;
  }
  const bool isField = where_ == Where::members && member_ == Member::field;
  const bool isPrincipal = isField && field_->type == FieldType::structure;
  if (!isPrincipal && !(isField && isSecret(*field_))) return failValue();
  innerMembers_ = 0;
  innerSeen_ = 0;
  innerForm_ = SecretForm::none;
  innerField_ = nullptr;
  where_ = isPrincipal ? Where::principal : Where::secret;
  if (!isPrincipal) return;
  principal_ = target_.arena.array<StructValue>(1).data();
  *principal_ = makeStruct(target_.arena, *schemaTables().principal);
}

void JsonReader::endObject() {
  if (failed()) return;
  if (where_ == Where::principal) {
    endPrincipal();
  } else if (where_ == Where::secret) {
    innerForm_ = SecretForm::none;
    where_ = Where::members;
    if (innerMembers_ == 0) failValue();
  } else {
    where_ = Where::end;
  }
}

void JsonReader::endPrincipal() {
  for (std::size_t index = 0; index < principal_->table->fields.size(); ++index) {
    if (!principal_->values[index].absent()) continue;
    innerField_ = &principal_->table->fields[index];
    fail(ErrorCode::invalidValue, path() + " is required", "a principal has a kind and an id, and neither is empty");
    return;
  }
  value_->data = principal_;
  value_->count = 1;
  where_ = Where::members;
}

void JsonReader::beginArray() {
  if (failed()) return;
  if (where_ != Where::members || member_ != Member::field || field_->type != FieldType::textList) return failValue();
  where_ = Where::list;
  items_ = {};
  itemCount_ = 0;
}

void JsonReader::endArray() {
  if (failed()) return;
  *value_ = FieldValue::ofTexts(items_.first(itemCount_));
  where_ = Where::members;
}

// ---- Names ----

void JsonReader::keyPart(std::string_view part) {
  if (failed()) return;
  if (part.size() <= kNameBytesMax && nameSize_ + part.size() <= kNameBytesMax) {
    std::copy(part.begin(), part.end(), name_.begin() + static_cast<std::ptrdiff_t>(nameSize_));
    nameSize_ += part.size();
  } else {
    nameSize_ = kNameBytesMax + 1;
  }
}

void JsonReader::key(std::string_view lastPart) {
  if (failed()) return;
  if (nameSize_ == 0) return takeName(lastPart);
  keyPart(lastPart);
  const bool tooLong = nameSize_ > kNameBytesMax;
  takeName(tooLong ? std::string_view() : std::string_view(name_.data(), nameSize_));
  nameSize_ = 0;
}

void JsonReader::takeName(std::string_view name) {
  if (where_ == Where::members) return takeMemberName(name);
  ++innerMembers_;
  if (where_ == Where::principal) return takePrincipalName(name);
  takeSecretName(name);
}

bool JsonReader::firstTime(std::uint64_t& seen, std::size_t index) {
  const std::uint64_t bit = std::uint64_t{1} << index;
  if ((seen & bit) != 0) {
    fail(ErrorCode::duplicateField, path() + " is given twice", "names are compared after their escapes are decoded");
    return false;
  }
  seen |= bit;
  return true;
}

void JsonReader::takeMemberName(std::string_view name) {
  ++members_;
  repeatsRoute_ = false;
  field_ = nullptr;
  member_ = Member::field;
  if (name == "id" && target_.idIs != nullptr) {
    name = target_.idIs->name;
  } else if (name == "id" || (name == "kind" && target_.isFact)) {
    member_ = name == "id" ? Member::id : Member::kind;
    bool& seen = name == "id" ? idSeen_ : kindSeen_;
    if (seen) fail(ErrorCode::duplicateField, path() + " is given twice", "names are compared after their escapes are decoded");
    seen = true;
    return;
  }
  const std::optional<Field> field = fieldNames().find(name);
  if (!field) return failUnknown();
  const bool isOwn = target_.body.has(*field);
  StructValue& target = isOwn ? target_.body : target_.common;
  const FieldTable* const found = target.table->find(*field);
  if (found == nullptr || (!hasJsonForm(*found) && !found->ledgerOnly)) return failUnknown();
  field_ = found;
  if (found->ledgerOnly) return fail(ErrorCode::unknownField, path() + " is filled by the ledger", "leave it out");
  const std::size_t index = target.table->indexOf[static_cast<std::size_t>(*field)];
  if (!firstTime(isOwn ? bodySeen_ : commonSeen_, index)) return;
  repeatsRoute_ = isOwn && (routeGiven_ & (std::uint64_t{1} << index)) != 0;
  value_ = &target.values[index];
}

void JsonReader::takePrincipalName(std::string_view name) {
  innerField_ = nullptr;
  const FieldTable* const found = principal_->table->find(name);
  if (found == nullptr) return failUnknown();
  innerField_ = found;
  firstTime(innerSeen_, principal_->table->indexOf[static_cast<std::size_t>(found->field)]);
}

void JsonReader::takeSecretName(std::string_view name) {
  const SecretForm form = formOf(name);
  innerForm_ = SecretForm::none;
  if (form == SecretForm::none) return failUnknown();
  innerForm_ = form;
  if (!firstTime(innerSeen_, static_cast<std::size_t>(form)) || innerMembers_ == 1) return;
  failAt("/" + field_->name, ErrorCode::invalidValue, "/" + field_->name + " has more than one member",
         R"(give the secret once: as "value", "sha256" or "fingerprint")");
}

// ---- Values ----

void JsonReader::textPart(std::string_view part) {
  if (failed()) return;
  inParts_ = true;
  parts_.insert(parts_.end(), part.begin(), part.end());
}

void JsonReader::text(std::string_view lastPart, bool decoded) {
  if (failed()) return;
  std::string_view whole = lastPart;
  if (inParts_) {
    parts_.insert(parts_.end(), lastPart.begin(), lastPart.end());
    whole = {reinterpret_cast<const char*>(parts_.data()), parts_.size()};
  }
  if ((decoded || inParts_) && hasControls(whole) && where_ != Where::document) {
    fail(ErrorCode::invalidValue, path() + " has a control character other than tab and newline",
         where_ == Where::secret ? "send the SHA-256 of its exact bytes instead" : "take the character out");
  } else {
    takeText(whole);
  }
  // The capacity keeps the bytes; it is wiped with this object, or by the next growth.
  parts_.clear();
  inParts_ = false;
}

void JsonReader::takeText(std::string_view text) {
  switch (where_) {
    case Where::members:
      if (member_ == Member::id) return takeId(text);
      // The kind itself was found before the reader was made.
      return member_ == Member::kind ? void() : takeFieldText(text);
    case Where::list:
      return takeItem(text);
    case Where::principal:
      return takePrincipalText(text);
    case Where::secret:
      return takeSecretText(text);
    case Where::document:
    case Where::end:
      return failValue();
  }
}

void JsonReader::takeFieldText(std::string_view text) {
  if (field_->type == FieldType::time) {
    const std::optional<Timestamp> time = fromRfc3339(text);
    if (!time) return failValue();
    // The schema's "no time": accepted, it would silently become one that the caller did not mean.
    if (time->nanoseconds == 0)
      return fail(ErrorCode::invalidValue, path() + " cannot be the first instant of 1970", "leave out a time that is not known");
    value_->number = static_cast<std::uint64_t>(time->nanoseconds);
  } else if (field_->type == FieldType::enumeration) {
    const std::optional<std::uint16_t> number = field_->enumeration->find(text);
    if (!number) return failValue();
    value_->number = *number;
  } else if (field_->type == FieldType::text && !isSecret(*field_)) {
    if (repeatsRoute_ && text != value_->text()) {
      return fail(ErrorCode::invalidValue, path() + " is not the one of the request's path", "leave it out of the body");
    }
    *value_ = FieldValue::ofText(target_.arena.copy(text));
  } else {
    failValue(isSecret(*field_) ? R"(send {"value": "..."}, or better {"sha256": "<hex>"})" : "");
  }
}

void JsonReader::takeId(std::string_view text) {
  const std::optional<EntryId> id = fromUuid(text);
  if (!id || !(isUuidV7(*id) || (target_.isFact && isUuidV8(*id)))) return failValue(std::string(kUuidHint));
  target_.id = *id;
}

void JsonReader::takePrincipalText(std::string_view text) {
  FieldValue& value = principal_->at(innerField_->field);
  if (innerField_->type != FieldType::enumeration) {
    value = FieldValue::ofText(target_.arena.copy(text));
    return;
  }
  const std::optional<std::uint16_t> kind = innerField_->enumeration->find(text);
  if (!kind || *kind == static_cast<std::uint16_t>(PrincipalKind::ledger)) return failValue();
  value.number = *kind;
}

void JsonReader::takeSecretText(std::string_view text) {
  if (text.empty()) return failValue();
  if (innerForm_ == SecretForm::sha256 && !isSha256Hex(text)) return failValue();
  if (innerForm_ == SecretForm::fingerprint && !isFingerprint(text)) return failValue();
  const std::string_view kept = target_.arena.copy(text);
  if (innerForm_ == SecretForm::sha256) {
    char* const letters = const_cast<char*>(kept.data());  // ours since a line ago
    std::transform(kept.begin(), kept.end(), letters, [](char c) { return c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c; });
  }
  *value_ = FieldValue::ofText(kept);
  value_->secretForm = innerForm_;
}

void JsonReader::takeItem(std::string_view text) {
  const std::size_t itemsMax = field_->itemsMax;
  if (itemCount_ == itemsMax) {
    return failAt("/" + field_->name, ErrorCode::tooLong, "/" + field_->name + " has more than " + std::to_string(itemsMax) + " items", {});
  }
  if (itemCount_ == items_.size()) {
    const std::span<std::string_view> larger = target_.arena.array<std::string_view>(std::max(kFirstItems, items_.size() * 2));
    std::copy(items_.begin(), items_.end(), larger.begin());
    items_ = larger;
  }
  items_[itemCount_++] = target_.arena.copy(text);
}

void JsonReader::integer(std::uint64_t value) {
  if (failed()) return;
  const bool fits = where_ == Where::members && member_ == Member::field && isNumber(field_->type) && value <= numberMax(field_->type);
  if (!fits) return failValue();
  value_->number = value;
}

void JsonReader::otherNumber() {
  if (!failed()) failValue("integers are written with digits only: no sign, no fraction, no exponent");
}

void JsonReader::boolean(bool value) {
  if (failed()) return;
  if (where_ != Where::members || member_ != Member::field || field_->type != FieldType::boolean) return failValue();
  value_->number = value ? 1 : 0;
}

void JsonReader::null() {
  if (!failed()) failValue("null is no value here: leave the member out");
}

}  // namespace counterfoil
