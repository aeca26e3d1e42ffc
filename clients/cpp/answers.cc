#include "clients/cpp/answers.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace counterfoil::client {
namespace {

const boost::json::object* objectAt(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

bool flagAt(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_bool() && value->get_bool();
}

std::uint64_t requiredNumber(const boost::json::object& object, std::string_view name) {
  const auto number = numberAt(object, name);
  if (!number) throw foreignAnswer();
  return *number;
}

std::string requiredText(const boost::json::object& object, std::string_view name) {
  std::string text = textAt(object, name);
  if (text.empty()) throw foreignAnswer();
  return text;
}

std::optional<Receipt> receiptIn(const boost::json::object& answer) {
  const boost::json::object* json = objectAt(answer, "receipt");
  if (json == nullptr) return std::nullopt;
  Receipt receipt;
  receipt.number = requiredNumber(*json, "number");
  receipt.workspace = textAt(*json, "workspace");
  receipt.seq = requiredNumber(*json, "seq");
  receipt.leafHash = requiredText(*json, "leafHash");
  receipt.entryId = requiredText(*json, "id");
  receipt.recordedAt = requiredText(*json, "recordedAt");
  receipt.ack = requiredText(*json, "ack");
  return receipt;
}

Lease leaseOf(const boost::json::object& json) {
  Lease lease;
  lease.id = requiredText(json, "id");
  lease.state = requiredText(json, "state");
  lease.issuedAt = textAt(json, "issuedAt");
  lease.expiresAt = textAt(json, "expiresAt");
  lease.renewableUntil = textAt(json, "renewableUntil");
  lease.uses = numberAt(json, "uses").value_or(0);
  lease.maxUses = numberAt(json, "maxUses").value_or(0);
  return lease;
}

}  // namespace

boost::json::object objectIn(std::string_view text) {
  boost::json::error_code failed;
  boost::json::value json = boost::json::parse(text, failed);
  if (failed || !json.is_object()) throw foreignAnswer();
  return std::move(json.get_object());
}

std::string textAt(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::optional<std::uint64_t> numberAt(const boost::json::object& object, std::string_view name) {
  const boost::json::value* value = object.if_contains(name);
  if (value == nullptr || !value->is_int64() || value->get_int64() < 0) return std::nullopt;
  return static_cast<std::uint64_t>(value->get_int64());
}

Decision decisionIn(const boost::json::object& answer, std::string id) {
  Decision decision;
  decision.outcome = requiredText(answer, "outcome");
  decision.allowed = decision.outcome != "denied";
  decision.reasonCode = textAt(answer, "reasonCode");
  if (const boost::json::object* lease = objectAt(answer, "lease")) decision.lease = leaseOf(*lease);
  decision.receipt = receiptIn(answer);
  decision.replayed = flagAt(answer, "replayed");
  decision.id = std::move(id);
  return decision;
}

Revocation revocationIn(const boost::json::object& answer, std::string id) {
  Revocation revocation;
  revocation.revocationId = requiredText(answer, "revocationId");
  revocation.matched = requiredNumber(answer, "matched");
  revocation.receipt = receiptIn(answer);
  revocation.replayed = flagAt(answer, "replayed");
  revocation.id = std::move(id);
  return revocation;
}

Recorded recordedIn(const boost::json::object& answer, std::string id) {
  Recorded recorded;
  recorded.outcome = requiredText(answer, "outcome");
  recorded.receipt = receiptIn(answer);
  recorded.replayed = flagAt(answer, "replayed");
  recorded.id = std::move(id);
  return recorded;
}

FactResult factResultIn(std::string_view line, std::string id) {
  const boost::json::object answer = objectIn(line);
  FactResult result;
  if (const boost::json::object* error = objectAt(answer, "error")) {
    result.error = errorOf(static_cast<int>(numberAt(*error, "status").value_or(0)), boost::json::serialize(*error), {});
  } else {
    result.recorded = recordedIn(answer, std::move(id));
  }
  return result;
}

LeaseDetail leaseIn(boost::json::object answer) {
  LeaseDetail detail;
  detail.lease = leaseOf(answer);
  detail.json = std::move(answer);
  return detail;
}

Entry entryIn(boost::json::object answer) {
  Entry entry;
  entry.seq = requiredNumber(answer, "seq");
  entry.id = textAt(answer, "id");
  entry.kind = requiredText(answer, "kind");
  entry.recordedAt = textAt(answer, "recordedAt");
  entry.json = std::move(answer);
  return entry;
}

std::vector<Entry> entriesIn(boost::json::object page) {
  boost::json::value* const items = page.if_contains("items");
  if (items == nullptr || !items->is_array()) throw foreignAnswer();
  std::vector<Entry> entries;
  for (boost::json::value& item : items->get_array()) {
    if (!item.is_object()) throw foreignAnswer();
    entries.push_back(entryIn(std::move(item.get_object())));
  }
  return entries;
}

QueryResult queryResultIn(boost::json::object answer) {
  boost::json::value* const columns = answer.if_contains("columns");
  boost::json::value* const rows = answer.if_contains("rows");
  if (columns == nullptr || !columns->is_array() || rows == nullptr || !rows->is_array()) throw foreignAnswer();
  QueryResult result;
  for (const boost::json::value& column : columns->get_array()) {
    if (!column.is_string()) throw foreignAnswer();
    result.columns.emplace_back(column.get_string());
  }
  result.rows = std::move(rows->get_array());
  result.truncated = flagAt(answer, "truncated");
  return result;
}

}  // namespace counterfoil::client
