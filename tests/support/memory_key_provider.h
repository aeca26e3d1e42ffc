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
    if (!versions_) throw Fault(ErrorCode::notReady, "the key service makes no key");
    const std::uint32_t version = ++greatest_[workspace.value];
    keys_.emplace(Name{workspace.value, version}, std::make_shared<crypto::AeadKey>(random_.bytes<crypto::kAeadKeySize>()));
    return version;
  }
  std::vector<keys::Wrapped> wrap(WorkspaceNumber workspace, std::uint32_t version, std::span<const keys::WrapRequest> requests) override {
    if (version == keys::kNewestVersion) version = currentVersion(workspace);
    const auto key = find(workspace, version);
    if (key == nullptr) throw Fault(ErrorCode::keyMissing, "no such version");
    std::vector<keys::Wrapped> result;
    for (const keys::WrapRequest& request : requests) {
      keys::Wrapped wrapped{version, random_.bytes<crypto::kAeadNonceSize>(), {}};
      wrapped.sealed = key->seal(wrapped.nonce, request.associatedData, request.plaintext);
      result.push_back(std::move(wrapped));
    }
    return result;
  }
  std::vector<keys::Unwrapped> unwrap(std::span<const keys::UnwrapRequest> requests) override {
    std::vector<keys::Unwrapped> result(requests.size());
    for (std::size_t index = 0; index < requests.size(); ++index) {
      const keys::UnwrapRequest& request = requests[index];
      const auto key = find(request.workspace, request.version);
      if (key == nullptr) continue;
      auto plaintext = key->open(request.nonce, request.associatedData, request.sealed);
      result[index].outcome = plaintext ? keys::UnwrapOutcome::opened : keys::UnwrapOutcome::notAuthentic;
      if (plaintext) result[index].plaintext = std::move(*plaintext);
    }
    return result;
  }
  void destroyVersion(WorkspaceNumber workspace, std::uint32_t version) override {
    const std::scoped_lock lock(mutex_);
    if (version > greatest_[workspace.value]) return;
    keys_.erase(keys_.lower_bound(Name{workspace.value, 0}), keys_.upper_bound(Name{workspace.value, version}));
  }
  // From now on wrap() and unwrap() answer notReady, as an unreachable key service does.
  void setReachable(bool reachable) {
    const std::scoped_lock lock(mutex_);
    reachable_ = reachable;
  }
  void refuseNewVersions(bool refuse) {
    const std::scoped_lock lock(mutex_);
    versions_ = !refuse;
  }

 private:
  using Name = std::pair<std::uint64_t, std::uint32_t>;
  // Null if the version is not there.
  std::shared_ptr<crypto::AeadKey> find(WorkspaceNumber workspace, std::uint32_t version) {
    const std::scoped_lock lock(mutex_);
    if (!reachable_) throw Fault(ErrorCode::notReady, "the key service does not answer");
    const auto found = keys_.find(Name{workspace.value, version});
    return found == keys_.end() ? nullptr : found->second;
  }

  crypto::RandomSource& random_;
  std::mutex mutex_;
  std::map<Name, std::shared_ptr<crypto::AeadKey>> keys_;
  std::map<std::uint64_t, std::uint32_t> greatest_;
  bool reachable_ = true;
  bool versions_ = true;
};

}  // namespace counterfoil::test
