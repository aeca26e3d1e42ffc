// Values of schema structures in memory: what JSON, redaction, decisions and the codec pass to each other. Everything a value points to
// lies in an Arena (or in the bytes it was read from) that must outlive it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "ledger/core/arena.h"
#include "ledger/core/check.h"
#include "ledger/core/ids.h"
#include "ledger/core/schema_tables.h"

namespace counterfoil {

struct StructValue;

// How the caller gave the value of a secret field.
enum class SecretForm : std::uint8_t { none, value, sha256, fingerprint };

// One field. Which members mean something is said by the FieldTable's type; all-zero is "absent".
struct FieldValue {
  std::uint64_t number = 0;                  // booleans, numbers, enumerations, times (two's complement)
  const void* data = nullptr;                // text and data: bytes; textList: std::string_view; structure(List): StructValue
  std::uint32_t count = 0;                   // bytes or items
  SecretForm secretForm = SecretForm::none;  // of a secret field before redaction; fingerprint once redacted

  std::string_view text() const { return {static_cast<const char*>(data), count}; }
  std::span<const std::string_view> texts() const { return {static_cast<const std::string_view*>(data), count}; }
  std::span<const StructValue> structures() const;
  bool absent() const { return number == 0 && count == 0; }
  static FieldValue ofText(std::string_view text) { return {0, text.data(), static_cast<std::uint32_t>(text.size()), SecretForm::none}; }
  static FieldValue ofBytes(crypto::Bytes bytes) { return ofText({reinterpret_cast<const char*>(bytes.data()), bytes.size()}); }
  static FieldValue ofTexts(std::span<const std::string_view> texts) {
    return {0, texts.data(), static_cast<std::uint32_t>(texts.size()), SecretForm::none};
  }
};

// One structure: a table and one FieldValue per field of it, in the table's order. Cheap to copy (a view). Absent: table == nullptr.
struct StructValue {
  const StructTable* table = nullptr;
  FieldValue* values = nullptr;
  // Of a union (isUnion): which member, and its structure.
  std::uint16_t discriminant = 0;
  const StructValue* member = nullptr;

  bool has(Field field) const { return table != nullptr && table->find(field) != nullptr; }
  // The field's value; an all-zero value if this structure has no such field.
  const FieldValue& get(Field field) const {
    static constexpr FieldValue kAbsent{};
    if (table == nullptr) return kAbsent;
    const std::uint8_t index = table->indexOf[static_cast<std::size_t>(field)];
    return index == StructTable::kNone ? kAbsent : values[index];
  }
  // The field for writing. The structure must have it.
  FieldValue& at(Field field) {
    const std::uint8_t index = table->indexOf[static_cast<std::size_t>(field)];
    COUNTERFOIL_CHECK(index != StructTable::kNone);
    return values[index];
  }

  std::string_view text(Field field) const { return get(field).text(); }
  std::span<const std::string_view> texts(Field field) const { return get(field).texts(); }
  std::uint64_t number(Field field) const { return get(field).number; }
  bool flag(Field field) const { return get(field).number != 0; }
  Timestamp time(Field field) const { return {static_cast<std::int64_t>(get(field).number)}; }
  // A structure field; absent (table == nullptr) if not set.
  StructValue structure(Field field) const;
  std::span<const StructValue> structures(Field field) const { return get(field).structures(); }

  // Setters copy into `arena` what is given by reference.
  void setText(Arena& arena, Field field, std::string_view text) { at(field) = FieldValue::ofText(arena.copy(text)); }
  void setData(Arena& arena, Field field, crypto::Bytes bytes) { at(field) = FieldValue::ofText(arena.copy(bytes)); }
  void setTexts(Arena& arena, Field field, std::span<const std::string_view> texts);
  void setNumber(Field field, std::uint64_t number) { at(field).number = number; }
  void setFlag(Field field, bool value) { at(field).number = value ? 1 : 0; }
  void setTime(Field field, Timestamp time) { at(field).number = static_cast<std::uint64_t>(time.nanoseconds); }
  // `value` itself is stored (its contents must lie in the same arena or outlive it).
  void setStructure(Arena& arena, Field field, const StructValue& value);
  void setStructures(Arena& arena, Field field, std::span<const StructValue> values);
};

inline std::span<const StructValue> FieldValue::structures() const {
  return {static_cast<const StructValue*>(data), count};
}

inline StructValue StructValue::structure(Field field) const {
  const FieldValue& value = get(field);
  return value.count == 0 ? StructValue{} : *static_cast<const StructValue*>(value.data);
}

// A structure of `table` with every field absent.
StructValue makeStruct(Arena& arena, const StructTable& table);
// A copy of everything reachable from `value`.
StructValue deepCopy(Arena& arena, const StructValue& value);

// Enumerations as C++ enums: the value's number in the schema's own enum (schemas/principal.capnp).
enum class PrincipalKind : std::uint16_t { unspecified, human, agent, service, operatorPerson, ledger };

struct PrincipalValue {
  PrincipalKind kind = PrincipalKind::unspecified;
  std::string_view id;
};
PrincipalValue principalOf(const StructValue& value, Field field);
void setPrincipal(Arena& arena, StructValue& value, Field field, PrincipalValue principal);

}  // namespace counterfoil
