// How long a workspace's content is kept.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addRetentionRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
