// What the server needs of TLS beyond Asio: contexts, the peer's certificate, a certificate's public key. OpenSSL stays in the .cc file.
#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace counterfoil::server {

namespace asio = boost::asio;

// A certificate and its key as a TLS 1.3 context. `clientAuthorities`: PEM of the authorities whose client certificates are verified if one
// is presented; empty: none is asked for. `nodeAuthorities`: the same of other nodes' certificates, see nodeSubjectOf(). Throws Fault
// naming the file: keyMissing (not there, or not to be read), keyPermissions (a key that everybody may read), keyDamaged (no PEM, a key
// with a passphrase or of another certificate, a certificate that has expired).
std::shared_ptr<asio::ssl::context> makeTls(const std::string& certificateFile, const std::string& keyFile,
                                            const std::string& clientAuthorities, const std::string& nodeAuthorities = {});

// TLS 1.3 towards other nodes: shows this certificate, believes servers that `authorities` vouch for. Throws as makeTls() does.
std::shared_ptr<asio::ssl::context> makePeerTls(const std::string& certificateFile, const std::string& keyFile,
                                                const std::string& authorities);

// Before a handshake as client: the server's certificate must be for this name or address.
void expectHost(asio::ssl::stream<asio::ip::tcp::socket>& stream, const std::string& host);

// The error of a read or write: the other side does not believe the certificate it was shown, or wants one. It ended the connection in its
// handshake, so that nothing that was sent has been read.
bool refusesCertificate(const boost::system::error_code& error);
// The error of a handshake: the certificate that the other side showed was not believed here.
bool isUnbelieved(const boost::system::error_code& error);

// After the handshake: lower-case hex SHA-256 of the client's certificate (DER), empty if it gave none or it did not verify.
std::string peerCertificateOf(asio::ssl::stream<asio::ip::tcp::socket>& stream);

// Gives back OpenSSL's own buffers (34 kB) until the next record comes or goes, unless one is half read or half written. For connections
// that rest: given back after every record instead (SSL_MODE_RELEASE_BUFFERS), they are allocated and wiped whole three times a request.
void releaseBuffers(asio::ssl::stream<asio::ip::tcp::socket>& stream);
// The name (RFC 2253, as `openssl x509 -subject -nameopt RFC2253` writes it) in the client's certificate, if one of the `nodeAuthorities`
// of the context vouches for it; empty if it does not. A certificate that only an authority of clients vouches for names no node.
std::string nodeSubjectOf(asio::ssl::stream<asio::ip::tcp::socket>& stream);

// The SubjectPublicKeyInfo (DER, RFC 5280) of the first certificate in a PEM text; empty if there is none. For pinning (RFC 7469 2.4).
std::vector<std::uint8_t> publicKeyOf(std::string_view pem);

}  // namespace counterfoil::server
