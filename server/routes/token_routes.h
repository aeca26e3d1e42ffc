// What a caller does with its own token. Minting is for the token socket (token_socket.h).
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

// POST /v1/token/refresh: another token like the caller's own, which must be bound to the certificate of this connection (RFC 8705 3.1), so
// that a stolen copy cannot live on. Nothing if the service has no desk.
void addTokenRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
