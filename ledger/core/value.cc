#include "ledger/core/value.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace counterfoil {
namespace {

std::span<const std::string_view> copyTexts(Arena& arena, std::span<const std::string_view> texts) {
  if (texts.empty()) return {};
  const std::span<std::string_view> copies = arena.array<std::string_view>(texts.size());
  std::transform(texts.begin(), texts.end(), copies.begin(), [&](std::string_view text) { return arena.copy(text); });
  return copies;
}

// The structures themselves, not what they point to.
FieldValue ofStructures(Arena& arena, std::span<const StructValue> values) {
  if (values.empty()) return {};
  const std::span<StructValue> copies = arena.array<StructValue>(values.size());
  std::copy(values.begin(), values.end(), copies.begin());
  return {0, copies.data(), static_cast<std::uint32_t>(copies.size()), SecretForm::none};
}

// The length of a list of the schema is checked where it comes in; here only that it fits its type.
std::uint32_t fits32(std::size_t count) {
  COUNTERFOIL_CHECK(count <= 0xffffffffU);
  return static_cast<std::uint32_t>(count);
}

FieldValue copyField(Arena& arena, const FieldTable& field, const FieldValue& source) {
  FieldValue copy = source;
  switch (field.type) {
    case FieldType::text:
    case FieldType::data:
      copy.data = arena.copy(source.text()).data();
      break;
    case FieldType::textList:
      copy.data = copyTexts(arena, source.texts()).data();
      break;
    case FieldType::structure:
    case FieldType::structureList: {
      copy.data = nullptr;
      if (source.count == 0) break;
      const std::span<StructValue> copies = arena.array<StructValue>(source.count);
      std::transform(source.structures().begin(), source.structures().end(), copies.begin(),
                     [&](const StructValue& value) { return deepCopy(arena, value); });
      copy.data = copies.data();
      break;
    }
    default:
      break;
  }
  return copy;
}

}  // namespace

void StructValue::setTexts(Arena& arena, Field field, std::span<const std::string_view> texts) {
  fits32(texts.size());
  at(field) = FieldValue::ofTexts(copyTexts(arena, texts));
}

void StructValue::setStructure(Arena& arena, Field field, const StructValue& value) {
  COUNTERFOIL_CHECK(value.table != nullptr);
  at(field) = ofStructures(arena, {&value, 1});
}

void StructValue::setStructures(Arena& arena, Field field, std::span<const StructValue> items) {
  fits32(items.size());
  at(field) = ofStructures(arena, items);
}

StructValue makeStruct(Arena& arena, const StructTable& table) {
  StructValue value;
  value.table = &table;
  // All zero is what FieldValue's members say; clearing the block at once is what makes this cheap.
  static_assert(std::is_trivially_copyable_v<FieldValue>);
  value.values = arena.room<FieldValue>(table.fields.size());
  std::memset(static_cast<void*>(value.values), 0, table.fields.size() * sizeof(FieldValue));
  return value;
}

StructValue deepCopy(Arena& arena, const StructValue& value) {
  if (value.table == nullptr) return {};
  StructValue copy = makeStruct(arena, *value.table);
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    copy.values[index] = copyField(arena, value.table->fields[index], value.values[index]);
  }
  copy.discriminant = value.discriminant;
  if (value.member != nullptr) {
    const std::span<StructValue> member = arena.array<StructValue>(1);
    member[0] = deepCopy(arena, *value.member);
    copy.member = member.data();
  }
  return copy;
}

PrincipalValue principalOf(const StructValue& value, Field field) {
  const StructValue principal = value.structure(field);
  if (principal.table == nullptr) return {};
  const std::uint64_t kind = principal.number(Field::kind);
  if (kind > static_cast<std::uint64_t>(PrincipalKind::ledger)) return {PrincipalKind::unspecified, principal.text(Field::id)};
  return {static_cast<PrincipalKind>(kind), principal.text(Field::id)};
}

void setPrincipal(Arena& arena, StructValue& value, Field field, PrincipalValue principal) {
  StructValue structure = makeStruct(arena, *schemaTables().principal);
  structure.setNumber(Field::kind, static_cast<std::uint64_t>(principal.kind));
  structure.setText(arena, Field::id, principal.id);
  value.setStructure(arena, field, structure);
}

}  // namespace counterfoil
