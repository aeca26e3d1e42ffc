// Redaction: one walk over the schema that turns what was received into what may be kept (EVENTS: redaction classes). No code per kind.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "ledger/core/event.h"
#include "ledger/core/redaction_keys.h"
#include "ledger/crypto/random.h"

namespace counterfoil::redact {

// One per workspace; thread safe as far as the keys are. Faults name the field, never its value: invalidValue (form of an id),
// secretInIdentifier, tooLong, secretInPolicy.
class Redactor {
 public:
  // All must outlive the redactor. `known` may be null (no known secrets).
  Redactor(RedactionKeys& keys, const KnownSecrets* known, crypto::RandomSource& random);

  // The event and its arena are consumed and wiped whether or not this throws.
  RedactedEvent redact(Event event);
  RedactedCommand redact(Command command);

 private:
  RedactionKeys& keys_;
  const KnownSecrets* known_;
  crypto::RandomSource& random_;
};

}  // namespace counterfoil::redact
