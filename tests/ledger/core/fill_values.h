// Pseudo-random values for any table, and the same values in Cap'n Proto's own builders: the oracle of the codec's tests.
#pragma once

#include <capnp/dynamic.h>
#include <capnp/message.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "ledger/core/value.h"

namespace counterfoil::test {

// splitmix64: the same numbers on every machine and in every library.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31U);
  }
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(next() % bound); }
  bool oneIn(std::size_t count) { return below(count) == 0; }

 private:
  std::uint64_t state_;
};

// How much of a structure is filled.
enum class Fill { everything, some };

inline std::string randomText(Dice& dice, std::size_t bytesMax) {
  static constexpr const char* kPieces[] = {"a", "Z", "7", "/", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x94\x91", "\x01", "key"};
  const std::size_t length = 1 + dice.below(std::min<std::size_t>(bytesMax, 40) - 4);
  std::string text;
  while (text.size() < length) text += kPieces[dice.below(std::size(kPieces))];
  return text;
}

inline std::string randomData(Dice& dice) {
  std::string data(1 + dice.below(33), '\0');
  for (char& byte : data) byte = static_cast<char>(dice.below(256));
  return data;
}

inline bool isDefault(const StructValue& value) {
  if (value.table == nullptr) return true;
  if (value.discriminant != 0 || value.member != nullptr) return false;
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    const FieldValue& item = value.values[index];
    const bool isStructure = value.table->fields[index].type == FieldType::structure;
    if (!item.absent() && !(isStructure && isDefault(item.structures()[0]))) return false;
  }
  return true;
}

StructValue randomStruct(Arena& arena, const StructTable& table, Dice& dice, Fill fill);

inline void randomField(Arena& arena, StructValue& value, const FieldTable& field, Dice& dice, Fill fill) {
  switch (field.type) {
    case FieldType::boolean:
      value.setFlag(field.field, true);
      return;
    case FieldType::enumeration:
      value.setNumber(field.field, 1 + dice.below(field.enumeration->texts.size() - 1));
      return;
    case FieldType::unsigned8:
      value.setNumber(field.field, 1 + dice.below(0xff));
      return;
    case FieldType::unsigned16:
      value.setNumber(field.field, 1 + dice.below(0xffff));
      return;
    case FieldType::unsigned32:
      value.setNumber(field.field, 1 + dice.below(0xffffffff));
      return;
    case FieldType::unsigned64:
    case FieldType::time:
      value.setNumber(field.field, dice.oneIn(3) ? 1 + dice.below(9) : dice.next() | 1);
      return;
    case FieldType::text:
      value.setText(arena, field.field, randomText(dice, field.bytesMax));
      return;
    case FieldType::data: {
      const std::string data = randomData(dice);
      value.setData(arena, field.field, {reinterpret_cast<const std::uint8_t*>(data.data()), data.size()});
      return;
    }
    case FieldType::textList: {
      std::vector<std::string> texts(1 + dice.below(4));
      for (auto& text : texts) text = dice.oneIn(4) ? "" : randomText(dice, field.bytesMax);
      const std::vector<std::string_view> views(texts.begin(), texts.end());
      value.setTexts(arena, field.field, views);
      return;
    }
    case FieldType::structure:
      value.setStructure(arena, field.field, randomStruct(arena, *field.structure, dice, fill));
      return;
    case FieldType::structureList: {
      // Elements that are all default, and lists of nothing else, are part of the format.
      std::vector<StructValue> items(1 + dice.below(4));
      const bool allDefault = fill == Fill::some && dice.oneIn(5);
      for (auto& item : items)
        item = allDefault ? makeStruct(arena, *field.structure) : randomStruct(arena, *field.structure, dice, Fill::some);
      value.setStructures(arena, field.field, items);
      return;
    }
  }
}

inline StructValue randomStruct(Arena& arena, const StructTable& table, Dice& dice, Fill fill) {
  StructValue value = makeStruct(arena, table);
  if (table.isUnion) {
    value.discriminant = static_cast<std::uint16_t>(1 + dice.below(table.members.size() - 1));
    StructValue* member = arena.array<StructValue>(1).data();
    *member = randomStruct(arena, *table.members[value.discriminant], dice, fill);
    value.member = member;
    return value;
  }
  for (const FieldTable& field : table.fields) {
    if (fill == Fill::some && dice.oneIn(2)) continue;
    randomField(arena, value, field, dice, fill);
  }
  return value;
}

// A structure of `table` (Entry or Command) whose union `field` has the member `discriminant`.
inline StructValue randomWithMember(Arena& arena, const StructTable& table, Field field, std::uint16_t discriminant, Dice& dice,
                                    Fill fill) {
  StructValue value = randomStruct(arena, table, dice, fill);
  StructValue choice = makeStruct(arena, *table.find(field)->structure);
  choice.discriminant = discriminant;
  StructValue* member = arena.array<StructValue>(1).data();
  *member = randomStruct(arena, *choice.table->members[discriminant], dice, fill);
  choice.member = member;
  value.setStructure(arena, field, choice);
  return value;
}

inline kj::StringPtr fieldNameOf(const FieldTable& field) {
  return {field.name.data(), field.name.size()};
}

inline capnp::Text::Reader toText(kj::String& holder, std::string_view text) {
  holder = kj::heapString(text.data(), text.size());
  return holder;
}

inline capnp::StructSchema::Field memberOf(capnp::StructSchema schema, std::uint16_t discriminant) {
  for (auto field : schema.getUnionFields()) {
    if (field.getProto().getDiscriminantValue() == discriminant) return field;
  }
  std::abort();
}

// Sets in `builder` what `value` holds; default structures are left out.
inline void toDynamic(const StructValue& value, capnp::DynamicStruct::Builder builder) {
  if (value.table->isUnion) {
    if (value.discriminant == 0) return;
    const auto field = memberOf(builder.getSchema(), value.discriminant);
    if (value.member == nullptr || isDefault(*value.member)) {
      builder.clear(field);
    } else {
      toDynamic(*value.member, builder.init(field).as<capnp::DynamicStruct>());
    }
    return;
  }
  kj::String holder;
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    const FieldTable& field = value.table->fields[index];
    const FieldValue& item = value.values[index];
    if (item.absent()) continue;
    const kj::StringPtr name = fieldNameOf(field);
    switch (field.type) {
      case FieldType::boolean:
        builder.set(name, item.number != 0);
        break;
      case FieldType::enumeration:
        builder.set(
            name, capnp::DynamicEnum(builder.getSchema().getFieldByName(name).getType().asEnum(), static_cast<std::uint16_t>(item.number)));
        break;
      case FieldType::time:
        builder.set(name, static_cast<std::int64_t>(item.number));
        break;
      case FieldType::text:
        builder.set(name, toText(holder, item.text()));
        break;
      case FieldType::data:
        builder.set(name, capnp::Data::Reader(static_cast<const kj::byte*>(item.data), item.count));
        break;
      case FieldType::textList: {
        auto list = builder.init(name, item.count).as<capnp::DynamicList>();
        for (std::uint32_t place = 0; place < item.count; ++place) {
          if (!item.texts()[place].empty()) list.set(place, toText(holder, item.texts()[place]));
        }
        break;
      }
      case FieldType::structure:
        if (!isDefault(item.structures()[0])) toDynamic(item.structures()[0], builder.init(name).as<capnp::DynamicStruct>());
        break;
      case FieldType::structureList: {
        auto list = builder.init(name, item.count).as<capnp::DynamicList>();
        for (std::uint32_t place = 0; place < item.count; ++place) {
          toDynamic(item.structures()[place], list[place].as<capnp::DynamicStruct>());
        }
        break;
      }
      default:
        builder.set(name, item.number);
    }
  }
}

}  // namespace counterfoil::test
