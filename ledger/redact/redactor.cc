#include "ledger/redact/redactor.h"

#include "ledger/redact/redaction_walk.h"

namespace counterfoil::redact {

Redactor::Redactor(RedactionKeys& keys, const KnownSecrets* known, crypto::RandomSource& random)
    : keys_(keys), known_(known), random_(random) {}

RedactedEvent Redactor::redact(Event event) {
  RedactedEvent kept;
  kept.kind_ = event.kind;
  kept.id_ = event.id;
  TextRedaction texts(keys_, known_, random_, kept.id_, event.lenient, kept.arena_, kept.redaction_);
  RedactionWalk walk(texts, event.common, event.body, kept.arena_, kept.redaction_);
  walk.run();
  kept.redaction_.requestDigest = walk.requestDigest(static_cast<std::uint16_t>(event.kind));
  kept.common_ = walk.common();
  kept.body_ = walk.body();
  return kept;
}

RedactedCommand Redactor::redact(Command command) {
  RedactedCommand kept;
  kept.kind_ = command.kind;
  kept.id_ = command.id;
  TextRedaction texts(keys_, known_, random_, kept.id_, false, kept.arena_, kept.redaction_);
  RedactionWalk walk(texts, command.common, command.body, kept.arena_, kept.redaction_);
  walk.run();
  kept.redaction_.requestDigest = walk.requestDigest(static_cast<std::uint16_t>(command.kind));
  kept.common_ = walk.common();
  kept.body_ = walk.body();
  if (command.body.has(Field::grantee)) kept.granteeForPolicy_ = crypto::SecretBytes(principalOf(command.body, Field::grantee).id);
  return kept;
}

}  // namespace counterfoil::redact
