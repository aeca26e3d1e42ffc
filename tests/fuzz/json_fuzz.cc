// libFuzzer: any bytes as a fact and as each command. What is accepted keeps the promises of json.h and can be written again.
#include <algorithm>
#include <boost/json.hpp>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "ledger/core/check.h"
#include "ledger/core/codec.h"
#include "ledger/core/encoding.h"
#include "ledger/core/json.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"

namespace {

using namespace counterfoil;  // NOLINT: one file, one purpose

void checkText(std::string_view text) {
  COUNTERFOIL_CHECK(text.size() <= kJsonTextBytesMax && isUtf8(text));
  COUNTERFOIL_CHECK(
      std::none_of(text.begin(), text.end(), [](char c) { return static_cast<std::uint8_t>(c) < 0x20 && c != '\t' && c != '\n'; }));
}

void checkValue(const StructValue& value) {
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    const FieldTable& field = value.table->fields[index];
    const FieldValue& given = value.values[index];
    COUNTERFOIL_CHECK(!field.ledgerOnly || given.absent());
    COUNTERFOIL_CHECK(!field.required || !given.absent());
    COUNTERFOIL_CHECK(field.type != FieldType::unsigned64 || given.number <= limits::kJsonIntegerMax);
    const bool isSecret = field.redaction == RedactionClass::secret && !given.absent();
    COUNTERFOIL_CHECK(isSecret == (given.secretForm != SecretForm::none));
    COUNTERFOIL_CHECK(given.secretForm != SecretForm::sha256 || (given.count == 64 && fromHex(given.text()).has_value()));
    if (field.type == FieldType::text) checkText(given.text());
    if (field.type == FieldType::structure && given.count > 0) checkValue(given.structures()[0]);
    if (field.type != FieldType::textList) continue;
    COUNTERFOIL_CHECK(given.count <= limits::kListItemsMax);
    for (const std::string_view text : given.texts()) checkText(text);
  }
}

void checkFact(std::string_view json) {
  const Event event = parseFact(json);
  checkValue(event.common);
  checkValue(event.body);
  COUNTERFOIL_CHECK(schemaTables().kinds[static_cast<std::size_t>(event.kind)].fact);
  EntryView view;
  view.entry = event.common;
  view.body = event.body;
  view.kindNumber = static_cast<std::uint16_t>(event.kind);
  view.known = true;
  std::string written;
  writeEntryJson(view, LeafHash{}, {}, written);
  boost::system::error_code error;
  COUNTERFOIL_CHECK(boost::json::parse(written, error).is_object() && !error);
  const Event again = parseFact(json);
  COUNTERFOIL_CHECK(encodeCanonical(again.body) == encodeCanonical(event.body) &&
                    encodeCanonical(again.common) == encodeCanonical(event.common));
}

template <class Call>
void expectFaultAtMost(Call call) {
  try {
    call();
  } catch (const Fault& fault) {
    COUNTERFOIL_CHECK(factsOf(fault.code()).exitStatus == 2 && isUtf8(fault.detail()) && !fault.detail().empty());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view json(reinterpret_cast<const char*>(data), size);
  expectFaultAtMost([&] { checkFact(json); });
  for (std::size_t kind = 1; kind < kCommandKindCount; ++kind) {
    expectFaultAtMost([&] {
      const Command command = parseCommand(static_cast<CommandKind>(kind), json);
      checkValue(command.common);
      checkValue(command.body);
    });
  }
  // As the content of a literal, whatever it is.
  std::string literal;
  appendJsonString(json, literal);
  boost::system::error_code error;
  const boost::json::value read = boost::json::parse(literal, error);
  COUNTERFOIL_CHECK(!error && read.is_string() && (!isUtf8(json) || read.get_string() == json));
  return 0;
}
