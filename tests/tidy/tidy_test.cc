// The house rules over the whole tree, one test a rule. What each rule refuses is shown in rules_test.cc.
#include <gtest/gtest.h>

#include <iostream>
#include <sstream>

#include "tests/tidy/own_names.h"
#include "tests/tidy/rules.h"
#include "tests/tidy/shape.h"
#include "tests/tidy/source_tree.h"

namespace counterfoil::tidy {
namespace {

const std::vector<Source>& tree() {
  static const std::vector<Source> sources = readTree(COUNTERFOIL_SOURCE_DIR);
  return sources;
}

const std::string& textOf(std::string_view path) {
  static const std::string none;
  const auto found = std::find_if(tree().begin(), tree().end(), [&](const Source& source) { return source.path == path; });
  return found == tree().end() ? none : found->text;
}

template <class Rule>
void expectNone(const Rule& rule) {
  std::ostringstream places;
  std::size_t count = 0;
  for (const Source& source : tree()) {
    for (const Offence& offence : rule(source)) {
      places << "  " << offence << '\n';
      ++count;
    }
  }
  EXPECT_EQ(count, 0U) << places.str();
}

Offences onlyCpp(const Source& source, Offences (*rule)(const Source&)) {
  return isCpp(source.path) ? rule(source) : Offences();
}

TEST(Tidy, TheTreeIsFound) {
  EXPECT_GT(tree().size(), 20U) << "the rules below would pass over nothing";
  EXPECT_FALSE(textOf("tests/tidy/rules.h").empty());
  EXPECT_FALSE(textOf("CMakeLists.txt").empty());
}

TEST(Tidy, IncludesFollowTheTable) {
  expectNone([](const Source& source) { return onlyCpp(source, includeTable); });
}

TEST(Tidy, ForeignHeadersStayWithTheirOwners) {
  expectNone([](const Source& source) { return onlyCpp(source, foreignHeaders); });
}

TEST(Tidy, NoBannedCalls) {
  expectNone([](const Source& source) { return onlyCpp(source, bannedCalls); });
}

TEST(Tidy, FilesAreOfReadableSize) {
  expectNone(fileSizes);
}

TEST(Tidy, FunctionsAreOfReadableSize) {
  expectNone(functionSizes);
}

TEST(Tidy, TestsHaveBodies) {
  expectNone(emptyTests);
}

TEST(Tidy, EveryTestFileIsRegistered) {
  expectNone([](const Source& source) { return unregisteredTests(source, textOf("tests/CMakeLists.txt")); });
}

TEST(Tidy, EverySourceIsBuilt) {
  expectNone([](const Source& source) { return unbuiltSources(source, textOf("CMakeLists.txt")); });
}

TEST(Tidy, HeadersAreGuardedAndIntroduced) {
  expectNone(headerForm);
}

TEST(Tidy, SourcesThatAreCompiledTogetherShareNoNamesOfTheirOwn) {
  std::ostringstream places;
  for (const Offence& offence : sharedOwnNames(tree())) places << "  " << offence << '\n';
  EXPECT_EQ(places.str(), "");
  // Those that isCompiledAlone() passes over.
  EXPECT_NE(textOf("CMakeLists.txt").find("set_target_properties(counterfoil_crypto PROPERTIES UNITY_BUILD OFF)"), std::string::npos);
  EXPECT_NE(textOf("tests/CMakeLists.txt")
                .find("set_target_properties(tidy_test crypto_test redact_test keys_test log_test ops_test PROPERTIES UNITY_BUILD OFF)"),
            std::string::npos);
}

TEST(Tidy, ScriptsStopAtTheFirstError) {
  expectNone(scriptForm);
}

TEST(Tidy, NoMarksOfUnfinishedWork) {
  expectNone(forbiddenWords);
}

}  // namespace
}  // namespace counterfoil::tidy
