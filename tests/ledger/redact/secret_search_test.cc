// What is found must not depend on how it is looked for: alone, among many, again, or in a survey of the whole request.
#include "ledger/redact/secret_search.h"

#include <gtest/gtest.h>

#include "tests/ledger/redact/redaction_fixture.h"

namespace counterfoil::redact {
namespace {

class SecretSearchTest : public test::RedactionTest {
 protected:
  // A fresh candidate of `size` bytes.
  std::string word(std::size_t size) {
    std::string text;
    while (text.size() < size) text += static_cast<char>('a' + random_.bytes<1>()[0] % 26);
    return text;
  }
  static std::string found(const std::vector<Finding>& findings) {
    std::set<std::pair<std::size_t, std::size_t>> places;
    for (const Finding& finding : findings) places.insert({finding.begin, finding.end});
    std::string text;
    for (const auto& [begin, end] : places) text += std::to_string(begin) + "-" + std::to_string(end) + " ";
    return text;
  }
  std::string search(std::string_view text) {
    SecretSearch one(*keys_, &known_);
    std::vector<Finding> findings;
    EXPECT_TRUE(one.search(text, false, findings));
    for (const Finding& finding : findings) {
      EXPECT_TRUE(finding.secret == crypto::sha256(bytesOf(text.substr(finding.begin, finding.end - finding.begin))));
    }
    return found(findings);
  }
};

// Every number of candidates and every place among them: whole and half-filled lanes, and those that are too long for a lane.
TEST_F(SecretSearchTest, FindsItAtEveryPlace) {
  for (const std::size_t size : {8u, 20u, 55u, 56u, 64u, 200u}) {
    for (std::size_t count = 1; count <= 19; count += 3) {
      for (std::size_t place = 0; place < count; ++place) {
        std::string text;
        std::size_t begin = 0;
        for (std::size_t index = 0; index < count; ++index) {
          const std::string next = word(index == place ? size : 8 + index);
          if (index == place) {
            begin = text.size();
            know(next);
          }
          text += next + " ";
        }
        ASSERT_EQ(search(text), std::to_string(begin) + "-" + std::to_string(begin + size) + " ") << size << " " << count << " " << place;
      }
    }
  }
}

TEST_F(SecretSearchTest, FindsNothingWhereNothingIs) {
  know("a-secret-of-somebody");
  for (int round = 0; round < 200; ++round) ASSERT_EQ(search(word(10) + " " + word(30) + " " + word(70)), "");
}

TEST_F(SecretSearchTest, FindsWhatBecameKnownAfterItWasLookedUp) {
  know("something-else-that-is-known");
  const std::string text = "the value later-a-secret here";
  EXPECT_EQ(search(text), "");
  EXPECT_EQ(search(text), "");
  know("later-a-secret");
  EXPECT_EQ(search(text), "10-24 ");
}

TEST_F(SecretSearchTest, FindsSecretsOfEveryLivingGeneration) {
  know("secret-of-the-first");
  EXPECT_EQ(search("a secret-of-the-first"), "2-21 ");
  keys_->nextFingerprint();
  know("secret-of-the-second");
  EXPECT_EQ(search("a secret-of-the-first"), "2-21 ");
  EXPECT_EQ(search("a secret-of-the-second"), "2-22 ");
  EXPECT_EQ(search("a secret-of-the-third"), "");
}

TEST_F(SecretSearchTest, KeepsWorkspacesApart) {
  know("secret-of-the-workspace");
  EXPECT_EQ(search("secret-of-the-workspace"), "0-23 ");
  const auto others = ring_.workspace(WorkspaceNumber{13});
  const auto key = others->currentFingerprint();
  known_.add(WorkspaceNumber{13}, key->generation(), fingerprintTag(*key, crypto::sha256(bytesOf("secret-of-the-other"))));
  EXPECT_EQ(search("secret-of-the-other"), "");
  SecretSearch other(*others, &known_);
  std::vector<Finding> findings;
  EXPECT_TRUE(other.search("secret-of-the-workspace", false, findings));
  EXPECT_TRUE(findings.empty());
  EXPECT_TRUE(other.search("secret-of-the-other", false, findings));
  EXPECT_EQ(findings.size(), 1u);
}

TEST_F(SecretSearchTest, SurveyChangesNothingThatIsFound) {
  know("the-known-secret");
  const std::vector<std::string> texts = {"nothing in here at all",       "run-1234567 host-1234567",   "x the-known-secret y",
                                          "dGhlLWtub3duLXNlY3JldA== end", "own-secret-value in a text", word(70) + " " + word(90)};
  for (unsigned mask = 0; mask < (1u << texts.size()); ++mask) {
    std::vector<std::string_view> chosen;
    for (std::size_t index = 0; index < texts.size(); ++index) {
      if ((mask >> index & 1) != 0) chosen.push_back(texts[index]);
    }
    SecretSearch plain(*keys_, &known_);
    SecretSearch surveyed(*keys_, &known_);
    plain.own("own-secret-value");
    surveyed.own("own-secret-value");
    surveyed.survey(chosen);
    for (const std::string& text : texts) {  // those left out of the survey too
      std::vector<Finding> expected;
      std::vector<Finding> actual;
      ASSERT_TRUE(plain.search(text, false, expected));
      ASSERT_TRUE(surveyed.search(text, false, actual));
      ASSERT_EQ(found(actual), found(expected)) << mask << " " << text;
    }
  }
}

// A secret may be given by its digest or its fingerprint alone.
TEST_F(SecretSearchTest, SurveyFindsOwnSecretsInEveryForm) {
  const std::string_view text = "a own-secret-value b";
  const crypto::Digest digest = crypto::sha256(bytesOf("own-secret-value"));
  for (const int form : {0, 1, 2}) {
    SecretSearch one(*keys_, &known_);
    // Without a living generation a digest must still be found.
    if (form == 0) one.own(digest);
    if (form == 1) one.own("own-secret-value");
    if (form == 2) one.own(*parseFingerprint(fingerprintOf("own-secret-value")));
    one.survey({text});
    std::vector<Finding> findings;
    ASSERT_TRUE(one.search(text, false, findings));
    EXPECT_EQ(found(findings), "2-18 ") << form;
  }
}

TEST_F(SecretSearchTest, ASecretAfterTheSurveyIsLookedFor) {
  know("something-else-that-is-known");
  const std::string_view text = "a own-secret-value b";
  for (const bool asValue : {true, false}) {
    SecretSearch one(*keys_, &known_);
    one.survey({text});
    std::vector<Finding> findings;
    ASSERT_TRUE(one.search(text, false, findings));
    ASSERT_TRUE(findings.empty());
    if (asValue) one.own("own-secret-value");
    if (!asValue) one.own(crypto::sha256(bytesOf("own-secret-value")));
    ASSERT_TRUE(one.search(text, false, findings));
    EXPECT_EQ(found(findings), "2-18 ");
  }
}

// What is left of an entry's candidates counts for searches, not for the survey before them.
TEST_F(SecretSearchTest, UsedUpCandidatesAreToldAsWithoutASurvey) {
  know("something-else-that-is-known");
  std::string many;
  for (std::size_t count = 0; count < limits::kSecretCandidatesMax - 10; ++count) many += word(9) + " ";
  const std::string more = many + word(9);
  for (const bool survey : {false, true}) {
    SecretSearch one(*keys_, &known_);
    if (survey) one.survey({many, more});
    std::vector<Finding> findings;
    EXPECT_TRUE(one.search(many, false, findings));
    EXPECT_FALSE(one.search(more, false, findings)) << "nobody knows what stands there";
  }
}

}  // namespace
}  // namespace counterfoil::redact
