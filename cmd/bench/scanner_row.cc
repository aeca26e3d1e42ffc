// The scanner over ordinary text, and the look-up of secrets that the ledger knows.
#include <array>
#include <string>

#include "cmd/bench/rows.h"
#include "ledger/redact/fingerprint.h"
#include "ledger/redact/scanner.h"
#include "ledger/redact/secret_candidates.h"
#include "ledger/redact/secret_search.h"
#include "ledger/write/known_secrets.h"

namespace counterfoil::cmd::bench {
namespace {

constexpr std::array<std::string_view, 28> kWords = {"the",
                                                     "run",
                                                     "of",
                                                     "review",
                                                     "failed",
                                                     "with",
                                                     "status",
                                                     "repository",
                                                     "deploy",
                                                     "to",
                                                     "staging",
                                                     "after",
                                                     "https://example.com/acme/shop/pull/4711",
                                                     "and",
                                                     "was",
                                                     "retried",
                                                     "src/main/app.cc:120",
                                                     "build",
                                                     "2026-03-01",
                                                     "sha256:9f86",
                                                     "token",
                                                     "expired",
                                                     "please",
                                                     "check",
                                                     "the logs",
                                                     "(exit 1)",
                                                     "{\"ok\":true}",
                                                     "user=ci"};

std::string ordinaryText(Dice& dice, std::size_t bytes) {
  std::string text;
  while (text.size() < bytes) {
    text += kWords[dice.below(kWords.size())];
    text += ' ';
  }
  text.resize(bytes);
  return text;
}

Result scanRate(const BenchOptions& options, std::size_t bytes) {
  Dice dice(3);
  std::vector<std::string> texts;
  for (unsigned index = 0; index < 1'000; ++index) texts.push_back(ordinaryText(dice, bytes));
  std::vector<redact::ScanHit> hits;
  std::uint64_t scanned = 0;
  const CpuWatch watch(CpuWatch::Of::thread);
  while (watch.seconds() < options.seconds / 2) {
    for (const std::string& text : texts) redact::scanText(text, {}, hits);
    scanned += texts.size() * bytes;
    hits.clear();
  }
  const double rate = static_cast<double>(scanned) / watch.seconds() / 1e6;
  return {"scanner-" + std::to_string(bytes),
          "scanner over ordinary text, pieces of " + std::to_string(bytes) + " B, one core",
          {{"rate", rate, "MB/s"}, {"a piece", static_cast<double>(bytes) / rate, "us"}},
          ">= 100 MB/s",
          "500 MB/s",
          {},
          rate >= 100};
}

Result lookUp(const BenchOptions& options) {
  constexpr WorkspaceNumber kNumber{1};
  constexpr std::size_t kKnown = 1'000'000;
  const ScratchFolder folder(options.folder);
  crypto::SystemRandom random;
  keys::FileKeyProvider provider(folder.path(), random);
  keys::KeyRing ring(provider, random);
  const auto keysOfOne = ring.workspace(kNumber);
  const auto fingerprint = keysOfOne->currentFingerprint();
  write::KnownSecretStore known;
  for (std::size_t index = 0; index < kKnown; ++index) known.add(kNumber, fingerprint->generation(), random.bytes<16>());
  Dice dice(4);
  std::vector<std::string> texts;
  std::size_t candidates = 0;
  for (unsigned index = 0; index < 500; ++index) {
    std::string text;
    for (unsigned word = 0; word < 20; ++word) text += dice.letters(12 + dice.below(20)) + ' ';
    redact::forEachSecretCandidate(text, [&](std::string_view, std::size_t, std::size_t) { ++candidates; });
    texts.push_back(std::move(text));
  }
  const auto search = [&] {
    std::vector<redact::Finding> findings;
    for (const std::string& text : texts) {
      redact::SecretSearch one(*keysOfOne, &known);
      static_cast<void>(one.search(text, true, findings));
    }
  };
  search();
  std::uint64_t looked = 0;
  const CpuWatch watch(CpuWatch::Of::thread);
  while (watch.seconds() < options.seconds / 2) {
    search();
    looked += candidates;
  }
  const double each = watch.seconds() / static_cast<double>(looked) * 1e6;
  return {"known-secret",
          "look-up of one candidate among 1 M known secrets of a workspace, its hashes included",
          {{"time", each, "us"}, {"candidates a text", static_cast<double>(candidates) / 500, ""}},
          "<= 0.5 us",
          "",
          {},
          each <= 0.5};
}

}  // namespace

std::vector<Result> scanner(const BenchOptions& options) {
  return {scanRate(options, 60), scanRate(options, 8'000), lookUp(options)};
}

}  // namespace counterfoil::cmd::bench
