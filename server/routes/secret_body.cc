#include "server/routes/secret_body.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace counterfoil::server {

// The body is parsed as a command's, whose reader keeps secrets in memory that is wiped and reads strictly; the command itself is never
// executed.
crypto::Digest secretDigest(std::string_view body) {
  const std::array<RouteField, 1> fromRoute = {RouteField{Field::leaseId, "lookup"}};
  const Command command = parseCommand(CommandKind::leaseIssue, body, fromRoute);
  const auto onlyHas = [](const StructValue& value, std::initializer_list<Field> fields) {
    for (const FieldTable& field : value.table->fields) {
      if (!value.get(field.field).absent() && std::find(fields.begin(), fields.end(), field.field) == fields.end()) return false;
    }
    return true;
  };
  if (command.id != EntryId{} || !onlyHas(command.common, {}) || !onlyHas(command.body, {Field::leaseId, Field::secret})) {
    throw Fault(ErrorCode::unknownField, "the body has a member that this route does not take", "it takes /secret");
  }
  const FieldValue& secret = command.body.get(Field::secret);
  const std::string_view text = secret.text();
  if (secret.secretForm == SecretForm::value && text.size() > limits::kSecretBytesMax) {
    throw Fault(ErrorCode::tooLong, "/secret/value has more than " + std::to_string(limits::kSecretBytesMax) + " bytes",
                "no secret that long was ever recorded", "/secret/value");
  }
  if (secret.secretForm == SecretForm::value) return crypto::sha256({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
  const auto bytes = secret.secretForm == SecretForm::sha256 ? fromHex(text) : std::nullopt;
  crypto::Digest digest{};
  if (!bytes || bytes->size() != digest.size()) {
    throw Fault(ErrorCode::invalidValue, "/secret must hold the value or its sha256", R"({"secret":{"sha256":"<64 hexadecimal digits>"}})",
                "/secret");
  }
  std::copy(bytes->begin(), bytes->end(), digest.begin());
  return digest;
}

}  // namespace counterfoil::server
