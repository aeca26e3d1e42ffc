#include "projections/views/entry_fields.h"

namespace counterfoil::views {

std::string_view EntryFields::text(Field field) const {
  const StructValue& value = view_.body;
  if (value.table == nullptr) return {};
  const FieldTable* table = value.table->find(field);
  if (table == nullptr || table->redaction == RedactionClass::personal) return {};
  if (table->type == FieldType::text) return value.text(field);
  if (table->type != FieldType::enumeration) return {};
  const std::uint64_t number = value.number(field);
  return number == 0 || number >= table->enumeration->texts.size() ? std::string_view{} : table->enumeration->texts[number];
}

std::string_view EntryFields::firstOf(std::initializer_list<Field> fields) const {
  for (const Field field : fields) {
    const std::string_view found = text(field);
    if (!found.empty()) return found;
  }
  return {};
}

std::span<const std::string_view> EntryFields::texts(Field field) const {
  const StructValue& value = view_.body;
  if (value.table == nullptr) return {};
  const FieldTable* table = value.table->find(field);
  if (table == nullptr || table->type != FieldType::textList) return {};
  return value.texts(field);
}

std::string EntryFields::principal(Field field) const {
  const StructValue& value = view_.body;
  if (value.table == nullptr) return {};
  const FieldTable* table = value.table->find(field);
  if (table == nullptr || table->structure != schemaTables().principal) return {};
  return principalKey(principalOf(value, field));
}

std::string EntryFields::firstPrincipal(std::initializer_list<Field> fields) const {
  for (const Field field : fields) {
    std::string found = principal(field);
    if (!found.empty()) return found;
  }
  return {};
}

}  // namespace counterfoil::views
