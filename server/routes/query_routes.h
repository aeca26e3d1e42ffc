// Questions that are asked by POST: read-only SQL, the entries of a secret, the person behind a pseudonym. All of them are recorded.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

// `service` outlives the routes.
void addQueryRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
