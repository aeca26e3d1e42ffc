// A secret in every free field of every kind and command, by walking the schema: none of its bytes may be left anywhere.
#include <gtest/gtest.h>

#include "tests/ledger/redact/redaction_fixture.h"

namespace counterfoil::redact {
namespace {

// Random, and of nobody. The first has a published shape; the second has none and is known; the third is the request's own.
constexpr std::string_view kShaped = "ghp_4kQzW8mXv2RtLp9sYc3NbHd7FgJe6UaTo1iK";
constexpr std::string_view kKnown = "blue-horse-eats-thirty-lamps";
constexpr std::string_view kOwn = "seven.green.bridges.over.nothing";

enum class Form { alone, inText };

class CanaryTest : public test::RedactionTest {
 protected:
  void SetUp() override { know(kKnown); }

  // Puts `text` into the field at every place where the caller has text; false if there is none.
  static bool plant(Arena& arena, StructValue& target, const FieldTable& field, std::string_view text) {
    switch (field.type) {
      case FieldType::text:
        target.setText(arena, field.field, text);
        if (field.redaction == RedactionClass::secret) target.at(field.field).secretForm = SecretForm::value;
        return true;
      case FieldType::textList:
        target.setTexts(arena, field.field, std::vector<std::string_view>{"first", text});
        return true;
      case FieldType::structure:
      case FieldType::structureList: {
        if (field.structure->isUnion) return false;
        StructValue inner = makeStruct(arena, *field.structure);
        bool planted = false;
        for (const FieldTable& innerField : field.structure->fields) planted = plant(arena, inner, innerField, text) || planted;
        target.setStructures(arena, field.field, std::vector<StructValue>{inner});
        return planted;
      }
      default:
        return false;
    }
  }

  static void expectAbsent(std::string_view haystack, std::string_view canary, const std::string& where) {
    EXPECT_EQ(haystack.find(canary), std::string_view::npos) << where;
    // Not a part of it either.
    EXPECT_EQ(haystack.find(canary.substr(canary.size() / 2)), std::string_view::npos) << where;
  }
  void expectAbsent(const RedactionResult& result, const EntryId& entry, std::string_view canary, const std::string& where) {
    for (const FieldCommitment& commitment : result.commitments) {
      expectAbsent(commitment.path, canary, where);
      const std::string value = disclosed(entry, result, commitment.path);
      EXPECT_NE(value, "<does not open>") << where;
      expectAbsent(value, canary, where + " disclosure");
    }
    for (const FieldRedaction& redaction : result.redactions) expectAbsent(redaction.path + redaction.rule, canary, where);
  }
  static void expectAbsent(const Fault& fault, std::string_view canary, const std::string& where) {
    expectAbsent(fault.detail() + "\n" + fault.hint() + "\n" + fault.field() + "\n" + fault.what(), canary, where + " fault");
  }
  static std::string encoded(const StructValue& value) {
    const auto bytes = encodeCanonical(value);
    return std::string(bytes.begin(), bytes.end());
  }

  void tryEvent(Kind kind, const FieldTable& field, bool common, std::string_view canary, Form form, bool lenient) {
    Event made = event(kind);
    made.lenient = lenient;
    if (canary == kOwn && made.body.has(Field::secret)) setSecret(made, Field::secret, kOwn, SecretForm::value);
    const std::string text = form == Form::alone ? std::string(canary) : "before " + std::string(canary) + " after";
    if (!plant(made.arena, common ? made.common : made.body, field, text)) return;
    ++planted_;
    const std::string where = std::string(kindName(kind)) + "/" + field.name + (lenient ? " lenient" : "");
    try {
      RedactedEvent kept = redact(std::move(made));
      const EntryId id = kept.id();
      ChainHead head;
      const Entry entry = chain(std::move(kept), kWorkspace, Timestamp{1}, random_.bytes<16>(), head);
      expectAbsent({reinterpret_cast<const char*>(entry.bytes().data()), entry.bytes().size()}, canary, where);
      expectAbsent(entry.redaction(), id, canary, where);
      Arena arena;
      EntryView view;
      EXPECT_EQ(readEntry(entry.bytes(), Strictness::strict, arena, view), nullptr) << where;
      ++recorded_;
    } catch (const Fault& fault) {
      EXPECT_FALSE(lenient && fault.code() == ErrorCode::secretInIdentifier) << where;
      expectAbsent(fault, canary, where);
    }
  }

  void tryCommand(CommandKind kind, const FieldTable& field, bool common, std::string_view canary, Form form) {
    Command made = Command::make(kind);
    made.id = EntryId{random_.bytes<16>()};
    if (canary == kOwn) {
      made.body.setText(made.arena, Field::secret, kOwn);
      made.body.at(Field::secret).secretForm = SecretForm::value;
    }
    const std::string text = form == Form::alone ? std::string(canary) : "before " + std::string(canary) + " after";
    if (!plant(made.arena, common ? made.common : made.body, field, text)) return;
    ++planted_;
    const std::string where = std::string(commandName(kind)) + "/" + field.name;
    try {
      const RedactedCommand kept = redactor_.redact(std::move(made));
      expectAbsent(encoded(kept.common()), canary, where);
      expectAbsent(encoded(kept.body()), canary, where);
      expectAbsent(kept.redaction(), kept.id(), canary, where);
      ++recorded_;
    } catch (const Fault& fault) {
      expectAbsent(fault, canary, where);
    }
  }

  std::size_t planted_ = 0;
  std::size_t recorded_ = 0;
};

TEST_F(CanaryTest, NoEventKeepsASecret) {
  for (std::size_t number = 1; number < kKindCount; ++number) {
    const Kind kind = static_cast<Kind>(number);
    const StructTable& body = *schemaTables().kinds[number].body;
    for (const bool common : {false, true}) {
      for (const FieldTable& field : (common ? *schemaTables().entry : body).fields) {
        // Bytes of the ledger's own in an entry; nobody else can fill them.
        if (common && (field.name == "commitments" || field.name == "redactions")) continue;
        for (const std::string_view canary : {kShaped, kKnown, kOwn}) {
          // Without a secret of its own that phrase is no secret.
          if (canary == kOwn && body.find(Field::secret) == nullptr) continue;
          for (const Form form : {Form::alone, Form::inText}) {
            for (const bool lenient : {false, true}) tryEvent(kind, field, common, canary, form, lenient);
          }
        }
      }
    }
  }
  EXPECT_GT(planted_, 4000u);
  EXPECT_GT(recorded_, planted_ / 2);
}

TEST_F(CanaryTest, NoCommandKeepsASecret) {
  for (std::size_t number = 1; number < kCommandKindCount; ++number) {
    const CommandKind kind = static_cast<CommandKind>(number);
    const StructTable& body = *schemaTables().commands[number].body;
    for (const bool common : {false, true}) {
      for (const FieldTable& field : (common ? *schemaTables().command : body).fields) {
        for (const std::string_view canary : {kShaped, kKnown, kOwn}) {
          if (canary == kOwn && body.find(Field::secret) == nullptr) continue;
          for (const Form form : {Form::alone, Form::inText}) tryCommand(kind, field, common, canary, form);
        }
      }
    }
  }
  EXPECT_GT(planted_, 400u);
  EXPECT_GT(recorded_, 150u);
}

// The test above would pass if nothing were ever recorded, or if the canary were not recognised in the first place.
TEST_F(CanaryTest, OrdinaryTextIsKept) {
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::operation, "before seven.green.bridges.over.nothing after"),
            "before seven.green.bridges.over.nothing after");
  EXPECT_EQ(kept(Kind::leaseConsumed, Field::leaseId, "seven.green.bridges.over.nothing"), "seven.green.bridges.over.nothing");
}

}  // namespace
}  // namespace counterfoil::redact
