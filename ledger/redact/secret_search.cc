#include "ledger/redact/secret_search.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include "ledger/core/check.h"
#include "ledger/crypto/digest_lanes.h"
#include "ledger/redact/candidate_memo.h"
#include "ledger/redact/secret_candidates.h"

namespace counterfoil::redact {
namespace {

constexpr std::size_t kLanes = crypto::ShortMessages::kLanes;
constexpr std::size_t kLivingMax = 4;  // RedactionKeys::livingFingerprints

FingerprintTag tagOf(const crypto::Digest& mac) {
  FingerprintTag tag;
  std::copy_n(mac.begin(), tag.size(), tag.begin());
  return tag;
}

}  // namespace

// One look at many candidates: whether there may be a secret among them.
class SecretSearch::Glance {
 public:
  explicit Glance(const SecretSearch& search) : search_(search), memo_(CandidateMemo::ofThread()) {}

  void take(std::string_view candidate) {
    if (found_) return;
    if (search_.isOwnValue(candidate)) {
      found_ = true;
      return;
    }
    if (search_.known_ == nullptr && search_.ownTags_.empty()) return;
    Hashes& hashes = waiting_[messages_.size()];
    std::array<const FingerprintTag*, kLivingMax> tags;
    bool all = true;
    for (std::size_t index = 0; index < search_.living_.size(); ++index) {
      hashes[index] = crypto::shortHash(search_.living_[index]->memoryKey(), candidate);
      tags[index] = memo_.find(hashes[index]);
      all = all && tags[index] != nullptr;
    }
    if (all) {
      for (std::size_t index = 0; index < search_.living_.size(); ++index) ask(index, *tags[index]);
    } else if (messages_.add(crypto::bytesOf(candidate))) {
      if (messages_.full()) hashWaiting();
    } else {
      const crypto::Digest digest = crypto::sha256(crypto::bytesOf(candidate));
      for (std::size_t index = 0; index < search_.living_.size(); ++index) {
        const FingerprintTag tag = fingerprintTag(*search_.living_[index], digest);
        memo_.keep(hashes[index], tag);
        ask(index, tag);
      }
    }
  }

  // After the last candidate.
  bool found() {
    hashWaiting();
    askKnown();
    return found_;
  }

 private:
  using Hashes = std::array<crypto::ShortHash, kLivingMax>;

  void hashWaiting() {
    const std::size_t count = messages_.size();
    if (count == 0) return;
    std::array<crypto::Digest, kLanes> digests;
    std::array<crypto::Digest, kLanes> macs;
    messages_.digests(digests);
    messages_.clear();
    for (std::size_t index = 0; index < search_.living_.size(); ++index) {
      search_.living_[index]->hmac().macs(std::span(digests).first(count), macs);
      for (std::size_t lane = 0; lane < count; ++lane) {
        const FingerprintTag tag = tagOf(macs[lane]);
        memo_.keep(waiting_[lane][index], tag);
        ask(index, tag);
      }
    }
  }

  void ask(std::size_t index, const FingerprintTag& tag) {
    if (asked_ == tags_.size()) askKnown();
    tags_[asked_++] = {search_.living_[index]->generation(), tag};
  }

  void askKnown() {
    const std::span<const GenerationTag> tags = std::span(tags_).first(asked_);
    asked_ = 0;
    if (found_ || tags.empty()) return;
    const auto& own = search_.ownTags_;
    found_ = (search_.known_ != nullptr && search_.known_->containsAny(search_.keys_.workspace(), tags)) ||
             std::find_first_of(own.begin(), own.end(), tags.begin(), tags.end()) != own.end();
  }

  const SecretSearch& search_;
  CandidateMemo& memo_;
  bool found_ = false;
  crypto::ShortMessages messages_;
  std::array<Hashes, kLanes> waiting_;  // of messages_, a hash for each living generation
  std::array<GenerationTag, 64> tags_;
  std::size_t asked_ = 0;
};

SecretSearch::SecretSearch(RedactionKeys& keys, const KnownSecrets* known)
    : keys_(keys), known_(known == nullptr || known->empty(keys.workspace()) ? nullptr : known) {}

void SecretSearch::own(std::string_view value) {
  // A shorter one would take ordinary words out of every text.
  if (value.size() >= limits::kSecretCandidateBytesMin) values_.push_back(value);
  clean_.clear();
}

void SecretSearch::own(const crypto::Digest& valueDigest) {
  digests_.push_back(valueDigest);
  prepared_ = false;
  clean_.clear();
}

void SecretSearch::own(const ParsedFingerprint& fingerprint) {
  fingerprints_.push_back(fingerprint);
  prepared_ = false;
  clean_.clear();
}

void SecretSearch::prepare() {
  if (prepared_) return;
  prepared_ = true;
  ownTags_.clear();
  for (const ParsedFingerprint& each : fingerprints_) ownTags_.push_back({each.generation, each.tag});
  if (known_ == nullptr && digests_.empty() && fingerprints_.empty()) return;
  living_ = keys_.livingFingerprints();
  COUNTERFOIL_CHECK(living_.size() <= kLivingMax);
  for (const crypto::Digest& digest : digests_) {
    for (const auto& key : living_) ownTags_.push_back({key->generation(), fingerprintTag(*key, digest)});
  }
}

bool SecretSearch::nothingToFind() const {
  return known_ == nullptr && values_.empty() && digests_.empty() && fingerprints_.empty();
}

void SecretSearch::survey(std::vector<std::string_view> texts) {
  clean_.clear();
  if (nothingToFind()) return;
  prepare();
  // Without a generation there are no tags to compare with a secret that is given by its digest.
  if (living_.empty() && !digests_.empty()) return;
  Glance glance(*this);
  const SecretCandidateVisitor take = [&](std::string_view candidate, std::size_t, std::size_t) { glance.take(candidate); };
  std::size_t remaining = remaining_;
  for (const std::string_view text : texts) {
    const auto holds = [&](std::string_view value) { return text.find(value) != std::string_view::npos; };
    if (std::any_of(values_.begin(), values_.end(), holds) || !forEachSecretCandidate(text, remaining, take)) return;
  }
  if (!glance.found()) clean_ = std::move(texts);
}

bool SecretSearch::search(std::string_view text, bool document, std::vector<Finding>& findings) {
  if (nothingToFind()) return true;
  const auto same = [&](std::string_view clean) { return clean.data() == text.data() && clean.size() == text.size(); };
  if (std::any_of(clean_.begin(), clean_.end(), same)) return true;
  for (const std::string_view value : values_) {
    for (std::size_t at = text.find(value); at != std::string_view::npos; at = text.find(value, at + value.size())) {
      findings.push_back({at, at + value.size(), kKnownSecretRule, crypto::sha256(crypto::bytesOf(value))});
    }
  }
  prepare();
  std::size_t unlimited = std::numeric_limits<std::size_t>::max();
  std::size_t& remaining = document ? unlimited : remaining_;
  std::size_t again = remaining;
  Glance glance(*this);
  const bool complete =
      forEachSecretCandidate(text, remaining, [&](std::string_view candidate, std::size_t, std::size_t) { glance.take(candidate); });
  if (!glance.found() && (!living_.empty() || digests_.empty())) return complete;
  static_cast<void>(forEachSecretCandidate(text, again, [&](std::string_view candidate, std::size_t begin, std::size_t end) {
    crypto::Digest digest;
    if (isSecret(candidate, digest)) findings.push_back({begin, end, kKnownSecretRule, digest});
  }));
  return complete;
}

bool SecretSearch::isOwnValue(std::string_view candidate) const {
  return std::find(values_.begin(), values_.end(), candidate) != values_.end();
}

bool SecretSearch::isSecret(std::string_view candidate, crypto::Digest& digest) {
  digest = crypto::sha256(crypto::bytesOf(candidate));
  return isOwnValue(candidate) || std::find(digests_.begin(), digests_.end(), digest) != digests_.end() || isKnown(digest);
}

bool SecretSearch::isKnown(const crypto::Digest& digest) {
  return std::any_of(living_.begin(), living_.end(), [&](const auto& key) {
    const GenerationTag tag{key->generation(), fingerprintTag(*key, digest)};
    return (known_ != nullptr && known_->contains(keys_.workspace(), tag.generation, tag.tag)) ||
           std::find(ownTags_.begin(), ownTags_.end(), tag) != ownTags_.end();
  });
}

}  // namespace counterfoil::redact
