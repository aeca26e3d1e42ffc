// One entry of every kind, made from fixed values, held against schemas/vectors/events.json. The file is the format: a difference means
// that stored ledgers are no longer read as they were written. COUNTERFOIL_WRITE_VECTORS=1 writes the file, for kinds that are new.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <fstream>
#include <sstream>
#include <string>

#include "ledger/core/encoding.h"
#include "ledger/core/entry.h"

namespace counterfoil {
namespace {

constexpr const char* kFile = COUNTERFOIL_SOURCE_DIR "/schemas/vectors/events.json";
constexpr std::int64_t kVectorsStart = 1'772'000'000'000'000'000;

// What fills the fields: by field and place only, so that a new field changes no other.
class Filler {
 public:
  explicit Filler(RedactedEvent& event) : event_(event) {}

  StructValue fill(const StructTable& table, const std::string& path) {
    StructValue value = makeStruct(event_.arena(), table);
    for (std::size_t index = 0; index < table.fields.size(); ++index)
      set(value, table.fields[index], index + 1, path + "/" + table.fields[index].name);
    return value;
  }

  void set(StructValue& value, const FieldTable& field, std::size_t place, const std::string& path) {
    Arena& arena = event_.arena();
    switch (field.type) {
      case FieldType::boolean:
        return value.setFlag(field.field, true);
      case FieldType::enumeration:
        return value.setNumber(field.field, 1 + place % 3);  // not of the enumeration's size: it may grow
      case FieldType::time:
        return value.setTime(field.field,
                             Timestamp{kVectorsStart + static_cast<std::int64_t>(place) * kNanosecondsPerSecond + 123'456'789});
      case FieldType::text:
        return setText(value, field, place, path);
      case FieldType::data:
        return value.setData(arena, field.field, crypto::sha256(bytesOf(path)));
      case FieldType::textList: {
        const std::string first = field.name + "/\xc3\xa9t\xc3\xa9";
        const std::string_view texts[] = {first, "", "last"};
        return value.setTexts(arena, field.field, texts);
      }
      case FieldType::structure:
        if (field.structure == schemaTables().principal) {
          return setPrincipal(arena, value, field.field, {PrincipalKind::human, "p2:AAAAAAAAAAAAAAAAAAAAAA"});
        }
        return value.setStructure(arena, field.field, fill(*field.structure, path));
      case FieldType::structureList: {
        const StructValue items[] = {fill(*field.structure, path + "/0"), fill(*field.structure, path + "/1")};
        return value.setStructures(arena, field.field, items);
      }
      default:
        return value.setNumber(field.field, place * 1000 + 1);
    }
  }

 private:
  static crypto::Bytes bytesOf(const std::string& text) { return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()}; }

  // As an entry holds it: personal values as commitments, secrets as fingerprints.
  void setText(StructValue& value, const FieldTable& field, std::size_t place, const std::string& path) {
    if (field.redaction == RedactionClass::personal) {
      event_.redaction().commitments.push_back({path, crypto::sha256(bytesOf(path))});
      return;
    }
    const std::string text =
        field.redaction == RedactionClass::secret ? "fp2:1:AAAAAAAAAAAAAAAAAAAAAA" : field.name + "-" + std::to_string(place);
    value.setText(event_.arena(), field.field, text);
  }

  RedactedEvent& event_;
};

template <std::size_t size>
std::array<std::uint8_t, size> counting(std::uint8_t first) {
  std::array<std::uint8_t, size> bytes{};
  for (std::uint8_t& byte : bytes) byte = first++;
  return bytes;
}

Entry makeEntry(std::uint16_t kind) {
  EntryId id{counting<16>(static_cast<std::uint8_t>(kind))};
  id.bytes[6] = static_cast<std::uint8_t>(0x70 | (id.bytes[6] & 0x0f));
  id.bytes[8] = static_cast<std::uint8_t>(0x80 | (id.bytes[8] & 0x3f));
  RedactedEvent event = RedactedEvent::ofLedger(static_cast<Kind>(kind), id);
  Filler filler(event);
  for (const Field field : {Field::occurredAt, Field::producer, Field::producerSeq, Field::actor, Field::run, Field::host, Field::sandbox,
                            Field::correlation, Field::traceparent}) {
    filler.set(event.common(), *schemaTables().entry->find(field), 1 + static_cast<std::size_t>(kind),
               "/" + schemaTables().entry->find(field)->name);
  }
  event.common().setText(event.arena(), Field::source, "api");
  event.body() = filler.fill(*event.body().table, "");
  event.redaction().redactions = {{"/operation", "aws-access-key-id"}};
  // A chain of its own each, so that a new kind leaves the others as they are: entry `kind` after that many made-up leaves.
  ChainHead head;
  for (std::uint16_t leaf = 0; leaf < kind; ++leaf) {
    head.last = leafHash(counting<8>(static_cast<std::uint8_t>(leaf)));
    head.tree.append(head.last);
  }
  head.lastRecordedAt = Timestamp{kVectorsStart};
  return chain(std::move(event), WorkspaceNumber{7}, Timestamp{kVectorsStart + 500}, counting<16>(0xa0), head);
}

// ---- A readable form of what was read back ----

std::string jsonText(std::string_view text) {
  return boost::json::serialize(boost::json::string(text));
}
std::string readable(const StructValue& value);

std::string readable(const FieldTable& field, const FieldValue& value) {
  std::string list;
  const auto add = [&](const std::string& item) { list += (list.empty() ? "" : ",") + item; };
  switch (field.type) {
    case FieldType::boolean:
      return value.number != 0 ? "true" : "false";
    case FieldType::enumeration:
      return jsonText(field.enumeration->texts[value.number]);
    case FieldType::time:
      return jsonText(toRfc3339(Timestamp{static_cast<std::int64_t>(value.number)}));
    case FieldType::text:
      return jsonText(value.text());
    case FieldType::data:
      return jsonText("hex:" + toHex({static_cast<const std::uint8_t*>(value.data), value.count}));
    case FieldType::textList:
      for (const std::string_view text : value.texts()) add(jsonText(text));
      return "[" + list + "]";
    case FieldType::structure:
      return readable(value.structures()[0]);
    case FieldType::structureList:
      for (const StructValue& item : value.structures()) add(readable(item));
      return "[" + list + "]";
    default:
      return std::to_string(value.number);
  }
}

std::string readable(const StructValue& value) {
  if (value.table->isUnion)
    return "{" + jsonText(kindName(value.discriminant)) + ":" + (value.member == nullptr ? "{}" : readable(*value.member)) + "}";
  std::string fields;
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    if (value.values[index].absent()) continue;
    fields += (fields.empty() ? "" : ",") + jsonText(value.table->fields[index].name) + ":" +
              readable(value.table->fields[index], value.values[index]);
  }
  return "{" + fields + "}";
}

std::string lineOf(std::uint16_t kind) {
  const Entry entry = makeEntry(kind);
  Arena arena;
  EntryView view;
  const char* problem = readEntry(entry.bytes(), Strictness::strict, arena, view);
  EXPECT_EQ(problem, nullptr);
  return "{\"kind\":" + jsonText(kindName(kind)) + ",\"entry\":\"" + toHex(entry.bytes()) + "\",\"leaf\":\"" + toHex(entry.leaf().bytes) +
         "\",\"fields\":" + readable(view.entry) + "}";
}

std::string wholeFile() {
  std::string text = "[\n";
  for (std::uint16_t kind = 1; kind < kKindCount; ++kind) text += lineOf(kind) + (kind + 1U < kKindCount ? ",\n" : "\n");
  return text + "]\n";
}

std::string readFile() {
  std::ifstream file(kFile, std::ios::binary);
  std::stringstream content;
  content << file.rdbuf();
  return content.str();
}

TEST(GoldenVectors, EveryKindIsWrittenAsItAlwaysWas) {
  if (const char* write = std::getenv("COUNTERFOIL_WRITE_VECTORS"); write != nullptr && std::string_view(write) == "1") {
    std::ofstream(kFile, std::ios::binary) << wholeFile();
  }
  std::istringstream file(readFile());
  std::string line;
  std::getline(file, line);
  ASSERT_EQ(line, "[") << kFile;
  for (std::uint16_t kind = 1; kind < kKindCount; ++kind) {
    ASSERT_TRUE(std::getline(file, line)) << "no vector of " << kindName(kind);
    if (line.ends_with(',')) line.pop_back();
    EXPECT_EQ(line, lineOf(kind)) << kindName(kind);
  }
  std::getline(file, line);
  EXPECT_EQ(line, "]");
}

// Of the file alone, without the code that made it.
TEST(GoldenVectors, EveryEntryOfTheFileIsReadAndHasItsLeaf) {
  const boost::json::value file = boost::json::parse(readFile());
  ASSERT_EQ(file.as_array().size(), kKindCount - 1);
  for (const boost::json::value& vector : file.as_array()) {
    const std::string kind(vector.at("kind").as_string().c_str());
    const auto bytes = fromHex(vector.at("entry").as_string().c_str());
    ASSERT_TRUE(bytes.has_value()) << kind;
    Arena arena;
    EntryView view;
    ASSERT_EQ(readEntry(*bytes, Strictness::strict, arena, view), nullptr) << kind;
    EXPECT_EQ(kindName(view.kindNumber), kind);
    EXPECT_EQ(view.seq.value, view.kindNumber) << kind;
    EXPECT_EQ(encodeCanonical(view.entry), *bytes) << kind;
    const std::uint8_t zero = 0;
    EXPECT_EQ(toHex(crypto::sha256({crypto::Bytes(&zero, 1), crypto::Bytes(*bytes)})), vector.at("leaf").as_string().c_str()) << kind;
    EXPECT_EQ(boost::json::parse(readable(view.entry)), vector.at("fields")) << kind;
  }
}

}  // namespace
}  // namespace counterfoil
