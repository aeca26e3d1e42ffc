// How long content is kept: the ruling, and the entries that carry the state on when a month's key goes.
#include <algorithm>

#include "ledger/core/limits.h"
#include "ledger/core/outcome.h"
#include "ledger/core/ruling_parts.h"

namespace counterfoil {
namespace ruling {

Ruling ruleRetentionSet(const WorkspaceState& state, const RedactedCommand& command, const RulingContext&) {
  if (state.number() == kSystemWorkspace) {
    throw Fault(ErrorCode::notAllowed, "the record of the ledger itself is kept for ever", "set it for a workspace");
  }
  if (command.body().number(Field::days) > limits::kRetentionDaysMax) {
    throw Fault(ErrorCode::invalidValue, "days is more than 36500", "0 keeps everything for ever", "/days");
  }
  RedactedEvent event = entryOf(command, Kind::retentionSet, 0, {});
  StructValue& set = event.body();
  copyShared(event.arena(), command.body(), set);
  set.setText(event.arena(), Field::scope, kWholeWorkspace);
  setPrincipal(event.arena(), set, Field::by, principalOf(command.common(), Field::actor));
  Ruling result;
  result.entries.push_back(std::move(event));
  return result;
}

}  // namespace ruling

std::vector<RedactedEvent> carriedEvents(const std::vector<std::uint8_t>& content, const EntryId& first) {
  const std::size_t parts = (content.size() + limits::kCarriedPartBytes - 1) / limits::kCarriedPartBytes;
  if (parts > limits::kCarriedPartsMax) {
    throw Fault(ErrorCode::tooLarge, "a workspace has too many leases for a month of it to be destroyed now",
                "it is tried again until fewer of them live");
  }
  std::vector<RedactedEvent> events;
  events.reserve(parts);
  for (std::size_t part = 1; part <= parts; ++part) {
    const EntryId id = part == 1 ? first : derivedId(first, {}, static_cast<unsigned>(part));
    RedactedEvent& event = events.emplace_back(RedactedEvent::ofLedger(Kind::stateCarried, id));
    const std::size_t from = (part - 1) * limits::kCarriedPartBytes;
    const std::size_t size = std::min(limits::kCarriedPartBytes, content.size() - from);
    event.body().setNumber(Field::part, part);
    event.body().setNumber(Field::parts, parts);
    event.body().setData(event.arena(), Field::content, {content.data() + from, size});
  }
  return events;
}

}  // namespace counterfoil
