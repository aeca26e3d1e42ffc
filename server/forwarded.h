// What a request says of itself that another node passed on, and who is believed.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "server/http/exchange.h"

namespace counterfoil::server {

// Headers between nodes, in lower case as RequestHead has them.
inline constexpr std::string_view kForwardedBy = "x-counterfoil-forwarded-by";                 // the node's name
inline constexpr std::string_view kForwardedCertificate = "x-counterfoil-client-certificate";  // lower-case hex SHA-256 of the caller's
inline constexpr std::string_view kRedirect = "x-counterfoil-redirect";                        // "yes": 307 instead of passing it on

// The names in a list with semicolons between them, each as nodeSubjectOf() gives it (RFC 2253): spaces around a name do not belong to it,
// what stands behind a backslash always does.
std::vector<std::string> nodeSubjectsOf(std::string_view list);

struct Forwarded {
  bool passedOn = false;          // it says that a node did; whoever makes that up is refused by a node that does not write
  std::string clientCertificate;  // of the caller, for tokens that are bound to one; empty: none
};

// A certificate in a header is believed of a connection whose own certificate is that of a node in `nodeSubjects` (see nodeSubjectOf()),
// and then the connection's is not the caller's. Throws Fault: notReady if somebody else says that it passed the request on with one;
// invalidValue if that is not said, or the header holds no digest.
Forwarded forwardedOf(const RequestHead& head, const std::vector<std::string>& nodeSubjects);

}  // namespace counterfoil::server
