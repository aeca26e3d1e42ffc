// Which lease an access key belongs to: keys issued earlier in this run, and in earlier imports.
#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "ledger/core/ids.h"
#include "ledger/importers/importer.h"

namespace counterfoil::importers {

// Keeps digests of keys, never keys. Not thread safe.
class CloudTrailLeases {
 public:
  explicit CloudTrailLeases(KnownLease known) : known_(std::move(known)) {}

  static crypto::Digest digestOf(std::string_view key) {
    return crypto::sha256(crypto::Bytes(reinterpret_cast<const std::uint8_t*>(key.data()), key.size()));
  }

  // The lease of the key; nullopt for a key that was not issued as far as is known.
  std::optional<std::string> find(std::string_view key) {
    // Long-lived keys of users and of the root account are never issued by STS.
    if (key.empty() || key.starts_with("AKIA")) return std::nullopt;
    const crypto::Digest digest = digestOf(key);
    if (const auto found = issued_.find(digest); found != issued_.end()) return found->second.lease;
    if (!known_) return std::nullopt;
    if (const auto asked = asked_.find(digest); asked != asked_.end()) return asked->second;
    if (asked_.size() >= kAskedMax) asked_.clear();
    return asked_.emplace(digest, known_(digest)).first->second;
  }

  // The key was issued; `now` is the time of the record that says so. `expiresAt` zero: unknown.
  void add(std::string_view key, std::string lease, Timestamp now, Timestamp expiresAt) {
    if (issued_.size() >= issuedMax_) {
      // A session lasts 36 hours at most. Whoever asks for one that ended a day ago gets it from the ledger's view.
      std::erase_if(issued_, [&](const auto& item) {
        return item.second.expiresAt.nanoseconds < now.nanoseconds - kKeptSeconds * kNanosecondsPerSecond;
      });
      asked_.clear();  // what was issued here may have been asked for before
      issuedMax_ = issued_.size() * 2 > kIssuedMin ? issued_.size() * 2 : kIssuedMin;
    }
    if (expiresAt.nanoseconds == 0) expiresAt = {now.nanoseconds + kSessionSecondsMax * kNanosecondsPerSecond};
    issued_.insert_or_assign(digestOf(key), Issued{std::move(lease), expiresAt});
  }

  std::size_t size() const { return issued_.size(); }

 private:
  static constexpr std::size_t kAskedMax = 64 * 1024;
  static constexpr std::size_t kIssuedMin = 256 * 1024;
  static constexpr std::int64_t kKeptSeconds = 24 * 3600;
  static constexpr std::int64_t kSessionSecondsMax = 36 * 3600;

  struct Issued {
    std::string lease;
    Timestamp expiresAt;
  };
  struct DigestHash {
    std::size_t operator()(const crypto::Digest& digest) const noexcept {
      std::size_t result = 0;
      std::memcpy(&result, digest.data(), sizeof(result));
      return result;
    }
  };

  KnownLease known_;
  std::unordered_map<crypto::Digest, Issued, DigestHash> issued_;
  std::unordered_map<crypto::Digest, std::optional<std::string>, DigestHash> asked_;
  std::size_t issuedMax_ = kIssuedMin;
};

}  // namespace counterfoil::importers
