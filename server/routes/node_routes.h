// What nodes of one ledger ask each other, beside the requests of callers that they pass on. Not for anybody else, and not in the document
// of the API.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

class Forwarder;

// POST /node/token-desk: an order as TokenDesk takes it, with the word of the node that it came in at (auth/desk_order.h) in the place of a
// token. 200 with the desk's answer, refusals of the desk included. 503 `not_ready` while this node does not write `_system` either.
// Nothing if the service has no desk.
void addNodeRoutes(Router& router, Service& service, const Forwarder& forwarder);

}  // namespace counterfoil::server
