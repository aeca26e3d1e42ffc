// JSON in and out over the schema tables. In: strict (INTERFACE: JSON in), straight into the arena of what is read, no document tree.
// Out: our own writer over the same tables. Pure; thread safe.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/core/entry.h"
#include "ledger/core/event.h"

namespace counterfoil {

// How values look: enumerations as snake_case texts, principals as {"kind","id"}, times as RFC 3339, everything flat in one object.
// A secret is an object with exactly one member; FieldValue::secretForm says which, the field's text is
//   {"value": text}        the secret itself, exact bytes
//   {"sha256": hex}        64 hexadecimal digits, made lower-case
//   {"fingerprint": text}  "fp2:<generation>:<tag>", as read from an entry

// A text field that the route names (`.../leases/{lease}/consume` gives leaseId). The body may repeat it, but not with another value.
struct RouteField {
  Field field;
  std::string_view value;
};

// One command as sent to its route; members named as the schema's fields, plus "id": a UUIDv7, the caller's idempotency key (absent: all
// zero). Only of workspace.create "id" is the workspaceId, as its route says. The command must have every field of `fromRoute`.
// Faults that say "this is no acceptable JSON" come before those about members, whatever stands first in the text:
//   tooLarge, malformedJson (with the byte offset), tooDeep, invalidUtf8 (lone surrogates too);
//   unknownField (also for fields that the ledger fills), duplicateField (names compared after unescaping), invalidValue (also a required
//   field that is missing or empty, and null), tooLong (a list, or a text over kJsonTextBytesMax).
// Limits of a field's class are redaction's business. Faults name fields by JSON pointer. No name or value that the caller chose is
// repeated: an unknown member is named by its parent and its number. Decoded text lies in the command's wiping arena only; what the
// parser left on the stack is wiped, also on a fault. `json` itself is the caller's to wipe.
Command parseCommand(CommandKind kind, std::string_view json, std::span<const RouteField> fromRoute = {});

// One fact: {"kind": "...", ...}, "kind" in any place; "id" is a UUIDv7 or UUIDv8. Faults as above; kindNotAFact for a kind that is none or
// that nobody may report. common.source stays empty: who takes the fact in says where it came from.
Event parseFact(std::string_view json);

// A text as received, whatever its field: the largest that any class takes is a policy document.
inline constexpr std::size_t kJsonTextBytesMax = 64 * 1024;

// A personal value that was opened for this reader, by the path of its commitment.
struct DisclosedValue {
  std::string path;
  std::string value;
};

// Appends what an entry looks like to readers (INTERFACE: Entry): seq, id, kind, times, common fields, hashes, redactions, then the fields
// of the kind, flat; empty ones left out. A kind's own field hides a common one of the same name. A personal field is {"commitment": hex},
// with "value" when `disclosed` has its path; commitments of other paths (`/grantee/id`) stand under "commitments" with their path.
// A kind of a newer writer is "unknown (<number>)" without fields.
void writeEntryJson(const EntryView& view, const LeafHash& leaf, const std::vector<DisclosedValue>& disclosed, std::string& out);
// Appends {"seq","leafHash","withheld":true}: an entry whose content is gone.
void writeWithheldJson(Sequence seq, const LeafHash& leaf, std::string& out);

// Appends a JSON string literal with quotes: control characters escaped, valid UTF-8 passed through, each byte that is none becomes U+FFFD.
void appendJsonString(std::string_view text, std::string& out);

// An object writer for answers: commas and quoting only. Names must differ.
class JsonObject {
 public:
  explicit JsonObject(std::string& out) : out_(out) { out_ += '{'; }
  JsonObject& text(std::string_view name, std::string_view value);
  JsonObject& number(std::string_view name, std::uint64_t value);
  JsonObject& boolean(std::string_view name, bool value);
  JsonObject& time(std::string_view name, Timestamp value);
  // `json` is put in as it is.
  JsonObject& raw(std::string_view name, std::string_view json);
  void end() { out_ += '}'; }

 private:
  void name(std::string_view name);
  std::string& out_;
  bool first_ = true;
};

}  // namespace counterfoil
