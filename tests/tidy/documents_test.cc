// Documents and mutations over the whole tree, and what the rules refuse.
#include "tests/tidy/documents.h"

#include <gtest/gtest.h>

#include <sstream>

namespace counterfoil::tidy {
namespace {

const std::vector<Source>& tree() {
  static const std::vector<Source> sources = readTree(COUNTERFOIL_SOURCE_DIR);
  return sources;
}

const std::set<std::string>& places() {
  static const std::set<std::string> known = placesOf(tree());
  return known;
}

template <class Rule>
void expectNone(const Rule& rule) {
  std::ostringstream offended;
  for (const Source& source : tree()) {
    for (const Offence& offence : rule(source)) offended << "  " << offence << '\n';
  }
  EXPECT_EQ(offended.str(), "");
}

TEST(Documents, LinksLeadSomewhere) {
  expectNone([](const Source& source) { return brokenLinks(source, tree(), places()); });
}

TEST(Documents, PathsTheyNameAreThere) {
  expectNone([](const Source& source) { return missingPaths(source, places()); });
}

TEST(Documents, TheReadmeNamesEveryDocumentAndFolder) {
  const auto readme = std::find_if(tree().begin(), tree().end(), [](const Source& source) { return source.path == "README.md"; });
  ASSERT_NE(readme, tree().end());
  for (const std::string& place : places()) {
    const bool document = place.starts_with("docs/") && place.ends_with(".md") && !place.starts_with("docs/decisions/");
    const bool folder = place.ends_with('/') && std::count(place.begin(), place.end(), '/') == 1 && place != "cmake/" && place != ".ci/";
    if (!document && !folder) continue;
    EXPECT_NE(readme->text.find(place), std::string::npos) << "README.md says nothing of " << place;
  }
}

TEST(Mutations, SayWhatTheyBreak) {
  expectNone([](const Source& source) { return mutationForm(source, places()); });
}

TEST(DocumentRules, RefuseWhatTheyShould) {
  const std::vector<Source> sources = {makeSource("docs/a.md", "# A\n\n## One thing: `this`\n"), makeSource("ledger/core/lease.h", "")};
  const std::set<std::string> known = placesOf(sources);
  const auto links = [&](const std::string& text) { return brokenLinks(makeSource("docs/b.md", text), sources, known).size(); };
  EXPECT_EQ(links("[x](a.md) [y](a.md#one-thing-this) [z](https://example.com/a) [w](../ledger/core/)\n"), 0U);
  EXPECT_EQ(links("[x](c.md)\n"), 1U);
  EXPECT_EQ(links("[x](a.md#two)\n"), 1U);
  EXPECT_EQ(links("```\n[x](c.md)\n```\n"), 0U);
  const auto paths = [&](const std::string& text) { return missingPaths(makeSource("docs/b.md", text), known).size(); };
  EXPECT_EQ(paths("`ledger/core/lease.h`, `ledger/core`, `ledger/core/*.cc`, `log/log.db`, ledger/none.h\n"), 0U);
  EXPECT_EQ(paths("`ledger/core/none.h` and `tests/none/`\n"), 2U);
  const auto mutation = [&](const std::string& text) { return mutationForm(makeSource("tests/mutations/m.patch", text), known).size(); };
  EXPECT_EQ(mutation("# test: core Lease.*\n# invariant: I4\n# what: x\n--- a/ledger/core/lease.h\n"), 0U);
  EXPECT_EQ(mutation("# test: core Lease.*\n# invariant: I4\n--- a/ledger/core/lease.h\n"), 1U);
  EXPECT_EQ(mutation("# test: core Lease.*\n# invariant: I4\n# what: x\n--- a/ledger/core/gone.h\n"), 1U);
}

}  // namespace
}  // namespace counterfoil::tidy
