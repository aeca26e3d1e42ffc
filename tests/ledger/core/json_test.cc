#include "ledger/core/json.h"

#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <cctype>
#include <functional>
#include <set>
#include <string>

#include "ledger/core/codec.h"
#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"

namespace counterfoil {
namespace {

namespace bj = boost::json;

constexpr std::string_view kUuid7 = "0195f3a0-7c00-7abc-8def-0123456789ab";
constexpr std::string_view kUuid8 = "0195f3a0-7c00-8abc-8def-0123456789ab";
constexpr std::string_view kFingerprint = "fp2:3:AAECAwQFBgcICQoLDA0ODw";
constexpr std::string_view kHex64 = "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF";

std::string toLower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

Fault faultIn(const std::function<void()>& call) {
  try {
    call();
  } catch (const Fault& fault) {
    return fault;
  }
  ADD_FAILURE() << "no fault";
  return Fault(ErrorCode::internal, "");
}

// ---- In ----

TEST(ParseCommand, TakesTheLeaseRequestOfTheInterface) {
  const Command command = parseCommand(
      CommandKind::leaseRequest,
      R"({"credential":"git_token","credentialName":"github.com/acme/shop","grantee":{"kind":"agent","id":"fixer"},"run":"run-7","host":"host-3",
"sandbox":"sbx-1","scope":["contents:read"],"resources":["github.com/acme/shop"],"ttlSeconds":900,"maxUses":5,"renewableForSeconds":3600,
"parentLease":"lease-1","approval":"approval-1","reason":"a \"reason\"\nof two lines","secret":{"value":"s3cr\u00e9t"}})");
  EXPECT_EQ(command.kind, CommandKind::leaseRequest);
  EXPECT_EQ(command.id, EntryId{});
  EXPECT_EQ(schemaTables().commands[static_cast<std::size_t>(command.kind)].body, command.body.table);
  EXPECT_EQ(command.body.table->find(Field::credential)->enumeration->texts[command.body.number(Field::credential)], "git_token");
  EXPECT_EQ(command.body.text(Field::credentialName), "github.com/acme/shop");
  EXPECT_EQ(principalOf(command.body, Field::grantee).kind, PrincipalKind::agent);
  EXPECT_EQ(principalOf(command.body, Field::grantee).id, "fixer");
  EXPECT_EQ(command.common.text(Field::run), "run-7");
  EXPECT_EQ(command.common.text(Field::host), "host-3");
  EXPECT_EQ(command.common.text(Field::sandbox), "sbx-1");
  ASSERT_EQ(command.body.texts(Field::scope).size(), 1u);
  EXPECT_EQ(command.body.texts(Field::scope)[0], "contents:read");
  ASSERT_EQ(command.body.texts(Field::resources).size(), 1u);
  EXPECT_EQ(command.body.texts(Field::resources)[0], "github.com/acme/shop");
  EXPECT_EQ(command.body.number(Field::ttlSeconds), 900u);
  EXPECT_EQ(command.body.number(Field::maxUses), 5u);
  EXPECT_EQ(command.body.number(Field::renewableForSeconds), 3600u);
  EXPECT_EQ(command.body.text(Field::parentLease), "lease-1");
  EXPECT_EQ(command.body.text(Field::approval), "approval-1");
  EXPECT_EQ(command.body.text(Field::reason), "a \"reason\"\nof two lines");
  EXPECT_EQ(command.body.text(Field::secret), "s3cr\xc3\xa9t");
  EXPECT_EQ(command.body.get(Field::secret).secretForm, SecretForm::value);
}

TEST(ParseCommand, TakesTheIdempotencyKeyAndTheThreeFormsOfASecret) {
  const auto parse = [](const std::string& secret) {
    return parseCommand(CommandKind::leaseIssue, R"({"leaseId":"l","id":")" + std::string(kUuid7) + R"(","secret":)" + secret + "}");
  };
  const Command bySha = parse(R"({"sha256":")" + std::string(kHex64) + "\"}");
  EXPECT_EQ(toUuid(bySha.id), kUuid7);
  EXPECT_EQ(bySha.body.get(Field::secret).secretForm, SecretForm::sha256);
  EXPECT_EQ(bySha.body.text(Field::secret), toLower(std::string(kHex64)));
  const Command byFingerprint = parse(R"({"fingerprint":")" + std::string(kFingerprint) + "\"}");
  EXPECT_EQ(byFingerprint.body.get(Field::secret).secretForm, SecretForm::fingerprint);
  EXPECT_EQ(byFingerprint.body.text(Field::secret), kFingerprint);
  EXPECT_EQ(parse(R"({"\u0076alue":" "})").body.text(Field::secret), " ");
}

TEST(ParseCommand, TakesWhatTheRouteNames) {
  const RouteField route[] = {{Field::leaseId, "lease-9"}};
  EXPECT_EQ(parseCommand(CommandKind::leaseConsume, "{}", route).body.text(Field::leaseId), "lease-9");
  EXPECT_EQ(parseCommand(CommandKind::leaseConsume, R"({"leaseId":"lease-9","outcome":"ok"})", route).body.text(Field::leaseId), "lease-9");
  const Fault fault = faultIn([&] { parseCommand(CommandKind::leaseConsume, R"({"leaseId":"lease-8"})", route); });
  EXPECT_EQ(fault.code(), ErrorCode::invalidValue);
  EXPECT_EQ(fault.field(), "/leaseId");
  EXPECT_EQ(faultIn([&] { parseCommand(CommandKind::leaseConsume, R"({"leaseId":"lease-9","leaseId":"lease-9"})", route); }).code(),
            ErrorCode::duplicateField);
}

TEST(ParseCommand, TheIdOfANewWorkspaceIsItsName) {
  const Command command = parseCommand(CommandKind::workspaceCreate, R"({"id":"acme","region":"eu"})");
  EXPECT_EQ(command.body.text(Field::workspaceId), "acme");
  EXPECT_EQ(command.body.text(Field::region), "eu");
  EXPECT_EQ(command.id, EntryId{});
  EXPECT_EQ(faultIn([] { parseCommand(CommandKind::workspaceCreate, R"({"id":"acme","workspaceId":"acme"})"); }).code(),
            ErrorCode::duplicateField);
  EXPECT_EQ(faultIn([] { parseCommand(CommandKind::workspaceCreate, R"({"region":"eu"})"); }).field(), "/workspaceId");
}

TEST(ParseFact, FindsTheKindWhereverItStands) {
  const std::string rest =
      R"("leaseId":"l-1","credential":"model_key","grantee":{"id":"ann","kind":"human"},"occurredAt":"2026-03-01T09:30:00.5Z")";
  const std::string escaped = R"(,"\u006bind":"lease\u002egranted"} )";
  for (const std::string& text :
       {R"({"kind":"lease.granted",)" + rest + "}", "{" + rest + R"(,"kind":"lease.granted"})", " {" + rest + escaped}) {
    const Event event = parseFact(text);
    EXPECT_EQ(event.kind, Kind::leaseGranted) << text;
    EXPECT_EQ(event.body.text(Field::leaseId), "l-1");
    EXPECT_EQ(principalOf(event.body, Field::grantee).kind, PrincipalKind::human);
    EXPECT_EQ(toRfc3339(event.common.time(Field::occurredAt)), "2026-03-01T09:30:00.5Z");
  }
  // A "kind" of an inner object is not the fact's.
  EXPECT_EQ(parseFact(R"({"grantee":{"kind":"agent","id":"a"},"reasonCode":"expired","kind":"lease.denied"})").kind, Kind::leaseDenied);
}

TEST(ParseFact, TakesCommonFieldsBesideThoseOfTheKind) {
  const Event event = parseFact(
      R"({"kind":"vault.written","id":")" + std::string(kUuid8) +
      R"(","producer":"p-1","producerSeq":9007199254740991,"actor":{"kind":"operator","id":"o"},"run":"r","host":"h","sandbox":"s",
      "correlation":"c","traceparent":"t","secretName":"n","version":"v7","operation":"soft_delete","value":{"value":"x"},
      "scheduledPurgeAt":"1969-12-31T23:59:59Z"})");
  EXPECT_EQ(toUuid(event.id), kUuid8);
  EXPECT_EQ(event.common.text(Field::producer), "p-1");
  EXPECT_EQ(event.common.number(Field::producerSeq), 9007199254740991u);
  EXPECT_EQ(principalOf(event.common, Field::actor).kind, PrincipalKind::operatorPerson);
  EXPECT_EQ(event.common.text(Field::traceparent), "t");
  EXPECT_EQ(event.common.text(Field::source), "");
  EXPECT_EQ(event.body.text(Field::version), "v7") << "the kind's own field, not the entry's";
  EXPECT_EQ(event.body.time(Field::scheduledPurgeAt).nanoseconds, -kNanosecondsPerSecond);
  EXPECT_FALSE(event.lenient);
}

TEST(ParseFact, AKindMayNeedACommonField) {
  const Fault fault = faultIn([] { parseFact(R"({"kind":"host.connected","connectionId":"c"})"); });
  EXPECT_EQ(fault.code(), ErrorCode::invalidValue);
  EXPECT_EQ(fault.field(), "/host");
  EXPECT_EQ(parseFact(R"({"kind":"host.connected","host":"h"})").common.text(Field::host), "h");
}

TEST(ParseFact, OnlyFactsOfTheCatalogueAreFacts) {
  for (std::size_t number = 1; number < kKindCount; ++number) {
    const KindTable& kind = schemaTables().kinds[number];
    const Fault fault = faultIn([&] { parseFact(R"({"kind":")" + kind.name + R"(","nobodyKnows":1})"); });
    EXPECT_EQ(fault.code(), kind.fact ? ErrorCode::unknownField : ErrorCode::kindNotAFact) << kind.name;
  }
  EXPECT_EQ(faultIn([] { parseFact(R"({"kind":"lease.grante"})"); }).code(), ErrorCode::kindNotAFact);
  EXPECT_EQ(faultIn([] { parseFact(R"({"kind":""})"); }).code(), ErrorCode::kindNotAFact);
  EXPECT_EQ(faultIn([] { parseFact(R"({"kind":"none"})"); }).code(), ErrorCode::kindNotAFact);
}

// What the reader has no form for must not be a field that callers need.
TEST(JsonForms, EveryFieldACallerMayGiveHasOne) {
  const auto check = [](const StructTable& table) {
    EXPECT_LE(table.fields.size(), 64u) << table.name;
    for (const FieldTable& field : table.fields) {
      if (field.ledgerOnly || (field.structure != nullptr && field.structure->isUnion)) continue;
      EXPECT_NE(field.type, FieldType::data) << table.name << "." << field.name;
      EXPECT_NE(field.type, FieldType::structureList) << table.name << "." << field.name;
      EXPECT_TRUE(field.type != FieldType::structure || field.structure == schemaTables().principal) << table.name << "." << field.name;
    }
  };
  check(*schemaTables().entry);
  check(*schemaTables().command);
  for (const auto& kind : schemaTables().commands) {
    if (kind.body != nullptr) check(*kind.body);
  }
  for (const auto& kind : schemaTables().kinds) {
    if (kind.fact) check(*kind.body);
  }
}

// A kind whose field took the name of something else of an entry's JSON would give the object two members of one name.
TEST(JsonForms, NoFieldOfAKindTakesAnEntrysName) {
  const std::set<std::string> taken = {"seq",      "id",       "kind",       "recordedAt",  "occurredAt",
                                       "leafHash", "previous", "redactions", "commitments", "withheld"};
  for (const auto& kind : schemaTables().kinds) {
    if (kind.body == nullptr) continue;
    for (const FieldTable& field : kind.body->fields) EXPECT_FALSE(taken.contains(field.name)) << kind.name << "." << field.name;
  }
}

// ---- Round trips ----

// Every field of `table` set to something of its own; `number` makes values differ.
StructValue filled(Arena& arena, const StructTable& table, std::uint64_t& number) {
  StructValue value = makeStruct(arena, table);
  for (std::size_t index = 0; index < table.fields.size(); ++index) {
    const FieldTable& field = table.fields[index];
    const std::string text =
        field.name + "-" + std::to_string(++number) + (field.redaction == RedactionClass::id ? "" : " \"\\\n\t\xc3\xa9\xf0\x9f\x94\x91/");
    FieldValue& target = value.values[index];
    switch (field.type) {
      case FieldType::text:
        value.setText(arena, field.field, field.redaction == RedactionClass::secret ? std::string(kFingerprint) : text);
        if (field.redaction == RedactionClass::secret) target.secretForm = SecretForm::fingerprint;
        break;
      case FieldType::data:
        value.setData(arena, field.field, {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
        break;
      case FieldType::textList:
        value.setTexts(arena, field.field, std::vector<std::string_view>{text, "second", "\"third\""});
        break;
      case FieldType::structure:
        if (!field.structure->isUnion) value.setStructure(arena, field.field, filled(arena, *field.structure, number));
        break;
      case FieldType::structureList:
        value.setStructures(arena, field.field,
                            std::vector<StructValue>{filled(arena, *field.structure, number), filled(arena, *field.structure, number)});
        break;
      case FieldType::boolean:
      case FieldType::enumeration:
        target.number = 1;
        break;
      default:
        target.number = field.type == FieldType::unsigned8 ? number % 200 : field.type == FieldType::time ? number * 1'000'000'007 : number;
    }
  }
  return value;
}

// The same, as an object that is independent of the writer.
bj::value expectedJson(const FieldTable& field, const FieldValue& value);
bj::object expectedJson(const StructValue& value) {
  bj::object object;
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    if (!value.values[index].absent())
      object[value.table->fields[index].name] = expectedJson(value.table->fields[index], value.values[index]);
  }
  return object;
}
bj::value expectedJson(const FieldTable& field, const FieldValue& value) {
  bj::array list;
  switch (field.type) {
    case FieldType::boolean:
      return bj::value(value.number != 0);
    case FieldType::enumeration:
      return bj::value(field.enumeration->texts[value.number]);
    case FieldType::time:
      return bj::value(toRfc3339({static_cast<std::int64_t>(value.number)}));
    case FieldType::text:
      return bj::value(bj::string(value.text()));
    case FieldType::data:
      return bj::value(toHex({reinterpret_cast<const std::uint8_t*>(value.data), value.count}));
    case FieldType::textList:
      for (const std::string_view text : value.texts()) list.emplace_back(bj::string(text));
      return list;
    case FieldType::structure:
      return expectedJson(value.structures()[0]);
    case FieldType::structureList:
      for (const StructValue& item : value.structures()) list.emplace_back(expectedJson(item));
      return list;
    default:
      return bj::value(value.number);
  }
}

bj::object parsed(const std::string& json) {
  const bj::value value = bj::parse(json);
  // No member twice: bj::parse would keep one and print less.
  EXPECT_EQ(bj::serialize(value).size(), json.size()) << json;
  return value.as_object();
}

// What the JSON of an entry lacks to be sent again: secrets as objects, values of personal fields, no fields of the ledger.
bj::object asInput(bj::object object, const StructTable& body) {
  for (const char* name : {"seq", "recordedAt", "leafHash", "previous", "source"}) object.erase(name);
  for (const FieldTable& field : body.fields) {
    if (field.ledgerOnly) object.erase(field.name);
    if (!object.contains(field.name)) continue;
    bj::value& value = object[field.name];
    if (field.redaction == RedactionClass::secret) value = bj::object{{"fingerprint", value}};
    if (field.redaction == RedactionClass::personal) value = bj::value(value.at("value"));
  }
  return object;
}

TEST(EntryJson, EveryKindIsWrittenWhole) {
  for (std::size_t number = 1; number < kKindCount; ++number) {
    Event event = Event::make(static_cast<Kind>(number));
    std::uint64_t values = 0;
    EntryView view;
    view.entry = event.common;
    view.body = filled(event.arena, *event.body.table, values);
    view.kindNumber = static_cast<std::uint16_t>(number);
    view.known = true;
    bj::object expected = expectedJson(view.body);
    for (const FieldTable& field : view.body.table->fields) {
      if (field.redaction == RedactionClass::personal) expected.erase(field.name);
    }
    std::string json;
    writeEntryJson(view, LeafHash{}, {}, json);
    bj::object object = parsed(json);
    EXPECT_EQ(object["kind"].as_string(), std::string(kindName(event.kind)));
    for (const char* name : {"seq", "id", "kind", "recordedAt", "occurredAt", "leafHash", "previous"})
      EXPECT_EQ(object.erase(name), 1u) << name;
    EXPECT_EQ(object, expected) << json;
  }
}

TEST(EntryJson, EveryFactComesBackAsItWas) {
  std::size_t facts = 0;
  for (std::size_t number = 1; number < kKindCount; ++number) {
    const KindTable& kind = schemaTables().kinds[number];
    if (!kind.fact) continue;
    ++facts;
    Event event = Event::make(static_cast<Kind>(number));
    event.id = *fromUuid(kUuid7);
    std::uint64_t values = 0;
    const auto fill = [&](StructValue& into) {
      into = filled(event.arena, *into.table, values);
      for (std::size_t index = 0; index < into.table->fields.size(); ++index) {
        if (into.table->fields[index].ledgerOnly) into.values[index] = {};
      }
    };
    fill(event.common);
    fill(event.body);
    EntryView view;
    view.entry = event.common;
    view.body = event.body;
    view.kindNumber = static_cast<std::uint16_t>(number);
    view.known = true;
    view.id = event.id;
    view.occurredAt = event.common.time(Field::occurredAt);
    std::vector<DisclosedValue> disclosed;
    std::vector<StructValue> commitments;
    for (const FieldTable& field : event.body.table->fields) {
      if (field.redaction != RedactionClass::personal) continue;
      disclosed.push_back({"/" + field.name, std::string(event.body.text(field.field))});
      StructValue commitment = makeStruct(event.arena, *event.common.table->find(Field::commitments)->structure);
      commitment.setText(event.arena, Field::path, disclosed.back().path);
      commitment.setText(event.arena, Field::digest, std::string(32, '\x5a'));
      commitments.push_back(commitment);
    }
    StructValue entry = deepCopy(event.arena, event.common);
    entry.setStructures(event.arena, Field::commitments, commitments);
    view.entry = entry;
    std::string json;
    writeEntryJson(view, LeafHash{}, disclosed, json);
    const std::string input = bj::serialize(asInput(parsed(json), *event.body.table));
    Event again = parseFact(input);
    EXPECT_EQ(again.kind, event.kind);
    EXPECT_EQ(again.id, event.id);
    EXPECT_EQ(encodeCanonical(again.body), encodeCanonical(event.body)) << input;
    EXPECT_EQ(encodeCanonical(again.common), encodeCanonical(event.common)) << input;
  }
  EXPECT_GE(facts, 25u);
}

TEST(ParseCommand, EveryCommandComesBackAsItWas) {
  for (std::size_t number = 1; number < kCommandKindCount; ++number) {
    Command command = Command::make(static_cast<CommandKind>(number));
    std::uint64_t values = 0;
    bj::object object;
    for (StructValue* part : {&command.common, &command.body}) {
      *part = filled(command.arena, *part->table, values);
      for (std::size_t index = 0; index < part->table->fields.size(); ++index) {
        const FieldTable& field = part->table->fields[index];
        if (field.ledgerOnly) part->values[index] = {};
        if (part->values[index].absent()) continue;
        bj::value value = expectedJson(field, part->values[index]);
        object[field.name] = field.redaction == RedactionClass::secret ? bj::object{{"fingerprint", value}} : value;
      }
    }
    const Command again = parseCommand(command.kind, bj::serialize(object));
    EXPECT_EQ(encodeCanonical(again.body), encodeCanonical(command.body)) << commandName(command.kind);
    EXPECT_EQ(encodeCanonical(again.common), encodeCanonical(command.common)) << commandName(command.kind);
  }
}

// ---- Out ----

class EntryForm : public testing::Test {
 protected:
  EntryForm() {
    view.entry = makeStruct(arena, *schemaTables().entry);
    view.seq = {7};
    view.id = *fromUuid(kUuid7);
    view.recordedAt = {1'772'357'400'000'000'000};
    view.occurredAt = {1'772'357'399'500'000'000};
    view.previous.bytes.fill(0xab);
    leaf.bytes.fill(0xcd);
  }
  void be(Kind kind) {
    view.kindNumber = static_cast<std::uint16_t>(kind);
    view.known = true;
    view.body = makeStruct(arena, *schemaTables().kinds[view.kindNumber].body);
  }
  void addPairs(Field list, Field second, const std::vector<std::pair<std::string, std::string>>& pairs) {
    std::vector<StructValue> items;
    for (const auto& [path, value] : pairs) {
      StructValue item = makeStruct(arena, *view.entry.table->find(list)->structure);
      item.setText(arena, Field::path, path);
      item.setText(arena, second, value);
      items.push_back(item);
    }
    view.entry.setStructures(arena, list, items);
  }
  std::string json(const std::vector<DisclosedValue>& disclosed = {}) {
    std::string out;
    writeEntryJson(view, leaf, disclosed, out);
    return out;
  }
  static std::string hex32(const char* byte) {
    std::string text;
    for (int i = 0; i < 32; ++i) text += byte;
    return text;
  }
  std::string head(const std::string& kind) const {
    return R"({"seq":7,"id":"0195f3a0-7c00-7abc-8def-0123456789ab","kind":")" + kind +
           R"(","recordedAt":"2026-03-01T09:30:00Z","occurredAt":"2026-03-01T09:29:59.5Z")";
  }
  std::string hashes() const { return R"("leafHash":")" + hex32("cd") + R"(","previous":")" + hex32("ab") + "\""; }

  Arena arena;
  EntryView view;
  LeafHash leaf;
};

TEST_F(EntryForm, IsThatOfTheInterfaceInItsOrder) {
  be(Kind::leaseGranted);
  view.entry.setText(arena, Field::traceparent, "00-1-2-3");
  view.entry.setText(arena, Field::source, "api");
  view.entry.setText(arena, Field::producer, "p");
  view.entry.setNumber(Field::producerSeq, 12);
  view.entry.setText(arena, Field::run, "run-7");
  view.entry.setText(arena, Field::host, "host-3");
  view.entry.setNumber(Field::workspace, 3);
  view.entry.setNumber(Field::version, 1);
  setPrincipal(arena, view.entry, Field::actor, {PrincipalKind::human, "p2:abc"});
  addPairs(Field::redactions, Field::rule, {{"/credentialName", "github_token"}});
  addPairs(Field::commitments, Field::digest, {{"/actor/id", std::string(32, '\x11')}, {"/reason", std::string(32, '\x22')}});
  view.body.setText(arena, Field::leaseId, "l-1");
  view.body.setNumber(Field::credential, 1);
  setPrincipal(arena, view.body, Field::grantee, {PrincipalKind::agent, "fixer"});
  view.body.setTexts(arena, Field::scope, std::vector<std::string_view>{"a", "b"});
  view.body.setTime(Field::expiresAt, {1'772'358'300'000'000'000});
  view.body.setText(arena, Field::secret, "fp2:1:x");
  StructValue policy = makeStruct(arena, *view.body.table->find(Field::policy)->structure);
  view.body.setStructure(arena, Field::policy, policy);
  const std::string front =
      head("lease.granted") +
      R"(,"source":"api","producer":"p","producerSeq":12,"actor":{"kind":"human","id":"p2:abc"},"run":"run-7","host":"host-3","traceparent":"00-1-2-3",)" +
      hashes() + R"(,"redactions":[{"path":"/credentialName","rule":"github_token"}],"leaseId":"l-1","credential":"git_token",)" +
      R"("grantee":{"kind":"agent","id":"fixer"},"scope":["a","b"],"expiresAt":"2026-03-01T09:45:00Z","reason":{"commitment":")" +
      hex32("22") + "\"";
  const std::string middle = R"(},"secret":"fp2:1:x","commitments":[{"path":"/actor/id","commitment":")" + hex32("11") + "\"";
  EXPECT_EQ(json(), front + middle + "}]}");
  EXPECT_EQ(json({{"/reason", "because \"so\""}, {"/actor/id", "ann"}}),
            front + R"(,"value":"because \"so\"")" + middle + R"(,"value":"ann"}]})");
}

TEST_F(EntryForm, AKindsOwnFieldHidesTheCommonOne) {
  be(Kind::importFinished);
  view.entry.setText(arena, Field::source, "ledger");
  view.entry.setText(arena, Field::producer, "common");
  view.body.setText(arena, Field::source, "import/vault");
  EXPECT_EQ(json(), head("import.finished") + "," + hashes() + R"(,"source":"import/vault"})");
}

TEST_F(EntryForm, PersonalTextIsNeverShownWithoutItsCommitment) {
  be(Kind::workspaceClosed);
  be(Kind::holdReleased);
  view.body.setText(arena, Field::reason, "in clear by mistake");
  EXPECT_EQ(json({{"/reason", "opened"}}), head("hold.released") + "," + hashes() + "}");
  // A body that is all default was stored as nothing; its commitment is there all the same.
  view.body = {};
  addPairs(Field::commitments, Field::digest, {{"/reason", std::string(32, '\x22')}});
  EXPECT_EQ(json(), head("hold.released") + "," + hashes() + R"(,"reason":{"commitment":")" + hex32("22") + "\"}}");
}

TEST_F(EntryForm, WhatANewerWriterWroteIsNamedByNumber) {
  view.kindNumber = 999;
  addPairs(Field::commitments, Field::digest, {{"/reason", std::string(32, '\x22')}});
  EXPECT_EQ(json(), head("unknown (999)") + "," + hashes() + R"(,"commitments":[{"path":"/reason","commitment":")" + hex32("22") + "\"}]}");
  be(Kind::sandboxStarted);
  addPairs(Field::commitments, Field::digest, {});
  view.body.setNumber(Field::outcome, 77);
  EXPECT_EQ(json(), head("sandbox.started") + "," + hashes() + R"x(,"outcome":"unknown (77)"})x");
}

TEST_F(EntryForm, WithheldIsPlaceAndHashOnly) {
  std::string out = "[";
  writeWithheldJson({3}, leaf, out);
  EXPECT_EQ(out, R"([{"seq":3,"leafHash":")" + hex32("cd") + R"(","withheld":true})");
}

TEST(JsonString, EscapesAndRepairs) {
  const auto literal = [](std::string_view text) {
    std::string out;
    appendJsonString(text, out);
    return out;
  };
  EXPECT_EQ(literal(""), R"("")");
  EXPECT_EQ(literal("plain / \xc3\xa9 \xf0\x9f\x94\x91"), "\"plain / \xc3\xa9 \xf0\x9f\x94\x91\"");
  EXPECT_EQ(literal("\"\\\n\t\r"), R"("\"\\\n\t\r")");
  EXPECT_EQ(literal(std::string_view("\0\x01\x1b\x1f\x7f", 5)), "\"\\u0000\\u0001\\u001b\\u001f\\u007f\"");
  EXPECT_EQ(literal("a\xff\xc3\xa9\xe2\x82"), "\"a\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\"");
  EXPECT_EQ(literal("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"") << "a surrogate";
  // Each byte at each place of a text that is looked at eight bytes at a time.
  for (int byte = 0; byte < 128; ++byte) {
    for (std::size_t at = 0; at < 20; ++at) {
      std::string text = "abcdefgh\xc3\xa9ijklmnopqr";
      text.insert(at == 9 ? 8 : at, 1, static_cast<char>(byte));
      const std::string written = literal(text);
      EXPECT_EQ(bj::parse(written).as_string(), text) << byte << " at " << at;
      const bool isPlain = byte >= 0x20 && byte != '"' && byte != '\\' && byte != 0x7f;
      EXPECT_EQ(written.size() == text.size() + 2, isPlain) << byte << " at " << at;
    }
  }
}

TEST(JsonObject, PutsCommasAndQuotes) {
  std::string out;
  JsonObject empty(out);
  empty.end();
  JsonObject object(out);
  object.text("a", "x\"").number("b", 18446744073709551615u).boolean("c", false).time("d", {1}).raw("e", "[1]").end();
  EXPECT_EQ(out, R"({}{"a":"x\"","b":18446744073709551615,"c":false,"d":"1970-01-01T00:00:00.000000001Z","e":[1]})");
}

}  // namespace
}  // namespace counterfoil
