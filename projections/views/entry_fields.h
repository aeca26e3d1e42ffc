// What projecting asks of an entry, whatever its kind: fields by name, empty where the kind has none. No code per kind.
#pragma once

#include <string>
#include <string_view>

#include "ledger/core/entry.h"
#include "ledger/core/workspace_state.h"

namespace counterfoil::views {

class EntryFields {
 public:
  explicit EntryFields(const EntryView& view) : view_(view) {}
  const EntryView& view() const { return view_; }
  const StructValue& body() const { return view_.body; }
  // A text or the text of an enumeration; empty if absent, of another type, or personal (those hold nothing but their commitment).
  std::string_view text(Field field) const;
  // The first of `fields` that is there.
  std::string_view firstOf(std::initializer_list<Field> fields) const;
  std::span<const std::string_view> texts(Field field) const;
  // "kind:id"; empty if absent.
  std::string principal(Field field) const;
  std::string firstPrincipal(std::initializer_list<Field> fields) const;
  std::uint64_t number(Field field) const { return body().number(field); }
  // nanoseconds; 0 if absent
  std::int64_t time(Field field) const { return body().time(field).nanoseconds; }
  bool has(Field field) const { return body().has(field); }

 private:
  const EntryView& view_;
};

// Calls `visit(text)` for each scanned text of the body.
template <class Visit>
void forEachScanned(const StructValue& body, Visit&& visit) {
  if (body.table == nullptr) return;
  const auto& fields = body.table->fields;
  for (std::size_t index = 0; index < fields.size(); ++index) {
    if (fields[index].redaction != RedactionClass::scanned) continue;
    const FieldValue& value = body.values[index];
    if (value.count == 0) continue;
    if (fields[index].type == FieldType::text) {
      visit(fields[index], value.text());
    } else if (fields[index].type == FieldType::textList) {
      for (const std::string_view text : value.texts()) visit(fields[index], text);
    }
  }
}

// Calls `visit(field, fingerprint)` for each fingerprint an entry shows: in a secret field, in place of an identifier, or within a text
// where one was found.
template <class Visit>
void forEachFingerprint(const StructValue& body, bool redacted, Visit&& visit) {
  constexpr std::string_view kPrefix = "fp2:";
  if (body.table == nullptr) return;
  const auto within = [&](const FieldTable& field, std::string_view text) {
    for (std::size_t at = text.find(kPrefix); at != std::string_view::npos; at = text.find(kPrefix, at)) {
      std::size_t end = at + kPrefix.size();
      const auto part = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '-'; };
      while (end < text.size() && text[end] >= '0' && text[end] <= '9') ++end;
      if (end < text.size() && text[end] == ':') ++end;
      while (end < text.size() && part(text[end])) ++end;
      visit(field, text.substr(at, end - at));
      at = end;
    }
  };
  const auto& fields = body.table->fields;
  for (std::size_t index = 0; index < fields.size(); ++index) {
    const FieldTable& field = fields[index];
    const FieldValue& value = body.values[index];
    if (value.count == 0) continue;
    const bool searched = field.redaction == RedactionClass::secret || (field.redaction == RedactionClass::id) || redacted;
    if (field.type == FieldType::text && searched && value.text().find(kPrefix) != std::string_view::npos) within(field, value.text());
    if (field.type == FieldType::textList && redacted) {
      for (const std::string_view text : value.texts()) within(field, text);
    }
  }
}

}  // namespace counterfoil::views
