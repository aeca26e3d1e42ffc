// Writes schemas/names.h: the kinds, commands and field names of the compiled schema as C++ enums, so that the schema stays their one
// source and a misspelt field is a compile error.
#include <capnp/schema.h>

#include <cstdio>
#include <fstream>
#include <set>
#include <string>

#include "schemas/command.capnp.h"
#include "schemas/entry.capnp.h"
#include "schemas/event.capnp.h"
#include "schemas/principal.capnp.h"
#include "schemas/record.capnp.h"

namespace {

void collectFields(capnp::StructSchema schema, std::set<std::string>& names, std::set<std::uint64_t>& seen) {
  if (!seen.insert(schema.getProto().getId()).second) return;
  for (auto field : schema.getFields()) {
    if (field.getProto().getDiscriminantValue() != 0xffff) {
      if (field.getType().isStruct()) collectFields(field.getType().asStruct(), names, seen);
      continue;
    }
    names.insert(field.getProto().getName().cStr());
    auto type = field.getType();
    if (type.isStruct()) collectFields(type.asStruct(), names, seen);
    if (type.isList() && type.asList().getElementType().isStruct()) collectFields(type.asList().getElementType().asStruct(), names, seen);
  }
}

void writeUnion(std::ofstream& out, const char* name, const char* comment, capnp::StructSchema schema) {
  out << "// " << comment << "\nenum class " << name << " : std::uint16_t {\n";
  std::size_t count = 0;
  for (auto field : schema.getUnionFields()) {
    out << "  " << field.getProto().getName().cStr() << " = " << field.getProto().getDiscriminantValue() << ",\n";
    ++count;
  }
  out << "};\ninline constexpr std::size_t k" << name << "Count = " << count << ";\n\n";
}

// Enumerations of the schema; the values are those on the wire. PrincipalKind is declared in ledger/core/value.h.
void writeEnum(std::ofstream& out, capnp::EnumSchema schema) {
  out << "enum class " << schema.getShortDisplayName().cStr() << " : std::uint16_t {\n";
  for (auto enumerant : schema.getEnumerants()) {
    const std::string name = enumerant.getProto().getName().cStr();
    out << "  " << name << (name == "operator" ? "_" : "") << " = " << enumerant.getOrdinal() << ",\n";
  }
  out << "};\n\n";
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  std::ofstream out(argv[1]);
  out << "// Generated from the Cap'n Proto schema by schemas/generate_names.cc; do not edit.\n#pragma once\n\n"
         "#include <cstddef>\n#include <cstdint>\n\nnamespace counterfoil {\n\n";
  writeUnion(out, "Kind", "Kinds of events; the value is the discriminant on the wire.", capnp::Schema::from<counterfoil::schema::Event>());
  writeUnion(out, "CommandKind", "Commands; never stored.", capnp::Schema::from<counterfoil::schema::Operation>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::Credential>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::Outcome>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::LeaseStep>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::ReasonCode>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::RevocationSelector>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::Decision>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::VaultOperation>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::TokenAudience>());
  writeEnum(out, capnp::Schema::from<counterfoil::schema::Severity>());
  std::set<std::string> names;
  std::set<std::uint64_t> seen;
  collectFields(capnp::Schema::from<counterfoil::schema::Entry>(), names, seen);
  collectFields(capnp::Schema::from<counterfoil::schema::Event>(), names, seen);
  collectFields(capnp::Schema::from<counterfoil::schema::Command>(), names, seen);
  collectFields(capnp::Schema::from<counterfoil::schema::Operation>(), names, seen);
  collectFields(capnp::Schema::from<counterfoil::schema::Record>(), names, seen);
  collectFields(capnp::Schema::from<counterfoil::schema::Sealed>(), names, seen);
  collectFields(capnp::Schema::from<counterfoil::schema::Claim>(), names, seen);
  collectFields(capnp::Schema::from<counterfoil::schema::Genesis>(), names, seen);
  out << "// Every field name of the schema once, whatever structure it is in.\nenum class Field : std::uint16_t {\n";
  for (const auto& name : names) out << "  " << name << ",\n";
  out << "};\ninline constexpr std::size_t kFieldCount = " << names.size() << ";\n\n}  // namespace counterfoil\n";
  out.close();
  return out ? 0 : 1;
}
