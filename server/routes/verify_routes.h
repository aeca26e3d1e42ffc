// The verification of a workspace's chain, as a background job.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addVerifyRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
