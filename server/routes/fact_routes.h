// Facts, one or many: what happened elsewhere.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addFactRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
