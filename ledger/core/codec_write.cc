// The writer of canonical bytes: one walk over the tables, pointers filled in as their targets are appended.
#include <algorithm>
#include <cstring>

#include "ledger/core/codec.h"
#include "ledger/core/codec_wire.h"

namespace counterfoil {
namespace {

using wire::ListSize;

// How much of each section is left once trailing zeros are dropped, in words.
struct Sections {
  std::uint32_t data = 0;
  std::uint32_t pointers = 0;
  bool empty() const { return data == 0 && pointers == 0; }
  std::uint32_t words() const { return data + pointers; }
};

bool isDefault(const StructValue& value);

bool isNullPointer(const FieldTable& field, const FieldValue& value) {
  if (value.count == 0) return true;
  return field.type == FieldType::structure && isDefault(*static_cast<const StructValue*>(value.data));
}

// True of what is written as a null pointer. Mostly answered by the first field that is set.
bool isDefault(const StructValue& value) {
  if (value.table == nullptr) return true;
  if (value.table->isUnion) return value.discriminant == 0 && (value.member == nullptr || isDefault(*value.member));
  for (const NumberField& number : value.table->numbers) {
    if (value.values[number.index].number != 0) return false;
  }
  for (const std::uint8_t index : value.table->pointerFields) {
    if (index != StructTable::kNone && !isNullPointer(value.table->fields[index], value.values[index])) return false;
  }
  return true;
}

// The trimmed sections of `value`; none if it is all default.
Sections sectionsOf(const StructValue& value) {
  Sections result;
  if (value.table == nullptr) return result;
  if (value.table->isUnion) {
    result.data = value.discriminant == 0 ? 0 : 1;
    result.pointers = value.member == nullptr || isDefault(*value.member) ? 0 : 1;
    return result;
  }
  for (const NumberField& number : value.table->numbers) {
    if (value.values[number.index].number != 0) result.data = std::max<std::uint32_t>(result.data, number.word + 1U);
  }
  const std::vector<std::uint8_t>& places = value.table->pointerFields;
  result.pointers = static_cast<std::uint32_t>(places.size());
  while (result.pointers > 0) {
    const std::uint8_t index = places[result.pointers - 1];
    if (index != StructTable::kNone && !isNullPointer(value.table->fields[index], value.values[index])) break;
    --result.pointers;
  }
  return result;
}

class Writer {
 public:
  explicit Writer(std::vector<std::uint8_t>& out) : out_(out) {
    out_.clear();
    out_.reserve(kUsualBytes);
  }

  void root(const StructValue& value) {
    const std::size_t pointer = grow(1);
    pointee(pointer, value, sectionsOf(value));
  }

 private:
  static constexpr std::size_t kUsualBytes = 1024;

  // Appends zeroed words; the index of the first one.
  std::size_t grow(std::size_t words) {
    const std::size_t at = out_.size() / wire::kWordBytes;
    out_.resize(out_.size() + words * wire::kWordBytes);
    return at;
  }
  std::uint8_t* word(std::size_t index) { return out_.data() + index * wire::kWordBytes; }

  void pointee(std::size_t pointer, const StructValue& value, Sections sections) {
    if (sections.empty()) return;
    const std::size_t at = grow(sections.words());
    wire::store(word(pointer), wire::structPointer(at - pointer - 1, sections.data, sections.pointers));
    body(at, value, sections.data);
    pointers(at + sections.data, value);
  }

  // The data section at word `at`; pointers() follows for the section behind it.
  void body(std::size_t at, const StructValue& value, std::uint32_t dataWords) {
    if (value.table->isUnion) {
      COUNTERFOIL_CHECK(value.discriminant < value.table->members.size());
      if (dataWords != 0) wire::store(word(at), value.discriminant);
      return;
    }
    for (const NumberField& field : value.table->numbers) {
      const std::uint64_t number = value.values[field.index].number;
      if (number == 0) continue;
      COUNTERFOIL_CHECK(number <= field.max);
      std::uint8_t* const target = word(at + field.word);
      wire::store(target, wire::load(target) | number << field.shift);
    }
  }

  void pointers(std::size_t at, const StructValue& value) {
    const StructTable& table = *value.table;
    if (table.isUnion) {
      if (value.member == nullptr) return;
      COUNTERFOIL_CHECK(value.member->table == table.members[value.discriminant]);
      pointee(at, *value.member, sectionsOf(*value.member));
      return;
    }
    // In the order of the section, not of the fields: the two differ when a schema grows.
    for (std::size_t pointer = 0; pointer < table.pointerFields.size(); ++pointer) {
      const std::uint8_t index = table.pointerFields[pointer];
      if (index == StructTable::kNone || value.values[index].count == 0) continue;
      target(at + pointer, table.fields[index], value.values[index]);
    }
  }

  void target(std::size_t pointer, const FieldTable& field, const FieldValue& value) {
    switch (field.type) {
      case FieldType::text:
        bytes(pointer, value.text(), 1);
        return;
      case FieldType::data:
        bytes(pointer, value.text(), 0);
        return;
      case FieldType::textList:
        texts(pointer, value.texts());
        return;
      case FieldType::structure: {
        const StructValue& structure = *static_cast<const StructValue*>(value.data);
        if (structure.table == nullptr) return;
        COUNTERFOIL_CHECK(structure.table == field.structure);
        pointee(pointer, structure, sectionsOf(structure));
        return;
      }
      case FieldType::structureList:
        structures(pointer, *field.structure, value.structures());
        return;
      default:
        COUNTERFOIL_CHECK(!"a number has no pointer");
    }
  }

  // A byte list, with `terminator` bytes of NUL behind a text.
  void bytes(std::size_t pointer, std::string_view content, std::size_t terminator) {
    if (content.empty()) return;
    const std::size_t count = content.size() + terminator;
    const std::size_t at = grow(wire::wordsOf(count));
    wire::store(word(pointer), wire::listPointer(at - pointer - 1, ListSize::byte, count));
    std::memcpy(word(at), content.data(), content.size());
  }

  void texts(std::size_t pointer, std::span<const std::string_view> items) {
    const std::size_t at = grow(items.size());
    wire::store(word(pointer), wire::listPointer(at - pointer - 1, ListSize::pointer, items.size()));
    for (std::size_t index = 0; index < items.size(); ++index) bytes(at + index, items[index], 1);
  }

  // All elements have the sections of the largest.
  void structures(std::size_t pointer, const StructTable& table, std::span<const StructValue> items) {
    Sections sections;
    for (const StructValue& item : items) {
      COUNTERFOIL_CHECK(item.table == nullptr || item.table == &table);
      const Sections own = sectionsOf(item);
      sections.data = std::max(sections.data, own.data);
      sections.pointers = std::max(sections.pointers, own.pointers);
    }
    const std::size_t words = items.size() * sections.words();
    const std::size_t tag = grow(1 + words);
    wire::store(word(pointer), wire::listPointer(tag - pointer - 1, ListSize::composite, words));
    wire::store(word(tag), wire::structPointer(items.size(), sections.data, sections.pointers));
    std::size_t at = tag + 1;
    for (const StructValue& item : items) {
      if (item.table != nullptr) {
        body(at, item, sections.data);
        pointers(at + sections.data, item);
      }
      at += sections.words();
    }
  }

  std::vector<std::uint8_t>& out_;
};

}  // namespace

void encodeCanonical(const StructValue& value, std::vector<std::uint8_t>& out) {
  COUNTERFOIL_CHECK(value.table != nullptr);
  Writer(out).root(value);
}

std::vector<std::uint8_t> encodeCanonical(const StructValue& value) {
  std::vector<std::uint8_t> out;
  encodeCanonical(value, out);
  return out;
}

}  // namespace counterfoil
