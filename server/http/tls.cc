#include "server/http/tls.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/ssl/error.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <set>

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

// SHA-256 of the certificates of the authorities of nodes; kept in a context, and gone with it.
using NodeAuthorities = std::set<std::string>;

void forgetNodes(void*, void* nodes, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<NodeAuthorities*>(nodes);
}

int nodesIndex() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, forgetNodes);
  return index;
}

std::string digestOf(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return {};
  const Owned<unsigned char> owned(der);
  return toHex(crypto::sha256(crypto::Bytes(der, static_cast<std::size_t>(size))));
}

NodeAuthorities digestsOf(const std::string& file) {
  NodeAuthorities result;
  const Owned<BIO> bio(BIO_new_file(file.c_str(), "r"));
  while (bio != nullptr) {
    const Owned<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (certificate == nullptr) break;
    result.insert(digestOf(certificate.get()));
  }
  ERR_clear_error();
  return result;
}

// A certificate and its key in a context of TLS 1.3.
std::shared_ptr<asio::ssl::context> contextOf(asio::ssl::context::method method, const std::string& certificateFile,
                                              const std::string& keyFile) {
  auto context = std::make_shared<asio::ssl::context>(method);
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
  return context;
}

// Certificates that these authorities vouch for.
void believe(asio::ssl::context& context, const std::string& authorities) {
  checkReadable(authorities, "the authorities cannot be read");
  error_code error;
  context.load_verify_file(authorities, error);
  if (error) tlsFault(ErrorCode::keyDamaged, authorities, "these are no PEM certificates");
}

}  // namespace

std::shared_ptr<asio::ssl::context> makeTls(const std::string& certificateFile, const std::string& keyFile,
                                            const std::string& clientAuthorities, const std::string& nodeAuthorities) {
  auto context = contextOf(asio::ssl::context::tls_server, certificateFile, keyFile);
  for (const std::string& file : {clientAuthorities, nodeAuthorities}) {
    if (file.empty()) continue;
    believe(*context, file);
    // Asked for, not demanded: people come with tokens alone, producers with a certificate that their token is bound to.
    context->set_verify_mode(asio::ssl::verify_peer);
    SSL_CTX_set_session_id_context(context->native_handle(), reinterpret_cast<const unsigned char*>("counterfoil"), 11);
  }
  if (!nodeAuthorities.empty()) {
    auto nodes = std::make_unique<NodeAuthorities>(digestsOf(nodeAuthorities));
    if (SSL_CTX_set_ex_data(context->native_handle(), nodesIndex(), nodes.get()) != 1) {
      tlsFault(ErrorCode::internal, nodeAuthorities, "the authorities of nodes cannot be kept", "");
    }
    static_cast<void>(nodes.release());  // goes with the context
  }
  return context;
}

void releaseBuffers(asio::ssl::stream<asio::ip::tcp::socket>& stream) {
  SSL_free_buffers(stream.native_handle());
}

std::shared_ptr<asio::ssl::context> makePeerTls(const std::string& certificateFile, const std::string& keyFile,
                                                const std::string& authorities) {
  auto context = contextOf(asio::ssl::context::tls_client, certificateFile, keyFile);
  believe(*context, authorities);
  context->set_verify_mode(asio::ssl::verify_peer);
  return context;
}

void expectHost(asio::ssl::stream<asio::ip::tcp::socket>& stream, const std::string& host) {
  error_code number;
  static_cast<void>(asio::ip::make_address(host, number));
  // An address is no server name (RFC 6066 3).
  if (number) SSL_set_tlsext_host_name(stream.native_handle(), host.c_str());
  stream.set_verify_callback(asio::ssl::host_name_verification(host));
}

bool refusesCertificate(const error_code& error) {
  if (error.category() != asio::error::get_ssl_category()) return false;
  // An alert of the other side is its number (RFC 8446 6) with this offset.
  switch (ERR_GET_REASON(static_cast<unsigned long>(error.value())) - SSL_AD_REASON_OFFSET) {
    case SSL_AD_BAD_CERTIFICATE:
    case SSL_AD_UNSUPPORTED_CERTIFICATE:
    case SSL_AD_CERTIFICATE_REVOKED:
    case SSL_AD_CERTIFICATE_EXPIRED:
    case SSL_AD_CERTIFICATE_UNKNOWN:
    case SSL_AD_UNKNOWN_CA:
    case SSL_AD_ACCESS_DENIED:
    case SSL_AD_CERTIFICATE_REQUIRED:
      return true;
    default:
      return false;
  }
}

bool isUnbelieved(const error_code& error) {
  return error.category() == asio::error::get_ssl_category() &&
         ERR_GET_REASON(static_cast<unsigned long>(error.value())) == SSL_R_CERTIFICATE_VERIFY_FAILED;
}

std::string peerCertificateOf(asio::ssl::stream<asio::ip::tcp::socket>& stream) {
  SSL* const ssl = stream.native_handle();
  const Owned<X509> certificate(SSL_get1_peer_certificate(ssl));
  if (certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return {};
  return digestOf(certificate.get());
}

std::string nodeSubjectOf(asio::ssl::stream<asio::ip::tcp::socket>& stream) {
  SSL* const ssl = stream.native_handle();
  const auto* const nodes = static_cast<const NodeAuthorities*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), nodesIndex()));
  const Owned<X509> certificate(SSL_get1_peer_certificate(ssl));
  if (nodes == nullptr || certificate == nullptr || SSL_get_verify_result(ssl) != X509_V_OK) return {};
  // Of a resumed session there is no chain: nodes do not resume theirs.
  const STACK_OF(X509)* const chain = SSL_get0_verified_chain(ssl);
  if (chain == nullptr || sk_X509_num(chain) < 1) return {};
  if (nodes->count(digestOf(sk_X509_value(chain, sk_X509_num(chain) - 1))) == 0) return {};
  const Owned<BIO> text(BIO_new(BIO_s_mem()));
  if (text == nullptr || X509_NAME_print_ex(text.get(), X509_get_subject_name(certificate.get()), 0, XN_FLAG_RFC2253) < 0) return {};
  char* bytes = nullptr;
  const long size = BIO_get_mem_data(text.get(), &bytes);
  return size > 0 ? std::string(bytes, static_cast<std::size_t>(size)) : std::string();
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
