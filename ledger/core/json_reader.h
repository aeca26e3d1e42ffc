// Where one JSON document goes: the events of a JSON parser, in order, become the fields of a command or fact. Knows the schema tables and
// the rules about members (INTERFACE: JSON in), nothing of the parser. For json_parse.cc.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ledger/core/json.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/wiping.h"

namespace counterfoil {

// What is filled. All outlive the reader; `body` and `common` are empty before and belong to `arena`.
struct JsonTarget {
  const KindTable& kind;
  Arena& arena;
  StructValue& body;
  StructValue& common;
  EntryId& id;
  bool isFact = false;
  const FieldTable* idIs = nullptr;  // the body's field that "id" names instead of the idempotency key
};

// One document, one thread. The first fault is kept and everything after it ignored, so that the parser can go on to say whether the
// document is JSON at all. Texts and names given to it are not kept beyond the call, except in wiping memory or in this object, which
// must live where its memory is wiped afterwards.
class JsonReader {
 public:
  JsonReader(const JsonTarget& target, std::span<const RouteField> fromRoute);

  void beginObject();
  void endObject();
  void beginArray();
  void endArray();
  void keyPart(std::string_view part);
  void key(std::string_view lastPart);
  void textPart(std::string_view part);
  // `decoded`: the text may hold characters that JSON only allows escaped.
  void text(std::string_view lastPart, bool decoded);
  // An integer token from 0 to 2^64-1.
  void integer(std::uint64_t value);
  // Any other number.
  void otherNumber();
  void boolean(bool value);
  void null();

  // The parser met something of the current member that it cannot deliver.
  void textTooLong();
  void keyTooLong();

  // After the whole document: throws the fault if there is one, or if a required field is missing.
  void finish();

 private:
  enum class Where : std::uint8_t { document, members, list, principal, secret, end };
  enum class Member : std::uint8_t { field, id, kind };
  static constexpr std::size_t kNameBytesMax = 64;

  static bool isSecret(const FieldTable& field);
  // The largest value of a field that is a number.
  static std::uint64_t numberMax(FieldType type);
  // The member of a secret's object, and back; none and "" for each other.
  static std::string_view nameOf(SecretForm form);
  static SecretForm formOf(std::string_view name);

  bool failed() const { return fault_.has_value(); }
  void fail(ErrorCode code, std::string detail, std::string hint = {}) { failAt(path(), code, std::move(detail), std::move(hint)); }
  void failAt(std::string path, ErrorCode code, std::string detail, std::string hint);
  void failValue(std::string hint = {});
  void failUnknown();
  std::string path() const;
  std::string expectation() const;
  std::string listedValues() const;

  void takeName(std::string_view name);
  void takeMemberName(std::string_view name);
  void takePrincipalName(std::string_view name);
  void takeSecretName(std::string_view name);
  bool firstTime(std::uint64_t& seen, std::size_t index);
  void takeText(std::string_view text);
  void takeFieldText(std::string_view text);
  void takeId(std::string_view text);
  void takePrincipalText(std::string_view text);
  void takeSecretText(std::string_view text);
  void takeItem(std::string_view text);
  void endPrincipal();

  JsonTarget target_;
  std::optional<Fault> fault_;
  Where where_ = Where::document;

  // The member of the outer object that is read, and the value it goes to.
  Member member_ = Member::field;
  const FieldTable* field_ = nullptr;
  FieldValue* value_ = nullptr;
  std::size_t members_ = 0;
  std::uint64_t bodySeen_ = 0;
  std::uint64_t commonSeen_ = 0;
  std::uint64_t routeGiven_ = 0;  // body fields that hold the route's value and were not yet repeated
  bool idSeen_ = false;
  bool kindSeen_ = false;
  bool repeatsRoute_ = false;

  // The member of an inner object (principal or secret).
  const FieldTable* innerField_ = nullptr;
  SecretForm innerForm_ = SecretForm::none;
  std::size_t innerMembers_ = 0;
  std::uint64_t innerSeen_ = 0;
  StructValue* principal_ = nullptr;

  // The list that is read: `items_` is room in the arena, of which `itemCount_` are filled.
  std::span<std::string_view> items_;
  std::size_t itemCount_ = 0;

  std::array<char, kNameBytesMax> name_{};
  std::size_t nameSize_ = 0;  // more than kNameBytesMax: too long to be one of ours
  crypto::WipingVector parts_;
  bool inParts_ = false;
};

}  // namespace counterfoil
