// The three figures of the scanner, over samples that are read in place and are no part of the project.
#include <gtest/gtest.h>

#include <boost/json.hpp>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "ledger/redact/scanner.h"
#include "ledger/redact/scanner_engine.h"

namespace counterfoil::redact {
namespace {

namespace json = boost::json;

const std::filesystem::path kShared = std::filesystem::path(COUNTERFOIL_SOURCE_DIR) / ".." / "shared" / "data";

struct Sample {
  std::string rule;
  std::string text;
  std::vector<std::string> secrets;
};

std::string toString(const json::value& value) {
  return std::string(value.as_string().data(), value.as_string().size());
}

std::vector<Sample> readSamples() {
  std::vector<Sample> samples;
  std::ifstream file(kShared / "secrets" / "samples.ndjson");
  std::string line;
  while (std::getline(file, line)) {
    const json::value parsed = json::parse(line);
    Sample sample{toString(parsed.at("rule")), toString(parsed.at("text")), {}};
    for (const json::value& secret : parsed.at("secrets").as_array()) sample.secrets.push_back(toString(secret));
    samples.push_back(std::move(sample));
  }
  return samples;
}

struct Figures {
  std::size_t withSecret = 0;
  std::size_t caught = 0;
  std::size_t without = 0;
  std::size_t altered = 0;
  double recall() const { return static_cast<double>(caught) / static_cast<double>(withSecret); }
  double alteredShare() const { return static_cast<double>(altered) / static_cast<double>(without); }
};

Figures figuresOf(const ScanEngine& engine, const std::vector<Sample>& samples, bool contacts) {
  Figures figures;
  for (const Sample& sample : samples) {
    std::vector<ScanHit> hits;
    std::size_t work = 0;
    engine.scan(sample.text, ScanEngine::Rules::kAll, contacts, hits, work);
    if (sample.secrets.empty()) {
      ++figures.without;
      if (!hits.empty()) ++figures.altered;
      continue;
    }
    std::string redacted;
    std::size_t from = 0;
    for (const ScanHit& hit : hits) {
      redacted += sample.text.substr(from, hit.begin - from) + "[redacted:" + std::string(hit.rule) + ":fp]";
      from = hit.end;
    }
    redacted += sample.text.substr(from);
    ++figures.withSecret;
    bool left = false;
    for (const std::string& secret : sample.secrets) left = left || redacted.find(secret) != std::string::npos;
    if (!left) ++figures.caught;
  }
  return figures;
}

void record(const std::string& name, const Figures& figures) {
  testing::Test::RecordProperty(name + "_recall_per_mille", static_cast<int>(figures.recall() * 1000));
  testing::Test::RecordProperty(name + "_altered", static_cast<int>(figures.altered));
  std::printf("%s: recall %zu of %zu, altered %zu of %zu\n", name.c_str(), figures.caught, figures.withSecret, figures.altered,
              figures.without);
}

TEST(ScannerFigures, RecallAndAlterationsOnTheSamples) {
  const std::vector<Sample> samples = readSamples();
  if (samples.empty()) GTEST_SKIP() << "no samples beside the repository (../shared/data/secrets)";
  const Figures secrets = figuresOf(scanEngine(), samples, false);
  record("secrets", secrets);
  EXPECT_GE(secrets.recall(), 0.99);
  EXPECT_LE(secrets.alteredShare(), 0.02);
  // With contacts one text more is altered: an e-mail address in it is personal data, not a secret.
  const Figures contacts = figuresOf(scanEngine(), samples, true);
  record("with_contacts", contacts);
  EXPECT_GE(contacts.recall(), secrets.recall());
  EXPECT_LE(contacts.altered, secrets.altered + 1);
}

// Providers of tomorrow: without any table of formats, names and randomness alone must find nearly all.
TEST(ScannerFigures, WithoutTheFormatTable) {
  const std::vector<Sample> samples = readSamples();
  if (samples.empty()) GTEST_SKIP() << "no samples beside the repository (../shared/data/secrets)";
  const ScanEngine generic([](const FormatRule&) { return false; });
  const Figures figures = figuresOf(generic, samples, false);
  record("generic", figures);
  EXPECT_GE(figures.recall(), 0.95);
  EXPECT_LE(figures.alteredShare(), 0.02);
}

void collectTexts(const json::value& value, bool credential, std::set<std::string>& texts) {
  if (const json::object* object = value.if_object()) {
    for (const json::key_value_pair& member : *object) {
      texts.insert(std::string(member.key()));
      // What the trail shows of credentials is the one thing that is to be found there.
      collectTexts(member.value(), credential || member.key() == "accessKeyId" || member.key() == "sessionToken", texts);
    }
  } else if (const json::array* array = value.if_array()) {
    for (const json::value& item : *array) collectTexts(item, credential, texts);
  } else if (value.is_string() && !credential) {
    texts.insert(toString(value));
  }
}

TEST(ScannerFigures, OrdinaryTextOfTheTrailIsLeftAlone) {
  const std::filesystem::path folder = kShared / "cloudtrail-stratus" / "CloudTrail";
  if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no trail beside the repository (../shared/data/cloudtrail-stratus)";
  std::set<std::string> texts;
  for (const std::filesystem::directory_entry& entry : std::filesystem::directory_iterator(folder)) {
    std::ifstream file(entry.path());
    const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    collectTexts(json::parse(content), false, texts);
  }
  ASSERT_GT(texts.size(), 5'000U);
  for (const std::string& text : texts) {
    std::vector<ScanHit> hits;
    scanText(text, ScanOptions{}, hits);
    for (const ScanHit& hit : hits) {
      if (hit.rule == "aws-access-key-id") continue;  // inside messages and keys of other objects: a secret there too
      ADD_FAILURE() << hit.rule << " in " << text.substr(0, 120);
    }
  }
}

}  // namespace
}  // namespace counterfoil::redact
