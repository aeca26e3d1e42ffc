// For libraries that bring OpenSSL contexts of their own.
#pragma once

namespace counterfoil::crypto {

// From now on connections of this SSL_CTX overwrite what they decrypted once it was read (SSL_OP_CLEANSE_PLAINTEXT).
void wipeAfterReading(void* tlsContext) noexcept;

}  // namespace counterfoil::crypto
