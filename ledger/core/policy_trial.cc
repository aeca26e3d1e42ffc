#include "ledger/core/policy_trial.h"

#include <vector>

#include "ledger/core/json.h"

namespace counterfoil {
namespace {

std::vector<std::string> textsOf(const StructValue& value, Field field) {
  const auto views = value.texts(field);
  return {views.begin(), views.end()};
}

std::string_view enumText(const StructValue& value, Field field) {
  return value.table->find(field)->enumeration->texts[value.number(field)];
}

}  // namespace

PolicyDecision tryPolicy(const Policy& policy, const Command& command) {
  const StructValue& asked = command.body;
  const std::vector<std::string> scope = textsOf(asked, Field::scope);
  const std::vector<std::string> resources = textsOf(asked, Field::resources);
  const StructValue grantee = asked.structure(Field::grantee);
  PolicyRequest request;
  request.credential = enumText(asked, Field::credential);
  request.granteeKind = enumText(grantee, Field::kind);
  request.granteeId = grantee.text(Field::id);
  request.host = command.common.text(Field::host);
  request.scope = scope;
  request.resources = resources;
  request.ttlSeconds = static_cast<std::int64_t>(asked.number(Field::ttlSeconds));
  if (asked.number(Field::maxUses) != 0) request.maxUses = asked.number(Field::maxUses);
  request.renewableForSeconds = static_cast<std::int64_t>(asked.number(Field::renewableForSeconds));
  request.approvalPresent = !asked.text(Field::approval).empty();
  return evaluate(policy, request);
}

std::string decisionJson(const PolicyDecision& decision) {
  std::string out;
  JsonObject object(out);
  object.text("outcome", decision.allowed ? "granted" : "denied");
  if (!decision.allowed) object.text("reasonCode", textOf(decision.reason));
  if (!decision.rule.empty()) object.text("rule", decision.rule);
  object.text("explanation", decision.explanation);
  object.end();
  return out;
}

}  // namespace counterfoil
