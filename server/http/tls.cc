#include "server/http/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ledger/core/encoding.h"
#include "ledger/core/outcome.h"
#include "ledger/crypto/digest.h"

namespace counterfoil::server {

using boost::system::error_code;

namespace {

struct Freed {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(unsigned char* bytes) const { OPENSSL_free(bytes); }
};
template <class T>
using Owned = std::unique_ptr<T, Freed>;

[[noreturn]] void tlsFault(ErrorCode code, const std::string& file, const char* what,
                           const char* hint = "give a PEM file that openssl x509 or openssl pkey reads") {
  ERR_clear_error();
  throw Fault(code, file + ": " + what, hint);
}

void checkReadable(const std::string& file, const char* what) {
  if (::access(file.c_str(), R_OK) != 0) tlsFault(ErrorCode::keyMissing, file, what, "check its path and permissions");
}

void checkKeyFile(const std::string& file) {
  checkReadable(file, "the key cannot be read");
  struct stat facts {};
  if (::stat(file.c_str(), &facts) != 0) tlsFault(ErrorCode::keyMissing, file, "the key cannot be read");
  if ((facts.st_mode & S_IRWXO) != 0) tlsFault(ErrorCode::keyPermissions, file, "everybody may read the key", "chmod o= for it");
}

}  // namespace

std::shared_ptr<asio::ssl::context> makeTls(const std::string& certificateFile, const std::string& keyFile,
                                            const std::string& clientAuthorities) {
  auto context = std::make_shared<asio::ssl::context>(asio::ssl::context::tls_server);
  SSL_CTX* const handle = context->native_handle();
  SSL_CTX_set_min_proto_version(handle, TLS1_3_VERSION);
  // Plain text is wiped from OpenSSL's own buffers; early data could be replayed, and is off by default.
  SSL_CTX_set_options(handle, SSL_OP_CLEANSE_PLAINTEXT | SSL_OP_NO_RENEGOTIATION);
  // Without this OpenSSL asks the terminal for a passphrase, and a server waits for an answer for ever.
  const auto noPassphrase = [](std::size_t, asio::ssl::context::password_purpose) { return std::string(); };
  context->set_password_callback(noPassphrase);
  checkReadable(certificateFile, "the certificate cannot be read");
  checkKeyFile(keyFile);
  error_code error;
  context->use_certificate_chain_file(certificateFile, error);
  if (error) tlsFault(ErrorCode::keyDamaged, certificateFile, "this is no PEM certificate");
  if (X509_cmp_current_time(X509_get0_notAfter(SSL_CTX_get0_certificate(handle))) < 0) {
    tlsFault(ErrorCode::keyDamaged, certificateFile, "the certificate has expired", "renew it: no client would believe it");
  }
  context->use_private_key_file(keyFile, asio::ssl::context::pem, error);
  if (error) tlsFault(ErrorCode::keyDamaged, keyFile, "this is no PEM key without a passphrase, or not the certificate's");
  if (SSL_CTX_check_private_key(handle) != 1) tlsFault(ErrorCode::keyDamaged, keyFile, "the key is not the certificate's");
  if (!clientAuthorities.empty()) {
    checkReadable(clientAuthorities, "the client authorities cannot be read");
    context->load_verify_file(clientAuthorities, error);
    if (error) tlsFault(ErrorCode::keyDamaged, clientAuthorities, "these are no PEM certificates");
    // Asked for, not demanded: people come with tokens alone, producers with a certificate that their token is bound to.
    context->set_verify_mode(asio::ssl::verify_peer);
    SSL_CTX_set_session_id_context(handle, reinterpret_cast<const unsigned char*>("counterfoil"), 11);
  }
  return context;
}

void releaseBuffers(asio::ssl::stream<asio::ip::tcp::socket>& stream) {
  SSL_free_buffers(stream.native_handle());
}

std::string peerCertificateOf(asio::ssl::stream<asio::ip::tcp::socket>& stream) {
  SSL* const ssl = stream.native_handle();
  const Owned<X509> certificate(SSL_get1_peer_certificate(ssl));
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return {};
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  if (size <= 0) return {};
  const Owned<unsigned char> owned(der);
  return toHex(crypto::sha256(crypto::Bytes(der, static_cast<std::size_t>(size))));
}

std::vector<std::uint8_t> publicKeyOf(std::string_view pem) {
  const Owned<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const Owned<X509> certificate(bio ? PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr) : nullptr);
  ERR_clear_error();
  unsigned char* der = nullptr;
  const int size = certificate ? i2d_PUBKEY(X509_get0_pubkey(certificate.get()), &der) : -1;
  if (size <= 0) return {};
  const Owned<unsigned char> owned(der);
  return {der, der + size};
}

}  // namespace counterfoil::server
