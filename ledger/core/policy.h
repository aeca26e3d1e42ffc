// The policy of a workspace: which lease requests are granted (INTERFACE: Policy; docs/policy.md for readers).
//
// Pure: no I/O, no clock, no state. A Policy is immutable and cheap to copy (it shares its compiled form); any thread may use one.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "ledger/core/limits.h"
#include "ledger/core/policy_pattern.h"

namespace counterfoil {

enum class PolicyEffect : std::uint8_t { allow, deny };

// Why a request was refused; the text is the `reasonCode` of `lease.denied`.
enum class PolicyReason : std::uint8_t { none, policy, ttlExceeded, scopeExceeded, approvalMissing };

// "" for none, else "policy", "ttl_exceeded", "scope_exceeded", "approval_missing".
std::string_view textOf(PolicyReason reason);

// The credentials a policy can name, as in JSON. The place in this list is the bit in PolicyRule::credentials.
inline constexpr std::array<std::string_view, 11> kPolicyCredentials = {
    "git_token",     "tool_token",      "model_key",     "cloud_identity", "gateway_bearer", "channel_token",
    "sidecar_token", "ssh_certificate", "database_user", "certificate",    "other"};

// Patterns of one list of one rule: a range of Policy::patterns(). No patterns (the list was missing or held `*`): matches everything.
struct PolicyPatternList {
  std::uint32_t first = 0;
  std::uint32_t count = 0;
};

// One rule, compiled. The limits mean something only if the effect is allow.
struct PolicyRule {
  std::string_view name;
  PolicyEffect effect = PolicyEffect::allow;
  bool approvalRequired = false;
  std::uint16_t credentials = 0xffff;  // bit i: kPolicyCredentials[i]
  PolicyPatternList grantee, host, scope, resource;
  std::int64_t maxTtlSeconds = limits::kTtlSecondsMax;  // a missing maxTtlSeconds is the ledger's own limit
  std::uint64_t maxUses = 0;                            // 0 = no limit
  std::int64_t renewableForSeconds = 0;                 // 0 = not renewable
  std::uint32_t line = 0;                               // of the document, from 1
};

class Policy {
 public:
  // Parses a document of at most limits::kPolicyBytesMax bytes and limits::kPolicyRulesMax rules.
  // Throws Fault and nothing else (std::bad_alloc aside): tooLarge, invalidUtf8, tooDeep, unknownField, duplicateField, invalidValue. The
  // detail names line, number of the rule and key, `field()` is a pointer such as `/rule/0/maxTtlSeconds`; neither holds text of the
  // document. Does not look for secrets: that is the redactor's (secret_in_policy), before the document is recorded.
  static Policy parse(std::string_view toml);

  // Name of the document; empty if it has none.
  std::string_view name() const;
  // In the order of the document.
  std::span<const PolicyRule> rules() const;
  std::span<const PolicyPattern> patterns(const PolicyPatternList& list) const;

  struct Compiled;
  const Compiled& compiled() const { return *compiled_; }

 private:
  explicit Policy(std::shared_ptr<const Compiled> compiled);
  std::shared_ptr<const Compiled> compiled_;
};

// A lease request as the policy sees it; views into the caller's memory, used only during `evaluate`.
struct PolicyRequest {
  std::string_view credential;   // as in JSON; unknown ones are refused
  std::string_view granteeKind;  // "agent", "human", ...
  std::string_view granteeId;    // the id itself, before a human's becomes a pseudonym
  std::string_view host;         // empty: bound to no host
  std::span<const std::string> scope;
  std::span<const std::string> resources;
  std::int64_t ttlSeconds = 0;
  std::optional<std::uint64_t> maxUses = std::nullopt;  // nullopt: what the rule gives; 0 asks for no limit
  std::int64_t renewableForSeconds = 0;                 // 0: not renewable
  bool approvalPresent = false;  // a decided approval for exactly this request; the caller has checked its digest and use
};

struct PolicyDecision {
  bool allowed = false;
  PolicyReason reason = PolicyReason::policy;  // none if allowed
  // The rule that decided; empty if none did (nothing matched, or the request is not in a form any rule may cover).
  std::string rule;
  // One sentence for readers of the record: names the rule, the limit and numbers, never a text of the request.
  std::string explanation;
  std::uint64_t maxUses = 0;             // granted; 0 = no limit. Meaningful if allowed
  std::int64_t renewableForSeconds = 0;  // granted: what was asked for. Meaningful if allowed
};

// 1. A request with a value in a dangerous form is refused (`policy`).
// 2. A deny rule that the request may touch refuses it, wherever it stands (`policy`; the first one is named).
// 3. The first allow rule that covers the whole request and whose limits hold grants it.
// 4. Else the first rule that covers it decides why not: its lifetime or renewal (ttlExceeded), its uses (scopeExceeded), its approval
//    (approvalMissing), tested in this order. No rule covers it: `policy`.
// Throws nothing but std::bad_alloc.
PolicyDecision evaluate(const Policy& policy, const PolicyRequest& request);

}  // namespace counterfoil
