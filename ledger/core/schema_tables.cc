#include "ledger/core/schema_tables.h"

#include <capnp/schema.h>

#include <map>
#include <set>
#include <unordered_map>

#include "ledger/core/check.h"
#include "ledger/core/limits.h"
#include "schemas/annotation_ids.h"
#include "schemas/command.capnp.h"
#include "schemas/entry.capnp.h"
#include "schemas/event.capnp.h"
#include "schemas/principal.capnp.h"
#include "schemas/record.capnp.h"

namespace counterfoil {
namespace {

namespace annotation = schema::annotation;

constexpr std::uint32_t kOtherTextBytesMax = 512;
constexpr std::uint32_t kDataBytesMax = 65'000;
constexpr std::uint32_t kStructuresMax = 1'024;

std::string snakeCase(std::string_view camelCase) {
  std::string result;
  for (const char letter : camelCase) {
    if (letter >= 'A' && letter <= 'Z') {
      result += '_';
      result += static_cast<char>(letter - 'A' + 'a');
    } else {
      result += letter;
    }
  }
  return result;
}

// "event.capnp:LeaseGranted" -> "LeaseGranted".
std::string shortName(std::string_view displayName) {
  const std::size_t colon = displayName.rfind(':');
  return std::string(colon == std::string_view::npos ? displayName : displayName.substr(colon + 1));
}

std::optional<capnp::schema::Value::Reader> annotationOf(capnp::StructSchema::Field field, std::uint64_t id) {
  for (const auto item : field.getProto().getAnnotations()) {
    if (item.getId() == id) return item.getValue();
  }
  return std::nullopt;
}

std::string textAnnotation(capnp::StructSchema::Field field, std::uint64_t id) {
  const auto value = annotationOf(field, id);
  return value ? std::string(value->getText().cStr()) : std::string();
}

bool isUnionMember(capnp::StructSchema::Field field) {
  return field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
}

std::uint32_t bytesMaxOf(const StructTable& table, const FieldTable& field) {
  if (field.type == FieldType::data) {
    // What is sealed wraps a whole entry or a whole disclosure.
    if (table.name == "Record" || table.name == "Sealed") return limits::kRecordBytesMax;
    if (table.name == "SealedDisclosure") return limits::kDisclosureBytesMax;
    return kDataBytesMax;
  }
  if (field.type != FieldType::text && field.type != FieldType::textList) return 0;
  switch (field.redaction) {
    case RedactionClass::id:
      return limits::kIdBytesMax;
    case RedactionClass::scanned:
      return limits::kScannedBytesMax;
    case RedactionClass::personal:
      return limits::kPersonalBytesMax;
    default:
      return kOtherTextBytesMax;
  }
}

std::uint32_t itemsMaxOf(FieldType type) {
  if (type == FieldType::textList) return limits::kListItemsMax;
  return type == FieldType::structureList ? kStructuresMax : 0;
}

std::uint32_t widthInBits(FieldType type) {
  switch (type) {
    case FieldType::boolean:
      return 1;
    case FieldType::unsigned8:
      return 8;
    case FieldType::unsigned16:
    case FieldType::enumeration:
      return 16;
    case FieldType::unsigned32:
      return 32;
    case FieldType::unsigned64:
    case FieldType::time:
      return 64;
    default:
      return 0;
  }
}

// Builds all tables. Fields get their Field and what refers to it last, when all names are known.
class Builder {
 public:
  explicit Builder(SchemaTables& tables) : tables_(tables) {}

  void build() {
    tables_.entry = structure(capnp::Schema::from<schema::Entry>());
    tables_.command = structure(capnp::Schema::from<schema::Command>());
    tables_.record = structure(capnp::Schema::from<schema::Record>());
    tables_.sealed = structure(capnp::Schema::from<schema::Sealed>());
    tables_.sealedDisclosure = structure(capnp::Schema::from<schema::SealedDisclosure>());
    tables_.wrappedKey = structure(capnp::Schema::from<schema::WrappedKey>());
    tables_.keys = structure(capnp::Schema::from<schema::Keys>());
    tables_.claim = structure(capnp::Schema::from<schema::Claim>());
    tables_.genesis = structure(capnp::Schema::from<schema::Genesis>());
    tables_.principal = structure(capnp::Schema::from<schema::Principal>());
    nameFields();
    fillKinds(capnp::Schema::from<schema::Event>(), tables_.kinds);
    fillKinds(capnp::Schema::from<schema::Operation>(), tables_.commands);
  }

 private:
  struct Address {
    StructTable* table;
    std::size_t index;
    std::string fallback;
  };

  const StructTable* structure(capnp::StructSchema source) {
    const std::uint64_t id = source.getProto().getId();
    if (const auto known = structures_.find(id); known != structures_.end()) return known->second;
    StructTable& table = *tables_.structures.emplace_back(std::make_unique<StructTable>());
    structures_.emplace(id, &table);
    const auto layout = source.getProto().getStruct();
    table.name = shortName(source.getProto().getDisplayName().cStr());
    table.dataWords = layout.getDataWordCount();
    table.pointers = layout.getPointerCount();
    table.pointerFields.assign(table.pointers, StructTable::kNone);
    table.knownBits.assign(table.dataWords, 0);
    table.indexOf.fill(StructTable::kNone);
    if (layout.getDiscriminantCount() > 0) fillUnion(table, source);
    for (const auto field : source.getNonUnionFields()) addField(table, field);
    COUNTERFOIL_CHECK(table.fields.size() < StructTable::kNone);
    return &table;
  }

  void fillUnion(StructTable& table, capnp::StructSchema source) {
    const auto layout = source.getProto().getStruct();
    table.isUnion = true;
    table.discriminantByte = layout.getDiscriminantOffset() * 2;
    // The codec relies on it: one discriminant, one pointer, nothing beside them.
    COUNTERFOIL_CHECK(table.discriminantByte == 0 && table.dataWords == 1 && table.pointers == 1 && source.getNonUnionFields().size() == 0);
    table.knownBits[0] = 0xffff;
    table.members.assign(source.getUnionFields().size(), nullptr);
    for (const auto member : source.getUnionFields()) {
      const std::uint16_t discriminant = member.getProto().getDiscriminantValue();
      COUNTERFOIL_CHECK(discriminant < table.members.size());
      COUNTERFOIL_CHECK(member.getType().isStruct() == (discriminant != 0));
      if (discriminant == 0) continue;
      COUNTERFOIL_CHECK(member.getProto().getSlot().getOffset() == 0);
      table.members[discriminant] = structure(member.getType().asStruct());
    }
  }

  void addField(StructTable& table, capnp::StructSchema::Field source) {
    COUNTERFOIL_CHECK(source.getProto().isSlot() && !isUnionMember(source));
    FieldTable field;
    field.name = source.getProto().getName().cStr();
    fillType(field, source.getType());
    const auto redaction = annotationOf(source, annotation::kClass);
    COUNTERFOIL_CHECK(redaction.has_value());
    field.redaction = static_cast<RedactionClass>(redaction->getEnum());
    if (const auto subject = annotationOf(source, annotation::kSubject)) field.subject = static_cast<Subject>(subject->getEnum());
    field.required = annotationOf(source, annotation::kRequired).has_value();
    field.ledgerOnly = annotationOf(source, annotation::kLedger).has_value();
    field.bytesMax = bytesMaxOf(table, field);
    if (const auto limit = annotationOf(source, annotation::kLimit)) field.bytesMax = limit->getUint32();
    field.itemsMax = itemsMaxOf(field.type);
    const std::uint32_t slot = source.getProto().getSlot().getOffset();
    const std::uint32_t width = widthInBits(field.type);
    if (width == 0) {
      field.offset = slot;
      table.pointerFields[slot] = static_cast<std::uint8_t>(table.fields.size());
    } else {
      field.offset = width == 1 ? slot : slot * width / 8;
      NumberField number;
      number.mask = ~std::uint64_t{0} >> (64 - width);
      number.max = field.enumeration == nullptr ? number.mask : field.enumeration->texts.size() - 1;
      number.word = static_cast<std::uint16_t>(slot * width / 64);
      number.shift = static_cast<std::uint8_t>(slot * width % 64);
      number.index = static_cast<std::uint8_t>(table.fields.size());
      table.knownBits[number.word] |= number.mask << number.shift;
      table.numbers.push_back(number);
    }
    if (annotationOf(source, annotation::kAddress)) {
      field.isAddress = true;
      addresses_.push_back({&table, table.fields.size(), textAnnotation(source, annotation::kAddress)});
    }
    table.fields.push_back(std::move(field));
  }

  void fillType(FieldTable& field, capnp::Type type) {
    switch (type.which()) {
      case capnp::schema::Type::BOOL:
        field.type = FieldType::boolean;
        return;
      case capnp::schema::Type::UINT8:
        field.type = FieldType::unsigned8;
        return;
      case capnp::schema::Type::UINT16:
        field.type = FieldType::unsigned16;
        return;
      case capnp::schema::Type::UINT32:
        field.type = FieldType::unsigned32;
        return;
      case capnp::schema::Type::UINT64:
        field.type = FieldType::unsigned64;
        return;
      case capnp::schema::Type::INT64:
        field.type = FieldType::time;
        return;
      case capnp::schema::Type::ENUM:
        field.type = FieldType::enumeration;
        field.enumeration = enumeration(type.asEnum());
        return;
      case capnp::schema::Type::TEXT:
        field.type = FieldType::text;
        return;
      case capnp::schema::Type::DATA:
        field.type = FieldType::data;
        return;
      case capnp::schema::Type::STRUCT:
        field.type = FieldType::structure;
        field.structure = structure(type.asStruct());
        return;
      case capnp::schema::Type::LIST:
        fillListType(field, type.asList().getElementType());
        return;
      default:
        COUNTERFOIL_CHECK(!"a type the schema may not use");
    }
  }

  void fillListType(FieldTable& field, capnp::Type element) {
    COUNTERFOIL_CHECK(element.isText() || element.isStruct());
    field.type = element.isText() ? FieldType::textList : FieldType::structureList;
    if (element.isStruct()) field.structure = structure(element.asStruct());
  }

  const EnumTable* enumeration(capnp::EnumSchema source) {
    const EnumTable*& known = enumerations_[source.getProto().getId()];
    if (known != nullptr) return known;
    auto table = std::make_unique<EnumTable>();
    for (const auto enumerant : source.getEnumerants()) table->texts.push_back(snakeCase(enumerant.getProto().getName().cStr()));
    COUNTERFOIL_CHECK(!table->texts.empty() && table->texts[0] == "unspecified");
    known = table.get();
    tables_.enumerations.push_back(std::move(table));
    return known;
  }

  // names.h numbers all names of the schema in byte order; the same set gives the same numbers.
  void nameFields() {
    std::set<std::string> names;
    for (const auto& table : tables_.structures) {
      for (const auto& field : table->fields) names.insert(field.name);
    }
    COUNTERFOIL_CHECK(names.size() == kFieldCount);
    std::uint16_t number = 0;
    for (const auto& name : names) numbers_.emplace(name, static_cast<Field>(number++));
    for (const auto& table : tables_.structures) {
      for (std::size_t index = 0; index < table->fields.size(); ++index) {
        table->fields[index].field = numbers_.at(table->fields[index].name);
        table->indexOf[static_cast<std::size_t>(table->fields[index].field)] = static_cast<std::uint8_t>(index);
      }
    }
    for (const auto& address : addresses_) {
      FieldTable& field = address.table->fields[address.index];
      const FieldTable* fallback = address.table->find(std::string_view(address.fallback));
      COUNTERFOIL_CHECK(fallback != nullptr && fallback->redaction == RedactionClass::scanned && fallback->type == FieldType::text);
      field.addressFallback = fallback->field;
      if (const FieldTable* pseudonym = address.table->find(field.name + "Pseudonym")) field.addressPseudonym = pseudonym->field;
    }
  }

  template <std::size_t count>
  void fillKinds(capnp::StructSchema source, std::array<KindTable, count>& kinds) {
    const StructTable* table = structure(source);
    COUNTERFOIL_CHECK(table->members.size() == count);
    for (const auto member : source.getUnionFields()) {
      const std::uint16_t discriminant = member.getProto().getDiscriminantValue();
      if (discriminant == 0) continue;
      KindTable& kind = kinds[discriminant];
      kind.name = textAnnotation(member, annotation::kKind);
      COUNTERFOIL_CHECK(!kind.name.empty());
      kind.body = table->members[discriminant];
      kind.fact = annotationOf(member, annotation::kFact).has_value();
      if (const std::string common = textAnnotation(member, annotation::kRequires); !common.empty()) {
        kind.requiredCommon = numbers_.at(common);
        COUNTERFOIL_CHECK(tables_.entry->find(*kind.requiredCommon) != nullptr);
      }
    }
  }

  SchemaTables& tables_;
  std::map<std::uint64_t, const StructTable*> structures_;
  std::map<std::uint64_t, const EnumTable*> enumerations_;
  std::map<std::string, Field> numbers_;
  std::vector<Address> addresses_;
};

template <std::size_t count>
std::unordered_map<std::string_view, std::uint16_t> byName(const std::array<KindTable, count>& kinds) {
  std::unordered_map<std::string_view, std::uint16_t> result;
  for (std::size_t number = 1; number < count; ++number) result.emplace(kinds[number].name, static_cast<std::uint16_t>(number));
  return result;
}

template <class Result>
std::optional<Result> findIn(const std::unordered_map<std::string_view, std::uint16_t>& names, std::string_view name) {
  const auto found = names.find(name);
  if (found == names.end()) return std::nullopt;
  return static_cast<Result>(found->second);
}

}  // namespace

std::optional<std::uint16_t> EnumTable::find(std::string_view text) const {
  for (std::size_t value = 1; value < texts.size(); ++value) {
    if (texts[value] == text) return static_cast<std::uint16_t>(value);
  }
  return std::nullopt;
}

const FieldTable* StructTable::find(std::string_view fieldName) const {
  for (const FieldTable& field : fields) {
    if (field.name == fieldName) return &field;
  }
  return nullptr;
}

std::optional<Kind> SchemaTables::findKind(std::string_view name) const {
  static const auto kNames = byName(schemaTables().kinds);
  return findIn<Kind>(kNames, name);
}

std::optional<CommandKind> SchemaTables::findCommand(std::string_view name) const {
  static const auto kNames = byName(schemaTables().commands);
  return findIn<CommandKind>(kNames, name);
}

const SchemaTables& schemaTables() {
  static const SchemaTables kTables = [] {
    SchemaTables tables;
    Builder(tables).build();
    return tables;
  }();
  return kTables;
}

std::string kindName(std::uint16_t discriminant) {
  if (discriminant > 0 && discriminant < kKindCount) return schemaTables().kinds[discriminant].name;
  return "unknown (" + std::to_string(discriminant) + ")";
}

}  // namespace counterfoil
