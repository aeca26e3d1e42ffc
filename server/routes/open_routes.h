// What needs no token: the document of this API.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addOpenRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
