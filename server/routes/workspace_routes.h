// Workspaces and their policies.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addWorkspaceRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
