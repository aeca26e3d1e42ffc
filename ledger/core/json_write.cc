#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil {
namespace {

constexpr std::string_view kEscapeDigits = "0123456789abcdef";
constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD

void appendHex(crypto::Bytes bytes, std::string& out) {
  std::size_t at = out.size();
  out.resize(at + bytes.size() * 2);
  for (const std::uint8_t byte : bytes) {
    out[at++] = kEscapeDigits[byte >> 4];
    out[at++] = kEscapeDigits[byte & 15];
  }
}

void appendNumber(std::uint64_t value, std::string& out) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
  out.append(digits.data(), end);
}

void appendEscaped(char c, std::string& out) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\t':
      out += "\\t";
      return;
    case '\r':
      out += "\\r";
      return;
    default:
      out += "\\u00";
      appendHex(crypto::bytesOf({&c, 1}), out);
  }
}

// The form of a text that is not all UTF-8: characters as they are, a byte that starts none becomes U+FFFD.
std::string repaired(std::string_view text) {
  std::string result;
  while (!text.empty()) {
    std::size_t size = 1;
    while (size <= 4 && size <= text.size() && !isUtf8(text.substr(0, size))) ++size;
    const bool isCharacter = size <= 4 && size <= text.size();
    result += isCharacter ? text.substr(0, size) : kReplacement;
    text.remove_prefix(isCharacter ? size : 1);
  }
  return result;
}

bool needsEscape(char c) {
  return static_cast<std::uint8_t>(c) < 0x20 || c == '"' || c == '\\' || c == 0x7f;
}

// True if one of the eight bytes needs an escape. Bytes are compared side by side: (x - ones) & ~x has a high bit iff a byte of x is zero.
bool anyNeedsEscape(std::uint64_t eight) {
  constexpr std::uint64_t kOnes = 0x0101'0101'0101'0101;
  constexpr std::uint64_t kHighBits = 0x8080'8080'8080'8080;
  const auto zeroIn = [](std::uint64_t x) { return (x - kOnes) & ~x; };
  const std::uint64_t found =
      ((eight - kOnes * 0x20) & ~eight) | zeroIn(eight ^ (kOnes * '"')) | zeroIn(eight ^ (kOnes * '\\')) | zeroIn(eight ^ (kOnes * 0x7f));
  return (found & kHighBits) != 0;
}

void appendUtf8(std::string_view text, std::string& out) {
  std::size_t from = 0;
  std::size_t at = 0;
  while (at < text.size()) {
    std::uint64_t eight = 0;
    if (text.size() - at >= sizeof(eight)) {
      std::memcpy(&eight, text.data() + at, sizeof(eight));
      if (!anyNeedsEscape(eight)) {
        at += sizeof(eight);
        continue;
      }
    }
    const std::size_t stop = std::min(at + sizeof(eight), text.size());
    for (; at < stop; ++at) {
      if (!needsEscape(text[at])) continue;
      out.append(text, from, at - from);
      appendEscaped(text[at], out);
      from = at + 1;
    }
  }
  out.append(text, from);
}

void writeHex(std::string_view name, crypto::Bytes bytes, JsonObject& object, std::string& out) {
  object.raw(name, "\"");
  appendHex(bytes, out);
  out += '"';
}

void writeFields(const StructValue& value, JsonObject& object, std::string& out);

// Appends the value of a field that is not absent.
void appendValue(const FieldTable& field, const FieldValue& value, std::string& out) {
  switch (field.type) {
    case FieldType::boolean:
      out += "true";
      return;
    case FieldType::unsigned8:
    case FieldType::unsigned16:
    case FieldType::unsigned32:
    case FieldType::unsigned64:
      return appendNumber(value.number, out);
    case FieldType::time:
      return appendJsonString(toRfc3339({static_cast<std::int64_t>(value.number)}), out);
    case FieldType::enumeration: {
      const auto& texts = field.enumeration->texts;
      // A value of a newer writer is shown as kinds are.
      if (value.number >= texts.size()) return appendJsonString("unknown (" + std::to_string(value.number) + ")", out);
      return appendJsonString(texts[value.number], out);
    }
    case FieldType::text:
      return appendJsonString(value.text(), out);
    case FieldType::data:
      out += '"';
      appendHex(crypto::bytesOf(value.text()), out);
      out += '"';
      return;
    case FieldType::textList:
      out += '[';
      for (const std::string_view& text : value.texts()) {
        if (&text != value.texts().data()) out += ',';
        appendJsonString(text, out);
      }
      out += ']';
      return;
    case FieldType::structure:
    case FieldType::structureList: {
      const bool isList = field.type == FieldType::structureList;
      if (isList) out += '[';
      for (const StructValue& item : value.structures()) {
        if (&item != value.structures().data()) out += ',';
        JsonObject object(out);
        writeFields(item, object, out);
        object.end();
      }
      if (isList) out += ']';
    }
  }
}

// A structure of which nothing is set says as little as a missing one.
bool isEmpty(const FieldTable& field, const FieldValue& value) {
  if (field.type != FieldType::structure || value.count == 0) return value.absent();
  const StructValue& structure = value.structures()[0];
  return std::all_of(structure.values, structure.values + structure.table->fields.size(),
                     [](const FieldValue& item) { return item.absent(); });
}

void writeField(const FieldTable& field, const FieldValue& value, JsonObject& object, std::string& out) {
  if (isEmpty(field, value)) return;
  object.raw(field.name, {});
  appendValue(field, value, out);
}

void writeFields(const StructValue& value, JsonObject& object, std::string& out) {
  for (std::size_t index = 0; index < value.table->fields.size(); ++index)
    writeField(value.table->fields[index], value.values[index], object, out);
}

// {"commitment": hex} and the opened value, if this reader may see it; `path` is put first where it does not follow from the place.
void appendCommitment(const StructValue& commitment, bool withPath, const std::vector<DisclosedValue>& disclosed, std::string& out) {
  const std::string_view path = commitment.text(Field::path);
  JsonObject object(out);
  if (withPath) object.text("path", path);
  writeHex("commitment", crypto::bytesOf(commitment.text(Field::digest)), object, out);
  const auto found = std::find_if(disclosed.begin(), disclosed.end(), [&](const DisclosedValue& item) { return item.path == path; });
  if (found != disclosed.end()) object.text("value", found->value);
  object.end();
}

bool isPathOf(const FieldTable& field, std::string_view path) {
  return path.starts_with('/') && path.substr(1) == field.name;
}

// The commitment stands at its field. Not so those of paths inside lists and principals, and of unknown kinds.
bool hasPlace(const StructTable* kind, std::string_view path) {
  return kind != nullptr && std::any_of(kind->fields.begin(), kind->fields.end(), [&](const FieldTable& field) {
           return field.redaction == RedactionClass::personal && isPathOf(field, path);
         });
}

void writeRedactions(const StructValue& entry, JsonObject& object, std::string& out) {
  const FieldTable& field = *entry.table->find(Field::redactions);
  writeField(field, entry.get(Field::redactions), object, out);
}

// The fields of the kind in the schema's order, each personal one as its commitment: its text, if there were any, is not for readers.
void writeKind(const StructTable& kind, const EntryView& view, const std::vector<DisclosedValue>& disclosed, JsonObject& object,
               std::string& out) {
  const std::span<const StructValue> commitments = view.entry.structures(Field::commitments);
  for (std::size_t index = 0; index < kind.fields.size(); ++index) {
    const FieldTable& field = kind.fields[index];
    if (field.redaction != RedactionClass::personal) {
      if (view.body.table != nullptr) writeField(field, view.body.values[index], object, out);
      continue;
    }
    const auto own = std::find_if(commitments.begin(), commitments.end(),
                                  [&](const StructValue& item) { return isPathOf(field, item.text(Field::path)); });
    if (own == commitments.end()) continue;
    object.raw(field.name, {});
    appendCommitment(*own, false, disclosed, out);
  }
}

void writeOtherCommitments(const StructTable* kind, const StructValue& entry, const std::vector<DisclosedValue>& disclosed,
                           JsonObject& object, std::string& out) {
  bool first = true;
  for (const StructValue& commitment : entry.structures(Field::commitments)) {
    if (hasPlace(kind, commitment.text(Field::path))) continue;
    if (first) {
      object.raw("commitments", "[");
    } else {
      out += ',';
    }
    first = false;
    appendCommitment(commitment, true, disclosed, out);
  }
  if (!first) out += ']';
}

}  // namespace

void appendJsonString(std::string_view text, std::string& out) {
  out += '"';
  if (isUtf8(text)) {
    appendUtf8(text, out);
  } else {
    appendUtf8(repaired(text), out);
  }
  out += '"';
}

void JsonObject::name(std::string_view name) {
  if (!first_) out_ += ',';
  first_ = false;
  appendJsonString(name, out_);
  out_ += ':';
}

JsonObject& JsonObject::text(std::string_view memberName, std::string_view value) {
  name(memberName);
  appendJsonString(value, out_);
  return *this;
}

JsonObject& JsonObject::number(std::string_view memberName, std::uint64_t value) {
  name(memberName);
  appendNumber(value, out_);
  return *this;
}

JsonObject& JsonObject::boolean(std::string_view memberName, bool value) {
  name(memberName);
  out_ += value ? "true" : "false";
  return *this;
}

JsonObject& JsonObject::time(std::string_view memberName, Timestamp value) {
  return text(memberName, toRfc3339(value));
}

JsonObject& JsonObject::raw(std::string_view memberName, std::string_view json) {
  name(memberName);
  out_ += json;
  return *this;
}

void writeEntryJson(const EntryView& view, const LeafHash& leaf, const std::vector<DisclosedValue>& disclosed, std::string& out) {
  const StructTable* const kind = view.known ? schemaTables().kinds[view.kindNumber].body : nullptr;
  JsonObject object(out);
  object.number("seq", view.seq.value).text("id", toUuid(view.id));
  object.text("kind", view.known ? std::string(kindName(view.kind())) : "unknown (" + std::to_string(view.kindNumber) + ")");
  object.time("recordedAt", view.recordedAt).time("occurredAt", view.occurredAt);
  for (const Field common : {Field::source, Field::producer, Field::producerSeq, Field::actor, Field::run, Field::host, Field::sandbox,
                             Field::correlation, Field::traceparent}) {
    if (kind != nullptr && kind->find(common) != nullptr) continue;
    writeField(*view.entry.table->find(common), view.entry.get(common), object, out);
  }
  writeHex("leafHash", leaf.bytes, object, out);
  writeHex("previous", view.previous.bytes, object, out);
  writeRedactions(view.entry, object, out);
  if (kind != nullptr) writeKind(*kind, view, disclosed, object, out);
  writeOtherCommitments(kind, view.entry, disclosed, object, out);
  object.end();
}

void writeWithheldJson(Sequence seq, const LeafHash& leaf, std::string& out) {
  JsonObject object(out);
  object.number("seq", seq.value);
  writeHex("leafHash", leaf.bytes, object, out);
  object.boolean("withheld", true).end();
}

}  // namespace counterfoil
