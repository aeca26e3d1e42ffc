#include "server/forwarded.h"

#include <algorithm>

#include "ledger/core/outcome.h"

namespace counterfoil::server {
namespace {

bool isDigest(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace

std::vector<std::string> nodeSubjectsOf(std::string_view list) {
  std::vector<std::string> result(1);
  std::size_t length = 0;  // of the last name, without the spaces behind it
  const auto end = [&] {
    result.back().resize(length);
    length = 0;
  };
  for (std::size_t index = 0; index < list.size(); ++index) {
    if (list[index] == ';') {
      end();
      result.emplace_back();
      continue;
    }
    if (list[index] == ' ') {
      if (!result.back().empty()) result.back() += ' ';
      continue;
    }
    result.back() += list[index];
    if (list[index] == '\\' && index + 1 < list.size()) result.back() += list[++index];
    length = result.back().size();
  }
  end();
  std::erase(result, std::string());
  return result;
}

Forwarded forwardedOf(const RequestHead& head, const std::vector<std::string>& nodeSubjects) {
  Forwarded result;
  result.passedOn = !head.header(kForwardedBy).empty();
  const std::string_view certificate = head.header(kForwardedCertificate);
  const bool isNode =
      !head.nodeSubject.empty() && std::find(nodeSubjects.begin(), nodeSubjects.end(), head.nodeSubject) != nodeSubjects.end();
  if (!certificate.empty() && !isNode && result.passedOn) {
    // As a rule a node of this ledger that is not on the list: its caller has done nothing wrong, and another node may do.
    throw Fault(ErrorCode::notReady, "the node that passed this request on is not known as one to the node that writes",
                "nothing was recorded; ask another node, and tell the operator: peer_ca and peer_subjects there");
  }
  if (!certificate.empty() && !result.passedOn) {
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
