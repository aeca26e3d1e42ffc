#include "ledger/core/policy_pattern.h"

#include <gtest/gtest.h>

namespace counterfoil {
namespace {

TEST(PolicyPattern, denyIsNeverNarrowerThanAllow) {
  const std::string_view pieces[] = {"a", "a/", "a/b", "a:", "a:b", "a-*", "a/*", "*", "a?", "a#x", "ab", "a/b*", "b/*"};
  std::size_t covered = 0;
  for (const std::string_view source : pieces) {
    PolicyPattern pattern;
    if (compilePattern(PolicyField::scope, source, pattern) != PolicyPatternProblem::none) continue;
    for (const std::string_view value : pieces) {
      if (!covers(pattern, policyValue(value))) continue;
      ++covered;
      EXPECT_TRUE(touches(pattern, policyValue(value))) << source << " covers " << value;
    }
  }
  EXPECT_GT(covered, 20U);
}

}  // namespace
}  // namespace counterfoil
