#include "cmd/key_provider.h"

#include "ledger/keys/file_key_provider.h"
#include "ledger/keys/http_kms_provider.h"

namespace counterfoil::cmd {

std::unique_ptr<keys::KeyProvider> makeKeyProvider(const Config& config, const Clock& clock, crypto::RandomSource& random) {
  if (!config.hasKeyService()) return std::make_unique<keys::FileKeyProvider>(config.keys, random);
  keys::HttpKmsOptions options;
  options.transport.url = config.kmsUrl;
  options.transport.authorities = config.kmsAuthorities;
  options.transport.certificate = config.kmsCertificate;
  options.transport.certificateKey = config.kmsCertificateKey;
  options.transport.tokenFile = config.kmsTokenFile;
  options.transport.timeoutMs = config.kmsTimeoutMs;
  options.mount = config.kmsMount;
  options.prefix = keys::kmsKeyPrefix(config.origin);
  return std::make_unique<keys::HttpKmsProvider>(options, clock);
}

}  // namespace counterfoil::cmd
