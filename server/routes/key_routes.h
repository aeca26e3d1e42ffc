// The keys of a workspace, and those that sign tokens: what there is, and their rotation.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addKeyRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
