// Fingerprint tags of candidates that were looked up before: the ids, hosts and paths of a workspace come again and again, and a tag costs
// three steps of SHA-256.
#pragma once

#include <vector>

#include "ledger/core/redaction_keys.h"
#include "ledger/crypto/short_hash.h"

namespace counterfoil::redact {

// A thread's own. Holds no candidate, only its hash under a key that goes with K_fingerprint. The newest of those that share a place stays.
class CandidateMemo {
 public:
  static CandidateMemo& ofThread();

  CandidateMemo() : places_(kPlaces) {}
  // Null if it is not there. Valid until keep().
  const FingerprintTag* find(const crypto::ShortHash& hash) const {
    const Place& place = places_[hash.low % kPlaces];
    return place.hash == hash ? &place.tag : nullptr;
  }
  void keep(const crypto::ShortHash& hash, const FingerprintTag& tag) { places_[hash.low % kPlaces] = {hash, tag}; }

 private:
  static constexpr std::size_t kPlaces = 8192;  // 256 KiB: stays in a core's second cache
  struct Place {
    crypto::ShortHash hash{};
    FingerprintTag tag{};
  };
  std::vector<Place> places_;
};

}  // namespace counterfoil::redact
