#include "ledger/core/schema_tables.h"

#include <capnp/schema.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <set>

#include "ledger/core/limits.h"
#include "schemas/annotation_ids.h"
#include "schemas/command.capnp.h"
#include "schemas/entry.capnp.h"
#include "schemas/event.capnp.h"
#include "schemas/record.capnp.h"

namespace counterfoil {
namespace {

using capnp::StructSchema;

bool hasAnnotation(StructSchema::Field field, std::uint64_t id) {
  for (const auto item : field.getProto().getAnnotations()) {
    if (item.getId() == id) return true;
  }
  return false;
}

// Every structure that can be reached from one the ledger stores or receives.
void collect(StructSchema schema, std::vector<StructSchema>& found, std::set<std::uint64_t>& seen) {
  if (!seen.insert(schema.getProto().getId()).second) return;
  found.push_back(schema);
  for (const auto field : schema.getFields()) {
    capnp::Type type = field.getType();
    if (type.isList()) type = type.asList().getElementType();
    if (type.isStruct()) collect(type.asStruct(), found, seen);
  }
}

std::vector<StructSchema> allStructures() {
  std::vector<StructSchema> found;
  std::set<std::uint64_t> seen;
  for (const StructSchema root : {StructSchema(capnp::Schema::from<schema::Entry>()), StructSchema(capnp::Schema::from<schema::Command>()),
                                  StructSchema(capnp::Schema::from<schema::Record>()), StructSchema(capnp::Schema::from<schema::Sealed>()),
                                  StructSchema(capnp::Schema::from<schema::Keys>()), StructSchema(capnp::Schema::from<schema::Claim>()),
                                  StructSchema(capnp::Schema::from<schema::Genesis>())}) {
    collect(root, found, seen);
  }
  return found;
}

std::string nameOf(StructSchema schema, StructSchema::Field field) {
  return std::string(schema.getShortDisplayName().cStr()) + "." + field.getProto().getName().cStr();
}

bool isMember(StructSchema::Field field) {
  return field.getProto().getDiscriminantValue() != capnp::schema::Field::NO_DISCRIMINANT;
}

bool isAllowed(capnp::Type type) {
  using capnp::schema::Type;
  switch (type.which()) {
    case Type::BOOL:
    case Type::UINT8:
    case Type::UINT16:
    case Type::UINT32:
    case Type::UINT64:
    case Type::INT64:
    case Type::ENUM:
    case Type::TEXT:
    case Type::DATA:
    case Type::STRUCT:
      return true;
    case Type::LIST:
      return type.asList().getElementType().isText() || type.asList().getElementType().isStruct();
    default:
      return false;
  }
}

TEST(Schema, EveryFieldHasAClassAnAllowedTypeAndNoDefault) {
  std::size_t fields = 0;
  for (const StructSchema schema : allStructures()) {
    for (const auto field : schema.getFields()) {
      if (isMember(field)) continue;
      ++fields;
      EXPECT_TRUE(hasAnnotation(field, schema::annotation::kClass)) << nameOf(schema, field);
      ASSERT_TRUE(field.getProto().isSlot()) << nameOf(schema, field) << " is a group";
      EXPECT_FALSE(field.getProto().getSlot().getHadExplicitDefault()) << nameOf(schema, field);
      EXPECT_TRUE(isAllowed(field.getType())) << nameOf(schema, field);
    }
  }
  EXPECT_GT(fields, 300U) << "the walk missed most of the schema";
}

TEST(Schema, EveryMemberOfAUnionHasAKindAndOneStructure) {
  for (const StructSchema schema : allStructures()) {
    for (const auto field : schema.getUnionFields()) {
      if (field.getProto().getDiscriminantValue() == 0) {
        EXPECT_STREQ(field.getProto().getName().cStr(), "none") << nameOf(schema, field);
        EXPECT_TRUE(field.getType().isVoid());
        continue;
      }
      EXPECT_TRUE(hasAnnotation(field, schema::annotation::kKind)) << nameOf(schema, field);
      EXPECT_TRUE(field.getType().isStruct()) << nameOf(schema, field);
    }
  }
}

TEST(Schema, AnAddressHasAScannedFallbackAndAPseudonym) {
  std::size_t addresses = 0;
  for (const auto& table : schemaTables().structures) {
    for (const FieldTable& field : table->fields) {
      if (!field.isAddress) continue;
      ++addresses;
      EXPECT_EQ(field.redaction, RedactionClass::personal) << table->name << "." << field.name;
      ASSERT_TRUE(field.addressFallback.has_value()) << table->name << "." << field.name;
      const FieldTable* fallback = table->find(*field.addressFallback);
      ASSERT_NE(fallback, nullptr);
      EXPECT_EQ(fallback->redaction, RedactionClass::scanned);
      ASSERT_TRUE(field.addressPseudonym.has_value()) << table->name << "." << field.name;
      const FieldTable* pseudonym = table->find(*field.addressPseudonym);
      ASSERT_NE(pseudonym, nullptr);
      EXPECT_EQ(pseudonym->name, field.name + "Pseudonym");
      EXPECT_TRUE(pseudonym->ledgerOnly);
    }
  }
  EXPECT_EQ(addresses, 8U);
}

TEST(Schema, PseudonymsArePrincipalsAndPrincipalsArePseudonyms) {
  for (const auto& table : schemaTables().structures) {
    for (const FieldTable& field : table->fields) {
      EXPECT_EQ(field.redaction == RedactionClass::pseudonym, field.structure == schemaTables().principal)
          << table->name << "." << field.name;
    }
  }
}

TEST(Schema, SecretsAndPersonalValuesAreTexts) {
  for (const auto& table : schemaTables().structures) {
    for (const FieldTable& field : table->fields) {
      if (field.redaction != RedactionClass::secret && field.redaction != RedactionClass::personal &&
          field.redaction != RedactionClass::digest)
        continue;
      EXPECT_EQ(field.type, FieldType::text) << table->name << "." << field.name;
    }
  }
}

std::string withoutSeparators(std::string_view text) {
  std::string result;
  for (const char letter : text) {
    if (letter == '.' || letter == '_' || letter == '-') continue;
    result += static_cast<char>(letter >= 'A' && letter <= 'Z' ? letter - 'A' + 'a' : letter);
  }
  return result;
}

TEST(SchemaTables, KindNamesAreUniqueAndThoseOfTheirMembers) {
  std::set<std::string> names;
  for (const auto field : StructSchema(capnp::Schema::from<schema::Event>()).getUnionFields()) {
    const std::uint16_t discriminant = field.getProto().getDiscriminantValue();
    if (discriminant == 0) continue;
    const KindTable& kind = schemaTables().kinds[discriminant];
    EXPECT_TRUE(names.insert(kind.name).second) << kind.name << " twice";
    EXPECT_EQ(withoutSeparators(kind.name), withoutSeparators(field.getProto().getName().cStr()));
    EXPECT_EQ(withoutSeparators(kind.name), withoutSeparators(kind.body->name));
    EXPECT_EQ(schemaTables().findKind(kind.name), static_cast<Kind>(discriminant));
    EXPECT_EQ(kindName(discriminant), kind.name);
  }
  EXPECT_EQ(names.size(), kKindCount - 1);
  EXPECT_EQ(schemaTables().findKind(""), std::nullopt);
  EXPECT_EQ(schemaTables().findKind("lease.grante"), std::nullopt);
  EXPECT_EQ(schemaTables().kinds[0].body, nullptr);
}

TEST(SchemaTables, CommandNamesAreUniqueAndFound) {
  std::set<std::string> names;
  for (std::size_t number = 1; number < kCommandKindCount; ++number) {
    const KindTable& command = schemaTables().commands[number];
    ASSERT_NE(command.body, nullptr);
    EXPECT_TRUE(names.insert(command.name).second) << command.name << " twice";
    EXPECT_EQ(schemaTables().findCommand(command.name), static_cast<CommandKind>(number));
  }
  EXPECT_EQ(commandName(CommandKind::revokeAll), "lease.revoke-all");
  EXPECT_EQ(schemaTables().findCommand("lease.granted"), std::nullopt);
}

TEST(SchemaTables, KindsOfNewerWritersAreNamedByTheirNumber) {
  EXPECT_EQ(kindName(std::uint16_t{0}), "unknown (0)");
  EXPECT_EQ(kindName(static_cast<std::uint16_t>(kKindCount)), "unknown (" + std::to_string(kKindCount) + ")");
  EXPECT_EQ(kindName(std::uint16_t{65535}), "unknown (65535)");
}

TEST(SchemaTables, FactsAndRequiredCommonFieldsAreThoseOfTheSchema) {
  const auto& kinds = schemaTables().kinds;
  const auto of = [&](Kind kind) -> const KindTable& { return kinds[static_cast<std::size_t>(kind)]; };
  EXPECT_TRUE(of(Kind::leaseGranted).fact);
  EXPECT_FALSE(of(Kind::revocationOrdered).fact);
  EXPECT_FALSE(of(Kind::findingRaised).fact);
  EXPECT_EQ(of(Kind::hostConnected).requiredCommon, Field::host);
  EXPECT_EQ(of(Kind::sandboxStopped).requiredCommon, Field::sandbox);
  EXPECT_EQ(of(Kind::runFinished).requiredCommon, Field::run);
  EXPECT_EQ(of(Kind::leaseGranted).requiredCommon, std::nullopt);
}

// names.h is generated by its own walk: the two must number the names alike.
TEST(SchemaTables, FieldsCarryTheNumbersOfTheGeneratedNames) {
  std::set<std::string> names;
  for (const auto& table : schemaTables().structures) {
    for (const FieldTable& field : table->fields) {
      names.insert(field.name);
      EXPECT_EQ(table->find(field.field), &field);
      EXPECT_EQ(table->find(std::string_view(field.name)), &field);
    }
    EXPECT_EQ(table->find(std::string_view("noSuchField")), nullptr);
  }
  ASSERT_EQ(names.size(), kFieldCount);
  const auto numberOf = [&](const char* name) { return static_cast<Field>(std::distance(names.begin(), names.find(name))); };
  EXPECT_EQ(numberOf("actor"), Field::actor);
  EXPECT_EQ(numberOf("bundleId"), Field::bundleId);
  EXPECT_EQ(numberOf("commitments"), Field::commitments);
  EXPECT_EQ(numberOf("event"), Field::event);
  EXPECT_EQ(numberOf("grantee"), Field::grantee);
  EXPECT_EQ(numberOf("keyId"), Field::keyId);
  EXPECT_EQ(numberOf("leaseId"), Field::leaseId);
  EXPECT_EQ(numberOf("newKeys"), Field::newKeys);
  EXPECT_EQ(numberOf("operation"), Field::operation);
  EXPECT_EQ(numberOf("reasonCode"), Field::reasonCode);
  EXPECT_EQ(numberOf("sourceAddressPseudonym"), Field::sourceAddressPseudonym);
  EXPECT_EQ(numberOf("url"), Field::url);
  EXPECT_EQ(numberOf("witnesses"), Field::witnesses);
}

TEST(SchemaTables, FieldsOfAGrantAreReadFromTheirAnnotations) {
  const StructTable& grant = *schemaTables().kinds[static_cast<std::size_t>(Kind::leaseGranted)].body;
  EXPECT_EQ(grant.name, "LeaseGranted");
  const FieldTable& leaseId = *grant.find(Field::leaseId);
  EXPECT_EQ(leaseId.type, FieldType::text);
  EXPECT_EQ(leaseId.redaction, RedactionClass::id);
  EXPECT_TRUE(leaseId.required);
  EXPECT_FALSE(leaseId.ledgerOnly);
  const FieldTable& reason = *grant.find(Field::reason);
  EXPECT_EQ(reason.redaction, RedactionClass::personal);
  EXPECT_EQ(reason.subject, Subject::grantee);
  EXPECT_FALSE(reason.required);
  EXPECT_FALSE(reason.isAddress);
  EXPECT_EQ(grant.find(Field::secret)->redaction, RedactionClass::secret);
  EXPECT_TRUE(grant.find(Field::policy)->ledgerOnly);
  EXPECT_EQ(grant.find(Field::grantee)->redaction, RedactionClass::pseudonym);
  EXPECT_EQ(grant.find(Field::expiresAt)->type, FieldType::time);
  EXPECT_EQ(grant.find(Field::scope)->type, FieldType::textList);
  EXPECT_EQ(grant.find(Field::witnesses), nullptr);
  EXPECT_EQ(schemaTables().entry->find(Field::commitments)->type, FieldType::structureList);
}

TEST(SchemaTables, LimitsFollowTheClassUnlessTheSchemaNamesOne) {
  const SchemaTables& tables = schemaTables();
  const StructTable& grant = *tables.kinds[static_cast<std::size_t>(Kind::leaseGranted)].body;
  const StructTable& policy = *tables.kinds[static_cast<std::size_t>(Kind::policySet)].body;
  EXPECT_EQ(grant.find(Field::leaseId)->bytesMax, limits::kIdBytesMax);
  EXPECT_EQ(grant.find(Field::credentialName)->bytesMax, limits::kScannedBytesMax);
  EXPECT_EQ(grant.find(Field::scope)->bytesMax, limits::kScannedBytesMax);
  EXPECT_EQ(grant.find(Field::scope)->itemsMax, limits::kListItemsMax);
  EXPECT_EQ(grant.find(Field::reason)->bytesMax, limits::kPersonalBytesMax);
  EXPECT_EQ(grant.find(Field::secret)->bytesMax, 512U);
  EXPECT_EQ(grant.find(Field::sourceAddressPseudonym)->bytesMax, 512U);
  EXPECT_EQ(grant.find(Field::maxUses)->bytesMax, 0U);
  EXPECT_EQ(policy.find(Field::document)->bytesMax, limits::kPolicyBytesMax);
  EXPECT_EQ(policy.find(Field::documentDigest)->bytesMax, 65'000U);
  EXPECT_EQ(tables.entry->find(Field::commitments)->itemsMax, 1024U);
  EXPECT_EQ(tables.record->find(Field::sealed)->bytesMax, limits::kRecordBytesMax);
  EXPECT_GE(tables.sealed->find(Field::entry)->bytesMax, limits::kEntryBytesMax);
  EXPECT_EQ(tables.sealedDisclosure->find(Field::sealed)->bytesMax, limits::kDisclosureBytesMax);
  EXPECT_EQ(tables.claim->find(Field::node)->bytesMax, 512U);
}

TEST(SchemaTables, EnumerationsSpeakSnakeCase) {
  const EnumTable& credential =
      *schemaTables().kinds[static_cast<std::size_t>(Kind::leaseGranted)].body->find(Field::credential)->enumeration;
  EXPECT_THAT(credential.texts,
              testing::ElementsAre("unspecified", "git_token", "tool_token", "model_key", "cloud_identity", "gateway_bearer",
                                   "channel_token", "sidecar_token", "ssh_certificate", "database_user", "certificate", "other"));
  EXPECT_EQ(credential.find("git_token"), std::uint16_t{1});
  EXPECT_EQ(credential.find("other"), std::uint16_t{11});
  EXPECT_EQ(credential.find("gitToken"), std::nullopt);
  EXPECT_EQ(credential.find("unspecified"), std::nullopt);
  EXPECT_EQ(credential.find(""), std::nullopt);
  EXPECT_THAT(schemaTables().principal->find(Field::kind)->enumeration->texts,
              testing::ElementsAre("unspecified", "human", "agent", "service", "operator", "ledger"));
}

TEST(SchemaTables, NumbersShareNoBits) {
  for (const auto& table : schemaTables().structures) {
    if (table->isUnion) continue;
    std::vector<std::uint64_t> bits(table->dataWords, 0);
    for (const NumberField& number : table->numbers) {
      ASSERT_LT(number.word, bits.size());
      EXPECT_EQ(bits[number.word] & number.mask << number.shift, 0U) << table->name << "." << table->fields[number.index].name;
      bits[number.word] |= number.mask << number.shift;
      EXPECT_LE(number.max, number.mask);
    }
    EXPECT_EQ(bits, table->knownBits) << table->name;
  }
}

TEST(SchemaTables, PlacesAreThoseOfTheCompiledSchema) {
  for (const StructSchema schema : allStructures()) {
    const StructTable* table = nullptr;
    for (const auto& candidate : schemaTables().structures) {
      if (candidate->name == schema.getShortDisplayName().cStr()) table = candidate.get();
    }
    ASSERT_NE(table, nullptr) << schema.getShortDisplayName().cStr();
    EXPECT_EQ(table->isUnion, schema.getUnionFields().size() > 0);
    EXPECT_EQ(table->fields.size(), schema.getNonUnionFields().size());
    for (const FieldTable& field : table->fields) {
      const auto source = schema.getFieldByName(kj::StringPtr(field.name.c_str(), field.name.size())).getProto().getSlot();
      const bool isPointer = field.type >= FieldType::text;
      if (isPointer) {
        EXPECT_EQ(table->pointerFields.at(source.getOffset()), table->indexOf[static_cast<std::size_t>(field.field)]);
      }
      if (isPointer || field.type == FieldType::boolean) {
        EXPECT_EQ(field.offset, source.getOffset());
      }
      if (field.type == FieldType::time) {
        EXPECT_EQ(field.offset, source.getOffset() * 8);
      }
      if (field.type == FieldType::enumeration) {
        EXPECT_EQ(field.offset, source.getOffset() * 2);
      }
    }
  }
}

}  // namespace
}  // namespace counterfoil
