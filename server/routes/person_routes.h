// Who a pseudonym is, what may not be erased, and the erasure of a person.
#pragma once

#include "server/http/router.h"
#include "server/service.h"

namespace counterfoil::server {

void addPersonRoutes(Router& router, Service& service);

}  // namespace counterfoil::server
