#include "ledger/write/answer_json.h"

#include "ledger/core/encoding.h"
#include "ledger/core/json.h"

namespace counterfoil::write {

std::string_view reasonCodeName(ReasonCode reason) {
  const StructTable& denied = *schemaTables().kinds[static_cast<std::size_t>(Kind::leaseDenied)].body;
  const auto& texts = denied.find(Field::reasonCode)->enumeration->texts;
  const auto number = static_cast<std::size_t>(reason);
  return number == 0 || number >= texts.size() ? std::string_view() : std::string_view(texts[number]);
}

std::string_view outcomeName(const Answer& answer) {
  if (answer.kind == Kind::none) return "ended";
  std::string_view name = kindName(answer.kind);
  const auto dot = name.rfind('.');
  return dot == std::string_view::npos ? name : name.substr(dot + 1);
}

namespace {

constexpr std::size_t kAnswerUsual = 768;  // bytes

void appendReceipt(const Receipt& receipt, std::string_view workspaceId, log::Durability ack, std::string& out) {
  JsonObject object(out);
  object.number("number", receipt.number.value).text("workspace", workspaceId).number("seq", receipt.seq.value);
  object.text("leafHash", toHex(receipt.leafHash.bytes))
      .text("id", toUuid(receipt.id))
      .time("recordedAt", receipt.recordedAt)
      .text("ack", log::durabilityName(ack));
  object.end();
}

void appendLease(const LeaseSummary& lease, std::string& out) {
  JsonObject object(out);
  object.text("id", lease.id).text("state", leaseStateName(lease.state)).time("issuedAt", lease.issuedAt);
  if (lease.expiresAt.nanoseconds != 0) object.time("expiresAt", lease.expiresAt);
  if (lease.renewableUntil.nanoseconds != 0) object.time("renewableUntil", lease.renewableUntil);
  object.number("uses", lease.uses).number("maxUses", lease.maxUses);
  object.end();
}

}  // namespace

std::string receiptJson(const Receipt& receipt, std::string_view workspaceId, log::Durability ack) {
  std::string out;
  appendReceipt(receipt, workspaceId, ack, out);
  return out;
}

std::string leaseJson(const LeaseSummary& lease) {
  std::string out;
  appendLease(lease, out);
  return out;
}

std::string answerJson(const Answer& answer, std::string_view workspaceId, log::Durability ack) {
  std::string out;
  out.reserve(kAnswerUsual);
  JsonObject object(out);
  object.text("outcome", outcomeName(answer));
  if (answer.reasonCode != ReasonCode::unspecified) object.text("reasonCode", reasonCodeName(answer.reasonCode));
  if (answer.lease && !answer.denied) {
    object.raw("lease", {});
    appendLease(*answer.lease, out);
  }
  if (!answer.approvalId.empty()) object.text("approvalId", answer.approvalId);
  if (!answer.revocationId.empty()) object.text("revocationId", answer.revocationId).number("matched", answer.matched);
  if (!answer.holdId.empty()) object.text("holdId", answer.holdId);
  if (answer.policyVersion != 0) object.number("version", answer.policyVersion);
  if (answer.workspaceNumber != 0) object.number("number", answer.workspaceNumber);
  if (answer.receipt) {
    object.raw("receipt", {});
    appendReceipt(*answer.receipt, workspaceId, ack, out);
  }
  if (answer.replayed) object.boolean("replayed", true);
  object.end();
  return out;
}

std::string problemJson(const Fault& fault, std::string_view requestId) {
  const ErrorFacts& facts = factsOf(fault.code());
  std::string out;
  JsonObject object(out);
  object.text("type", "about:blank")
      .number("status", static_cast<std::uint64_t>(facts.httpStatus))
      .text("code", facts.text)
      .text("detail", fault.detail());
  if (!fault.hint().empty()) object.text("hint", fault.hint());
  if (!fault.field().empty()) object.text("field", fault.field());
  if (!requestId.empty()) object.text("requestId", requestId);
  object.end();
  return out;
}

}  // namespace counterfoil::write
