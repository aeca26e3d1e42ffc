// Fills a command from flags; every text is copied into the command's own wiping memory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cmd/input.h"
#include "ledger/core/encoding.h"
#include "ledger/core/event.h"
#include "ledger/core/outcome.h"

namespace counterfoil::cmd {

// Empty values leave their field absent. Throws Fault(invalidValue) naming the flag.
class CommandWriter {
 public:
  explicit CommandWriter(CommandKind kind) : command_(Command::make(kind)) {}
  CommandWriter& text(Field field, const std::string& value) {
    if (!value.empty()) target(field).setText(command_.arena, field, value);
    return *this;
  }
  CommandWriter& texts(Field field, const std::vector<std::string>& values) {
    std::vector<std::string_view> views;
    for (const std::string& value : values) views.push_back(command_.arena.copy(value));
    if (!views.empty()) command_.body.setTexts(command_.arena, field, views);
    return *this;
  }
  CommandWriter& number(Field field, std::uint64_t value) {
    command_.body.setNumber(field, value);
    return *this;
  }
  CommandWriter& duration(Field field, const std::string& value, const char* flag) {
    if (!value.empty()) command_.body.setNumber(field, parseDuration(value, flag));
    return *this;
  }
  CommandWriter& choice(Field field, const std::string& value, const char* flag) {
    if (!value.empty()) command_.body.setNumber(field, enumNumber(command_.body, field, value, flag));
    return *this;
  }
  CommandWriter& principal(Field field, const std::string& value, const char* flag) {
    if (value.empty()) return *this;
    PrincipalValue principal = parsePrincipal(value, flag);
    principal.id = command_.arena.copy(principal.id);
    setPrincipal(command_.arena, command_.body, field, principal);
    return *this;
  }
  CommandWriter& secret(Field field, bool fromStandardInput) {
    if (!fromStandardInput) return *this;
    const crypto::SecretBytes value = readSecret();
    command_.body.setText(command_.arena, field, value.text());
    command_.body.at(field).secretForm = SecretForm::value;
    return *this;
  }
  CommandWriter& id(const std::string& value) {
    if (value.empty()) return *this;
    const auto id = fromUuid(value);
    if (!id)
      throw Fault(ErrorCode::invalidValue, "--id must be a UUID", "leave it out, or give the same UUIDv7 to repeat a request", "--id");
    command_.id = *id;
    return *this;
  }
  Command take() { return std::move(command_); }

 private:
  StructValue& target(Field field) { return command_.body.has(field) ? command_.body : command_.common; }
  Command command_;
};

}  // namespace counterfoil::cmd
