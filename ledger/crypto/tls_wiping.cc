#include "ledger/crypto/tls_wiping.h"

#include <openssl/ssl.h>

namespace counterfoil::crypto {

void wipeAfterReading(void* tlsContext) noexcept {
  SSL_CTX_set_options(static_cast<SSL_CTX*>(tlsContext), SSL_OP_CLEANSE_PLAINTEXT);
}

}  // namespace counterfoil::crypto
