// HTTP to a key service: libcurl, several requests at once over connections that are kept. Knows nothing of keys.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/crypto/wiping.h"

namespace counterfoil::keys {

// Bodies hold keys. Reserve before the first character: a short text lies inside the object and is not wiped.
using KmsText = std::basic_string<char, std::char_traits<char>, crypto::WipingAllocator<char>>;

struct KmsTransportOptions {
  std::string url;          // "https://kms.example.com:8200", without a path; http for this machine only
  std::string authorities;  // PEM file of those that may vouch for the service's certificate; empty: the system's
  std::string certificate;  // PEM files of a client certificate and its key; both or none
  std::string certificateKey;
  std::string tokenFile;           // bearer token, read for every call; empty: none is sent (an agent on this machine adds one)
  std::int64_t timeoutMs = 2'000;  // of one request, connecting included
  std::size_t parallel = 8;        // requests of one call under way at once
};

struct KmsRequest {
  bool post = true;  // else GET
  std::string path;  // beginning with '/'
  KmsText body;      // JSON; of a POST
};

enum class KmsTrouble : std::uint8_t {
  none,
  unreachable,  // nobody there, or the connection broke
  slow,         // no whole answer within the time
  untrusted,    // its certificate, or ours, is not accepted
  tooLarge,     // past 4 MiB
  badFile,      // a certificate or key file cannot be used
};

struct KmsAnswer {
  KmsTrouble trouble = KmsTrouble::none;
  int status = 0;
  KmsText body;
};

// Thread safe: each call has connections of its own, which the next one re-uses. TLS 1.3 only, no redirects, no proxy, no cookies.
class KmsTransport {
 public:
  // Connects to nothing yet. Throws Fault(invalidValue): not such a URL, half a client certificate.
  explicit KmsTransport(KmsTransportOptions options);
  ~KmsTransport();

  // An answer for each request, in order. After the first trouble no further request is begun; those answer the same trouble.
  // Throws Fault(keyPermissions): the token's file cannot be read, is empty or can be read by everybody.
  std::vector<KmsAnswer> send(std::span<const KmsRequest> requests);

 private:
  struct Channel;
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::keys
