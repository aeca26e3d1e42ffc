// libFuzzer: any bytes as a policy document, then a fixed request against what came out of it.
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "ledger/core/check.h"
#include "ledger/core/outcome.h"
#include "ledger/core/policy.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace counterfoil;
  static const std::vector<std::string> scope = {"contents:read", "issues:*"};
  static const std::vector<std::string> resources = {"github.com/acme/shop", "s3://bucket/key"};
  try {
    const Policy policy = Policy::parse({reinterpret_cast<const char*>(data), size});
    const PolicyRequest request{"git_token", "agent", "fixer", "host-3", scope, resources, 900, 5, 60, false};
    const PolicyDecision decision = evaluate(policy, request);
    COUNTERFOIL_CHECK(decision.allowed == (decision.reason == PolicyReason::none));
    COUNTERFOIL_CHECK(!decision.allowed || !decision.rule.empty());
    COUNTERFOIL_CHECK(!decision.allowed || decision.maxUses == 5);
    // The same document gives the same decision.
    COUNTERFOIL_CHECK(evaluate(Policy::parse({reinterpret_cast<const char*>(data), size}), request).explanation == decision.explanation);
  } catch (const Fault& fault) {
    COUNTERFOIL_CHECK(factsOf(fault.code()).exitStatus == 2);
  }
  return 0;
}
