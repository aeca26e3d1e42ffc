// Leases, approvals and revocations: everything the ledger decides.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addLeaseRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
