#include <algorithm>

#include "ledger/core/policy_compiled.h"

namespace counterfoil {
namespace {

std::uint16_t credentialBit(std::string_view name) {
  const auto* found = std::find(kPolicyCredentials.begin(), kPolicyCredentials.end(), name);
  if (found == kPolicyCredentials.end()) return 0;
  return static_cast<std::uint16_t>(1U << (found - kPolicyCredentials.begin()));
}

// A request prepared for the walk over the rules. Stays where it was made: its values point into it.
struct Prepared {
  explicit Prepared(const PolicyRequest& request) : credential(credentialBit(request.credential)) {
    grantee.reserve(request.granteeKind.size() + 1 + request.granteeId.size());
    grantee.append(request.granteeKind).append(1, ':').append(request.granteeId);
    granteeValue = policyValue(grantee);
    hostValue = policyValue(request.host);
    const std::size_t count = request.scope.size() + request.resources.size();
    if (count > few.size()) many.resize(count);
    const std::span<PolicyValue> values = count > few.size() ? std::span(many) : std::span(few).first(count);
    const auto behindScope = std::transform(request.scope.begin(), request.scope.end(), values.begin(), policyValue);
    std::transform(request.resources.begin(), request.resources.end(), behindScope, policyValue);
    scope = values.first(request.scope.size());
    resources = values.subspan(request.scope.size());
  }
  Prepared(const Prepared&) = delete;
  Prepared& operator=(const Prepared&) = delete;

  std::uint16_t credential;
  std::string grantee;
  PolicyValue granteeValue;
  PolicyValue hostValue;
  // Scope, then resources: in `few` if they fit, which spares the usual request an allocation.
  std::array<PolicyValue, 8> few;
  std::vector<PolicyValue> many;
  std::span<const PolicyValue> scope;
  std::span<const PolicyValue> resources;
};

// A deny list is touched if any requested value may be one it names. Nothing requested means unbounded, and that includes what the list
// names: otherwise leaving a field out would be the way around every deny rule.
bool listTouches(std::span<const PolicyPattern> patterns, std::span<const PolicyValue> values) {
  if (patterns.empty() || values.empty()) return true;
  for (const PolicyPattern& pattern : patterns) {
    for (const PolicyValue& value : values) {
      if (touches(pattern, value)) return true;
    }
  }
  return false;
}

bool anyCovers(std::span<const PolicyPattern> patterns, const PolicyValue& value) {
  for (const PolicyPattern& pattern : patterns) {
    if (covers(pattern, value)) return true;
  }
  return false;
}

// An allow list covers a request only if each requested value is covered; nothing requested is unbounded, which no list covers.
bool listCovers(std::span<const PolicyPattern> patterns, std::span<const PolicyValue> values) {
  if (patterns.empty()) return true;
  if (values.empty()) return false;
  for (const PolicyValue& value : values) {
    if (!anyCovers(patterns, value)) return false;
  }
  return true;
}

std::span<const PolicyValue> oneOrNone(const PolicyValue& value) {
  return value.text.empty() ? std::span<const PolicyValue>() : std::span(&value, 1);
}

// In both walks the lists that tell rules apart the most come first.
bool denyMatches(const Policy& policy, const PolicyRule& rule, const Prepared& request) {
  return (rule.credentials & request.credential) != 0 && listTouches(policy.patterns(rule.resource), request.resources) &&
         listTouches(policy.patterns(rule.scope), request.scope) && listTouches(policy.patterns(rule.host), oneOrNone(request.hostValue)) &&
         listTouches(policy.patterns(rule.grantee), oneOrNone(request.granteeValue));
}

// Who asks: a rule that fits here but not in scope or resources is worth naming in an explanation.
bool allowFitsAsker(const Policy& policy, const PolicyRule& rule, const Prepared& request) {
  return (rule.credentials & request.credential) != 0 && listCovers(policy.patterns(rule.host), oneOrNone(request.hostValue)) &&
         listCovers(policy.patterns(rule.grantee), oneOrNone(request.granteeValue));
}

bool allowCovers(const Policy& policy, const PolicyRule& rule, const Prepared& request) {
  return (rule.credentials & request.credential) != 0 && listCovers(policy.patterns(rule.resource), request.resources) &&
         listCovers(policy.patterns(rule.scope), request.scope) && allowFitsAsker(policy, rule, request);
}

PolicyDecision refuse(PolicyReason reason, std::string_view rule, std::string explanation) {
  PolicyDecision decision;
  decision.reason = reason;
  decision.rule = rule;
  decision.explanation = std::move(explanation);
  return decision;
}

std::string ruleText(const PolicyRule& rule) {
  return "rule '" + std::string(rule.name) + "'";
}

std::string overLimit(const PolicyRule& rule, std::string_view limit, const std::string& allowed, const std::string& asked) {
  return ruleText(rule) + " covers the request, but its " + std::string(limit) + " is " + allowed + " and " + asked + " asked for";
}

// The first limit of a covering rule that is in the way; none if all hold.
PolicyReason limitInTheWay(const PolicyRule& rule, const PolicyRequest& request) {
  if (request.ttlSeconds > rule.maxTtlSeconds || request.renewableForSeconds > rule.renewableForSeconds) return PolicyReason::ttlExceeded;
  if (request.maxUses && rule.maxUses != 0 && (*request.maxUses == 0 || *request.maxUses > rule.maxUses))
    return PolicyReason::scopeExceeded;
  if (rule.approvalRequired && !request.approvalPresent) return PolicyReason::approvalMissing;
  return PolicyReason::none;
}

std::string explainLimit(const PolicyRule& rule, const PolicyRequest& request, PolicyReason reason) {
  if (reason == PolicyReason::approvalMissing) return ruleText(rule) + " covers the request, but requires an approval";
  if (reason == PolicyReason::scopeExceeded) {
    return overLimit(rule, "maxUses", std::to_string(rule.maxUses),
                     *request.maxUses == 0 ? "no limit was" : std::to_string(*request.maxUses) + " were");
  }
  if (request.ttlSeconds > rule.maxTtlSeconds) {
    return overLimit(rule, "maxTtlSeconds", std::to_string(rule.maxTtlSeconds), std::to_string(request.ttlSeconds) + " were");
  }
  return overLimit(rule, "renewableForSeconds", std::to_string(rule.renewableForSeconds),
                   std::to_string(request.renewableForSeconds) + " were");
}

// Why no rule may ever cover this request; empty if it is in good form.
std::string formProblem(const PolicyRequest& request, const Prepared& prepared) {
  if (prepared.credential == 0) return "the credential is none that a policy can allow";
  if (formOfScope(prepared.grantee) != PolicyForm::plain) return "the grantee's id holds a control character";
  if (formOfScope(request.host) == PolicyForm::control) return "the host's id holds a control character";
  if (request.ttlSeconds <= 0) return "the lifetime asked for is not positive";
  if (request.renewableForSeconds < 0) return "the renewal asked for is negative";
  const auto inList = [](std::string_view list, std::size_t place, PolicyForm form) {
    return std::string(list) + " " + std::to_string(place + 1) + " is not in plain form (" + std::string(describe(form)) +
           "): no rule may cover it";
  };
  for (std::size_t i = 0; i < request.scope.size(); ++i) {
    if (const PolicyForm form = formOfScope(request.scope[i]); form != PolicyForm::plain) return inList("scope", i, form);
  }
  for (std::size_t i = 0; i < request.resources.size(); ++i) {
    if (const PolicyForm form = formOfResource(request.resources[i]); form != PolicyForm::plain) return inList("resource", i, form);
  }
  return {};
}

std::string coverage(std::span<const PolicyPattern> patterns, std::span<const PolicyValue> values, std::string_view what) {
  if (values.empty()) return patterns.empty() ? std::string() : "a request that names a " + std::string(what) + " only";
  const auto covered =
      std::count_if(values.begin(), values.end(), [&](const PolicyValue& value) { return listCovers(patterns, std::span(&value, 1)); });
  return std::to_string(covered) + " of " + std::to_string(values.size()) + " in " + std::string(what);
}

std::string nothingCovers(const Policy& policy, const Prepared& request) {
  std::string out = "no rule covers the whole request";
  const std::span<const PolicyRule> rules = policy.rules();
  const auto nearest = std::find_if(rules.begin(), rules.end(), [&](const PolicyRule& rule) {
    return rule.effect == PolicyEffect::allow && allowFitsAsker(policy, rule, request);
  });
  if (nearest == rules.end()) return out;
  const std::string scope = coverage(policy.patterns(nearest->scope), request.scope, "scope");
  const std::string resource = coverage(policy.patterns(nearest->resource), request.resources, "resource");
  out += "; " + ruleText(*nearest) + " comes near and covers " + scope;
  if (!resource.empty()) out += (scope.empty() ? "" : ", ") + resource;
  return out;
}

PolicyDecision grant(const PolicyRule& rule, const PolicyRequest& request) {
  PolicyDecision decision;
  decision.allowed = true;
  decision.reason = PolicyReason::none;
  decision.rule = rule.name;
  decision.explanation.reserve(rule.name.size() + 20);
  decision.explanation.append("granted by rule '").append(rule.name).append(1, '\'');
  decision.maxUses = request.maxUses.value_or(rule.maxUses);
  decision.renewableForSeconds = request.renewableForSeconds;
  return decision;
}

}  // namespace

std::string_view textOf(PolicyReason reason) {
  switch (reason) {
    case PolicyReason::none:
      return "";
    case PolicyReason::policy:
      return "policy";
    case PolicyReason::ttlExceeded:
      return "ttl_exceeded";
    case PolicyReason::scopeExceeded:
      return "scope_exceeded";
    case PolicyReason::approvalMissing:
      return "approval_missing";
  }
  return "";
}

Policy::Policy(std::shared_ptr<const Compiled> compiled) : compiled_(std::move(compiled)) {}

std::string_view Policy::name() const {
  return compiled_->name;
}

std::span<const PolicyRule> Policy::rules() const {
  return compiled_->rules;
}

std::span<const PolicyPattern> Policy::patterns(const PolicyPatternList& list) const {
  return std::span(compiled_->patterns).subspan(list.first, list.count);
}

PolicyDecision evaluate(const Policy& policy, const PolicyRequest& request) {
  const Prepared prepared(request);
  if (std::string problem = formProblem(request, prepared); !problem.empty()) return refuse(PolicyReason::policy, {}, std::move(problem));
  const Policy::Compiled& compiled = policy.compiled();
  for (const std::uint16_t place : compiled.denies) {
    const PolicyRule& rule = compiled.rules[place];
    if (denyMatches(policy, rule, prepared)) return refuse(PolicyReason::policy, rule.name, "refused by deny " + ruleText(rule));
  }
  const PolicyRule* limited = nullptr;
  for (const std::uint16_t place : compiled.allows) {
    const PolicyRule& rule = compiled.rules[place];
    if (!allowCovers(policy, rule, prepared)) continue;
    if (limitInTheWay(rule, request) == PolicyReason::none) return grant(rule, request);
    if (limited == nullptr) limited = &rule;
  }
  if (limited != nullptr) {
    const PolicyReason reason = limitInTheWay(*limited, request);
    return refuse(reason, limited->name, explainLimit(*limited, request, reason));
  }
  return refuse(PolicyReason::policy, {}, nothingCovers(policy, prepared));
}

}  // namespace counterfoil
