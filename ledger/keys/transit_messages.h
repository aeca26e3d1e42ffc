// Requests and answers of the Transit API (OpenBao, HashiCorp Vault) as text. Pure: no network. docs/keys.md lists the calls.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/keys/key_provider.h"
#include "ledger/keys/kms_transport.h"

namespace counterfoil::keys::transit {

// ---- bodies of requests; they hold keys ----

KmsText encryptBody(std::uint32_t version, std::span<const WrapRequest> requests);
// One item of a batch to be decrypted.
struct Sealed {
  std::uint32_t version = 0;
  crypto::Bytes nonce;
  crypto::Bytes sealed;
  crypto::Bytes associatedData;
};
KmsText decryptBody(std::span<const Sealed> items);
KmsText createBody();
// min_decryption_version and min_encryption_version; `finished`: nothing lives any more (HttpKmsProvider::destroyVersion).
KmsText floorBody(std::uint32_t oldest, bool finished);
KmsText finishedBody(bool finished);
KmsText trimBody(std::uint32_t oldest);

// ---- answers; nullopt: not in the form of the API ----

// A named key as GET /keys/NAME shows it.
struct KeyFacts {
  std::uint32_t latest = 0;
  std::uint32_t oldest = 0;   // of those that can be opened
  std::uint32_t sealing = 0;  // oldest of those that may be sealed with
  std::uint32_t trimmed = 0;  // versions below it are gone for good
  bool finished = false;      // deletion_allowed: all versions that ever held something are gone
};
std::optional<KeyFacts> keyFacts(std::string_view json);

std::optional<std::vector<Wrapped>> encrypted(std::string_view json, std::size_t count);

enum class DecryptOutcome : std::uint8_t { opened, notAuthentic, refused };
struct Decrypted {
  DecryptOutcome outcome = DecryptOutcome::refused;
  crypto::SecretBytes plaintext;
};
std::optional<std::vector<Decrypted>> decrypted(std::string_view json, std::size_t count);

// True for `{"errors": []}`, which is how the API says that there is no such key. A wrong path has words in it.
bool saysNothingThere(std::string_view json);

}  // namespace counterfoil::keys::transit
