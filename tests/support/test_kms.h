// A key service for tests: the part of the Transit API that docs/keys.md lists, over TLS 1.3, in this process. Behaves as OpenBao's engine
// does, down to its words for errors; and badly, on request.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/certificates.h"

namespace counterfoil::test {

enum class KmsMood {
  willing,
  slow,         // reads requests and does not answer while the mood lasts
  sealed,       // 503
  refusing,     // 403
  garbage,      // 200 with bytes that are no JSON
  foreign,      // 200 with JSON of somebody else
  endless,      // 200 with a body that is too large
  redirecting,  // 307
  cutting,      // closes the connection instead of an answer
  loosePlaces,  // does not bind associated data
  forgetful,    // seals with a key that it throws away
  mixedUp,      // answers a batch in another order
};

struct TestKmsOptions {
  CertificateFiles certificate;
  std::string clientAuthority;  // path; empty: no client certificate is asked for
  std::string token = "s.test-token-of-the-ledger";
  std::string mount = "transit";
};

// Listens from the start. Thread safe.
class TestKms {
 public:
  explicit TestKms(TestKmsOptions options);
  ~TestKms();

  std::string url() const;  // the same after stop() and start()
  void setMood(KmsMood mood);
  void setToken(std::string token);
  // Before each answer.
  void setLatencyMs(int milliseconds);
  // Nobody listens, all connections are cut; the keys stay.
  void stop();
  void start();

  std::uint64_t requests() const;
  std::uint64_t connections() const;  // accepted since the beginning
  int mostAtOnce() const;             // requests under way
  // "POST encrypt", "GET keys", ... since the last call.
  std::vector<std::string> takeLog();
  std::vector<std::string> keyNames() const;
  // Bytes of a key, as an operator of the service could take them; empty if it is gone.
  std::string keyBytes(const std::string& name, std::uint32_t version) const;
  void deleteKey(const std::string& name);
  // Keys that an encryption under an unknown name would have made.
  std::uint64_t upserts() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace counterfoil::test
