// Lists and single things of a workspace, from its view; the workspaces themselves (INTERFACE: HTTP, Lists; docs/query.md).
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

// `service` outlives the routes.
void addReadRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
