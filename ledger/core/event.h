// The four stages of what the ledger records. Each is made from the one before it only, so nothing unredacted can be chained, and nothing
// unchained or in clear can be appended: Event -> RedactedEvent -> Entry -> SealedRecord.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "ledger/core/arena.h"
#include "ledger/core/ids.h"
#include "ledger/core/value.h"

namespace counterfoil {

namespace redact {
class Redactor;
}
struct RedactedForTest;  // defined in tests only: makes redacted commands without keys

// A fact as reported: may hold secrets and personal values; wiped when it goes. `common` has the table of Entry (the fields a caller may
// fill: occurredAt, producer, producerSeq, actor, run, host, sandbox, correlation, traceparent, source), `body` that of its kind.
struct Event {
  Kind kind = Kind::none;
  EntryId id;
  Arena arena;
  StructValue common;
  StructValue body;
  // Importers: an identifier that looks like a secret becomes its fingerprint instead of refusing the event; texts that are too long are
  // cut and listed instead of refused.
  bool lenient = false;

  static Event make(Kind kind);
};

// What a caller asks the ledger to decide. `common` has the table of Command.
struct Command {
  CommandKind kind = CommandKind::none;
  EntryId id;
  Arena arena;
  StructValue common;
  StructValue body;

  static Command make(CommandKind kind);
};

// A personal value, encrypted, that belongs to a commitment of the same path (FORMATS: Personal values).
struct SealedDisclosure {
  std::string path;
  KeyId keyId;
  std::array<std::uint8_t, 12> nonce{};
  std::vector<std::uint8_t> sealed;
};

struct FieldCommitment {
  std::string path;
  crypto::Digest digest{};
};

struct FieldRedaction {
  std::string path;
  std::string rule;
};

// What redaction made of the fields: shared by all entries that one command leads to.
struct RedactionResult {
  std::vector<FieldCommitment> commitments;
  std::vector<FieldRedaction> redactions;
  std::vector<SealedDisclosure> disclosures;
  std::vector<KeyId> keysUsed;              // data keys that must be durable with or before the entry
  crypto::Digest requestDigest{};           // of the whole command or fact, keyed (FORMATS: Idempotency)
  std::uint32_t fingerprintGeneration = 0;  // under which secrets were compared
  bool secretFound = false;                 // a secret stood in a text field
};

// A command whose values are safe to keep. Made by Redactor only.
class RedactedCommand {
 public:
  CommandKind kind() const { return kind_; }
  const EntryId& id() const { return id_; }
  const StructValue& common() const { return common_; }
  const StructValue& body() const { return body_; }
  const RedactionResult& redaction() const { return redaction_; }
  // The grantee's own id, which policies name; never stored. Empty if the command has no grantee.
  std::string_view granteeForPolicy() const { return granteeForPolicy_.text(); }

 private:
  friend class redact::Redactor;
  friend struct RedactedForTest;
  RedactedCommand() = default;
  crypto::SecretBytes granteeForPolicy_;
  CommandKind kind_ = CommandKind::none;
  EntryId id_;
  Arena arena_;
  StructValue common_;
  StructValue body_;
  RedactionResult redaction_;
};

// An event that may be chained. Made by Redactor from a fact, or by the ledger from values that were redacted before (ofLedger).
class RedactedEvent {
 public:
  // An event the ledger itself decides: every text put into it must come from a redacted command, from a recorded entry, or from the
  // ledger's own constants.
  static RedactedEvent ofLedger(Kind kind, const EntryId& id);

  Kind kind() const { return kind_; }
  const EntryId& id() const { return id_; }
  Arena& arena() { return arena_; }
  StructValue& common() { return common_; }
  StructValue& body() { return body_; }
  const StructValue& common() const { return common_; }
  const StructValue& body() const { return body_; }
  RedactionResult& redaction() { return redaction_; }
  const RedactionResult& redaction() const { return redaction_; }

 private:
  friend class redact::Redactor;
  RedactedEvent() = default;
  Kind kind_ = Kind::none;
  EntryId id_;
  Arena arena_;
  StructValue common_;
  StructValue body_;
  RedactionResult redaction_;
};

}  // namespace counterfoil
