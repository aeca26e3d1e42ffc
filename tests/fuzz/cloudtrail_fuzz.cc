// libFuzzer: any bytes as a CloudTrail log file, split into records, read, made into events. The same bytes in small pieces must give the
// same records, and no event may hold what redaction or the codec refuse outright.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "ledger/core/check.h"
#include "ledger/core/codec.h"
#include "ledger/core/encoding.h"
#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/importers/cloudtrail_events.h"
#include "ledger/importers/cloudtrail_splitter.h"

namespace {

using namespace counterfoil;
using namespace counterfoil::importers;

struct Split {
  std::vector<std::pair<std::uint64_t, std::string>> records;
  CloudTrailSplitter::Problem problem{};
  std::uint64_t offset = 0;
  friend bool operator==(const Split&, const Split&) = default;
};

Split split(const std::uint8_t* data, std::size_t size, std::size_t pieceBytes) {
  Split result;
  CloudTrailSplitter splitter(
      [&](const CloudTrailSplitter::Record& record) { result.records.emplace_back(record.offset, std::string(record.text)); });
  for (std::size_t at = 0; at < size; at += pieceBytes) splitter.feed({data + at, std::min(pieceBytes, size - at)});
  splitter.finish();
  result.problem = splitter.problem();
  result.offset = splitter.problemOffset();
  return result;
}

void checkTexts(const StructValue& value) {
  for (std::size_t index = 0; index < value.table->fields.size(); ++index) {
    const FieldTable& field = value.table->fields[index];
    const FieldValue& item = value.values[index];
    if (field.type == FieldType::textList) COUNTERFOIL_CHECK(item.count <= limits::kListItemsMax);
    if (field.type != FieldType::text) continue;
    const std::string_view text = item.text();
    COUNTERFOIL_CHECK(isUtf8(text));
    COUNTERFOIL_CHECK(std::none_of(text.begin(), text.end(), [](char c) { return static_cast<std::uint8_t>(c) < 0x20; }));
    COUNTERFOIL_CHECK(field.redaction != RedactionClass::secret || text.empty() || item.secretForm == SecretForm::value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const Split whole = split(data, size, size + 1);
  COUNTERFOIL_CHECK(whole == split(data, size, 7));
  CloudTrailLeases leases(nullptr);
  for (const auto& [offset, text] : whole.records) {
    COUNTERFOIL_CHECK(text.empty() || std::equal(text.begin(), text.end(), reinterpret_cast<const char*>(data) + offset));
    try {
      const CloudTrailRecord record = readCloudTrailRecord(text);
      const CloudTrailParts parts = partsOf(record);
      std::deque<ImportedEvent> events;
      const bool granted = parts.grants && appendGrant(record, leases, events);
      COUNTERFOIL_CHECK(events.size() == (granted ? 1U : 0U));
      appendRest(record, leases, events);
      COUNTERFOIL_CHECK(parts.rest == (events.size() > (granted ? 1U : 0U)));
      for (const ImportedEvent& event : events) {
        checkTexts(event.event.common);
        checkTexts(event.event.body);
        COUNTERFOIL_CHECK(event.event.lenient && !event.event.common.text(Field::producer).empty());
        (void)encodeCanonical(event.event.body);
      }
    } catch (const Fault& fault) {
      COUNTERFOIL_CHECK(factsOf(fault.code()).exitStatus == 2);
    }
  }
  return 0;
}
