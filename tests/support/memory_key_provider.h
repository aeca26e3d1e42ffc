// Key-encryption keys in memory, for tests that are not about files.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <utility>

#include "ledger/core/outcome.h"
#include "ledger/crypto/random.h"
#include "ledger/keys/key_provider.h"

namespace counterfoil::test {

class MemoryKeyProvider final : public keys::KeyProvider {
 public:
  explicit MemoryKeyProvider(crypto::RandomSource& random) : random_(random) {}

  std::uint32_t currentVersion(WorkspaceNumber workspace) override {
    const std::scoped_lock lock(mutex_);
    std::uint32_t newest = 0;
    for (const auto& [name, key] : keys_) {
      if (name.first == workspace.value) newest = std::max(newest, name.second);
    }
    return newest;
  }
  std::uint32_t createVersion(WorkspaceNumber workspace) override {
    const std::scoped_lock lock(mutex_);
    const std::uint32_t version = ++greatest_[workspace.value];
    keys_.emplace(Name{workspace.value, version}, std::make_shared<crypto::AeadKey>(random_.bytes<crypto::kAeadKeySize>()));
    return version;
  }
  std::vector<std::uint8_t> wrap(WorkspaceNumber workspace, std::uint32_t version, const crypto::AeadNonce& nonce,
                                 crypto::Bytes associatedData, crypto::Bytes plaintext) override {
    return find(workspace, version)->seal(nonce, associatedData, plaintext);
  }
  std::optional<crypto::SecretBytes> unwrap(WorkspaceNumber workspace, std::uint32_t version, const crypto::AeadNonce& nonce,
                                            crypto::Bytes associatedData, crypto::Bytes sealed) override {
    return find(workspace, version)->open(nonce, associatedData, sealed);
  }
  void destroyVersion(WorkspaceNumber workspace, std::uint32_t version) override {
    const std::scoped_lock lock(mutex_);
    keys_.erase(Name{workspace.value, version});
  }
  // From now on wrap() and unwrap() answer notReady, as an unreachable key service does.
  void setReachable(bool reachable) {
    const std::scoped_lock lock(mutex_);
    reachable_ = reachable;
  }

 private:
  using Name = std::pair<std::uint64_t, std::uint32_t>;
  std::shared_ptr<crypto::AeadKey> find(WorkspaceNumber workspace, std::uint32_t version) {
    const std::scoped_lock lock(mutex_);
    if (!reachable_) throw Fault(ErrorCode::notReady, "the key service does not answer");
    const auto found = keys_.find(Name{workspace.value, version});
    if (found == keys_.end()) throw Fault(ErrorCode::keyMissing, "no such version");
    return found->second;
  }

  crypto::RandomSource& random_;
  std::mutex mutex_;
  std::map<Name, std::shared_ptr<crypto::AeadKey>> keys_;
  std::map<std::uint64_t, std::uint32_t> greatest_;
  bool reachable_ = true;
};

}  // namespace counterfoil::test
