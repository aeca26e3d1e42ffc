#include "server/forwarded.h"

#include <algorithm>

#include "ledger/core/outcome.h"

namespace counterfoil::server {
namespace {

bool isDigest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

Forwarded forwardedOf(const RequestHead& head, const std::vector<std::string>& nodeSubjects) {
  Forwarded result;
  result.passedOn = !head.header(kForwardedBy).empty();
  const std::string_view certificate = head.header(kForwardedCertificate);
  const bool isNode =
      !head.nodeSubject.empty() && std::find(nodeSubjects.begin(), nodeSubjects.end(), head.nodeSubject) != nodeSubjects.end();
  if (!certificate.empty() && (!isNode || !result.passedOn)) {
    throw Fault(ErrorCode::invalidValue, "only nodes of this ledger say in a header which certificate a client showed",
                "leave the header out, and show the certificate itself", "X-Counterfoil-Client-Certificate");
  }
  if (!certificate.empty() && !isDigest(certificate)) {
    throw Fault(ErrorCode::invalidValue, "this is no SHA-256 of a certificate", "send 64 lower-case hex digits",
                "X-Counterfoil-Client-Certificate");
  }
  result.clientCertificate = isNode && result.passedOn ? std::string(certificate) : head.peerCertificate;
  return result;
}

}  // namespace counterfoil::server
