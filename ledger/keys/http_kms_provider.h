// Key-encryption keys that stay in a key service: the Transit API of OpenBao and HashiCorp Vault (docs/keys.md, docs/decisions/0022).
//
// One named key a workspace, `<prefix>-w<number>`, of type aes256-gcm96; its versions are ours. What the service returns for a wrapped key
// is nonce, ciphertext and tag: stored are exactly the bytes of WrappedKey, as under any other provider.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "ledger/core/clock.h"
#include "ledger/keys/key_provider.h"
#include "ledger/keys/kms_transport.h"
#include "ledger/keys/transit_messages.h"

namespace counterfoil::keys {

struct HttpKmsOptions {
  KmsTransportOptions transport;
  std::string mount = "transit";  // where the service has the Transit engine
  std::string prefix;             // of the keys' names: kmsKeyPrefix() of the ledger's origin
};

// "counterfoil-<first 16 hex digits of SHA-256(origin)>": all nodes of one ledger have one origin, and so share its keys.
std::string kmsKeyPrefix(std::string_view origin);

// Faults: notReady while the service does not answer, answers late, or answers what is not of the API; keyPermissions while it refuses the
// token. After either it is left alone for a while that grows from 0.25 s to 10 s (notReady) or is 10 s (refused): until then every call
// fails at once with the same fault. Faults name settings, never a key, a token or a word of the service.
class HttpKmsProvider final : public KeyProvider {
 public:
  // Connects to nothing yet. `clock` must outlive the provider. Throws Fault(invalidValue): see KmsTransport; or the mount is no plain
  // path.
  HttpKmsProvider(HttpKmsOptions options, const Clock& clock);
  ~HttpKmsProvider() override;

  std::uint32_t currentVersion(WorkspaceNumber workspace) override;
  // If the answer is lost there may be a version that is used from then on, by whoever asks for the newest.
  std::uint32_t createVersion(WorkspaceNumber workspace) override;
  // Each wrapped key is opened again by the service before it is given back, and must not open for another place: a service that cannot
  // open what it sealed would lose what the key protects, and one that knows no associated data (before Vault 1.12) binds nothing.
  std::vector<Wrapped> wrap(WorkspaceNumber workspace, std::uint32_t version, std::span<const WrapRequest> requests) override;
  // One request for each 250 keys of a workspace, KmsTransportOptions::parallel at once.
  std::vector<Unwrapped> unwrap(std::span<const UnwrapRequest> requests) override;
  // Trims the key's versions. The newest cannot be trimmed: another is made first, which nothing uses, and the key is marked as finished by
  // deletion_allowed; the next createVersion() takes that one.
  void destroyVersion(WorkspaceNumber workspace, std::uint32_t version) override;
  std::optional<Fault> trouble() const override;
  void probe() override;

 private:
  struct Part;  // of an unwrap: up to 250 keys of one workspace

  std::string pathOf(WorkspaceNumber workspace, std::string_view before, std::string_view behind = {}) const;
  // Runs `ask` unless it is to be left alone, and remembers how it ended.
  template <class Ask>
  auto guarded(const Ask& ask);
  void leaveAlone(const Fault& fault);
  KmsAnswer ask(KmsRequest request);
  std::vector<KmsAnswer> askAll(std::span<const KmsRequest> requests);
  std::optional<transit::KeyFacts> facts(WorkspaceNumber workspace);
  transit::KeyFacts factsAfter(WorkspaceNumber workspace, KmsRequest change);
  void checkWrapped(WorkspaceNumber workspace, std::span<const WrapRequest> requests, std::span<const Wrapped> wrapped);
  void takePart(const Part& part, KmsAnswer answer, std::vector<Unwrapped>& result);

  const std::string mount_;
  const std::string prefix_;
  const Clock& clock_;
  KmsTransport transport_;
  mutable std::mutex mutex_;       // guards what follows
  std::set<std::uint64_t> known_;  // workspaces whose key was seen alive: encrypting under a name that is not there could make one
  std::optional<Fault> trouble_;
  std::int64_t pauseNanoseconds_ = 0;
  std::int64_t retryAt_ = 0;  // monotonic
};

}  // namespace counterfoil::keys
