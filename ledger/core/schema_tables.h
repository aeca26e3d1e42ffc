// The compiled schema as plain tables, made once at first use: what codec, JSON and redaction walk instead of code per kind.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/names.h"

namespace counterfoil {

enum class FieldType : std::uint8_t {
  boolean,
  unsigned8,
  unsigned16,
  unsigned32,
  unsigned64,
  time,
  enumeration,
  text,
  data,
  textList,
  structure,
  structureList
};

enum class RedactionClass : std::uint8_t { clear, id, scanned, personal, pseudonym, secret, digest };

// Whose key protects a personal field.
enum class Subject : std::uint8_t { workspace, actor, grantee, decidedBy, onBehalfOf };

// An enumeration: values 1.. have a text in snake_case; 0 is "unspecified" and never written.
struct EnumTable {
  std::vector<std::string> texts;  // by value
  // The value of `text`, or nullopt. "unspecified" is no text.
  std::optional<std::uint16_t> find(std::string_view text) const;
};

struct StructTable;

struct FieldTable {
  Field field{};
  std::string name;  // as in JSON and in the schema
  FieldType type{};
  // Boolean: bit of the data section. Other data: byte of the data section. Pointers: index in the pointer section.
  std::uint32_t offset = 0;
  RedactionClass redaction{};
  Subject subject = Subject::workspace;
  bool isAddress = false;
  std::optional<Field> addressFallback;   // the scanned field that takes what is no address
  std::optional<Field> addressPseudonym;  // where the address pseudonym goes
  bool required = false;                  // JSON input without it is refused
  bool ledgerOnly = false;                // JSON input that names it is refused
  std::uint32_t bytesMax = 0;             // of a text or data, and of each text of a list
  std::uint32_t itemsMax = 0;             // of a list
  const StructTable* structure = nullptr;
  const EnumTable* enumeration = nullptr;
};

// Where a field of the data section lies: all that reading one takes, close together.
struct NumberField {
  std::uint64_t mask = 0;  // after the shift
  std::uint64_t max = 0;   // greater values are unknown to the schema
  std::uint16_t word = 0;
  std::uint8_t shift = 0;
  std::uint8_t index = 0;  // in StructTable::fields
};

struct StructTable {
  static constexpr std::uint8_t kNone = 0xff;

  std::string name;
  std::uint16_t dataWords = 0;
  std::uint16_t pointers = 0;
  std::vector<FieldTable> fields;                   // without union members; the index is that of StructValue's values
  std::vector<NumberField> numbers;                 // the fields of the data section
  std::vector<std::uint8_t> pointerFields;          // by pointer index: index in `fields`, kNone if unknown
  std::array<std::uint8_t, kFieldCount> indexOf{};  // by Field; kNone if absent
  std::vector<std::uint64_t> knownBits;             // by data word
  // Unions of struct pointers only (Event, Operation): discriminant in data word 0, every member at pointer 0.
  bool isUnion = false;
  std::uint32_t discriminantByte = 0;
  std::vector<const StructTable*> members;  // by discriminant; null for `none`

  const FieldTable* find(Field field) const {
    return indexOf[static_cast<std::size_t>(field)] == kNone ? nullptr : &fields[indexOf[static_cast<std::size_t>(field)]];
  }
  const FieldTable* find(std::string_view fieldName) const;
};

struct KindTable {
  std::string name;  // "lease.granted"
  const StructTable* body = nullptr;
  bool fact = false;
  std::optional<Field> requiredCommon;  // the common field this kind must have
};

// Immutable after construction; shared by all threads.
struct SchemaTables {
  const StructTable* entry = nullptr;
  const StructTable* command = nullptr;
  const StructTable* record = nullptr;
  const StructTable* sealed = nullptr;
  const StructTable* sealedDisclosure = nullptr;
  const StructTable* wrappedKey = nullptr;
  const StructTable* keys = nullptr;
  const StructTable* claim = nullptr;
  const StructTable* genesis = nullptr;
  const StructTable* principal = nullptr;
  std::array<KindTable, kKindCount> kinds;
  std::array<KindTable, kCommandKindCount> commands;
  std::vector<std::unique_ptr<StructTable>> structures;
  std::vector<std::unique_ptr<EnumTable>> enumerations;

  std::optional<Kind> findKind(std::string_view name) const;
  std::optional<CommandKind> findCommand(std::string_view name) const;
};

const SchemaTables& schemaTables();

// "lease.granted"; "unknown (<number>)" for a discriminant of a newer writer.
std::string kindName(std::uint16_t discriminant);
inline std::string_view kindName(Kind kind) {
  return schemaTables().kinds[static_cast<std::size_t>(kind)].name;
}
inline std::string_view commandName(CommandKind kind) {
  return schemaTables().commands[static_cast<std::size_t>(kind)].name;
}

}  // namespace counterfoil
