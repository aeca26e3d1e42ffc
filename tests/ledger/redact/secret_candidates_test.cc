#include "ledger/redact/secret_candidates.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace counterfoil::redact {
namespace {

using Places = std::multimap<std::string, std::pair<std::size_t, std::size_t>>;

Places candidates(std::string_view text, bool expectAll = true) {
  Places places;
  EXPECT_EQ(forEachSecretCandidate(text,
                                   [&](std::string_view candidate, std::size_t begin, std::size_t end) {
                                     EXPECT_LT(begin, end);
                                     EXPECT_LE(end, text.size());
                                     EXPECT_GE(candidate.size(), limits::kSecretCandidateBytesMin);
                                     EXPECT_LE(candidate.size(), limits::kSecretCandidateBytesMax);
                                     places.emplace(std::string(candidate), std::pair(begin, end));
                                   }),
            expectAll);
  return places;
}

void expectAt(const Places& places, const std::string& candidate, std::size_t begin, std::size_t end) {
  const auto found = places.find(candidate);
  ASSERT_NE(found, places.end()) << candidate;
  EXPECT_EQ(found->second, std::pair(begin, end)) << candidate;
}

TEST(SecretCandidates, MaximalRunsOfEightToFiveHundredAndTwelveBytes) {
  const Places places = candidates("see correct-horse, ok: short12 \"abcdefgh\"");
  EXPECT_EQ(places.size(), 2U);
  expectAt(places, "correct-horse", 4, 17);
  expectAt(places, "abcdefgh", 32, 40);
  EXPECT_EQ(candidates(std::string(512, 'a')).count(std::string(512, 'a')), 1U);
  EXPECT_TRUE(candidates(std::string(513, 'a')).empty());
  EXPECT_TRUE(candidates("seven77").empty());
}

TEST(SecretCandidates, PartsAndTrimmedForms) {
  const Places places = candidates("token=s3cr3t-value. path/other-secret9");
  expectAt(places, "token=s3cr3t-value.", 0, 19);
  expectAt(places, "token=s3cr3t-value", 0, 18);
  expectAt(places, "s3cr3t-value", 6, 18);
  expectAt(places, "other-secret9", 25, 38);
  EXPECT_EQ(candidates("https://h/?k=ab=cd=secret01").count("ab=cd=secret01"), 1U) << "a secret may hold the separator";
}

TEST(SecretCandidates, DecodedForms) {
  expectAt(candidates("x pa%73sw%6Frd1 y"), "password1", 2, 15);
  expectAt(candidates("c2VjcmV0LXZhbHVlLTE="), "secret-value-1", 0, 20);
  expectAt(candidates("c2VjcmV0LXZhbHVlLTE"), "secret-value-1", 0, 19);
  expectAt(candidates("Basic dXNlcjpzM2NyM3QtdmFsdWU="), "s3cr3t-value", 6, 30);  // the run inside user:s3cr3t-value
  expectAt(candidates("auth=dXNlcjpzM2NyM3QtdmFsdWU="), "s3cr3t-value", 5, 29);
  const Places url = candidates("-_-_-_-_-_-_");
  EXPECT_EQ(url.count("\xFB\xFF\xBF\xFB\xFF\xBF\xFB\xFF\xBF"), 1U);
}

TEST(SecretCandidates, CompatibilityForms) {
  // Full-width s3cret-01 and mathematical bold "password" with ASCII around them.
  const std::string wide = "\xEF\xBD\x93\xEF\xBC\x93\xEF\xBD\x83\xEF\xBD\x92\xEF\xBD\x85\xEF\xBD\x94-01";
  expectAt(candidates("x " + wide + " y"), "s3cret-01", 2, 2 + wide.size());
  const std::string bold =
      "\xF0\x9D\x90\xA9\xF0\x9D\x90\x9A\xF0\x9D\x90\xAC\xF0\x9D\x90\xAC\xF0\x9D\x90\xB0\xF0\x9D\x90\xA8\xF0\x9D\x90\xAB\xF0\x9D\x90\x9D";
  expectAt(candidates(bold), "password", 0, bold.size());
  EXPECT_TRUE(candidates("m\xC3\xBCller \xE5\x85\xA8\xE8\xA7\x92").empty());
  EXPECT_TRUE(candidates("\xF0\x9D\x90").empty()) << "cut off in a character";
}

TEST(SecretCandidates, MoreThanTheLimitIsRefused) {
  std::string text;
  for (std::size_t i = 0; i < limits::kSecretCandidatesMax; ++i) text += "word-" + std::to_string(1000 + i) + "- ";
  EXPECT_EQ(candidates(text).size(), limits::kSecretCandidatesMax);
  candidates(text + "one-more-word", false);
  // The same bytes at the same place count once; the budget is shared by the fields of an entry.
  std::size_t remaining = 3;
  const SecretCandidateVisitor ignore = [](std::string_view, std::size_t, std::size_t) {};
  EXPECT_TRUE(forEachSecretCandidate("abcd-efgh ijkl-mnop", remaining, ignore));
  EXPECT_EQ(remaining, 1U);
  EXPECT_FALSE(forEachSecretCandidate("abcd-efgh ijkl-mnop", remaining, ignore));
}

TEST(SecretCandidates, AnyBytes) {
  std::mt19937 random(7);
  for (int round = 0; round < 20'000; ++round) {
    std::vector<char> text(random() % 80);
    for (char& c : text) {
      constexpr std::string_view kFavoured = "aZ09=%/.+-_~ \xEF\xBC\xBD\xF0\x9D\x90";
      c = random() % 3 == 0 ? static_cast<char>(random() & 0xffU) : kFavoured[random() % kFavoured.size()];
    }
    candidates(std::string_view(text.data(), text.size()));
  }
}

}  // namespace
}  // namespace counterfoil::redact
