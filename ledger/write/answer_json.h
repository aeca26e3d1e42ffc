// Answers as the JSON bodies of INTERFACE, for the command line and the server alike.
#pragma once

#include <string>
#include <string_view>

#include "ledger/log/event_log.h"
#include "ledger/write/answer.h"

namespace counterfoil::write {

// {"number","workspace","seq","leafHash","id","recordedAt","ack"}; `ack`: what the log that took the entry promises.
std::string receiptJson(const Receipt& receipt, std::string_view workspaceId, log::Durability ack);
// {"outcome", "reasonCode"?, "lease"?, "approvalId"?, ..., "receipt"?, "replayed"?}
std::string answerJson(const Answer& answer, std::string_view workspaceId, log::Durability ack);
std::string leaseJson(const LeaseSummary& lease);
// "granted", "denied", "issued", ...: the last word of the entry's kind; "ended" if nothing was recorded.
std::string_view outcomeName(const Answer& answer);
std::string_view reasonCodeName(ReasonCode reason);
// RFC 9457 problem details.
std::string problemJson(const Fault& fault, std::string_view requestId);

}  // namespace counterfoil::write
