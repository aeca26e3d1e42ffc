// What a parsed policy is made of; private to policy_parse.cc and policy_evaluate.cc.
#pragma once

#include <vector>

#include "ledger/core/policy.h"

namespace counterfoil {

// Every text lies in one arena and every pattern in one array, so that a walk over 1,000 rules stays in the cache.
struct Policy::Compiled {
  std::unique_ptr<char[]> arena;
  std::string_view name;
  std::vector<PolicyRule> rules;
  std::vector<PolicyPattern> patterns;
  // Places in `rules`, in their order: deny rules are looked at first.
  std::vector<std::uint16_t> denies;
  std::vector<std::uint16_t> allows;
};

static_assert(limits::kPolicyRulesMax <= 0xffff, "the place of a rule is a 16-bit number");

}  // namespace counterfoil
